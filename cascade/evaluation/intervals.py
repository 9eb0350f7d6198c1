"""How far a figure could have come out otherwise: percentile bootstrap over rows.

Rows are resampled with replacement and every resample is a column of weights, so that all
resamples of a metric are one matrix product (Efron and Tibshirani 1993, chapter 13).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from cascade.errors import UsageError
from cascade.evaluation.metrics import Answers, Floats, metrics_of
from cascade.taxonomy import Taxonomy

RESAMPLES = 1_000
PERCENTILES = (2.5, 97.5)
CELLS = 4_000_000  # weights in memory at a time: 32 MB


@dataclass(frozen=True, slots=True)
class Interval:
    """A figure with its 95% interval.

    Parameters
    ----------
    value
        The figure on the rows as they are.
    low, high
        The 2.5th and 97.5th percentile over resamples. For metrics with classes of a few rows
        (`f1_weighted_l{level}`) these lean to one side and need not enclose `value`.
    """

    value: float
    low: float
    high: float


def bootstrap(
    taxonomy: Taxonomy,
    predicted: ArrayLike,
    gold: ArrayLike,
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> dict[str, Interval]:
    """Every headline figure with its interval, by name.

    Parameters
    ----------
    predicted, gold
        int [n_rows], as `headline` takes them.
    resamples
        How many; those without any row of a level do not count for the metrics of that level.
    seed
        The same seed gives the same resamples, for every array of as many rows.

    Raises
    ------
    UsageError
        The arrays are not as `headline` takes them, or `resamples` is less than 1.
    """
    metrics = metrics_of(Answers.of(taxonomy, predicted, gold))
    once = np.ones((np.size(gold), 1))
    resampled: dict[str, list[Floats]] = {name: [] for name in metrics}
    for weights in _weights(len(once), resamples, seed):
        for name, metric in metrics.items():
            resampled[name].append(metric(weights))
    return {
        name: _interval(metric(once), np.concatenate(resampled[name]))
        for name, metric in metrics.items()
    }


def paired_difference(
    taxonomy: Taxonomy,
    predicted: ArrayLike,
    baseline: ArrayLike,
    gold: ArrayLike,
    metric: str = "hf1_micro",
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Interval:
    """A metric of `predicted` minus that of `baseline`, on the same rows in every resample.

    Parameters
    ----------
    predicted, baseline, gold
        int [n_rows], as `headline` takes them.
    metric
        A name that `headline` gives.

    Raises
    ------
    UsageError
        The arrays are not as `headline` takes them, `resamples` is less than 1, or there is no
        such metric.
    """
    pair = [metrics_of(Answers.of(taxonomy, nodes, gold)) for nodes in (predicted, baseline)]
    if metric not in pair[0]:
        raise UsageError(f"no metric {metric!r} on these rows; there are {', '.join(pair[0])}")
    ours, theirs = (metrics[metric] for metrics in pair)
    once = np.ones((np.size(gold), 1))
    differences = [
        ours(weights) - theirs(weights) for weights in _weights(len(once), resamples, seed)
    ]
    return _interval(ours(once) - theirs(once), np.concatenate(differences))


def _weights(n_rows: int, resamples: int, seed: int) -> Iterator[Floats]:
    """How often each row is drawn in each resample: float64 [n_rows, n], n at a time."""
    if resamples < 1:
        raise UsageError(f"found {resamples} resamples; expected at least 1")
    rng = np.random.default_rng(seed)
    step = max(1, CELLS // n_rows)
    for start in range(0, resamples, step):
        n = min(step, resamples - start)
        cells = rng.integers(n_rows, size=(n, n_rows)) * n + np.arange(n)[:, None]
        counts = np.bincount(cells.ravel(), minlength=n_rows * n)
        yield counts.reshape(n_rows, n).astype(np.float64)


def _interval(value: Floats, resampled: Floats) -> Interval:
    low, high = np.nanpercentile(resampled, PERCENTILES)
    return Interval(float(value[0]), float(low), float(high))
