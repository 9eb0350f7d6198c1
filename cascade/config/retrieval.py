"""Settings of narrowing and of the walk."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from cascade.config.section import Section

Recipe = Literal["leaf", "path", "path+description", "full"]
Answer = Literal["walk", "likeliest"]
IndexKind = Literal["auto", "flat", "hnsw", "ivf"]


class RetrievalConfig(Section):
    """How node texts are searched."""

    encoder: str = Field(
        "minilm",
        description="Sentence encoder: built-in name, folder or hub. For pictures one that reads "
        "both, as CLIP and SigLIP do; small:clip has random weights, for trying a set-up.",
    )
    texts: Recipe = Field(
        "full",
        description="What of a node is embedded: its name (leaf), its path, path, description and "
        "synonyms (path+description), or name with parent, description, synonyms and translations "
        "(full); the best of several texts counts.",
    )
    index: IndexKind = Field(
        "auto",
        description="How node texts are searched: each item is compared with every text (flat), or "
        "with those that a FAISS graph (hnsw) or FAISS lists (ivf) lead to, which finds nearly all "
        "of the nearest and costs far less where there are many. auto: flat up to 100,000 texts, "
        "hnsw beyond (flat on a GPU, with faiss-gpu). With hnsw and ivf, and beyond so many texts "
        "always, narrowing and scoring work on the texts that were found.",
    )
    hits: int = Field(
        256, ge=1, description="Texts that are found for each item, where they are searched so."
    )
    candidates: int = Field(
        10,
        ge=1,
        description="Children kept at each level; a number as high as the widest level keeps all.",
    )
    ranking: int = Field(
        0,
        ge=0,
        description="Leaves of the whole taxonomy that are ranked for each item, by methods that "
        "compare items with all of them.",
    )
    temperature: float = Field(
        0.04,
        ge=0.001,
        le=10,
        description="Cosine similarities are divided by this before the softmax.",
    )
    rewrite_weight: float = Field(
        0.35,
        ge=0,
        le=100,
        description="Weight, beside the item itself, of the language model's words for it.",
    )


class DescentConfig(Section):
    """How the walk down the taxonomy decides."""

    answer: Answer = Field(
        "walk",
        description="walk: the likeliest child every time; likeliest: of the paths that are kept "
        "the likeliest as a whole.",
    )
    beam: int = Field(3, ge=1, description="Paths kept at each level.")
    depth: int | None = Field(
        None, ge=1, description="Go down to this level at the most; to the leaves if not given."
    )
    ends: list[str] = Field(
        default_factory=list,
        description="Codes of nodes where paths end though the taxonomy goes on: of a pack those "
        "below which nothing was labelled.",
    )
    stop: float = Field(
        0.3,
        ge=0,
        le=1,
        description="Stop at a node when its best child is less likely than this, given the node.",
    )
