"""Recipes of `cascade finetune` that make a LoRA adapter: model, tasks, prompts, optimisation."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator

from cascade.config import ENCODER, NAMED, PRODUCT, Section
from cascade.config import NodeText as Texts
from cascade.config.models import OF_PRODUCTS
from cascade.training.adapters.instructions import Task
from cascade.training.adapters.lora import LoraRecipe
from cascade.training.finetune_recipe import LabelledRecipe, PictureDataRecipe


class ModelRecipe(Section):
    """The language model that the adapter is for."""

    weights: Annotated[str, NAMED] = Field(
        "smollm2-135m", description="Built-in name, folder, GGUF or hub."
    )
    allow_download: bool = Field(False, description="Weights may be fetched from the hub.")


class PromptsRecipe(Section):
    """The prompt of each task, as it will be used."""

    child: Annotated[str, NAMED] = Field(
        OF_PRODUCTS, description="Choose a child: a shipped prompt, or a file."
    )
    path: Annotated[str, NAMED] = Field("write-path", description="Write the path.")
    type: Annotated[str, NAMED] = Field(
        "item-type", description="Say what kind of thing an item is."
    )
    kind: str = Field(PRODUCT, description="What an item is, as item.kind in use.")


class CandidatesRecipe(Section):
    """What a child is chosen among, by prompts that show candidates."""

    shown: int = Field(10, ge=2, le=1000, description="Candidates, as retrieval.candidates in use.")
    hard: int = Field(
        2, ge=0, le=1000, description="Of these, siblings whose names are like the right one."
    )
    encoder: Annotated[str, NAMED] = Field(
        ENCODER, description="Sentence encoder, as retrieval.encoder in use."
    )
    texts: Texts = Field("full", description="What is embedded, as retrieval.texts in use.")


Precision = Literal["auto", "float32", "bfloat16"]


class LoopRecipe(Section):
    """How the added weights are learnt."""

    epochs: float = Field(1.0, gt=0, le=1000, description="Times that all examples are seen.")
    most_steps: int | None = Field(
        None,
        ge=1,
        le=10**8,
        description="Steps at the most, whatever the epochs; null for no limit.",
    )
    learning_rate: float = Field(3e-4, gt=0, le=10, description="Of AdamW, at its highest.")
    warmup: float = Field(
        0.05, ge=0, lt=1, description="Share of the steps in which the rate rises; it then falls."
    )
    weight_decay: float = Field(0.0, ge=0, le=10, description="Of AdamW.")
    clip: float = Field(
        1.0, gt=0, le=1e6, description="Longest gradient; longer ones are cut to it."
    )
    batch_tokens: int = Field(
        1024,
        ge=16,
        le=10**7,
        description="Tokens of one forward pass, padding included; bounds memory.",
    )
    accumulate: int = Field(1, ge=1, le=10**5, description="Forward passes of one step.")
    evaluate_every: int = Field(
        50,
        ge=1,
        le=10**8,
        description="Steps between two evaluations; there is also one after the last.",
    )
    patience: int = Field(
        3,
        ge=1,
        le=10**6,
        description="Evaluations without a lower validation loss after which training ends.",
    )
    checkpoint_every: int = Field(50, ge=1, le=10**8, description="Steps between two checkpoints.")
    precision: Precision = Field(
        "auto",
        description="Numbers that are multiplied, and the model's own weights; auto is bfloat16 "
        "where the hardware has it. The added weights are float32.",
    )
    device: str = Field("auto", description="auto, cpu, cuda, cuda:1, mps.")


class AdapterRecipe(LabelledRecipe):
    """How a language model gets a LoRA adapter."""

    NAMES = (
        *LabelledRecipe.NAMES,
        ("model", "weights"),
        *(("prompts", task) for task in PromptsRecipe.model_fields),
        ("candidates", "encoder"),
    )

    kind: Literal["adapter"] = Field("adapter", description="What is fine-tuned.")

    data: PictureDataRecipe = Field(description="The labelled rows.")
    model: ModelRecipe = Field(default_factory=ModelRecipe, description="The language model.")
    tasks: list[Task] = Field(
        default_factory=lambda: list[Task](("child", "type")),
        description="What is learnt: child (choose among candidates, at each level), path (write "
        "all names), type (go on saying what the model itself says of an item, which prompts of "
        "the task child and retrieval by `rewrite` rely on).",
    )
    prompts: PromptsRecipe = Field(default_factory=PromptsRecipe, description="The words.")
    candidates: CandidatesRecipe = Field(
        default_factory=CandidatesRecipe, description="What is chosen among."
    )
    lora: LoraRecipe = Field(default_factory=LoraRecipe, description="What is added to the model.")
    training: LoopRecipe = Field(default_factory=LoopRecipe, description="How it is learnt.")

    @field_validator("tasks")
    @classmethod
    def _has_a_task(cls, tasks: list[Task]) -> list[Task]:
        if not tasks:
            raise ValueError("expected at least one of child, path, type")
        return list(dict.fromkeys(tasks))
