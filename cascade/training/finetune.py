"""Which kind of recipe a file of `cascade finetune` is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cascade.errors import ConfigError
from cascade.training.adapters.recipe import AdapterRecipe
from cascade.training.experiment import read_recipe
from cascade.training.rankers.recipe import RankerRecipe


def load_recipe(name: str, over: Mapping[str, Any] | None = None) -> AdapterRecipe | RankerRecipe:
    """The recipe in a YAML file, or the shipped one of that name, of the kind that it says.

    Raises
    ------
    ConfigError
        There is no such file, or it holds no recipe; the field is named.
    """
    path, data = read_recipe(name)
    kind = (over or {}).get("kind", data.get("kind", "adapter"))
    if kind == "adapter":
        return AdapterRecipe.load(name, over)
    if kind in ("retriever", "reranker"):
        return RankerRecipe.load(name, over)
    raise ConfigError(f"{path}: kind: expected adapter, retriever or reranker, found {kind!r}")
