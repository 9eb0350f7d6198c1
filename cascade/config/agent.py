"""Settings of the agent: whom it looks at, what it may spend, what it shows the model."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from cascade.config.base import NAMED, Section


class AgentConfig(Section):
    """How the language model (`llm`) walks the taxonomy with tools, one action at a time."""

    threshold: float = Field(
        0.2,
        ge=0,
        le=1,
        description="Items enter the walk whose answer by retrieval (in a pack: by its own method) "
        "has a lower confidence; 0: none, 1: all.",
    )
    steps: int = Field(6, ge=1, le=100, description="Actions for one item at the most.")
    tokens: int = Field(
        8000,
        ge=1,
        le=10**9,
        description="Tokens, read and written, for one item at the most, where the engine tells "
        "them.",
    )
    seconds: float = Field(
        600,
        gt=0,
        le=86_400,
        description="Seconds of the model for one item at the most; items that are asked about "
        "together share the time.",
    )
    questions: int = Field(
        1,
        ge=0,
        le=20,
        description="Questions that the model may ask about one item; one that nobody answers ends "
        "the walk with the status `review`.",
    )
    shown: int = Field(8, ge=2, le=100, description="Nodes that are shown at a time.")
    descriptions: int = Field(
        0,
        ge=0,
        le=10_000,
        description="Characters of a node's description that lists show; `compare` always shows "
        "descriptions.",
    )
    prompt: Annotated[str, NAMED] = Field(
        "agent-step", description="Prompt that shows where the walk is: a shipped name, or a file."
    )
