"""`cascade finetune` of a reader of pairs for many taxonomies: measure, train, measure."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cascade.models.sentence_encoder import PackedEncoder
from cascade.models.weights import Weights, find_weights
from cascade.retrieval.array_ops import top_k
from cascade.scoring.pair_reader import PairReader
from cascade.training.encoders.measuring import Figures, counted
from cascade.training.encoders.sets import EncoderSet
from cascade.training.encoders.sets_experiment import SetsExperiment
from cascade.training.markdown import table
from cascade.training.readers.lists import ListSource
from cascade.training.readers.recipe import ReaderRecipe
from cascade.training.readers.training import ReaderLoop

FOUND_BY = "parent"  # the form of nodes that encoders find, as in retrieval
READ_AS = "path"  # and the one that is read in use
ALONE, READ = "retrieval alone", "read"


class ReaderExperiment(SetsExperiment[ReaderRecipe]):
    """One reader."""

    @property
    def made(self) -> str:
        """What a result is, for messages."""
        return "a reader"

    def usage(self) -> str:
        """The command that classifies with the result."""
        words = ["cascade", "classify", "items.csv", "-t", "TAXONOMY", "--text", "name"]
        words += ["--method", "rerank", "--set", f"rerank.model={self.result}"]
        return shlex.join([*words, "-o", "out.csv"])

    @cached_property
    def _weights(self) -> list[Weights]:
        model = self.recipe.model
        return [
            find_weights(name, allow_download=model.allow_download)
            for name in (model.weights, *model.finders)
        ]

    def headline(self, metrics: Mapping[str, Any]) -> tuple[str, float] | None:
        """Mean over the held sets of hF1 with the reader."""
        after = [hf1 for hf1, _ in metrics["after"].values()]
        return ("hf1_held", sum(after) / len(after)) if after else None

    def run(self, *, resume: bool = False) -> dict[str, Any]:
        """Train, and write the model; see `Experiment.run`."""
        recipe, (weights, *finding) = self.recipe, self._weights
        for each in self._weights:
            self._check_prompts(each)
        learnt, measured = self._sets()
        finders = [self._packed(each) for each in finding]
        reader = PairReader(self._packed(weights), recipe.model.joint)
        reader.begin(recipe.seed)
        self._tell(learnt, recipe.training.device)
        source = ListSource(
            learnt,
            recipe.training,
            recipe.seed,
            [_encoding(finder) for finder in finders],
            self._vectors(learnt, finders),
        )
        loop = ReaderLoop(
            reader,
            recipe.model.learnt,
            source,
            recipe.training,
            self.work,
            seed=recipe.seed,
            identity=self.identity,
        )
        learning = self._learn(loop, recipe.training.device, resume=resume)
        self._save(reader.encoder, weights)
        return self._finish(
            {
                "kind": recipe.kind,
                **self._figures(measured, finders[0]),
                "sets": {part.name: len(part) for part in learnt},
                **learning,
            }
        )

    def _vectors(
        self, sets: Sequence[EncoderSet], finders: Sequence[PackedEncoder]
    ) -> dict[str, list[NDArray[np.float32]]]:
        """Vectors of all nodes of each set, by each encoder."""
        found = {}
        for done, part in enumerate(sets):
            self.progress("encoding nodes", done, len(sets), part.name)
            texts = _texts(part, np.arange(len(part.taxonomy)), FOUND_BY)
            found[part.name] = [finder.encode(texts, half=True) for finder in finders]
        return found

    def _figures(
        self, sets: Sequence[EncoderSet], finder: PackedEncoder
    ) -> dict[str, dict[str, list[float]]]:
        """hF1 and exact of each held set, of what is nearest and of what is read."""
        reader = PairReader.open(find_weights(str(self.result)))
        assert reader is not None
        found: dict[str, Figures] = {}
        for done, part in enumerate(sets):
            self.progress("measuring", done, len(sets), part.name)
            nodes = part.answers
            similar = finder.encode(part.texts) @ finder.encode(_texts(part, nodes, FOUND_BY)).T
            best = top_k(similar, self.recipe.training.candidates)
            rows = np.repeat(np.arange(len(part)), best.shape[1])
            read = reader.score(part.texts, _texts(part, nodes, READ_AS), rows, best.ravel())
            both = self.recipe.training.scale * np.take_along_axis(similar, best, axis=1)
            both += read.reshape(best.shape)
            chosen = np.take_along_axis(best, both.argmax(axis=1)[:, None], axis=1)[:, 0]
            name = part.name.partition("/")[0]
            own = Figures(
                {ALONE: counted(part, nodes[best[:, 0]]), READ: counted(part, nodes[chosen])}
            )
            found[name] = found.get(name, Figures()) + own
        rounded = {name: figures.rounded() for name, figures in found.items()}
        return {
            "before": {name: figures[ALONE] for name, figures in rounded.items()},
            "after": {name: figures[READ] for name, figures in rounded.items()},
        }

    def summary(self, metrics: Mapping[str, Any]) -> tuple[Sequence[str], list[Sequence[str]]]:
        """hF1 and exact of each held set, by the encoder alone and with what was read."""
        rows: list[Sequence[str]] = [
            (name, *(f"{hf1:.3f} / {ex:.3f}" for hf1, ex in (before, metrics["after"][name])))
            for name, before in metrics["before"].items()
        ]
        return ("held set, hF1 / exact", "encoder alone", "with the reader"), rows

    def readme(self, metrics: Mapping[str, Any]) -> str:
        """What the reader was made of, how it measured, and how it is used."""
        recipe = self.recipe
        training = recipe.training
        measured = "No set was held out, so nothing was measured."
        header, figures = self.summary(metrics)
        if figures:
            measured = (
                f"Sets that were held out whole, the {training.candidates} nearest nodes read:\n\n"
                + table(header, figures)
            )
        sets = ", ".join(each.name for each in recipe.sets)
        return self.page(
            f"Reader of pairs for many taxonomies, made of {recipe.model.weights}",
            measured,
            {
                "rows": f"{sum(metrics['sets'].values()):,}",
                "taxonomies": f"{len(metrics['sets']):,}, of the sets {sets}",
                "training": (
                    f"{metrics['steps']:,} steps of {training.items} items with "
                    f"{training.candidates} nodes each, at {training.learning_rate}"
                ),
                "time": f"{metrics['seconds']:,.0f} s on {metrics['device']}",
            },
        )


def _encoding(encoder: PackedEncoder) -> Any:
    return lambda texts: encoder.encode(texts, half=True)


def _texts(part: EncoderSet, nodes: NDArray[np.integer[Any]], form: str) -> list[str]:
    rng = np.random.default_rng(0)
    return [part.forms.text(node, form, rng) for node in nodes.tolist()]
