"""`cascade finetune` of a language model: a recipe in, a LoRA adapter and its figures out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Any

from cascade.config import ENCODER, PRODUCT, LLMConfig
from cascade.config.models import OF_PRODUCTS
from cascade.errors import ConfigError, UsageError
from cascade.generation.prompt_encoding import PromptEncoder
from cascade.generation.prompts import PromptTemplate
from cascade.io.files import read_json, write_json
from cascade.items import Batch, Item
from cascade.models.language_models import load_llm, picture_bank
from cascade.models.runtime import best_device
from cascade.models.weights import Weights, find_weights
from cascade.retrieval.encoder import Encoder
from cascade.retrieval.retriever import Retriever
from cascade.taxonomy.examples import examples_of
from cascade.training.adapters.instructions import (
    CandidateSampler,
    Example,
    InstructionWriter,
    Task,
)
from cascade.training.adapters.lora import attach_lora, save_adapter, trained
from cascade.training.adapters.recipe import AdapterRecipe
from cascade.training.adapters.training import AnswerLoop, training_precision
from cascade.training.labelled import Labelled
from cascade.training.labelled_experiment import LabelledExperiment
from cascade.training.loop import History, in_words
from cascade.version import __version__

TYPES = "types.json"
TYPED = 64  # items whose types are asked for between two signs of progress


class AdapterExperiment(LabelledExperiment[AdapterRecipe]):
    """One adapter."""

    made = "an adapter"

    @cached_property
    def _weights(self) -> list[Weights]:
        model = self.recipe.model
        return [find_weights(model.weights, allow_download=model.allow_download)]

    @cached_property
    def _templates(self) -> dict[Task, PromptTemplate]:
        prompts = self.recipe.prompts
        return {task: self._template(getattr(prompts, task)) for task in self.recipe.tasks}

    def _template(self, name: str) -> PromptTemplate:
        kind = self.recipe.prompts.kind
        examples = [] if kind == PRODUCT else examples_of(self.taxonomy)
        return PromptTemplate.load(name).given(kind=kind, examples=examples)

    def _check_resources(self) -> None:
        _ = self._templates

    def run(self, *, resume: bool = False) -> dict[str, Any]:
        """Train, and write the adapter; see `Experiment.run`."""
        recipe = self.recipe
        train, validation, counts = self._rows()
        self.progress("loading the model", 0, None)
        device = best_device(recipe.training.device)
        precision = training_precision(recipe.training, device)
        model, tokenizer = load_llm(self._weights[0], device, precision)
        examples, unseen = self._examples(train, validation, model, tokenizer)
        adapted = attach_lora(model, recipe.lora, seed=recipe.seed)
        loop = AnswerLoop(
            adapted,
            examples,
            recipe.training,
            self.work,
            validation=unseen,
            seed=recipe.seed,
            identity=self.identity,
        )
        self.notify(
            f"{len(examples):,} examples of {counts['train']:,} rows in {counts['classes']:,} "
            f"classes, {len(loop.steps):,} steps on {device} in {precision}"
        )
        self.progress("measuring the validation loss", 0, None)
        before = loop.validation_loss()
        if before is not None:
            self.notify(f"before: validation loss {before:.3f}")
        history = loop.run(resume=resume, progress=self._on_tick)
        save_adapter(adapted, self.folder, recipe.model.weights)
        return self._finish(
            {
                **run_figures(history, before, loop.tokens),
                "rows": counts,
                "examples": {"train": len(examples), "validation": len(unseen)},
                "trained_weights": sum(p.numel() for p in trained(adapted).values()),
                "device": device,
                "precision": precision,
                "version": __version__,
            }
        )

    def _examples(
        self, train: Labelled, validation: Labelled, model: Any, tokenizer: Any
    ) -> tuple[list[Example], list[Example]]:
        """Rows to learn from and rows to validate on, as token ids."""
        recipe = self.recipe
        bank = picture_bank(model)
        if recipe.data.image is not None and bank is None:
            raise UsageError(
                f"data.image is {recipe.data.image!r}, but the model {recipe.model.weights!r} "
                "reads no pictures; name one of the LLaVA kind in model.weights"
            )
        writer = InstructionWriter(
            self.taxonomy,
            self._templates,
            self._candidates,
            recipe.data.max_chars,
            pictures=bank is not None,
        )
        items = [*train.items, *validation.items]
        types = self._types(items, model, tokenizer) if writer.needs_types else None
        encoder = PromptEncoder(tokenizer, bank)
        found: list[list[Example]] = []
        for rows, first in ((train, 0), (validation, len(train))):
            instructions = writer.write(
                rows.items,
                rows.nodes,
                None if types is None else types[first : first + len(rows)],
                seed=recipe.seed,
                progress=lambda done, of: self.progress("writing examples", done, of),
            )
            found.append([instruction.encode(encoder) for instruction in instructions])
        return found[0], found[1]

    def _candidates(self) -> CandidateSampler:
        config = self.recipe.candidates
        allow = self.recipe.model.allow_download
        encoder = Encoder.load(config.encoder, allow_download=allow)
        retriever = Retriever(
            self.taxonomy,
            encoder,
            config.texts,
            progress=lambda done, of: self.progress("building the index", done, of),
        )
        return CandidateSampler(retriever, config.shown, config.hard)

    def _types(self, items: Sequence[Item], model: Any, tokenizer: Any) -> list[str]:
        """What the model, not yet trained, calls each item; kept for a run that goes on."""
        from cascade.generation.engines.transformers_engine import TransformersEngine
        from cascade.scoring.item_prompts import QueryRewriter

        path = self.work / TYPES
        with suppress(ConfigError, KeyError, TypeError):  # there is none, or one of another run
            kept = read_json(path)
            if kept["identity"] == self.identity and len(kept["types"]) == len(items):
                return [str(told) for told in kept["types"]]
        attention = model.config._attn_implementation
        engine = TransformersEngine(model, tokenizer)
        template = self._template(self.recipe.prompts.type)
        typer = QueryRewriter(engine, template, max_chars=self.recipe.data.max_chars)
        types: list[str] = []
        for start in range(0, len(items), TYPED):
            self.progress("asking what items are", start, len(items), f"{start:,} items")
            batch = Batch(items[start : start + TYPED])
            types += typer.types(batch)
            batch.raise_failure()
        if model.config._attn_implementation != attention:
            model.set_attn_implementation(attention)
        write_json(path, {"identity": self.identity, "types": types})
        return types

    @property
    def _in_use(self) -> tuple[str, dict[str, str]]:
        recipe = self.recipe
        default = LLMConfig()
        settings = {"llm.adapter": str(self.folder)}
        if recipe.model.weights != default.model:
            settings["llm.model"] = recipe.model.weights
        if "child" in recipe.tasks:
            if recipe.prompts.kind != PRODUCT:
                settings["item.kind"] = recipe.prompts.kind
            if recipe.prompts.child != OF_PRODUCTS:
                settings["llm.prompt"] = recipe.prompts.child
                settings["llm.prior"] = "false"
            if recipe.prompts.type != default.type_prompt:
                settings["llm.type_prompt"] = recipe.prompts.type
        if recipe.candidates.encoder != ENCODER:
            settings["retrieval.encoder"] = recipe.candidates.encoder
        if recipe.data.max_chars != default.max_chars:
            settings["llm.max_chars"] = str(recipe.data.max_chars)
        return "llm", settings

    def headline(self, metrics: Mapping[str, Any]) -> tuple[str, float] | None:
        """The validation loss."""
        loss = metrics["validation_loss"]
        return None if loss is None else ("validation_loss", loss)

    def summary(self, metrics: Mapping[str, Any]) -> tuple[Sequence[str], list[Sequence[str]]]:
        """A few figures."""
        last = metrics["loss_by_step"][-10:]
        rows: list[Sequence[str]] = [
            ("steps", f"{metrics['steps']:,}{_early(metrics)}"),
            ("training loss", f"{sum(last) / len(last):.3f}, mean of the last {len(last)}"),
        ]
        if metrics["validation_loss"] is not None:
            rows.append(("validation loss", _validated(metrics)))
        speed = f"{metrics['tokens_per_second']:,.0f} tokens/s on {metrics['device']}"
        return (), [*rows, ("time", f"{in_words(metrics['seconds'])}, {speed}")]

    def readme(self, metrics: Mapping[str, Any]) -> str:
        """What the adapter was made of, how it measured, and how it is used."""
        recipe = self.recipe
        rows, lora = metrics["rows"], recipe.lora
        columns = ", ".join(self.columns.text)
        held = metrics["validation_loss"] is not None
        losses = _validated(metrics) if held else "no rows were held out"
        return self.page(
            f"LoRA adapter of {recipe.model.weights}",
            f"or with peft: `PeftModel.from_pretrained(model, {str(self.folder)!r})`.",
            {
                "tasks": ", ".join(recipe.tasks),
                "data": (
                    f"{Path(recipe.data.file).name}: {rows['train']:,} rows of {rows['read']:,}, "
                    f"{rows['classes']:,} classes; columns {columns}; label {recipe.data.label}"
                ),
                "taxonomy": recipe.data.taxonomy or "made of the labels",
                "examples": (
                    f"{metrics['examples']['train']:,}, and {metrics['examples']['validation']:,} "
                    f"of {rows['validation']:,} rows held out or given for validation"
                ),
                "LoRA": (
                    f"rank {lora.rank}, alpha {lora.alpha}, dropout {lora.dropout}; "
                    f"{metrics['trained_weights']:,} weights"
                ),
                "steps": f"{metrics['steps']:,}{_early(metrics)}",
                "validation loss": losses,
                "time": (
                    f"{metrics['seconds']:,.0f} s, {metrics['tokens_per_second']:,.0f} tokens/s on "
                    f"{metrics['device']} in {metrics['precision']}"
                ),
            },
            "Losses are in nats for each token of an answer; `metrics.json` has that of each step.",
        )


def _early(metrics: Mapping[str, Any]) -> str:
    return ", stopped early" if metrics["stopped_early"] else ""


def _validated(metrics: Mapping[str, Any]) -> str:
    return (
        f"{metrics['validation_loss_before']:.3f} before, {metrics['validation_loss']:.3f} "
        f"after step {metrics['best_step']:,}, which is kept"
    )


def run_figures(history: History, before: float | None, tokens: int) -> dict[str, Any]:
    """What became of a run, for metrics.json; losses are nats for each answer token."""
    return {
        "steps": len(history.losses),
        "best_step": history.best_step,
        "stopped_early": history.stopped_early,
        "validation_loss_before": before,
        "validation_loss": None if before is None else history.best,
        "seconds": round(history.seconds, 1),
        "tokens": tokens,
        "tokens_per_second": round(tokens / max(history.seconds, 1e-9), 1),
        "loss_by_step": [round(loss, 5) for loss in history.losses],
        "validation_loss_by_step": {str(step): round(loss, 5) for step, loss in history.validation},
    }
