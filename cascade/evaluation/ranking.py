"""Metrics of rankings: how early right answers come among ranked nodes.

The definitions are those of `InformationRetrievalEvaluator` of sentence-transformers, the usual
library for this list. It gives means alone, and intervals need the value of every row: so the
values are computed here, for all rows at once, and a test holds their means to the library's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from cascade.errors import UsageError
from cascade.evaluation.answers import Flags, Floats
from cascade.evaluation.intervals import RESAMPLES, Interval, interval, weights_of
from cascade.evaluation.merge import Merge

CUTS = (1, 3, 5, 10)
DEEP = 100  # ranks that MAP@100 looks at

MEANINGS: Mapping[str, str] = {
    **{f"accuracy_at_{k}": f"Share of rows with a right answer in the first {k}." for k in CUTS},
    **{
        f"recall_at_{k}": f"Share of a row's right answers in the first {k}, averaged over rows."
        for k in CUTS
    },
    **{
        f"precision_at_{k}": f"Right answers in the first {k}, divided by {k}, averaged over rows."
        for k in CUTS
    },
    "mrr_at_10": "One divided by the rank of the first right answer in the first 10 (0 if none), "
    "averaged over rows.",
    "ndcg_at_10": "Discounted gain of right answers in the first 10, divided by the best possible, "
    "averaged over rows.",
    "map_at_100": "Precision at the rank of each right answer in the first 100, averaged over them "
    "and over rows.",
}


def ranking_figures(
    ranked: Sequence[Sequence[int]],
    right: Sequence[Sequence[int]],
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> dict[str, Interval]:
    """Every metric of `MEANINGS` with its 95% interval.

    Parameters
    ----------
    ranked
        For each row its nodes, best first, none twice; any number of them.
    right
        For each row its right answers, at least one.

    Raises
    ------
    UsageError
        There are no rows, their numbers differ, a row has no right answer, or `resamples` is less
        than 1.
    """
    values = ranking_values(ranked, right)
    table = np.stack(list(values.values()))
    kinds, which = np.unique(table, axis=1, return_inverse=True)
    merge = Merge(which.ravel(), kinds.shape[1])
    samples = [
        kinds @ merge(weights) / table.shape[1]
        for weights in weights_of(table.shape[1], resamples, seed)
    ]
    drawn = np.concatenate(samples, axis=1)
    return {
        name: interval(own.mean(keepdims=True), sample)
        for (name, own), sample in zip(values.items(), drawn, strict=True)
    }


def ranking_values(
    ranked: Sequence[Sequence[int]], right: Sequence[Sequence[int]]
) -> dict[str, Floats]:
    """Every metric of `MEANINGS` for each row, float64 [n_rows]; see `ranking_figures`.

    With hits h_r (1 where the node at rank r is right) and R right answers: accuracy@k is
    max_{r<=k} h_r, recall@k sum_{r<=k} h_r / R, precision@k sum_{r<=k} h_r / k, the reciprocal rank
    max_{r<=10} h_r / r, NDCG@10 sum_{r<=10} h_r / log2(r + 1) over the same sum with the first
    min(R, 10) hits (Jarvelin and Kekalainen 2002), and average precision
    sum_{r<=100} h_r precision@r / min(R, 100).
    """
    hits, known = _hits(ranked, right)
    rank = np.arange(1, DEEP + 1)
    found = np.cumsum(hits, axis=1)
    gains = 1 / np.log2(rank + 1)
    ideal = np.cumsum(gains)
    values: dict[str, Floats] = {}
    for k in CUTS:
        values[f"accuracy_at_{k}"] = (found[:, k - 1] > 0).astype(np.float64)
    for k in CUTS:
        values[f"recall_at_{k}"] = found[:, k - 1] / known
    for k in CUTS:
        values[f"precision_at_{k}"] = found[:, k - 1] / k
    values["mrr_at_10"] = (hits[:, :10] / rank[:10]).max(axis=1)
    values["ndcg_at_10"] = hits[:, :10] @ gains[:10] / ideal[np.minimum(known, 10) - 1]
    precisions = np.where(hits, found / rank, 0.0).sum(axis=1)
    values["map_at_100"] = precisions / np.minimum(known, DEEP)
    return values


def _hits(
    ranked: Sequence[Sequence[int]], right: Sequence[Sequence[int]]
) -> tuple[Flags, NDArray[np.int64]]:
    """Whether the node at each rank is right, bool [n_rows, 100], and how many right ones exist."""
    if not len(ranked) or len(ranked) != len(right):
        raise UsageError(
            f"{len(ranked):,} rankings for {len(right):,} rows of right answers; expected one "
            "ranking for each row, and at least one row"
        )
    known = np.array([len(set(nodes)) for nodes in right])
    if not known.all():
        raise UsageError(f"row {int(np.argmin(known))} has no right answer; leave such rows out")
    table = _padded([nodes[:DEEP] for nodes in ranked], DEEP, -1)
    answers = _padded([list(dict.fromkeys(nodes)) for nodes in right], int(known.max()), -2)
    hits = np.zeros(table.shape, dtype=np.bool_)
    for column in answers.T:
        hits |= table == column[:, None]
    return hits, known


def _padded(rows: Sequence[Sequence[int]], width: int, filler: int) -> NDArray[np.int32]:
    """int32 [n_rows, width]."""
    sizes = np.array([len(row) for row in rows])
    table = np.full((len(rows), width), filler, dtype=np.int32)
    table[np.arange(width) < sizes[:, None]] = [node for row in rows for node in row]
    return table
