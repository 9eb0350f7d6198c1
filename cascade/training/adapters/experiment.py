"""What `cascade finetune` runs: a recipe in, a folder with a LoRA adapter and its figures out."""

from __future__ import annotations

import hashlib
import json
import shlex
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from cascade.config import LLMConfig
from cascade.errors import UsageError
from cascade.generation.prompt_encoding import PromptEncoder
from cascade.generation.prompts import PromptTemplate
from cascade.items import Batch, Item
from cascade.models.language_models import load_llm, picture_bank
from cascade.models.runtime import best_device
from cascade.models.weights import Weights, find_weights
from cascade.retrieval.encoder import Encoder
from cascade.retrieval.retriever import Retriever
from cascade.training.adapters.instructions import Candidates, Example, Task, Writer
from cascade.training.adapters.loop import History, Loop, Tick, training_precision
from cascade.training.adapters.lora import attach_lora, save_adapter, trained
from cascade.training.adapters.recipe import AdapterRecipe
from cascade.training.experiment import METRICS, README, ExperimentData, ResultFolder
from cascade.training.labelled import Labelled
from cascade.version import __version__

Told = Callable[[str, int, int | None, str], None]
"""Called with what is done, how much of how much (None: not known), and a few words."""

TYPES = "types.json"
TYPED = 64  # items whose kinds are written between two signs of progress


