"""Recipes of `cascade finetune` for retrievers and rerankers."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from cascade.config import ENCODER, FITTED_ENCODER, NAMED, Section
from cascade.config import NodeText as Texts
from cascade.training.finetune_recipe import LabelledRecipe, ValidationRecipe
from cascade.training.rankers.negatives import NegativesRecipe


class RankerModelRecipe(Section):
    """What is trained, and beside what it is used."""

    weights: Annotated[str, NAMED] = Field(
        FITTED_ENCODER,
        description="Built-in name, folder or hub: a sentence encoder; for a reranker a "
        "cross-encoder, or an encoder that becomes one.",
    )
    encoder: Annotated[str, NAMED] = Field(
        ENCODER,
        description="Sentence encoder that finds the leaves on which a reranker is trained and "
        "measured; a retriever is its own.",
    )
    texts: Texts = Field(
        "full",
        description="What of a node is read: retrieval.texts in use, or rerank.texts for a "
        "reranker.",
    )
    searched: Texts = Field(
        "full",
        description="For a reranker: what of a node its encoder searches, as retrieval.texts.",
    )
    candidates: int = Field(
        25,
        ge=2,
        le=100_000,
        description="Leaves that a reranker orders, as rerank.candidates in use.",
    )
    allow_download: bool = Field(False, description="Weights may be fetched from the hub.")


class RankerLoopRecipe(Section):
    """How the weights are learnt."""

    epochs: float = Field(1.0, gt=0, le=1000, description="Times that all rows are seen.")
    least_steps: int = Field(
        300,
        ge=1,
        le=10**8,
        description="Steps that are made at the least, however few the rows are; the new output of "
        "a reranker says nothing at first.",
    )
    batch_size: int = Field(
        32,
        ge=2,
        le=10**5,
        description="Rows of one step, and a retriever has the others' nodes as wrong too; for a "
        "reranker pairs, of as many whole rows as they are enough for.",
    )
    learning_rate: float = Field(1e-4, gt=0, le=10, description="Of AdamW, at its highest.")
    warmup: float = Field(
        0.1, ge=0, lt=1, description="Share of the steps in which the rate rises; it then falls."
    )
    scale: float = Field(
        20.0, gt=0, le=1000, description="Of a retriever's cosine similarities before the softmax."
    )
    checkpoint_every: int = Field(100, ge=1, le=10**8, description="Steps between two checkpoints.")
    device: str = Field("auto", description="auto, cpu, cuda, cuda:1, mps.")


class RankerRecipe(LabelledRecipe):
    """How a sentence encoder learns to find nodes, or a cross-encoder to order them."""

    NAMES = (*LabelledRecipe.NAMES, ("model", "weights"), ("model", "encoder"))

    kind: Literal["retriever", "reranker"] = Field(description="What is fine-tuned.")
    validation: ValidationRecipe = Field(
        default_factory=lambda: ValidationRecipe(most_rows=2000),
        description="What is ranked before and after.",
    )
    model: RankerModelRecipe = Field(
        default_factory=RankerModelRecipe, description="What is trained."
    )
    negatives: NegativesRecipe = Field(
        default_factory=NegativesRecipe, description="Wrong nodes beside each right one."
    )
    training: RankerLoopRecipe = Field(
        default_factory=RankerLoopRecipe, description="How it is learnt."
    )
