"""Settings of the listwise choice among candidates of the whole taxonomy."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from cascade.config.base import NAMED, Section

MOST_LISTED = 25  # each has a letter, and none of these has one, too


class ChooseConfig(Section):
    """How a language model (`llm`) chooses among the leaves that retrieval found."""

    prompt: Annotated[str | None, NAMED] = Field(
        None,
        description="Prompt, a shipped name or a file; null: choose-listed, which lists the "
        "candidates, and item-of for answer: item, which names one of them.",
    )
    candidates: int = Field(
        8, ge=2, le=MOST_LISTED, description="Leaves of the whole taxonomy that are listed."
    )
    answer: Literal["letter", "name", "item"] = Field(
        "letter",
        description="What the model answers with: a candidate's letter, or its text; item: it is "
        "not asked, but how likely it finds the item's own text under each candidate counts.",
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
    weight: float = Field(
        0.25,
        ge=0,
        le=100,
        description="Weight of the model's log-probabilities where those of retrieval have 1.",
    )

    @property
    def prompt_name(self) -> str:
        """The prompt, or the usual one for the answer."""
        return self.prompt or ("item-of" if self.answer == "item" else "choose-listed")
