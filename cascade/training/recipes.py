"""Which kind of recipe a file of `cascade finetune` is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cascade.errors import ConfigError
from cascade.training.experiment_recipe import ExperimentRecipe
from cascade.training.finetune_recipe import read_recipe
from cascade.training.ranking_recipe import RankingRecipe


def load_recipe(
    name: str, over: Mapping[str, Any] | None = None
) -> ExperimentRecipe | RankingRecipe:
    """The recipe in a YAML file, or the shipped one of that name, of the kind that it says.

    Raises
    ------
    ConfigError
        There is no such file, or it holds no recipe; the field is named.
    """
    path, data = read_recipe(name)
    kind = (over or {}).get("kind", data.get("kind", "adapter"))
    if kind == "adapter":
        return ExperimentRecipe.load(name, over)
    if kind in ("retriever", "reranker"):
        return RankingRecipe.load(name, over)
    raise ConfigError(f"{path}: kind: expected adapter, retriever or reranker, found {kind!r}")
