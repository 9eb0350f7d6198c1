"""`cascade finetune` of the kind agent: walks with real tools, LoRA, and figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from cascade.config import AgentConfig
from cascade.errors import InputError
from cascade.generation.prompt_encoding import PromptEncoder
from cascade.models.language_models import load_llm
from cascade.models.runtime import best_device
from cascade.retrieval.encoder import Encoder
from cascade.training.adapters.experiment import run_figures
from cascade.training.adapters.instructions import Instruction
from cascade.training.adapters.lora import attach_lora, save_adapter
from cascade.training.adapters.over_sets import SetsAdapterExperiment, losses_of, time_of
from cascade.training.adapters.training import AnswerLoop, training_precision
from cascade.training.agents.recipe import AgentRecipe
from cascade.training.agents.walks import WalkedSet
from cascade.training.encoders.sets import EncoderSet
from cascade.training.loop import in_words
from cascade.version import __version__


class AgentExperiment(SetsAdapterExperiment[AgentRecipe]):
    """One adapter; `limit` is of the rows of each set."""

    plain = AgentConfig()

    @property
    def _encoder_name(self) -> str:
        return self.recipe.walks.encoder

    @property
    def _used(self) -> Mapping[str, Any]:
        walks = self.recipe.walks
        return {name: getattr(walks, name) for name in ("steps", "shown", "descriptions", "prompt")}

    def run(self, *, resume: bool = False) -> dict[str, Any]:
        """Train, and write the adapter; see `Experiment.run`."""
        recipe = self.recipe
        learnt, held, counts = self._walks()
        self.progress("loading the model", 0, None)
        device = best_device(recipe.training.device)
        precision = training_precision(recipe.training, device)
        model, tokenizer = load_llm(self._weights[0], device, precision)
        encoder = PromptEncoder(tokenizer)
        adapted = attach_lora(model, recipe.lora, seed=recipe.seed)
        loop = AnswerLoop(
            adapted,
            [instruction.encode(encoder) for instruction in learnt],
            recipe.training,
            self.work,
            validation=[instruction.encode(encoder) for instruction in held],
            seed=recipe.seed,
            identity=self.identity,
        )
        self.notify(
            f"{len(learnt):,} steps of {sum(counts.values()):,} walks in {len(counts):,} "
            f"taxonomies, {len(loop.steps):,} steps of training on {device} in {precision}"
        )
        self.progress("measuring the validation loss", 0, None)
        before = loop.validation_loss()
        history = loop.run(resume=resume, progress=self._on_tick)
        save_adapter(adapted, self.folder, recipe.model.weights)
        return self._finish(
            {
                "kind": recipe.kind,
                **run_figures(history, before, loop.tokens),
                "walks": counts,
                "examples": {"train": len(learnt), "validation": len(held)},
                "device": device,
                "precision": precision,
                "version": __version__,
            }
        )

    def _walks(self) -> tuple[list[Instruction], list[Instruction], dict[str, int]]:
        """Steps that are learnt, those of held sets, and the walks of each taxonomy."""
        recipe = self.recipe
        encoder = Encoder.load(recipe.walks.encoder, allow_download=recipe.model.allow_download)
        rng = np.random.default_rng((recipe.seed, 5))
        parts, measured = self._sets()
        held = [
            one
            for part in measured
            for one in self._walked(part, encoder).walks(len(part), rng, learnt=False)[0]
        ]
        weights = np.array([part.weight for part in parts])
        wanted = rng.multinomial(recipe.rows, weights / weights.sum())
        learnt: list[Instruction] = []
        counts: dict[str, int] = {}
        for part, most in zip(parts, wanted.tolist(), strict=True):
            if most:
                own, walked = self._walked(part, encoder).walks(most, rng, learnt=True)
                learnt += own
                counts[part.name] = walked
        if not learnt:
            raise InputError(
                "retrieval doubts no row of the sets, so there is nothing to learn; raise "
                "walks.doubted, or name other sets"
            )
        return learnt, held, counts

    def _walked(self, part: EncoderSet, encoder: Encoder) -> WalkedSet:
        def show(done: int, of: int) -> None:
            self.progress("building indexes", done, of, part.name)

        self.progress("walking", 0, None, part.name)
        return WalkedSet(part, encoder, self.recipe.walks, self._template, show)

    def summary(self, metrics: Mapping[str, Any]) -> tuple[Sequence[str], list[Sequence[str]]]:
        """A few figures."""
        rows: list[Sequence[str]] = [
            ("walks", f"{sum(metrics['walks'].values()):,}"),
            ("steps learnt", f"{metrics['examples']['train']:,}"),
        ]
        if metrics["validation_loss"] is not None:
            rows.append(("validation loss", losses_of(metrics)))
        return (), [*rows, ("time", in_words(metrics["seconds"]))]

    def readme(self, metrics: Mapping[str, Any]) -> str:
        """What the adapter was made of, how it measured, and how it is used."""
        recipe = self.recipe
        lora, walks = recipe.lora, recipe.walks
        return self.page(
            f"LoRA adapter of {recipe.model.weights} that walks taxonomies",
            "",
            {
                "walks": (
                    f"{sum(metrics['walks'].values()):,} of {len(metrics['walks']):,} taxonomies, "
                    f"{walks.detours:.0%} with a wrong turn; {metrics['examples']['train']:,} steps"
                ),
                "lists": f"{walks.shown} nodes that {walks.encoder} finds",
                "LoRA": f"rank {lora.rank}, alpha {lora.alpha}, dropout {lora.dropout}",
                "steps of training": f"{metrics['steps']:,}",
                "validation loss": losses_of(metrics),
                "time": time_of(metrics),
            },
            "Labelled rows teach neither `none` nor `ask`. `metrics.json` has the loss of each "
            "step.",
        )
