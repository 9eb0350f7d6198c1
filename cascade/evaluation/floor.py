"""The floor of a leaderboard: answers that know next to nothing, which every method must beat.

The most frequent class, a leaf drawn with equal chances, and the leaf whose name shares most
characters with the text. They are written as a file of predictions, and measured as any other.
"""

from __future__ import annotations

import csv
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from cascade.config import Columns
from cascade.errors import InputError, UsageError
from cascade.evaluation.external_predictions import RANKING
from cascade.evaluation.metrics.ranking import DEEP
from cascade.io import require_columns
from cascade.io.tables.opening import TableFile
from cascade.pipeline.labels.finding import LabelFinder
from cascade.taxonomy import Taxonomy

FloorKind = Literal["most frequent", "uniform", "characters"]
FLOORS: dict[str, FloorKind] = {
    "most frequent class": "most frequent",
    "uniform over leaves": "uniform",
    "TF-IDF of characters, names": "characters",
}
"""Kinds by the names of their rows in a leaderboard."""

HEADING = ("cascade_code", "cascade_confidence", RANKING)
GRAMS = (2, 4)  # characters, inside words
CELLS = 20_000_000  # similarities in memory at a time


@dataclass(frozen=True)
class FloorData:
    """What the floor is made of.

    Parameters
    ----------
    source
        The rows that are measured.
    train
        Labelled rows that may be learnt from; None where there are none.
    seed
        Of what is drawn.
    """

    source: TableFile
    train: TableFile | None
    taxonomy: Taxonomy
    columns: Columns
    seed: int = 0


@dataclass(frozen=True)
class FloorAnswers:
    """Answers to the rows of a file, in order.

    Parameters
    ----------
    nodes
        int32 [n_rows]
    confidence
        float64 [n_rows], the probability of each.
    ranking
        int32 [n_rows or 1, n], leaves, best first; one row where it is the same for all.
    note
        What there is to say of them.
    """

    nodes: NDArray[np.int32]
    confidence: NDArray[np.float64]
    ranking: NDArray[np.int32]
    note: str = ""


def write_floor(kind: FloorKind, data: FloorData, target: Path) -> tuple[str, dict[str, Any]]:
    """Write the answers of a kind as a file of predictions.

    Returns
    -------
    What there is to say of them, and how long they took.

    Raises
    ------
    InputError, UsageError
        A column is not there or not named, or no label of the training rows is in the taxonomy.
    """
    started = time.perf_counter()
    found = {"most frequent": most_frequent, "uniform": uniform, "characters": characters}[kind](
        data
    )
    codes = data.taxonomy.codes
    rankings = [json.dumps([codes[node] for node in row]) for row in found.ranking.tolist()]
    rankings *= len(found.nodes) if len(rankings) == 1 else 1
    with target.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(HEADING)
        for node, confidence, ranking in zip(
            found.nodes.tolist(), found.confidence.tolist(), rankings, strict=True
        ):
            writer.writerow([codes[node], f"{confidence:.6g}", ranking])
    seconds = max(time.perf_counter() - started, 1e-6)
    return found.note, {"rows_per_second": round(len(found.nodes) / seconds, 1)}


def most_frequent(data: FloorData) -> FloorAnswers:
    """The node that most training rows are labelled with, for every row; the first of equals.

    Where there are no training rows, that of the rows that are measured: nobody knows it before
    they are labelled, so that it is the floor of a set and no method.
    """
    counted = data.train or data.source
    nodes = np.array([node for node in _labels(data, counted) if node >= 0], dtype=np.int64)
    if not len(nodes):
        raise InputError("none of its labels is in the taxonomy", file=counted.file)
    counts = np.bincount(nodes, minlength=len(data.taxonomy))
    best = int(counts.argmax())
    leaves = data.taxonomy.leaves
    ranked = leaves[np.argsort(-counts[leaves], kind="stable")][:DEEP]
    n = sum(1 for _ in _labels(data, data.source))
    whose = "training rows" if data.train else "rows measured here, told by their own labels"
    note = f"always {data.taxonomy.path(best)}: {counts[best]:,} of the {len(nodes):,} {whose}"
    share = counts[best] / len(nodes)
    return FloorAnswers(
        np.full(n, best, np.int32), np.full(n, share), ranked[None].astype(np.int32), note
    )


