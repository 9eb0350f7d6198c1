"""95% intervals of metrics and of paired differences: the percentile bootstrap over rows.

Rows are resampled with replacement and every resample is a column of weights, so that all
resamples of a metric are one matrix product (Efron and Tibshirani 1993, "An Introduction to the
Bootstrap", chapter 13).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from cascade.errors import UsageError
from cascade.evaluation.metrics.gold_and_predicted import Floats, GoldAndPredicted
from cascade.evaluation.metrics.metrics_table import MetricsTable

RESAMPLES = 1_000
PERCENTILES = (2.5, 97.5)
CELLS = 8_000_000  # weights in memory at a time: 64 MB


@dataclass(frozen=True, slots=True)
class Interval:
    """A figure with its 95% interval; nan where it is undefined.

    Parameters
    ----------
    value
        The figure on the rows as they are.
    low, high
        The 2.5th and 97.5th percentile over resamples. For metrics with classes of a few rows
        (`f1_weighted_l{level}`, `f1_macro_l{level}`), and for `ece`, these lean to one side and
        need not enclose `value`.
    """

    value: float
    low: float
    high: float


def bootstrap(
    answers: GoldAndPredicted, *, resamples: int = RESAMPLES, seed: int = 0
) -> dict[str, Interval]:
    """Every metric that `all_metrics` gives, with its interval, by name.

    Parameters
    ----------
    resamples
        How many; those in which a metric is undefined do not count for it.
    seed
        The same seed gives the same resamples, for all answers of as many rows.

    Raises
    ------
    UsageError
        `resamples` is less than 1.
    """
    return _intervals(MetricsTable(answers), len(answers), resamples, seed)


def paired_difference(
    ours: GoldAndPredicted, theirs: GoldAndPredicted, *, resamples: int = RESAMPLES, seed: int = 0
) -> dict[str, Interval]:
    """Every metric that both have, of `ours` minus that of `theirs`, on the same resampled rows.

    Raises
    ------
    UsageError
        The answers are not of the same rows, or `resamples` is less than 1.
    """
    if not np.array_equal(ours.gold_node, theirs.gold_node):
        raise UsageError(
            f"answers of {len(ours):,} and of {len(theirs):,} rows whose gold nodes are not the "
            "same; give answers of the same rows in the same order"
        )
    both = MetricsTable(ours), MetricsTable(theirs)

    def difference(weights: Floats) -> dict[str, Floats]:
        ours, theirs = (metrics(weights) for metrics in both)
        return {name: values - theirs[name] for name, values in ours.items() if name in theirs}

    return _intervals(difference, len(ours), resamples, seed)


def mean_interval(values: Floats, *, resamples: int, seed: int) -> Interval:
    """The mean of a number of each row, float64 [n_rows], with its interval."""

    def mean(weights: Floats) -> dict[str, Floats]:
        return {"": values @ weights / len(values)}

    return _intervals(mean, len(values), resamples, seed)[""]


def _intervals(
    metrics: Callable[[Floats], dict[str, Floats]], n_rows: int, resamples: int, seed: int
) -> dict[str, Interval]:
    """Every metric of rows as they are, with its interval over resampled rows."""
    values = metrics(np.ones((n_rows, 1)))
    samples = [metrics(weights) for weights in weights_of(n_rows, resamples, seed)]
    return {
        name: _interval(value, np.concatenate([sample[name] for sample in samples]))
        for name, value in values.items()
    }


def weights_of(n_rows: int, resamples: int, seed: int) -> Iterator[Floats]:
    """How often each row is drawn in each resample: float64 [n_rows, n], n at a time.

    Raises
    ------
    UsageError
        `resamples` is less than 1.
    """
    if resamples < 1:
        raise UsageError(f"found {resamples} resamples; expected at least 1")
    rng = np.random.default_rng(seed)
    step = max(1, CELLS // n_rows)
    for start in range(0, resamples, step):
        weights = np.empty((n_rows, min(step, resamples - start)), order="F")
        for column in weights.T:
            drawn = rng.integers(n_rows, size=n_rows, dtype=np.int32)
            column[:] = np.bincount(drawn, minlength=n_rows)
        yield weights


def _interval(value: Floats, samples: Floats) -> Interval:
    """The interval of a figure, float64 [1], over its samples, float64 [n_samples]."""
    defined = samples[~np.isnan(samples)]
    low, high = np.percentile(defined, PERCENTILES) if defined.size else (np.nan, np.nan)
    return Interval(float(value[0]), float(low), float(high))
