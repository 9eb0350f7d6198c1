"""Calibration: whether confidences are the shares of right rows that they claim (ECE, Brier)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cascade.evaluation.metrics.gold_and_predicted import Floats, GoldAndPredicted
from cascade.evaluation.metrics.ratio import indicator, ratio

BINS = 15
LEVEL_BINS = 10  # of the curve of one level


@dataclass(frozen=True, slots=True)
class Bin:
    """Rows of similar confidence: their mean confidence, and the share that is right.

    Right is that the item lies at or below the predicted node, which is what a confidence claims.
    """

    low: float
    high: float
    confidence: float
    right: float
    rows: int

    def interval(self) -> tuple[float, float]:
        """95% interval of the share that is right (Wilson 1927, "Probable inference")."""
        from scipy.stats import binomtest

        interval = binomtest(round(self.right * self.rows), self.rows).proportion_ci(
            method="wilson"
        )
        return float(interval.low), float(interval.high)


def ece(bins: Floats) -> Floats:
    """Expected calibration error: how far confidence and share right differ, over 15 equal bins.

    sum_b n_b / n |mean confidence of b - share right of b| (Guo, Pleiss, Sun and Weinberger 2017,
    "On Calibration of Modern Neural Networks", equation 3). Right is that the item lies at or below
    the predicted node, as confidence claims. Rows without a confidence claim nothing and do not
    count.

    Parameters
    ----------
    bins
        float64 [3, n_bins, n_samples], rows of each bin, and sums of confidence and of right ones.
    """
    return ratio(np.abs(bins[1] - bins[2]).sum(axis=0), bins[0].sum(axis=0))


def ece_by_chance(bins: Sequence[Bin]) -> float:
    """The expected calibration error that true confidences would have on as many rows.

    The mean distance of a share from its expectation, as of a normal distribution.
    """
    rows = sum(own.rows for own in bins)
    spread = [math.sqrt(own.confidence * (1 - own.confidence) * own.rows) for own in bins]
    return math.sqrt(2 / math.pi) * sum(spread) / rows if rows else 0.0


def brier(sums: Floats) -> Floats:
    """Mean squared difference of confidence and right (1) or wrong (0); see `ece` for both.

    Brier 1950, "Verification of forecasts expressed in terms of probability".

    Parameters
    ----------
    sums
        float64 [2, n_samples], sum of squares and number of rows.
    """
    return ratio(sums[0], sums[1])


class CalibrationMetrics:
    """ECE and Brier score of some answers, for many samples of their rows at once."""

    def __init__(self, answers: GoldAndPredicted) -> None:
        claimed = answers.written_confidence
        claims, right = claimed >= 0, answers.below.astype(np.float64)
        of_bin = _bins(claimed[claims])
        self._bins = indicator(
            np.concatenate([of_bin, BINS + of_bin, 2 * BINS + of_bin]),
            np.tile(np.flatnonzero(claims), 3),
            (3 * BINS, len(answers)),
            np.concatenate([np.ones(len(of_bin)), claimed[claims], right[claims]]),
        )
        self._squares = np.stack([(claimed - right) ** 2 * claims, claims])

    def __call__(self, weights: Floats) -> dict[str, Floats]:
        """Both by name, for weights float64 [n_rows, n_samples]."""
        bins = np.asarray(self._bins @ weights).reshape(3, BINS, -1)
        return {"ece": ece(bins), "brier": brier(self._squares @ weights)}


def reliability(answers: GoldAndPredicted) -> list[Bin]:
    """The reliability curve: bins of equal width with rows in them, least sure first.

    Empty where there are no confidences. See `ece` for what is right.
    """
    if not answers.has_confidence:
        return []
    sure = answers.written_confidence
    claims = sure >= 0
    return bins_of(sure[claims], answers.below[claims], BINS)


def level_reliability(answers: GoldAndPredicted, sure: Floats) -> list[tuple[Bin, ...]]:
    """For each level, from the top, the reliability curve of the nodes on predicted paths.

    Parameters
    ----------
    sure
        float64 [n_rows, depth], confidences of the levels of predicted paths, nan below their ends.
    """
    found = []
    for own, right in zip(sure.T, answers.same.T, strict=True):
        there = ~np.isnan(own)
        found.append(tuple(bins_of(own[there], right[there], LEVEL_BINS)))
    while found and not found[-1]:
        found.pop()
    return found


def bins_of(sure: Floats, right: NDArray[np.bool_], bins: int) -> list[Bin]:
    """Bins of equal width with rows in them, least sure first; `sure` and `right` are [n]."""
    of_bin, found = _bins(sure, bins), []
    for number in np.unique(of_bin).tolist():
        among = of_bin == number
        found.append(
            Bin(
                number / bins,
                (number + 1) / bins,
                float(sure[among].mean()),
                float(right[among].mean()),
                int(among.sum()),
            )
        )
    return found


def _bins(sure: Floats, bins: int = BINS) -> NDArray[np.int64]:
    return np.minimum((sure * bins).astype(np.int64), bins - 1)
