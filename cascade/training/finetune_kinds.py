"""What `cascade finetune` runs, of the kind that a recipe says."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cascade.errors import ConfigError
from cascade.training.adapters.experiment import AdapterExperiment
from cascade.training.adapters.recipe import AdapterRecipe
from cascade.training.agents.experiment import AgentExperiment
from cascade.training.agents.recipe import AgentRecipe
from cascade.training.choosers.experiment import ChooserExperiment
from cascade.training.choosers.recipe import ChooserRecipe
from cascade.training.encoders.experiment import EncoderExperiment
from cascade.training.encoders.recipe import EncoderRecipe
from cascade.training.experiment import Experiment
from cascade.training.finetune_recipe import read_recipe
from cascade.training.foodex2.tasks_experiment import FoodTasksExperiment
from cascade.training.foodex2.tasks_recipe import FoodTasksRecipe
from cascade.training.rankers.experiment import RankerExperiment
from cascade.training.rankers.recipe import RankerRecipe
from cascade.training.readers.experiment import ReaderExperiment
from cascade.training.readers.recipe import ReaderRecipe

AnyRecipe = (
    AdapterRecipe
    | AgentRecipe
    | ChooserRecipe
    | EncoderRecipe
    | FoodTasksRecipe
    | RankerRecipe
    | ReaderRecipe
)


def load_recipe(name: str, over: Mapping[str, Any] | None = None) -> AnyRecipe:
    """The recipe in a YAML file, or the shipped one of that name, of the kind that it says.

    Parameters
    ----------
    over
        Nested values that replace some of the recipe.

    Raises
    ------
    ConfigError
        There is no such file, or it holds no recipe; the field is named.
    """
    path, data = read_recipe(name)
    kind = data.get("kind", "adapter") if isinstance(data, dict) else "adapter"
    kind = (over or {}).get("kind", kind)
    if kind == "adapter":
        return AdapterRecipe.load(name, over)
    if kind == "choose":
        return ChooserRecipe.load(name, over)
    if kind == "agent":
        return AgentRecipe.load(name, over)
    if kind == "foodex2":
        return FoodTasksRecipe.load(name, over)
    if kind in ("retriever", "reranker"):
        return RankerRecipe.load(name, over)
    if kind == "encoder":
        return EncoderRecipe.load(name, over)
    if kind == "reader":
        return ReaderRecipe.load(name, over)
    raise ConfigError(
        f"{path}: kind: expected adapter, agent, choose, foodex2, retriever, reranker, encoder or "
        f"reader, found {kind!r}"
    )


def experiment_of(recipe: AnyRecipe, folder: Path, **options: Any) -> Experiment[Any]:
    """The experiment of a recipe; options as of `Experiment`."""
    if isinstance(recipe, AdapterRecipe):
        return AdapterExperiment(recipe, folder, **options)
    if isinstance(recipe, ChooserRecipe):
        return ChooserExperiment(recipe, folder, **options)
    if isinstance(recipe, AgentRecipe):
        return AgentExperiment(recipe, folder, **options)
    if isinstance(recipe, FoodTasksRecipe):
        return FoodTasksExperiment(recipe, folder, **options)
    if isinstance(recipe, EncoderRecipe):
        return EncoderExperiment(recipe, folder, **options)
    if isinstance(recipe, ReaderRecipe):
        return ReaderExperiment(recipe, folder, **options)
    return RankerExperiment(recipe, folder, **options)
