"""`cascade finetune` of the kind choose: candidates that are really found, LoRA, and figures."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from cascade.config import PRODUCT, ChooseConfig
from cascade.errors import InputError
from cascade.generation.engines.transformers_engine import TransformersEngine
from cascade.generation.prompt_encoding import PromptEncoder
from cascade.generation.prompts import PromptTemplate
from cascade.models.language_models import load_llm
from cascade.models.runtime import best_device
from cascade.retrieval.encoder import Encoder
from cascade.scoring.listed.choosers import make_chooser
from cascade.training.adapters.experiment import run_figures
from cascade.training.adapters.lora import attach_lora, save_adapter
from cascade.training.adapters.over_sets import SetsAdapterExperiment, losses_of, time_of
from cascade.training.adapters.training import AdapterLoop, AnswerLoop, training_precision
from cascade.training.choosers.contests import ContestLoop, contest
from cascade.training.choosers.lists import Choice, ListedSet, instruction
from cascade.training.choosers.measuring import figures_of
from cascade.training.choosers.recipe import ChooserRecipe
from cascade.training.encoders.sets import EncoderSet
from cascade.training.markdown import table
from cascade.version import __version__

_Listed = tuple[ListedSet, list[Choice]]


class ChooserExperiment(SetsAdapterExperiment[ChooserRecipe]):
    """One adapter; `limit` is of the rows of each set."""

    plain = ChooseConfig()

    @property
    def _encoder_name(self) -> str:
        return self.recipe.lists.encoder

    @property
    def _used(self) -> Mapping[str, Any]:
        used = self.recipe.used
        return {name: getattr(used, name) for name in type(used).model_fields}

    @cached_property
    def _template(self) -> PromptTemplate:
        recipe = self.recipe
        return PromptTemplate.load(recipe.used.prompt_name).given(kind=recipe.prompts.kind)

    @property
    def _beside(self) -> Mapping[str, str]:
        kind = self.recipe.prompts.kind
        return {"item.kind": kind} if self._reads_items and kind != PRODUCT else {}

    def run(self, *, resume: bool = False) -> dict[str, Any]:
        """Train, and write the adapter; see `Experiment.run`."""
        recipe = self.recipe
        learnt, held = self._lists()
        self.progress("loading the model", 0, None)
        device = best_device(recipe.training.device)
        precision = training_precision(recipe.training, device)
        model, tokenizer = load_llm(self._weights[0], device, precision)
        attention = model.config._attn_implementation
        before = self._figures(held, TransformersEngine(model, tokenizer), "measuring before")
        model.set_attn_implementation(attention)
        encoder = PromptEncoder(tokenizer)
        adapted = attach_lora(model, recipe.lora, seed=recipe.seed)
        examples = self._examples(learnt, encoder)
        loop = self._loop(adapted, examples, self._examples(held, encoder))
        taxonomies = len({part.name for part, _ in learnt})
        self.notify(
            f"{len(examples):,} choices of {taxonomies:,} taxonomies, {len(loop.steps):,} steps on "
            f"{device} in {precision}"
        )
        self.progress("measuring the validation loss", 0, None)
        loss_before = loop.validation_loss()
        history = loop.run(resume=resume, progress=self._on_tick)
        save_adapter(adapted, self.folder, recipe.model.weights)
        del adapted, model, loop.model
        tuned = TransformersEngine.load(
            recipe.model.weights,
            adapter=str(self.folder),
            device=recipe.training.device,
            allow_download=recipe.model.allow_download,
        )
        return self._finish(
            {
                "kind": recipe.kind,
                **run_figures(history, loss_before, loop.tokens),
                "before": before,
                "after": self._figures(held, tuned, "measuring"),
                "sets": _counts(learnt),
                "examples": len(examples),
                "device": device,
                "precision": precision,
                "version": __version__,
            }
        )

    def _lists(self) -> tuple[list[_Listed], list[_Listed]]:
        """Choices that are learnt, and those of held sets."""
        recipe = self.recipe
        encoder = Encoder.load(recipe.lists.encoder, allow_download=recipe.model.allow_download)
        rng = np.random.default_rng((recipe.seed, 5))
        held: list[_Listed] = []
        for each in recipe.held:
            found = self._read(each)
            rows = sum(map(len, found))
            for part in found:  # of a file of many taxonomies each has its share
                most = math.ceil(recipe.held_rows * len(part) / rows)
                listed = self._listed(part, encoder)
                held.append((listed, listed.measured(most, rng)))
        kept = frozenset(choice.text.casefold() for _, own in held for choice in own)
        parts = [part for each in recipe.sets for part in self._read(each, kept)]
        weights = np.array([part.weight for part in parts])
        wanted = np.random.default_rng((recipe.seed, 6)).multinomial(
            recipe.rows, weights / weights.sum()
        )
        learnt: list[_Listed] = []
        for part, most in zip(parts, wanted.tolist(), strict=True):
            if most and len(part.taxonomy.leaves) > 2:
                listed = self._listed(part, encoder)
                learnt.append((listed, listed.learnt(most, rng)))
        if not any(own for _, own in learnt):
            raise InputError(
                "retrieval doubts no row of the sets, so there is nothing to learn; raise "
                "lists.doubted, or name other sets"
            )
        return learnt, held

    def _listed(self, part: EncoderSet, encoder: Encoder) -> ListedSet:
        def show(done: int, of: int) -> None:
            self.progress("building indexes", done, of, part.name)

        self.progress("finding candidates", 0, None, part.name)
        return ListedSet(part, encoder, self.recipe.lists, show)

    def _examples(self, lists: Sequence[_Listed], encoder: PromptEncoder) -> list[Any]:
        """Contests where the item's text is read, else instructions."""
        rng, by = np.random.default_rng((self.recipe.seed, 7)), self.recipe.lists.answer
        found: list[Any] = []
        for listed, choices in lists:
            for choice in choices:
                if by == "item":
                    found.append(contest(choice, listed.texts, self._template, encoder))
                    continue
                reverse = bool(rng.random() < 0.5)
                made = instruction(choice, listed.texts, self._template, by, reverse=reverse)
                found.append(made.encode(encoder))
        return [each for each in found if each is not None]

    def _loop(self, model: Any, learnt: list[Any], held: list[Any]) -> AdapterLoop[Any]:
        recipe = self.recipe
        given: dict[str, Any] = {"seed": recipe.seed, "identity": self.identity}
        if self._reads_items:
            given["weight"] = recipe.lists.weight
        kind = ContestLoop if self._reads_items else AnswerLoop
        return kind(model, learnt, recipe.training, self.work, validation=held, **given)

    @property
    def _weight(self) -> float:
        """Of the model beside retrieval, in use."""
        return self.recipe.used.weight_for(self.recipe.lists.answer)

    @property
    def _reads_items(self) -> bool:
        return self.recipe.lists.answer == "item"

    def _figures(
        self, held: Sequence[_Listed], engine: TransformersEngine, what: str
    ) -> dict[str, dict[str, Any]]:
        """The figures of each held set; of a file of many taxonomies each."""
        found = {}
        for done, (listed, choices) in enumerate(held):
            self.progress(what, done, len(held), listed.name)
            if choices:
                chooser = make_chooser(
                    engine, self._template, listed.texts, self.recipe.lists.answer
                )
                found[listed.name] = figures_of(choices, chooser, self._weight)
        return found

    def summary(self, metrics: Mapping[str, Any]) -> tuple[Sequence[str], list[Sequence[str]]]:
        """Of each held set the share that is right by retrieval, and with the model's choice."""
        weight = f"{self._weight:g}"
        rows = [
            (
                name,
                f"{after['rows']:,}",
                *(f"{after[key]:.3f}" for key in ("listed", "retrieval")),
                *(
                    f"{own['chosen']:.3f} / {own['fused'][weight]:.3f}"
                    for own in (metrics["before"][name], after)
                ),
            )
            for name, after in metrics["after"].items()
        ]
        header = (
            "held set",
            "rows in doubt",
            "listed",
            "retrieval",
            "model / both before",
            "after",
        )
        return header, [tuple(row) for row in rows]

    def readme(self, metrics: Mapping[str, Any]) -> str:
        """What the adapter was made of, how it measured, and how it is used."""
        recipe = self.recipe
        measured = "No set was held out, so nothing was measured."
        header, figures = self.summary(metrics)
        if figures:
            measured = (
                "Shares of rows that retrieval doubts whose answer is exactly right, on sets that "
                "were held out whole: the right leaf is listed; retrieval alone; the model's "
                f"choice, and both together at choose.weight {self._weight:g}.\n\n"
                + table(header, figures)
            )
        lora, lists = recipe.lora, recipe.lists
        return self.page(
            f"LoRA adapter of {recipe.model.weights} that chooses from lists",
            measured,
            {
                "choices": f"{metrics['examples']:,}, of {len(metrics['sets']):,} taxonomies",
                "list": (
                    f"{lists.listed} leaves that {lists.encoder} finds, {lists.near} of them near "
                    f"the right one; {lists.absent:.0%} without it"
                ),
                "LoRA": f"rank {lora.rank}, alpha {lora.alpha}, dropout {lora.dropout}",
                "steps": f"{metrics['steps']:,}",
                "validation loss": losses_of(metrics),
                "time": time_of(metrics),
            },
            "`metrics.json` has the loss of each step, and the figures by weight.",
        )


def _counts(lists: Sequence[_Listed]) -> dict[str, int]:
    """Choices of each taxonomy."""
    return {listed.name: len(choices) for listed, choices in lists if choices}
