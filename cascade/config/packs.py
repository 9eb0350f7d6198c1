"""Settings of fitted parts and of how they are combined: fusion, heads, routing, calibration."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from cascade.config.base import LOCAL_FILE, LOCAL_FOLDER, Section
from cascade.config.retrieval import Prompt

Weight = Annotated[float, Field(ge=0, le=1e6)]


def _default_weights() -> dict[str, Weight | list[Weight]]:
    return {"rewrite": 1.0, "llm": [0.05, 0.0]}


class FusionConfig(Section):
    """How scorers are combined: a weighted sum of log-probabilities, normalised."""

    weights: dict[str, Weight | list[Weight]] = Field(
        default_factory=_default_weights,
        description="Weight of each scorer, not negative: one for all levels, or a list with one "
        "for each level from the top, the last for all levels below.",
    )
    without_text: dict[str, Weight | list[Weight]] = Field(
        default_factory=dict,
        description="Weights for items that have a picture and no text; none: as above.",
    )
    without_picture: dict[str, Weight | list[Weight]] = Field(
        default_factory=dict,
        description="Weights for items that have text and no picture; none: as above.",
    )


class BackboneConfig(Section):
    """What turns items into feature vectors, for heads and neighbours."""

    kind: Literal["lexical", "sentence", "llama", "picture", "joined"] = Field(
        description="Words and characters, a sentence encoder, hidden states of a language model, "
        "a vision model for pictures, or several of these side by side."
    )
    file: Annotated[str | None, LOCAL_FILE] = Field(
        None, description="File of lexical features, relative to this one."
    )
    model: Annotated[str | None, LOCAL_FOLDER] = Field(
        None, description="Weights: built-in name, folder or hub."
    )
    adapter: Annotated[str | None, LOCAL_FOLDER] = Field(
        None, description="Folder of a LoRA adapter of the model."
    )
    prompt: Prompt = Field(
        "", description="What a sentence encoder reads before each item, as it was fitted with."
    )
    columns: list[str] = Field(default_factory=list, description="Columns that are read.")
    max_chars: int = Field(
        200, ge=1, le=10**7, description="Characters of each column that are read."
    )
    of: list[str] = Field(default_factory=list, description="Names of the backbones to join.")


class HeadsConfig(Section):
    """Linear heads over a backbone: the scorer `ttc.NAME`."""

    file: Annotated[str, LOCAL_FILE] = Field(description="File of the heads, relative to this one.")
    backbone: str = Field(description="Name of the backbone.")


class NeighboursConfig(Section):
    """How similar labelled items vote."""

    file: Annotated[str | None, LOCAL_FILE] = Field(
        None, description="File of the examples, relative to this one."
    )
    backbone: str = Field("sentence", description="Name of the backbone that they are compared by.")
    k: int = Field(20, ge=1, le=100_000, description="Examples that vote.")
    temperature: float = Field(
        0.05, ge=0.001, le=10, description="Cosine similarities are divided by this."
    )


class RoutingConfig(Section):
    """Which scorer answers which item: the fast path first, the method where that is unsure."""

    fast: dict[str, Weight | list[Weight]] = Field(
        default_factory=dict,
        description="Weights of the fast path's scorers, as in fusion.weights; none: no routing.",
    )
    threshold: float = Field(
        0.9,
        ge=0,
        le=1,
        description="The method answers the items for which the fast path has a lower confidence; "
        "0: never, 1: always.",
    )


class TaughtConfig(Section):
    """What rows of `cascade start` taught: corrections of what retrieval says."""

    file: Annotated[str | None, LOCAL_FILE] = Field(
        None, description="File of the corrections, relative to this one."
    )
    words: Annotated[str | None, LOCAL_FILE] = Field(
        None, description="File of lexical features, where words count beside vectors of texts."
    )
