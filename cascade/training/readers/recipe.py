"""Recipes of `cascade finetune` for a reader of pairs."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from cascade.config import Section
from cascade.training.encoders.forms import FormsRecipe
from cascade.training.encoders.recipe import SetsRecipe
from cascade.training.loop import Decay


class ReaderLoopRecipe(Section):
    """How the weights are learnt."""

    steps: int = Field(1000, ge=1, description="Steps of the optimizer.")
    items: int = Field(16, ge=1, description="Items of a step, of any taxonomies.")
    candidates: int = Field(8, ge=2, description="Nodes that are read for each item.")
    noise: float = Field(
        0.05, ge=0, description="Spread of what is added to similarities before nodes are chosen."
    )
    alone: float = Field(
        1, ge=0, le=1, description="Share of the items that are judged without the cosine."
    )
    upper_rows: float = Field(
        0.1, ge=0, le=1, description="Share of the items whose labels are cut to a level above."
    )
    forms: FormsRecipe = Field(
        default_factory=lambda: FormsRecipe(leaf=1, parent=4, path=4, upward=0.5, more=0.5),
        description="The texts that nodes are read by.",
    )
    item_tokens: int = Field(32, ge=4, description="Tokens of an item that are read.")
    node_tokens: int = Field(32, ge=4, description="Tokens of a node's text that are read.")
    scale: float = Field(20.0, gt=0, description="Of the cosine before the softmax.")
    upper: float = Field(0.5, ge=0, description="Weight of the levels above in the loss.")
    learning_rate: float = Field(7e-5, gt=0, description="Of AdamW, at its highest.")
    weight_decay: float = Field(0.01, ge=0, description="Of AdamW.")
    warmup: float = Field(0.05, ge=0, lt=1, description="Share of the steps in which it rises.")
    decay: Decay = Field("linear", description="How it falls after that.")
    average: float = Field(
        0.99, ge=0, lt=1, description="Decay of the running average of weights; 0 for none."
    )
    share: float = Field(
        0.5,
        ge=0,
        le=1,
        description="How far the result goes from the weights that training began with to that "
        "average.",
    )
    checkpoint_every: int = Field(250, ge=1, description="Steps between two checkpoints.")
    half: bool = Field(True, description="Multiply in bfloat16 where the hardware does.")
    device: str = Field("auto", description="auto, cpu, cuda, cuda:1, mps.")


class ReaderModelRecipe(Section):
    """What is trained."""

    weights: str = Field(
        "cascade-minilm-1",
        description="Sentence encoder of the BERT kind whose layers it begins with.",
    )
    joint: int = Field(
        3,
        ge=1,
        description="Upper layers that read both texts together; those below read each by itself.",
    )
    learnt: int = Field(3, ge=1, description="Upper layers that are learnt.")
    finders: list[str] = Field(
        default_factory=lambda: ["cascade-minilm-1", "minilm"],
        min_length=1,
        description="Encoders that find the nodes of an item; the cosine is that of the last.",
    )
    allow_download: bool = Field(False, description="Weights may be fetched from the hub.")


class ReaderRecipe(SetsRecipe):
    """How a reader of pairs learns to choose among what an encoder found."""

    kind: Literal["reader"] = Field("reader", description="What is fine-tuned.")
    model: ReaderModelRecipe = Field(
        default_factory=ReaderModelRecipe, description="What is trained."
    )
    training: ReaderLoopRecipe = Field(
        default_factory=ReaderLoopRecipe, description="How it is learnt."
    )