def uniform(data: FloorData) -> FloorAnswers:
    """A leaf for each row, drawn with equal chances; what is expected of all draws is noted."""
    gold = np.array(list(_labels(data, data.source)), dtype=np.int64)
    leaves, rng = data.taxonomy.leaves, np.random.default_rng(data.seed)
    deep = min(DEEP, len(leaves))
    drawn = [leaves[rng.choice(len(leaves), deep, replace=False)] for _ in gold]
    ranking = np.array(drawn, dtype=np.int32).reshape(len(gold), deep)
    hf1, exact = expected_of_uniform(data.taxonomy, gold[gold >= 0])
    note = f"a draw with seed {data.seed}; expected: hf1_micro {hf1:.4f}, exact_match {exact:.4f}"
    chance = np.full(len(gold), 1 / len(leaves))
    return FloorAnswers(ranking[:, 0].copy(), chance, ranking, note)


def expected_of_uniform(taxonomy: Taxonomy, gold: NDArray[np.int64]) -> tuple[float, float]:
    """hF1 and exact match that are expected of leaves drawn with equal chances.

    A drawn path has an ancestor of the known answer, or that itself, in common with it as often as
    a leaf lies at or below that. Of hF1, a ratio of sums, it is the ratio of what the sums are
    expected to be.

    Parameters
    ----------
    gold
        int64 [n_rows], the known nodes.
    """
    n = len(taxonomy)
    is_leaf = np.zeros(n, dtype=np.int64)
    is_leaf[taxonomy.leaves] = 1
    before = np.concatenate([[0], np.cumsum(is_leaf)])
    below = (before[taxonomy.end] - before[:n]) / len(taxonomy.leaves)
    shared = below.copy()
    for node in np.flatnonzero(taxonomy.parent >= 0).tolist():  # parents stand before children
        shared[node] += shared[taxonomy.parent[node]]
    deep = taxonomy.level[taxonomy.leaves].mean()
    sizes = deep * len(gold) + taxonomy.level[gold].sum()
    exact = is_leaf[gold].mean() / len(taxonomy.leaves)
    return float(2 * shared[gold].sum() / sizes), float(exact)


def characters(data: FloorData) -> FloorAnswers:
    """The leaf whose name has the nearest TF-IDF of characters (2 to 4 inside words) to the text.

    The first where none has any in common. Its confidence is its share of all similarities.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer

    if not data.columns.text:
        raise UsageError("the suite names no text column, and names are compared with texts")
    leaves = data.taxonomy.leaves
    vectors = TfidfVectorizer(
        analyzer="char_wb", ngram_range=GRAMS, sublinear_tf=True, dtype=np.float32
    )
    try:
        names = vectors.fit_transform([data.taxonomy.names[leaf] for leaf in leaves.tolist()])
    except ValueError:  # names of blanks alone have no characters
        raise UsageError("the names of the leaves have no characters to compare") from None
    texts = list(_texts(data))
    read = vectors.transform(texts)
    deep = min(DEEP, len(leaves))
    ranking = np.empty((len(texts), deep), dtype=np.int32)
    confidence = np.empty(len(texts))
    step = max(1, CELLS // len(leaves))
    for start in range(0, len(texts), step):
        similar = (read[start : start + step] @ names.T).toarray()
        order = np.argsort(-similar, axis=1, kind="stable")[:, :deep]
        ranking[start : start + step] = leaves[order]
        best = np.take_along_axis(similar, order[:, :1], axis=1)[:, 0]
        whole = similar.sum(axis=1, dtype=np.float64)
        share = np.divide(best, whole, out=np.full(len(best), 1 / len(leaves)), where=whole > 0)
        confidence[start : start + step] = share.clip(max=1)
    return FloorAnswers(ranking[:, 0].copy(), confidence, ranking)


def _labels(data: FloorData, file: TableFile) -> Iterator[int]:
    """The node of each row's label, -1 where it has none that is known."""
    label = data.columns.label
    assert label is not None
    finder = LabelFinder(data.taxonomy, data.columns.label_separator)
    with file.open() as table:
        require_columns(table, [label])
        for row in table:
            yield finder.find(table.text(row, label)) if row.problem is None else -1


def _texts(data: FloorData) -> Iterator[str]:
    with data.source.open() as table:
        require_columns(table, data.columns.text)
        for row in table:
            yield "" if row.problem else "\n".join(table.texts(row, data.columns.text).values())
