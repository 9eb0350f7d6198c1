"""`cascade finetune` of a retriever or a reranker: measure, look for negatives, train, measure."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cascade.errors import InputError
from cascade.evaluation.metrics.ranking import ranking_figures
from cascade.features.text_embeddings import joined_fields
from cascade.items import Batch, Item
from cascade.models.classifiers import load_cross_encoder
from cascade.models.runtime import best_device, quiet_libraries
from cascade.models.sentence_encoder import load_sentence_transformer
from cascade.models.weights import Weights, find_weights
from cascade.retrieval.array_ops import top_k
from cascade.retrieval.encoder import Encoder
from cascade.retrieval.encoder_prompts import prompts_of
from cascade.retrieval.node_texts import node_texts
from cascade.retrieval.retriever import Retriever
from cascade.scoring.cross_encoder import CrossEncoder
from cascade.scoring.methods.rerank import RerankScorer
from cascade.taxonomy import Taxonomy
from cascade.taxonomy.facets import FacetedTaxonomy
from cascade.training.labelled import Labelled
from cascade.training.labelled_experiment import LabelledExperiment
from cascade.training.loop import Tick
from cascade.training.markdown import table
from cascade.training.rankers.negatives import Negatives
from cascade.training.rankers.recipe import RankerRecipe
from cascade.training.rankers.trainers import Lesson, Ticked, train_reranker, train_retriever
from cascade.version import __version__

MODEL = "model"
BLOCK = 512  # rows between two signs of progress
RANKED = 100  # nodes of a ranking that are measured
SHOWN = ("accuracy_at_1", "recall_at_5", "recall_at_10", "mrr_at_10", "ndcg_at_10")


class RankerExperiment(LabelledExperiment[RankerRecipe]):
    """One retriever or reranker."""

    @property
    def made(self) -> str:
        """What a result is, for messages."""
        return f"a {self.recipe.kind}"

    @property
    def result(self) -> Path:
        """Where the model lies."""
        return self.folder / MODEL

    @cached_property
    def _weights(self) -> list[Weights]:
        model = self.recipe.model
        encoder = model.weights if self.recipe.kind == "retriever" else model.encoder
        return [
            find_weights(name, allow_download=model.allow_download)
            for name in (model.weights, encoder)
        ]

    def run(self, *, resume: bool = False) -> dict[str, Any]:
        """Train, and write the model; see `Experiment.run`."""
        recipe = self.recipe
        train, validation, counts = self._rows()
        train, validation = self._usable(train), self._usable(validation)
        retriever = self._retriever(self._weights[1])
        before = self._figures(self._ranked(validation, retriever), validation)
        lessons = self._lessons(train, retriever)
        self.notify(
            f"{len(lessons):,} rows in {counts['classes']:,} classes, each with its node and "
            f"{recipe.negatives.total} wrong ones, on {best_device(recipe.training.device)}"
        )
        started = time.perf_counter()
        losses = self._train(lessons)
        seconds = time.perf_counter() - started
        after = self._figures(self._ranked_after(validation, retriever), validation)
        return self._finish(
            {
                "kind": recipe.kind,
                "before": before,
                "after": after,
                "rows": counts,
                "steps": len(losses),
                "seconds": round(seconds, 1),
                "loss_by_step": [round(loss, 5) for loss in losses],
                "device": best_device(recipe.training.device),
                "version": __version__,
            }
        )

    def _retriever(self, weights: Weights) -> Retriever:
        own = self.recipe.model
        texts = own.searched if self.recipe.kind == "reranker" else own.texts
        return Retriever(
            self.taxonomy,
            Encoder.of(weights, self.recipe.training.device),
            texts,
            progress=lambda done, of: self.progress("building the index", done, of),
        )

    def _usable(self, rows: Labelled) -> Labelled:
        """For a reranker the rows at leaves, since it reads no other nodes."""
        if self.recipe.kind == "retriever" or not len(rows):
            return rows
        leaf = np.isin(rows.nodes, self.taxonomy.leaves)
        if not leaf.any():
            raise InputError(
                "no row is labelled with a leaf, and a reranker orders leaves",
                file=self.source.file,
            )
        if not leaf.all():
            self.notify(f"{(~leaf).sum():,} rows are left out: labelled above the leaves")
        return rows.part(leaf)

    @cached_property
    def _nodes(self) -> NDArray[np.int32]:
        """What is ranked: the leaves."""
        return np.asarray(self.taxonomy.leaves, dtype=np.int32)

    def _batches(self, rows: Labelled, what: str) -> list[Batch]:
        """The rows as they are read, in blocks."""
        self.progress(what, 0, len(rows))
        columns, most = self.columns.text, self.recipe.data.max_chars
        read = [Item({"text": joined_fields(item, columns, most)}) for item in rows.items]
        return [Batch(read[at : at + BLOCK]) for at in range(0, len(read), BLOCK)]

    def _ranked(self, rows: Labelled, retriever: Retriever) -> list[list[int]]:
        """Nodes by similarity for each row, best first."""
        found: list[list[int]] = []
        nodes = self._answers(rows)
        for batch in self._batches(rows, "ranking"):
            order = top_k(retriever.node_similarity(batch)[nodes].T, RANKED)
            found += nodes[order].tolist()
            self.progress("ranking", len(found), len(rows))
        return found

    def _answers(self, rows: Labelled) -> NDArray[np.int32]:
        """The nodes that can be right: leaves, and what rows are labelled with."""
        if self.recipe.kind == "reranker":
            return self._nodes
        return np.union1d(self._nodes, rows.nodes).astype(np.int32)

    def _ranked_after(self, rows: Labelled, retriever: Retriever) -> list[list[int]]:
        """As `_ranked`, by what was trained."""
        weights = find_weights(str(self.result))
        if self.recipe.kind == "retriever":
            return self._ranked(rows, self._retriever(weights)) if len(rows) else []
        scorer = RerankScorer(
            retriever,
            CrossEncoder.load(str(self.result), device=self.recipe.training.device),
            self.recipe.model.texts,
            max_chars=10**9,  # the items are shortened already
        )
        found: list[list[int]] = []
        for batch in self._batches(rows, "reranking"):
            similar = retriever.node_similarity(batch)[self._nodes].T
            order = top_k(similar, max(RANKED, self.recipe.model.candidates))
            read = order[:, : self.recipe.model.candidates]
            relevance = scorer.relevance(batch, self._nodes[read].T).T
            best = np.argsort(-relevance, axis=1, kind="stable")
            order[:, : read.shape[1]] = np.take_along_axis(read, best, axis=1)
            found += self._nodes[order[:, :RANKED]].tolist()
            self.progress("reranking", len(found), len(rows))
        return found

    def _figures(self, ranked: list[list[int]], rows: Labelled) -> dict[str, list[float]] | None:
        """Each figure with the ends of its 95% interval."""
        if not len(rows):
            return None
        right = [[node] for node in rows.nodes.tolist()]
        found = ranking_figures(ranked, right)
        return {
            name: [round(x, 4) for x in (interval.value, interval.low, interval.high)]
            for name, interval in found.items()
        }

    def _lessons(self, rows: Labelled, retriever: Retriever) -> list[Lesson]:
        """Rows with texts of their node and of wrong nodes."""
        recipe, rng = self.recipe, np.random.default_rng((self.recipe.seed, 2))
        nodes = self._answers(rows)
        negatives = Negatives(self.taxonomy, nodes, _implied(self.taxonomy))
        texts, owner = node_texts(self.taxonomy, recipe.model.texts)
        starts = np.searchsorted(owner, np.arange(len(self.taxonomy) + 1))

        def text(node: int) -> str:
            own = texts[starts[node] : starts[node + 1]]
            # A reranker reads all texts of a node together. A retriever learns from the first, so
            # that a node is the same text wherever it stands; see `train_retriever`.
            return "; ".join(own) if recipe.kind == "reranker" else own[0]

        found: list[Lesson] = []
        for batch in self._batches(rows, "looking for wrong nodes"):
            right = rows.nodes[len(found) : len(found) + len(batch)]
            drawn = negatives.draw(
                right, retriever.node_similarity(batch)[nodes], recipe.negatives, rng
            )
            found += [
                Lesson(item.text, text(node), [text(v) for v in wrong if v >= 0])
                for item, node, wrong in zip(
                    batch.items, right.tolist(), drawn.tolist(), strict=True
                )
            ]
            self.progress("looking for wrong nodes", len(found), len(rows))
        return found

    def _train(self, lessons: list[Lesson]) -> list[float]:
        recipe, weights = self.recipe, self._weights[0]
        model: Any
        if recipe.kind == "retriever":
            model = load_sentence_transformer(weights, recipe.training.device)
            wanted = prompts_of(weights)
            model.prompts = {"query": wanted.query, "document": wanted.document}
            model.default_prompt_name = None
            train: Any = train_retriever
        else:
            model = load_cross_encoder(weights, recipe.training.device)
            train = train_reranker
        model.tokenizer.split_special_tokens = True
        losses: list[float] = train(
            model,
            lessons,
            recipe.training,
            self.work / "steps",
            seed=recipe.seed,
            ticked=self._ticks(),
        )
        with quiet_libraries():
            model.save_pretrained(str(self.result), create_model_card=False)
        return losses

    def _ticks(self) -> Ticked:
        """Shows each step of the trainer as other experiments do theirs."""
        started, losses = time.perf_counter(), list[float]()

        def ticked(done: int, of: int, loss: float) -> None:
            losses.append(loss)
            left = (time.perf_counter() - started) / len(losses) * (of - done)
            recent = float(np.mean(losses[-10:]))
            self._on_tick(Tick(done, of, recent, None, False, left, loss))

        return ticked

    def headline(self, metrics: Mapping[str, Any]) -> tuple[str, float] | None:
        """How often the right leaf is the first."""
        after = metrics["after"]
        return None if after is None else ("accuracy_at_1", after["accuracy_at_1"][0])

    @property
    def _in_use(self) -> tuple[str, dict[str, str]]:
        section, model = self.recipe.model, str(self.result)
        if self.recipe.kind == "retriever":
            settings = {"retrieval.encoder": model, "retrieval.texts": section.texts}
            return "retrieval", settings
        return "rerank", {
            "rerank.model": model,
            "rerank.texts": section.texts,
            "rerank.candidates": str(section.candidates),
            "retrieval.encoder": section.encoder,
        }

    def summary(self, metrics: Mapping[str, Any]) -> tuple[Sequence[str], list[Sequence[str]]]:
        """Figures before and after, each with its 95% interval; none where none was measured."""

        def cell(found: Sequence[float]) -> str:
            value, low, high = found
            return f"{value:.3f} ({low:.3f} to {high:.3f})"

        first = "before" if self.recipe.kind == "retriever" else "retrieval alone"
        rows: list[Sequence[str]] = []
        if (before := metrics["before"]) is not None:
            after = metrics["after"]
            rows = [(name, cell(before[name]), cell(after[name])) for name in SHOWN]
        return ("figure (95%)", first, "after"), rows

    def readme(self, metrics: Mapping[str, Any]) -> str:
        """What the model was made of, how it measured, and how it is used."""
        recipe, rows = self.recipe, metrics["rows"]
        measured = "No rows were held out, so nothing was measured."
        (_, first, _), figures = self.summary(metrics)
        if figures:
            measured = (
                f"Leaves ranked for {rows['validation']:,} rows that were not trained on, with "
                "95% intervals:\n\n" + table(("figure", first, "after"), figures)
            )
        wrong, training = recipe.negatives, recipe.training
        unit = "rows" if recipe.kind == "retriever" else "pairs"
        return self.page(
            f"{recipe.kind.capitalize()} made of {recipe.model.weights}",
            measured,
            {
                "data": (
                    f"{Path(recipe.data.file).name}: {rows['train']:,} rows of {rows['read']:,}, "
                    f"{rows['classes']:,} classes; columns "
                    f"{', '.join(self.columns.text)}; label {recipe.data.label}"
                ),
                "taxonomy": recipe.data.taxonomy or "made of the labels",
                "wrong nodes": (
                    f"{wrong.siblings} siblings, {wrong.near} near in the taxonomy, "
                    f"{wrong.similar} of the {wrong.pool} most similar, {wrong.random} random"
                ),
                "training": (
                    f"{metrics['steps']:,} steps of {training.batch_size} {unit} at "
                    f"{training.learning_rate}"
                ),
                "time": f"{metrics['seconds']:,.0f} s on {metrics['device']}",
            },
        )


def _implied(taxonomy: Taxonomy) -> list[frozenset[str]] | None:
    """The implicit facets of each node, of a taxonomy that has facets."""
    if not isinstance(taxonomy, FacetedTaxonomy):
        return None
    return [frozenset(map(str, taxonomy.implied(code))) for code in taxonomy.codes]
