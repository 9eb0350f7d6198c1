"""Recipes of `cascade finetune` for an encoder of many taxonomies."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from cascade.config import NAMED, Section, TaxonomySource
from cascade.training.encoders.augmentation import AugmentationRecipe
from cascade.training.encoders.forms import FormsRecipe
from cascade.training.finetune_recipe import FinetuneRecipe
from cascade.training.loop import Decay


class SetRecipe(TaxonomySource):
    """One set of labelled rows."""

    name: str = Field(
        "", description="For logs and the README; by default that of the file's folder."
    )
    file: str = Field(description="Labelled rows, relative to the recipe.")
    label: str = Field("label", description="Column of the right answer: a code or a path.")
    text: list[str] = Field(default_factory=lambda: ["text"], description="Text columns.")
    taxonomy: Annotated[str | None, NAMED] = Field(
        None, description="As data.taxonomy of other kinds."
    )
    by: str | None = Field(
        None, description="Column that tells several taxonomies apart, each made of its labels."
    )
    max_chars: int = Field(200, ge=16, description="Characters of each column that are read.")
    weight: float = Field(1.0, gt=0, description="How often it is drawn, beside its size.")
    power: float = Field(
        0.5,
        ge=0,
        le=1,
        description="Rows of a set count with this power, so that small sets count.",
    )
    augmentation: AugmentationRecipe = Field(
        default_factory=AugmentationRecipe, description="Shares of items that are changed."
    )

    def model_post_init(self, context: object) -> None:
        """Name it."""
        self.name = self.name or Path(self.file).parent.name or Path(self.file).stem


class EncoderLoopRecipe(Section):
    """How the weights are learnt."""

    steps: int = Field(3000, ge=1, description="Steps of the optimizer.")
    items: int = Field(64, ge=2, description="Rows of a step, all of one taxonomy.")
    candidates: int = Field(96, ge=2, description="Nodes of a step at the most.")
    seeds: int = Field(4, ge=0, description="Nodes of a step that bring their hard neighbours.")
    family: int = Field(8, ge=1, description="Nodes of each such group.")
    upper_rows: float = Field(
        0.2, ge=0, le=1, description="Share of the steps whose labels are cut to a level above."
    )
    forms: FormsRecipe = Field(
        default_factory=FormsRecipe, description="The texts that nodes are read by."
    )
    item_tokens: int = Field(32, ge=4, description="Tokens of an item that are read.")
    node_tokens: int = Field(40, ge=4, description="Tokens of a node's text that are read.")
    scale: float = Field(20.0, gt=0, description="Of cosine similarities before the softmax.")
    upper: float = Field(0.5, ge=0, description="Weight of the levels above in the loss.")
    back: float = Field(0.2, ge=0, description="Weight of the loss from nodes to items.")
    learning_rate: float = Field(5e-5, gt=0, description="Of AdamW, at its highest.")
    weight_decay: float = Field(0.01, ge=0, description="Of AdamW.")
    warmup: float = Field(0.05, ge=0, lt=1, description="Share of the steps in which it rises.")
    decay: Decay = Field(
        "linear",
        description="How it falls after that; constant: not at all, for a run that may be stopped "
        "at any time, whose average of weights is used.",
    )
    average: float = Field(
        0.998, ge=0, lt=1, description="Decay of the running average of weights; 0 for none."
    )
    share: float = Field(
        0.5,
        ge=0,
        le=1,
        description="How far the result goes from the weights that training began with to that "
        "average; less keeps more of what was known of other domains.",
    )
    layers: int | None = Field(
        None, ge=1, description="Upper layers that are learnt; null for all."
    )
    words: bool = Field(False, description="Whether the vectors of words are learnt too.")
    refresh: int = Field(1000, ge=1, description="Steps after which neighbours are found anew.")
    checkpoint_every: int = Field(250, ge=1, description="Steps between two checkpoints.")
    half: bool = Field(True, description="Multiply in bfloat16 where the hardware does.")
    device: str = Field("auto", description="auto, cpu, cuda, cuda:1, mps.")


class EncoderModelRecipe(Section):
    """What is trained."""

    weights: str = Field(
        "minilm", description="Sentence encoder of the BERT kind: built-in name, folder or hub."
    )
    allow_download: bool = Field(False, description="Weights may be fetched from the hub.")


class SetsRecipe(FinetuneRecipe):
    """A recipe that learns from many sets, each over a taxonomy of its own."""

    FILES: ClassVar[tuple[tuple[str, str], ...]] = (("sets", "file"), ("held", "file"))
    NAMES: ClassVar[tuple[tuple[str, str], ...]] = (
        ("sets", "taxonomy"),
        ("held", "taxonomy"),
        ("model", "weights"),
    )

    sets: list[SetRecipe] = Field(min_length=1, description="Sets that are learnt.")
    held: list[SetRecipe] = Field(
        default_factory=list,
        description="Sets that are held out whole and measured before and after; texts of the rows "
        "that are measured are left out of the sets that are learnt.",
    )
    held_rows: int = Field(400, ge=1, description="Rows of each held set, drawn by the seed.")


class EncoderRecipe(SetsRecipe):
    """How a sentence encoder learns to file under taxonomies that it has never seen."""

    kind: Literal["encoder"] = Field("encoder", description="What is fine-tuned.")
    model: EncoderModelRecipe = Field(
        default_factory=EncoderModelRecipe, description="What is trained."
    )
    training: EncoderLoopRecipe = Field(
        default_factory=EncoderLoopRecipe, description="How it is learnt."
    )
