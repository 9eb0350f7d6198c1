"""Recipes of `cascade finetune` for the agent, over many taxonomies."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from cascade.config import ENCODER, NAMED, NodeText, Section
from cascade.training.adapters.over_sets import SetsAdapterRecipe


class WalksRecipe(Section):
    """The walks that are learnt."""

    doubted: float = Field(
        0.5,
        ge=0,
        le=1,
        description="Only rows whose likeliest node has a lower probability by retrieval are "
        "walked; 1 for all.",
    )
    detours: float = Field(
        0.3,
        ge=0,
        le=1,
        description="Share of the walks that take a wrong turn first; what is learnt of them is "
        "the way back.",
    )
    steps: int = Field(6, ge=1, le=100, description="As agent.steps in use.")
    shown: int = Field(8, ge=2, le=100, description="As agent.shown in use.")
    descriptions: int = Field(0, ge=0, le=10_000, description="As agent.descriptions in use.")
    prompt: Annotated[str, NAMED] = Field("agent-step", description="As agent.prompt in use.")
    encoder: Annotated[str, NAMED] = Field(
        ENCODER, description="Sentence encoder, as retrieval.encoder in use."
    )
    texts: NodeText = Field("full", description="What is embedded, as retrieval.texts in use.")


class AgentRecipe(SetsAdapterRecipe):
    """How a language model learns to walk taxonomies that it has never seen."""

    NAMES = (*SetsAdapterRecipe.NAMES, ("walks", "prompt"), ("walks", "encoder"))

    kind: Literal["agent"] = Field("agent", description="What is fine-tuned.")
    rows: int = Field(
        2000, ge=1, le=10**8, description="Rows that are walked, drawn from the sets by weight."
    )
    walks: WalksRecipe = Field(default_factory=WalksRecipe, description="What is learnt.")
