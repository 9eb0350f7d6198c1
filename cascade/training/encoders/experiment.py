"""`cascade finetune` of an encoder for many taxonomies: measure, train, measure."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

from cascade.models.sentence_encoder import SentenceEncoder, load_sentence_encoder
from cascade.models.weights import Weights, find_weights
from cascade.training.encoders.batches import BatchSource
from cascade.training.encoders.measuring import Figures, nearest_nodes
from cascade.training.encoders.recipe import EncoderRecipe
from cascade.training.encoders.sets import EncoderSet
from cascade.training.encoders.sets_experiment import SetsExperiment
from cascade.training.encoders.training import EncoderLoop
from cascade.training.markdown import table


class EncoderExperiment(SetsExperiment[EncoderRecipe]):
    """One encoder; `limit` is of the rows of each set."""

    @property
    def made(self) -> str:
        """What a result is, for messages."""
        return "an encoder"

    def usage(self) -> str:
        """The command that classifies with the result."""
        words = ["cascade", "classify", "items.csv", "-t", "TAXONOMY", "--text", "name"]
        words += ["--method", "retrieval", "--set", f"retrieval.encoder={self.result}"]
        return shlex.join([*words, "-o", "out.csv"])

    @cached_property
    def _weights(self) -> list[Weights]:
        model = self.recipe.model
        return [find_weights(model.weights, allow_download=model.allow_download)]

    def headline(self, metrics: Mapping[str, Any]) -> tuple[str, float] | None:
        """Mean over the held sets of the better text's hF1."""
        best = [max(hf1 for hf1, _ in forms.values()) for forms in metrics["after"].values()]
        return ("hf1_held", sum(best) / len(best)) if best else None

    def run(self, *, resume: bool = False) -> dict[str, Any]:
        """Train, and write the model; see `Experiment.run`."""
        recipe, weights = self.recipe, self._weights[0]
        self._check_prompts(weights)
        learnt, measured = self._sets()
        before = self._figures(measured, load_sentence_encoder(weights, "cpu"), "measuring before")
        encoder = self._packed(weights)
        self._tell(learnt, recipe.training.device)
        loop = EncoderLoop(
            encoder,
            BatchSource(learnt, recipe.training, recipe.seed),
            recipe.training,
            self.work,
            seed=recipe.seed,
            identity=self.identity,
        )
        learning = self._learn(loop, recipe.training.device, resume=resume)
        self._save(encoder, weights)
        after = self._figures(
            measured, load_sentence_encoder(find_weights(str(self.result)), "cpu"), "measuring"
        )
        return self._finish(
            {
                "kind": recipe.kind,
                "before": before,
                "after": after,
                "sets": {part.name: len(part) for part in learnt},
                **learning,
            }
        )

    def _figures(
        self, sets: Sequence[EncoderSet], encoder: SentenceEncoder, what: str
    ) -> dict[str, dict[str, list[float]]]:
        """For each recipe's set and each text form hF1 and exact of the nearest node."""
        found: dict[str, Figures] = {}
        for done, part in enumerate(sets):
            self.progress(what, done, len(sets), part.name)
            name = part.name.partition("/")[0]
            found[name] = found.get(name, Figures()) + nearest_nodes(part, encoder)
        return {name: figures.rounded() for name, figures in found.items()}

    def summary(self, metrics: Mapping[str, Any]) -> tuple[Sequence[str], list[Sequence[str]]]:
        """hF1 and exact of each held set, before and after, by the better text of each."""
        rows: list[Sequence[str]] = []
        for name, after in metrics["after"].items():
            before = metrics["before"][name]
            cells = [max(forms.items(), key=lambda form: form[1][0]) for forms in (before, after)]
            rows.append((name, *(f"{hf1:.3f} / {ex:.3f} ({form})" for form, (hf1, ex) in cells)))
        return ("held set, hF1 / exact", "before", "after"), rows

    def readme(self, metrics: Mapping[str, Any]) -> str:
        """What the encoder was made of, how it measured, and how it is used."""
        recipe = self.recipe
        measured = "No set was held out, so nothing was measured."
        header, figures = self.summary(metrics)
        if figures:
            measured = (
                "The nearest node of sets that were held out whole, each node by the text that is "
                "best for the set:\n\n" + table(header, figures)
            )
        training = recipe.training
        sets = ", ".join(each.name for each in recipe.sets)
        return self.page(
            f"Encoder for many taxonomies, made of {recipe.model.weights}",
            measured,
            {
                "rows": f"{sum(metrics['sets'].values()):,}",
                "taxonomies": f"{len(metrics['sets']):,}, of the sets {sets}",
                "training": (
                    f"{metrics['steps']:,} steps of {training.items} rows at "
                    f"{training.learning_rate}"
                ),
                "time": f"{metrics['seconds']:,.0f} s on {metrics['device']}",
            },
        )
