"""What `cascade finetune` runs for retrievers and rerankers: measure, mine, train, measure."""

from __future__ import annotations

import hashlib
import json
import shlex
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cascade.errors import InputError, OutputError
from cascade.evaluation.metrics.ranking import ranking_figures
from cascade.features.text_embeddings import joined_fields
from cascade.items import Batch, Item
from cascade.models.classifiers import load_cross_encoder
from cascade.models.runtime import best_device, quiet_libraries
from cascade.models.sentence_encoder import load_sentence_transformer
from cascade.models.weights import Weights, find_weights
from cascade.retrieval.array_ops import top_k
from cascade.retrieval.encoder import Encoder
from cascade.retrieval.node_texts import node_texts
from cascade.retrieval.retriever import Retriever
from cascade.scoring.cross_encoder import CrossEncoder
from cascade.scoring.methods.rerank import RerankScorer
from cascade.taxonomy import Taxonomy
from cascade.taxonomy.facets import FacetedTaxonomy
from cascade.training.experiment import METRICS, README, ExperimentData, ResultFolder
from cascade.training.labelled import Labelled
from cascade.training.rankers.negatives import Negatives
from cascade.training.rankers.recipe import RankerRecipe
from cascade.training.rankers.trainers import Lesson, train_reranker, train_retriever
from cascade.version import __version__

if TYPE_CHECKING:
    from sentence_transformers import CrossEncoder, SentenceTransformer

Told = Callable[[str, int, int | None, str], None]

MODEL = "model"
IDENTITY = "identity.json"
BLOCK = 512  # rows between two signs of progress
RANKED = 100  # nodes of a ranking that are looked at


