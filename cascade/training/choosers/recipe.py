"""Recipes of `cascade finetune` for a choice from a list of candidates, over many taxonomies."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from cascade.config import (
    CHOICE_WEIGHTS,
    ENCODER,
    MOST_LISTED,
    NAMED,
    NEUTRAL,
    ChoiceBy,
    ChooseConfig,
    NodeText,
    Section,
)
from cascade.training.adapters.over_sets import SetsAdapterRecipe


class ListRecipe(Section):
    """What an item is chosen among: what the encoder really finds, and harder ones."""

    listed: int = Field(8, ge=2, le=MOST_LISTED, description="Leaves, as choose.candidates in use.")
    near: int = Field(
        2,
        ge=0,
        le=MOST_LISTED,
        description="Of these, leaves that are drawn the more often the nearer they lie to the "
        "right one, by 1 / (1 + steps), in place of the least similar.",
    )
    absent: float = Field(
        0.15, ge=0, le=1, description="Share of the lists without the right leaf: none of these."
    )
    doubted: float = Field(
        0.8,
        ge=0,
        le=1,
        description="Only rows whose likeliest leaf has a lower probability by retrieval are "
        "learnt and measured; 1 for all.",
    )
    descriptions: int = Field(
        60, ge=0, le=10_000, description="Characters, as choose.descriptions in use."
    )
    answer: ChoiceBy = Field(
        "item",
        description="What the model learns, as choose.answer in use; item: to find the item's text "
        "likelier under the right candidate than under the others, letter, name: to answer.",
    )
    weight: float = Field(
        CHOICE_WEIGHTS["item"],
        gt=0,
        le=100,
        description="Of answer: item beside retrieval while it is learnt, as choose.weight in use.",
    )
    encoder: Annotated[str, NAMED] = Field(
        ENCODER, description="Sentence encoder, as retrieval.encoder in use."
    )
    texts: NodeText = Field("full", description="What is embedded, as retrieval.texts in use.")


class ChooserPromptsRecipe(Section):
    """The prompt, as it will be used."""

    choose: Annotated[str | None, NAMED] = Field(
        None, description="A shipped prompt, or a file; null: the usual one for lists.answer."
    )
    kind: str = Field(
        NEUTRAL, min_length=1, max_length=40, description="What items are, as item.kind in use."
    )


class ChooserRecipe(SetsAdapterRecipe):
    """How a language model learns to choose from lists, under taxonomies it has never seen."""

    NAMES = (
        *SetsAdapterRecipe.NAMES,
        ("prompts", "choose"),
        ("lists", "encoder"),
    )

    kind: Literal["choose"] = Field("choose", description="What is fine-tuned.")
    rows: int = Field(
        2000, ge=1, le=10**8, description="Rows that are learnt, drawn from the sets by weight."
    )
    prompts: ChooserPromptsRecipe = Field(
        default_factory=ChooserPromptsRecipe, description="The words."
    )
    lists: ListRecipe = Field(default_factory=ListRecipe, description="What is chosen among.")

    @property
    def used(self) -> ChooseConfig:
        """The settings of `--method choose` that the adapter is made for."""
        lists = self.lists
        return ChooseConfig(
            prompt=self.prompts.choose,
            candidates=lists.listed,
            descriptions=lists.descriptions,
            answer=lists.answer,
            weight=lists.weight if lists.answer == "item" else None,
        )