@dataclass(frozen=True)
class AdapterExperiment:
    """One experiment and where its result goes.

    Parameters
    ----------
    limit
        Rows of the data file that are read.
    name, command
        Of the recipe, and what was typed, for the README.
    told, said
        Called with signs of progress, and with whole sentences.
    """

    recipe: AdapterRecipe
    folder: Path
    limit: int | None = None
    name: str = "recipe"
    command: str = ""
    told: Told = field(default=lambda what, done, of, words: None, repr=False)
    said: Callable[[str], None] = field(default=lambda _: None, repr=False)

    @property
    def result(self) -> ResultFolder:
        """The folder, as something that holds an adapter or will."""
        return ResultFolder(self.folder, "an adapter")

    @property
    def work(self) -> Path:
        """Where checkpoints are until the adapter is made."""
        return self.result.work

    @cached_property
    def data(self) -> ExperimentData:
        """The rows."""
        return ExperimentData(self.recipe, self.limit)

    @cached_property
    def identity(self) -> str:
        """A hash of all that the trained weights depend on."""
        recipe = self.recipe.model_dump(
            exclude={"about": True, "training": {"checkpoint_every"}, "data": {"file"}}
        )
        depends = [__version__, recipe, self.data.identity, self._weights.identity]
        return hashlib.sha256(json.dumps(depends).encode()).hexdigest()

    @cached_property
    def _weights(self) -> Weights:
        model = self.recipe.model
        return find_weights(model.weights, allow_download=model.allow_download)

    @cached_property
    def _templates(self) -> dict[Task, PromptTemplate]:
        prompts = self.recipe.prompts
        return {task: PromptTemplate.load(getattr(prompts, task)) for task in self.recipe.tasks}

    def check(self, *, resume: bool, overwrite: bool) -> None:
        """Make the folder, unless something is in the way.

        Raises
        ------
        UsageError, OutputError
            It holds a result, an interrupted run, or something else.
        """
        result = self.result
        result.check(resume=resume, overwrite=overwrite)
        # Before anything is replaced: whether data, weights and prompts are there.
        _ = self.data.columns, self.identity, self._templates
        text = f"# {self.command}\n{self.recipe.to_yaml(self.folder)}"
        result.begin(text, resume=resume, overwrite=overwrite)

    def run(self, *, resume: bool = False) -> dict[str, Any]:
        """Train, and write the adapter; call `check` first.

        Returns
        -------
        The contents of metrics.json.

        Raises
        ------
        CascadeError
            The data, the model or the recipe cannot be used; says where and what to do.
        """
        recipe = self.recipe
        self.told("reading rows", 0, None, "")
        train, validation, counts = self.data.rows(
            self.said, lambda rows: self.told("reading rows", rows, None, f"{rows:,} rows")
        )
        self.told("loading the model", 0, None, "")
        device = best_device(recipe.training.device)
        precision = training_precision(recipe.training, device)
        model, tokenizer = load_llm(self._weights, device, precision)
        examples, looked_at = self._examples(train, validation, model, tokenizer)
        adapted = attach_lora(model, recipe.lora, seed=recipe.seed)
        loop = Loop(
            adapted,
            examples,
            recipe.training,
            self.work,
            validation=looked_at,
            seed=recipe.seed,
            identity=self.identity,
        )
        self.said(
            f"{len(examples):,} examples of {counts['train']:,} rows in {counts['classes']:,} "
            f"classes, {len(loop.steps):,} steps on {device} in {precision}"
        )
        self.told("looking at validation", 0, None, "")
        before = loop.loss(looked_at) if looked_at else None
        if before is not None:
            self.said(f"before: validation loss {before:.3f}")
        history = loop.run(resume=resume, progress=self._on_tick)
        metrics = {
            **_figures(history, before),
            "rows": counts,
            "examples": {"train": len(examples), "validation": len(looked_at)},
            "trained_weights": sum(p.numel() for p in trained(adapted).values()),
            "device": device,
            "precision": precision,
            "version": __version__,
        }
        save_adapter(adapted, self.folder, recipe.model.weights)
        page = readme(recipe, metrics, self.data.columns.text, self.folder, self.command)
        (self.folder / README).write_text(page, "utf-8")
        (self.folder / METRICS).write_text(json.dumps(metrics, indent=2) + "\n", "utf-8")
        shutil.rmtree(self.work)
        return metrics

    def _examples(
        self, train: Labelled, validation: Labelled, model: Any, tokenizer: Any
    ) -> tuple[list[Example], list[Example]]:
        """Rows to learn from and rows to look at as token ids."""
        recipe = self.recipe
        bank = picture_bank(model)
        if recipe.data.image is not None and bank is None:
            raise UsageError(
                f"data.image is {recipe.data.image!r}, but the model {recipe.model.weights!r} "
                "reads no pictures; name one of the LLaVA kind in model.weights"
            )
        writer = Writer(
            self.data.taxonomy,
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
                progress=lambda done, of: self.told("writing examples", done, of, ""),
            )
            found.append([instruction.encode(encoder) for instruction in instructions])
        return found[0], found[1]

    def _candidates(self) -> Candidates:
        config = self.recipe.candidates
        allow = self.recipe.model.allow_download
        encoder = Encoder.load(config.encoder, allow_download=allow)
        retriever = Retriever(
            self.data.taxonomy,
            encoder,
            config.texts,
            progress=lambda done, of: self.told("building the index", done, of, ""),
        )
        return Candidates(retriever, config.shown, config.hard)

    def _types(self, items: Sequence[Item], model: Any, tokenizer: Any) -> list[str]:
        """What the model, not yet trained, calls each item; kept for a run that goes on."""
        from cascade.generation.engines.transformers_engine import TransformersEngine
        from cascade.scoring.methods.rewrite import QueryRewriter

        path = self.work / TYPES
        if path.is_file():
            kept = json.loads(path.read_text("utf-8"))
            if kept["identity"] == self.identity:
                return list(kept["types"])
        attention = model.config._attn_implementation
        engine = TransformersEngine(model, tokenizer)
        template = PromptTemplate.load(self.recipe.prompts.type)
        typer = QueryRewriter(engine, template, max_chars=self.recipe.data.max_chars)
        types: list[str] = []
        for start in range(0, len(items), TYPED):
            self.told("asking what items are", start, len(items), f"{start:,} items")
            types += typer.types(Batch(items[start : start + TYPED]))
        model.set_attn_implementation(attention)
        path.write_text(json.dumps({"identity": self.identity, "types": types}), "utf-8")
        return types

    def _on_tick(self, tick: Tick) -> None:
        looked = "" if tick.validation is None else f", validation {tick.validation:.3f}"
        words = f"loss {tick.loss:.3f}{looked}; {in_words(tick.seconds_left)} left"
        self.told("training", tick.step, tick.steps, words)
        if tick.looked:
            self.said(f"step {tick.step:,} of {tick.steps:,}: {words}")