@dataclass(frozen=True)
class RankerExperiment:
    """One fine-tuning of a retriever or a reranker; parameters as of `AdapterExperiment`."""

    recipe: RankerRecipe
    folder: Path
    limit: int | None = None
    name: str = "recipe"
    command: str = ""
    told: Told = field(default=lambda what, done, of, words: None, repr=False)
    said: Callable[[str], None] = field(default=lambda _: None, repr=False)

    @property
    def result(self) -> ResultFolder:
        """The folder, as something that holds a model or will."""
        return ResultFolder(self.folder, f"a {self.recipe.kind}")

    @property
    def model_folder(self) -> Path:
        """Where the model lies."""
        return self.folder / MODEL

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
        found = self._find(self.recipe.model.weights), self._find(self._encoder_name)
        depends = [__version__, recipe, self.data.identity, *(w.identity for w in found)]
        return hashlib.sha256(json.dumps(depends).encode()).hexdigest()

    @property
    def _encoder_name(self) -> str:
        model = self.recipe.model
        return model.weights if self.recipe.kind == "retriever" else model.encoder

    def check(self, *, resume: bool, overwrite: bool) -> None:
        """Make the folder, unless something is in the way.

        Raises
        ------
        UsageError, OutputError
            It holds a result, an interrupted run of another kind, or something else.
        """
        self.result.check(resume=resume, overwrite=overwrite)
        kept = self.result.work / IDENTITY
        _ = self.data.columns
        if resume and kept.is_file() and json.loads(kept.read_text("utf-8")) != self.identity:
            raise OutputError(
                f"{self.folder} has an interrupted run of other rows or settings; go on with "
                "those, or begin anew with --overwrite"
            )
        text = f"# {self.command}\n{self.recipe.to_yaml(self.folder)}"
        self.result.begin(text, resume=resume, overwrite=overwrite)
        kept.write_text(json.dumps(self.identity), "utf-8")

    def run(self, *, resume: bool = False) -> dict[str, Any]:
        """Train, and write the model; call `check` first.

        Returns
        -------
        The contents of metrics.json.

        Raises
        ------
        CascadeError
            The data, the model or the recipe cannot be used; says where and what to do.
        """
        recipe = self.recipe
        train, validation, counts = self.data.rows(
            self.said, lambda rows: self.told("reading rows", rows, None, f"{rows:,} rows")
        )
        train, validation = self._usable(train), self._usable(validation)
        retriever = self._retriever(self._find(self._encoder_name))
        before = self._figures(self._ranked(validation, retriever), validation)
        lessons = self._lessons(train, retriever)
        self.said(
            f"{len(lessons):,} rows in {counts['classes']:,} classes, each with its node and "
            f"{recipe.negatives.total} wrong ones, on {best_device(recipe.training.device)}"
        )
        started = time.perf_counter()
        losses = self._train(lessons)
        seconds = time.perf_counter() - started
        after = self._figures(self._ranked_after(validation, retriever), validation)
        metrics = {
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
        page = readme(recipe, metrics, self.data.columns.text, self.model_folder, self.command)
        (self.folder / README).write_text(page, "utf-8")
        (self.folder / METRICS).write_text(json.dumps(metrics, indent=2) + "\n", "utf-8")
        shutil.rmtree(self.result.work)
        return metrics

    def _find(self, name: str) -> Weights:
        return find_weights(name, allow_download=self.recipe.model.allow_download)

    def _retriever(self, weights: Weights) -> Retriever:
        own = self.recipe.model
        texts = own.searched if self.recipe.kind == "reranker" else own.texts
        return Retriever(
            self.data.taxonomy,
            Encoder.of(weights, self.recipe.training.device),
            texts,
            progress=lambda done, of: self.told("building the index", done, of, ""),
        )

    def _usable(self, rows: Labelled) -> Labelled:
        """For a reranker the rows at leaves, since it reads no other nodes."""
        if self.recipe.kind == "retriever" or not len(rows):
            return rows
        leaf = np.isin(rows.nodes, self.data.taxonomy.leaves)
        if not leaf.any():
            raise InputError(
                "no row is labelled with a leaf, and a reranker orders leaves",
                file=self.data.source.file,
            )
        if not leaf.all():
            self.said(f"{(~leaf).sum():,} rows are left out: labelled above the leaves")
        return rows.part(leaf)

    @cached_property
    def _nodes(self) -> NDArray[np.int32]:
        """What is ranked: the leaves."""
        return np.asarray(self.data.taxonomy.leaves, dtype=np.int32)

    def _text(self, item: Item) -> str:
        return joined_fields(item, self.data.columns.text, self.recipe.data.max_chars)

    def _batches(self, rows: Labelled, what: str) -> list[Batch]:
        """The rows as they are read, in blocks."""
        self.told(what, 0, len(rows), "")
        read = [Item({"text": self._text(item)}) for item in rows.items]
        return [Batch(read[at : at + BLOCK]) for at in range(0, len(read), BLOCK)]

    def _ranked(self, rows: Labelled, retriever: Retriever) -> list[list[int]]:
        """Nodes by similarity for each row, best first."""
        found: list[list[int]] = []
        nodes = self._answers(rows)
        for batch in self._batches(rows, "ranking"):
            order = top_k(retriever.node_similarity(batch)[nodes].T, RANKED)
            found += nodes[order].tolist()
            self.told("ranking", len(found), len(rows), "")
        return found

    def _answers(self, rows: Labelled) -> NDArray[np.int32]:
        """The nodes that can be right: leaves, and what rows are labelled with."""
        if self.recipe.kind == "reranker":
            return self._nodes
        return np.union1d(self._nodes, rows.nodes).astype(np.int32)

    def _ranked_after(self, rows: Labelled, retriever: Retriever) -> list[list[int]]:
        """As `_ranked`, by what was trained."""
        weights = find_weights(str(self.model_folder))
        if self.recipe.kind == "retriever":
            return self._ranked(rows, self._retriever(weights)) if len(rows) else []
        scorer = RerankScorer(
            retriever,
            CrossEncoder.load(str(self.model_folder), device=self.recipe.training.device),
            self.recipe.model.texts,
            max_chars=10**9,  # the items are shortened already
        )
        found: list[list[int]] = []
        for batch in self._batches(rows, "reranking"):
            similar = retriever.node_similarity(batch)[self._nodes].T
            order = top_k(similar, max(RANKED, self.recipe.model.candidates))
            read = order[:, : self.recipe.model.candidates]
            said = scorer.relevance(batch, self._nodes[read].T).T
            best = np.argsort(-said, axis=1, kind="stable")
            order[:, : read.shape[1]] = np.take_along_axis(read, best, axis=1)
            found += self._nodes[order[:, :RANKED]].tolist()
            self.told("reranking", len(found), len(rows), "")
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
        negatives = Negatives(self.data.taxonomy, nodes, _implied(self.data.taxonomy))
        texts, owner = node_texts(self.data.taxonomy, recipe.model.texts)
        starts = np.searchsorted(owner, np.arange(len(self.data.taxonomy) + 1))

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
            self.told("looking for wrong nodes", len(found), len(rows), "")
        return found

    def _train(self, lessons: list[Lesson]) -> list[float]:
        recipe, weights = self.recipe, self._find(self.recipe.model.weights)
        model: SentenceTransformer | CrossEncoder
        if recipe.kind == "retriever":
            model = load_sentence_transformer(weights, recipe.training.device)
            train: Any = train_retriever
        else:
            model = load_cross_encoder(weights, recipe.training.device)
            train = train_reranker
        model.tokenizer.split_special_tokens = True
        losses: list[float] = train(
            model,
            lessons,
            recipe.training,
            self.result.work / "steps",
            seed=recipe.seed,
            ticked=lambda done, of, loss: self.told("training", done, of, f"loss {loss:.3f}"),
        )
        with quiet_libraries():
            model.save_pretrained(str(self.model_folder), create_model_card=False)
        return losses


def _implied(taxonomy: Taxonomy) -> list[frozenset[str]] | None:
    """The implicit facets of each node, of a taxonomy that has facets."""
    if not isinstance(taxonomy, FacetedTaxonomy):
        return None
    return [frozenset(map(str, taxonomy.implied(code))) for code in taxonomy.codes]


SHOWN = ("accuracy_at_1", "recall_at_5", "recall_at_10", "mrr_at_10", "ndcg_at_10")


def usage(recipe: RankerRecipe, text: Sequence[str], model: Path) -> str:
    """The command that classifies with the model."""
    section = recipe.model
    if recipe.kind == "retriever":
        settings = {"retrieval.encoder": str(model), "retrieval.texts": section.texts}
        method = "retrieval"
    else:
        settings = {
            "rerank.model": str(model),
            "rerank.texts": section.texts,
            "rerank.candidates": str(section.candidates),
            "retrieval.encoder": section.encoder,
        }
        method = "rerank"
    words = ["cascade", "classify", "items.csv", "-t", recipe.data.taxonomy or "TAXONOMY"]
    words += [word for column in text for word in ("--text", column)]
    words += ["--method", method]
    words += [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
    return shlex.join([*words, "-o", "out.csv"])


def table(metrics: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Rows of figure, before, after; each with its 95% interval."""
    if metrics["before"] is None:
        return []

    def cell(found: Sequence[float]) -> str:
        value, low, high = found
        return f"{value:.3f} ({low:.3f} to {high:.3f})"

    before, after = metrics["before"], metrics["after"]
    return [(name, cell(before[name]), cell(after[name])) for name in SHOWN]


def readme(
    recipe: RankerRecipe,
    metrics: Mapping[str, Any],
    text: Sequence[str],
    model: Path,
    command: str,
) -> str:
    """The README of a result folder, as Markdown; arguments as of `adapter_readme.readme`."""
    rows = metrics["rows"]
    first = "before" if recipe.kind == "retriever" else "retrieval alone"
    figures = "\n".join(f"| {' | '.join(row)} |" for row in table(metrics))
    measured = (
        f"Leaves ranked for {rows['validation']:,} rows that were not trained on, with 95% "
        f"intervals:\n\n| figure | {first} | after |\n| --- | --- | --- |\n{figures}"
        if figures
        else "No rows were held out, so nothing was measured."
    )
    wrong, training = recipe.negatives, recipe.training
    unit = "rows" if recipe.kind == "retriever" else "pairs"
    return f"""\
# {recipe.kind.capitalize()} made of {recipe.model.weights}

{recipe.about or "Made by `cascade finetune`."}

Use it:

    {usage(recipe, text, model)}

{measured}

|  |  |
| --- | --- |
| made by | `{command}` |
| data | {Path(recipe.data.file).name}: {rows["train"]:,} rows of {rows["read"]:,}, \
{rows["classes"]:,} classes; columns {", ".join(text)}; label {recipe.data.label} |
| taxonomy | {recipe.data.taxonomy or "made of the labels"} |
| wrong nodes | {wrong.siblings} siblings, {wrong.near} near in the taxonomy, {wrong.similar} of \
the {wrong.pool} most similar |
| training | {metrics["steps"]:,} steps of {training.batch_size} {unit} at \
{training.learning_rate} |
| time | {metrics["seconds"]:,.0f} s on {metrics["device"]} |
| seed | {recipe.seed} |

`recipe.yaml` has every setting; the same command on it makes the model again.
"""
