"""What kinds of adapters share that are learnt over many taxonomies: `choose` and `agent`."""

from __future__ import annotations

import shlex
from abc import abstractmethod
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from pydantic import Field

from cascade.config import ENCODER, LLMConfig, Section
from cascade.generation.prompts import PromptTemplate
from cascade.models.weights import Weights, find_weights
from cascade.training.adapters.lora import LoraRecipe
from cascade.training.adapters.recipe import LoopRecipe, ModelRecipe
from cascade.training.encoders.recipe import SetsRecipe
from cascade.training.encoders.sets_experiment import SetsExperiment
from cascade.training.loop import in_words


class SetsAdapterRecipe(SetsRecipe):
    """A recipe of an adapter that learns from many sets."""

    held_rows: int = Field(
        100,
        ge=1,
        le=10**6,
        description="Rows of each held set, drawn by the seed; their loss decides when to stop.",
    )
    model: ModelRecipe = Field(default_factory=ModelRecipe, description="The language model.")
    lora: LoraRecipe = Field(default_factory=LoraRecipe, description="What is added to the model.")
    training: LoopRecipe = Field(default_factory=LoopRecipe, description="How it is learnt.")


A = TypeVar("A", bound=SetsAdapterRecipe)


class SetsAdapterExperiment(SetsExperiment[A]):
    """One adapter; `limit` is of the rows of each set."""

    made = "an adapter"
    plain: ClassVar[Section]
    """The settings of the method that uses the adapter, as they are by default."""

    @property
    @abstractmethod
    def _encoder_name(self) -> str:
        """Of the encoder that finds what the model is shown."""

    @property
    @abstractmethod
    def _used(self) -> Mapping[str, Any]:
        """The settings of the method that the adapter learnt with, its `prompt` among them."""

    @property
    def result(self) -> Path:
        """Where the adapter lies."""
        return self.folder

    @cached_property
    def _weights(self) -> list[Weights]:
        model = self.recipe.model
        names = (model.weights, self._encoder_name)
        return [find_weights(name, allow_download=model.allow_download) for name in names]

    @cached_property
    def _template(self) -> PromptTemplate:
        return PromptTemplate.load(self._used["prompt"])

    def _check_resources(self) -> None:
        _ = self._template

    @property
    def _contents(self) -> Any:
        return [self._template.source, super()._contents]

    def headline(self, metrics: Mapping[str, Any]) -> tuple[str, float] | None:
        """The validation loss."""
        loss = metrics["validation_loss"]
        return None if loss is None else ("validation_loss", loss)

    @property
    def _beside(self) -> Mapping[str, str]:
        """Other settings that the adapter is to be used with."""
        return {}

    def usage(self) -> str:
        """The command that classifies with the result."""
        method, weights = self.recipe.kind, self.recipe.model.weights
        settings = {"llm.adapter": str(self.folder)}
        if weights != LLMConfig().model:
            settings["llm.model"] = weights
        settings |= {
            f"{method}.{name}": str(value)
            for name, value in self._used.items()
            if value != getattr(self.plain, name)
        }
        if self._encoder_name != ENCODER:
            settings["retrieval.encoder"] = self._encoder_name
        settings |= self._beside
        words = ["cascade", "classify", "items.csv", "-t", "TAXONOMY", "--text", "name"]
        words += ["--method", method]
        words += [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
        return shlex.join([*words, "-o", "out.csv"])


def time_of(metrics: Mapping[str, Any]) -> str:
    """How long training took, and on what, in words."""
    took = in_words(metrics["seconds"])
    return f"{took} on {metrics['device']} in {metrics['precision']}"


def losses_of(metrics: Mapping[str, Any]) -> str:
    """The validation loss before and after, in words."""
    if metrics["validation_loss"] is None:
        return "no sets were held out"
    return (
        f"{metrics['validation_loss_before']:.3f} before, {metrics['validation_loss']:.3f} after "
        f"step {metrics['best_step']:,}, which is kept"
    )
