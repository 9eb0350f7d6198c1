"""Recipes of `cascade finetune` for the tasks of FoodEx2 in one adapter, after FEAST."""

from __future__ import annotations

from typing import Annotated, Literal, get_args

from pydantic import Field, field_validator

from cascade.config import FITTED_ENCODER, NAMED, Section
from cascade.training.adapters.lora import LoraRecipe
from cascade.training.adapters.recipe import LoopRecipe, ModelRecipe
from cascade.training.finetune_recipe import FinetuneRecipe

FoodTask = Literal["child", "facets", "descriptors"]
"""What is learnt: choose a base term among candidates, tell in which facet categories something is
said, choose a descriptor of a category among candidates."""
TASKS: tuple[FoodTask, ...] = get_args(FoodTask)


class FoodDataRecipe(Section):
    """The catalogue, and how much is composed of it; no description of anybody is needed."""

    catalogue: Annotated[str | None, NAMED] = Field(
        None, description="EFSA's MTX.ecf; null: the one here, or in the folder $CASCADE_FOODEX2."
    )
    processes: Annotated[str | None, NAMED] = Field(
        None, description="EFSA's BR_Data.csv; null: the one beside the catalogue."
    )
    rows: int = Field(
        4000,
        ge=2,
        le=10**7,
        description="Descriptions that are composed: half in our own words, half in those of the "
        "catalogue.",
    )
    held_rows: int = Field(
        400,
        ge=1,
        le=10**6,
        description="Descriptions of base terms that are not learnt, in our own words: so many to "
        "choose thresholds and weights on, and as many to measure.",
    )
    validated: int = Field(
        100, ge=0, le=10**6, description="Of the former those whose loss decides when to stop."
    )
    max_chars: int = Field(200, ge=16, le=10**7, description="As llm.max_chars in use.")


class FoodPromptsRecipe(Section):
    """The prompts, as they will be used."""

    facets: Annotated[str, NAMED] = Field(
        "choose-facets", description="As facets.categories.prompt in use."
    )
    term: Annotated[str, NAMED] = Field(
        "choose-food-term",
        description="As facets.base.prompt and facets.descriptors.prompt in use.",
    )


class FoodCandidatesRecipe(Section):
    """What base terms and descriptors are chosen among."""

    shown: int = Field(
        10, ge=2, le=1000, description="Terms that retrieval finds, the right one among them."
    )
    contexts: int = Field(
        40, ge=0, le=10_000, description="Characters of what tells a term, or a category."
    )
    encoder: Annotated[str, NAMED] = Field(
        FITTED_ENCODER, description="Sentence encoder, as retrieval.encoder in use."
    )


class FoodTasksRecipe(FinetuneRecipe):
    """How a language model learns the tasks of FoodEx2."""

    NAMES = (
        ("data", "catalogue"),
        ("data", "processes"),
        ("model", "weights"),
        ("prompts", "facets"),
        ("prompts", "term"),
        ("candidates", "encoder"),
    )

    kind: Literal["foodex2"] = Field("foodex2", description="What is fine-tuned.")

    data: FoodDataRecipe = Field(default_factory=FoodDataRecipe, description="The catalogue.")
    tasks: list[FoodTask] = Field(
        default_factory=lambda: list(TASKS),
        description="What is learnt: child (a base term among candidates), facets (in which "
        "categories something is said), descriptors (of a category, among candidates).",
    )
    weights: dict[FoodTask, float] = Field(
        default_factory=dict,
        description="Of tasks, 1 unless given: questions of a task, as a share of the "
        "descriptions.",
    )
    prompts: FoodPromptsRecipe = Field(default_factory=FoodPromptsRecipe, description="The words.")
    candidates: FoodCandidatesRecipe = Field(
        default_factory=FoodCandidatesRecipe, description="What is chosen among."
    )
    model: ModelRecipe = Field(default_factory=ModelRecipe, description="The language model.")
    lora: LoraRecipe = Field(default_factory=LoraRecipe, description="What is added to the model.")
    training: LoopRecipe = Field(default_factory=LoopRecipe, description="How it is learnt.")

    @field_validator("tasks")
    @classmethod
    def _has_a_task(cls, tasks: list[FoodTask]) -> list[FoodTask]:
        if not tasks:
            raise ValueError("expected at least one of child, facets, descriptors")
        return [task for task in TASKS if task in tasks]

    @field_validator("weights")
    @classmethod
    def _are_shares(cls, weights: dict[FoodTask, float]) -> dict[FoodTask, float]:
        for task, weight in weights.items():
            if not 0 < weight <= 100:
                raise ValueError(f"{task}: expected a number above 0 and up to 100, found {weight}")
        return weights
