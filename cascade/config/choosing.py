"""Settings of the listwise choice among candidates of the whole taxonomy."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from cascade.config.base import NAMED, Section

MOST_LISTED = 25  # each has a letter, and none of these has one, too

ChoiceBy = Literal["item", "letter", "name"]
# As eval/bench/listwise_choice.py finds them.
CHOICE_WEIGHTS: dict[ChoiceBy, float] = {"item": 0.5, "letter": 0.25, "name": 0.25}
LISTED: dict[ChoiceBy, int] = {"item": 25, "letter": 8, "name": 8}


class ChooseConfig(Section):
    """How a language model (`llm`) chooses among the leaves that retrieval found."""

    prompt: Annotated[str | None, NAMED] = Field(
        None,
        description="Prompt, a shipped name or a file; null: item-of, which names one candidate, "
        "and choose-listed, which lists them, for answer: letter or name.",
    )
    candidates: int | None = Field(
        None,
        ge=2,
        le=MOST_LISTED,
        description="Leaves of the whole taxonomy that the model is asked about; null: "
        f"{LISTED['item']} for answer: item, else {LISTED['letter']}.",
    )
    answer: ChoiceBy | None = Field(
        None,
        description="item: how likely the model finds the item's text under each candidate; "
        "letter, name: which candidate of a list it answers with, by its letter or its text; "
        "null: letter where choose.prompt lists candidates, else item.",
    )
    descriptions: int = Field(
        60,
        ge=0,
        le=10_000,
        description="Characters of a candidate's description that are listed; 0 for none.",
    )
    threshold: float = Field(
        0.6,
        ge=0,
        le=1,
        description="The model is asked about items whose likeliest leaf has a lower probability "
        "by retrieval; 0: about none, 1: about all.",
    )
    weight: float | None = Field(
        None,
        ge=0,
        le=100,
        description="Weight of the model's log-probabilities where those of retrieval have 1; "
        f"null: {CHOICE_WEIGHTS['item']:g} for answer: item, else {CHOICE_WEIGHTS['letter']:g}.",
    )

    @property
    def prompt_name(self) -> str:
        """The prompt, or the usual one for the answer."""
        return self.prompt or ("item-of" if self.answer in (None, "item") else "choose-listed")

    def weight_for(self, answer: ChoiceBy) -> float:
        """The weight, or the usual one for the answer."""
        return CHOICE_WEIGHTS[answer] if self.weight is None else self.weight

    def candidates_for(self, answer: ChoiceBy) -> int:
        """How many leaves the model is asked about: as set, or as usual for the answer."""
        return self.candidates or LISTED[answer]