def in_words(seconds: float) -> str:
    """A time span as `45 s`, `12 min` or `3.5 h`."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def _figures(history: History, before: float | None) -> dict[str, Any]:
    """What became of a run, for metrics.json; losses are nats for each answer token."""
    return {
        "steps": len(history.losses),
        "best_step": history.best_step,
        "stopped_early": history.stopped_early,
        "validation_loss_before": before,
        "validation_loss": None if before is None else history.best,
        "seconds": round(history.seconds, 1),
        "tokens": history.tokens,
        "tokens_per_second": round(history.tokens / max(history.seconds, 1e-9), 1),
        "loss_by_step": [round(loss, 5) for loss in history.losses],
        "validation_loss_by_step": {str(step): round(loss, 5) for step, loss in history.validation},
    }


def usage(recipe: AdapterRecipe, text: Sequence[str], folder: Path) -> str:
    """The command that classifies with an adapter."""
    default = LLMConfig()
    settings = {"llm.adapter": str(folder)}
    if recipe.model.weights != default.model:
        settings["llm.model"] = recipe.model.weights
    if "child" in recipe.tasks:
        if recipe.prompts.child != default.prompt:
            settings["llm.prompt"] = recipe.prompts.child
            settings["llm.prior"] = "false"
        if recipe.prompts.type != default.type_prompt:
            settings["llm.type_prompt"] = recipe.prompts.type
    if recipe.data.max_chars != default.max_chars:
        settings["llm.max_chars"] = str(recipe.data.max_chars)
    words = ["cascade", "classify", "items.csv", "-t", recipe.data.taxonomy or "TAXONOMY"]
    words += [word for column in text for word in ("--text", column)]
    words += ["--method", "llm"]
    words += [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
    return shlex.join([*words, "-o", "out.csv"])


def readme(
    recipe: AdapterRecipe,
    metrics: Mapping[str, Any],
    text: Sequence[str],
    folder: Path,
    command: str,
) -> str:
    """The README of a result folder, as Markdown.

    Parameters
    ----------
    metrics
        The contents of metrics.json.
    text
        Columns that were read.
    command
        What was typed.
    """
    rows, lora = metrics["rows"], recipe.lora
    losses = "no rows were held out"
    if metrics["validation_loss"] is not None:
        losses = (
            f"{metrics['validation_loss_before']:.3f} before, {metrics['validation_loss']:.3f} "
            f"after step {metrics['best_step']:,}, which is kept"
        )
    columns = ", ".join(text)
    return f"""\
# LoRA adapter of {recipe.model.weights}

{recipe.about or "Made by `cascade finetune`."}

Use it:

    {usage(recipe, text, folder)}

or with peft: `PeftModel.from_pretrained(model, {str(folder)!r})`.

|  |  |
| --- | --- |
| made by | `{command}` |
| tasks | {", ".join(recipe.tasks)} |
| data | {Path(recipe.data.file).name}: {rows["train"]:,} rows of {rows["read"]:,}, \
{rows["classes"]:,} classes; columns {columns}; label {recipe.data.label} |
| taxonomy | {recipe.data.taxonomy or "made of the labels"} |
| examples | {metrics["examples"]["train"]:,}, and {metrics["examples"]["validation"]:,} of \
{rows["validation"]:,} rows held out or given for validation |
| LoRA | rank {lora.rank}, alpha {lora.alpha}, dropout {lora.dropout}; \
{metrics["trained_weights"]:,} weights |
| steps | {metrics["steps"]:,}{", stopped early" if metrics["stopped_early"] else ""} |
| validation loss | {losses} |
| time | {metrics["seconds"]:,.0f} s, {metrics["tokens_per_second"]:,.0f} tokens/s on \
{metrics["device"]} in {metrics["precision"]} |
| seed | {recipe.seed} |

Losses are in nats for each token of an answer. `recipe.yaml` has every setting; the same command
on it makes the adapter again. `metrics.json` has the loss of each step.
"""
