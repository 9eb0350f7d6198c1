"""Figures of rankings: how early right answers come among ranked nodes.

The definitions are those of `InformationRetrievalEvaluator.compute_metrics` of
sentence-transformers, the well-kept library for this list. It can be called on rankings alone, and
a test holds every figure to its own. It isn't called here: it gives means and no values of rows,
which intervals need, it takes a dict for each ranked node, and its import takes seconds.

All figures of a row follow from how many right answers it has and at which ranks they stand. Rows
that agree in this are of one *kind* and are counted together, so that a resample draws how many
rows there are of each kind, not the rows. With one right answer there are 101 kinds, whatever the
number of rows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from cascade.errors import UsageError
from cascade.evaluation.metrics.bootstrap import Interval

Floats = NDArray[np.float64]
Kind = tuple[int, tuple[int, ...]]
"""How many right answers a row has, and the ranks (from 1) at which they stand."""

CUTS = (1, 3, 5, 10)
TOP = 10  # ranks that MRR and NDCG look at
DEEP = 100  # ranks that MAP looks at
CELLS = 2_000_000  # counts in memory at a time: 16 MB as drawn and 16 MB as floats

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
    "map_at_100": "Precision at the rank of each right answer in the first 100, summed, divided by "
    "the most there could be, averaged over rows.",
}


def ranking_figures(
    ranked: Sequence[Sequence[int]],
    right: Sequence[Sequence[int]],
    *,
    resamples: int = 1000,
    seed: int = 0,
) -> dict[str, Interval]:
    """Every figure of `MEANINGS`, in its order, with its 95% interval.

    The interval is the percentile bootstrap over rows (Efron and Tibshirani 1993, chapter 13).

    Parameters
    ----------
    ranked
        For each row its nodes, best first, none twice; any number of them. A short ranking is one
        that found nothing at the later ranks: precision@k divides by k all the same.
    right
        For each row its right answers, at least one; an answer that stands twice counts once.
    resamples
        How many; time and memory grow with kinds of rows (see the module), not with rows.
    seed
        The same seed gives the same intervals.

    Raises
    ------
    UsageError
        There are no rows, their numbers differ, a row has no right answer, or `resamples` is less
        than 1.
    """
    if resamples < 1:
        raise UsageError(f"found {resamples} resamples; expected at least 1")
    rows = _count_kinds(ranked, right)
    values = _values(list(rows))
    counts = np.array(list(rows.values()), dtype=np.int64)
    table = np.stack(list(values.values()))
    figures = table @ counts / len(ranked)
    drawn = [table @ sample.T / len(ranked) for sample in _resampled(counts, resamples, seed)]
    lows, highs = np.percentile(np.concatenate(drawn, axis=1), (2.5, 97.5), axis=1)
    return {
        name: Interval(float(value), float(low), float(high))
        for name, value, low, high in zip(values, figures, lows, highs, strict=True)
    }


def _count_kinds(ranked: Sequence[Sequence[int]], right: Sequence[Sequence[int]]) -> Counter[Kind]:
    """How many rows there are of each kind."""
    if not len(ranked) or len(ranked) != len(right):
        raise UsageError(
            f"{len(ranked):,} rankings for {len(right):,} rows of right answers; expected one "
            "ranking for each row, and at least one row"
        )
    rows: Counter[Kind] = Counter()
    for row, (nodes, answers) in enumerate(zip(ranked, right, strict=True)):
        known = set(answers)
        if not known:
            raise UsageError(f"row {row} has no right answer; leave such rows out")
        ranks = [rank for rank, node in enumerate(nodes[:DEEP], start=1) if node in known]
        rows[len(known), tuple(ranks)] += 1
    return rows


def _values(kinds: Sequence[Kind]) -> dict[str, Floats]:
    """Every figure of a row of each kind, float64 [n_kinds].

    With hits h_r (1 where the node at rank r is right) and R right answers: accuracy@k is
    max_{r<=k} h_r, recall@k sum_{r<=k} h_r / R, precision@k sum_{r<=k} h_r / k, the reciprocal rank
    max_{r<=10} h_r / r, NDCG@10 sum_{r<=10} h_r / log2(r + 1) over the same sum of min(R, 10) hits
    at the first ranks (Jarvelin and Kekalainen 2002), and average precision
    sum_{r<=100} h_r precision@r / min(R, 100).
    """
    right = np.array([known for known, _ in kinds])
    sizes = np.array([len(ranks) for _, ranks in kinds])
    rank = np.fromiter(chain.from_iterable(ranks for _, ranks in kinds), dtype=np.int64)
    kind = np.repeat(np.arange(len(kinds)), sizes)
    nth = np.arange(1, len(rank) + 1) - np.repeat(np.cumsum(sizes) - sizes, sizes)

    def total(worth: Floats, deepest: int) -> Floats:
        """Sum over hits down to a rank of what each is worth."""
        weights = np.where(rank <= deepest, worth, 0.0)
        return np.bincount(kind, weights, len(kinds)).astype(np.float64)

    hits = {k: total(np.ones(len(rank)), k) for k in CUTS}
    ideal = np.cumsum(1 / np.log2(np.arange(2, TOP + 2)))
    return {
        **{f"accuracy_at_{k}": (found > 0).astype(np.float64) for k, found in hits.items()},
        **{f"recall_at_{k}": found / right for k, found in hits.items()},
        **{f"precision_at_{k}": found / k for k, found in hits.items()},
        "mrr_at_10": total(np.where(nth == 1, 1 / rank, 0.0), TOP),
        "ndcg_at_10": total(1 / np.log2(rank + 1), TOP) / ideal[np.minimum(right, TOP) - 1],
        "map_at_100": total(nth / rank, DEEP) / np.minimum(right, DEEP),
    }


def _resampled(counts: NDArray[np.int64], resamples: int, seed: int) -> Iterator[Floats]:
    """How many rows of each kind each resample has: float64 [n, n_kinds], n resamples at a time.

    Rows drawn one by one with replacement fall on the kinds as a multinomial says.
    """
    rng = np.random.default_rng(seed)
    rows = counts.sum()
    step = max(1, CELLS // len(counts))
    for start in range(0, resamples, step):
        size = min(step, resamples - start)
        yield rng.multinomial(rows, counts / rows, size=size).astype(np.float64)
