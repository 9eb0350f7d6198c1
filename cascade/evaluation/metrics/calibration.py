"""Whether confidences hold (calibration), and whether they tell right from wrong (ranking)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cascade.evaluation.metrics.gold_and_predicted import Floats, GoldAndPredicted, GroupedRows
from cascade.evaluation.metrics.per_level import indicator, ratio

BINS = 15
DIGITS = 4  # of a confidence; predictions are written with as many
RISKS = (1, 5, 10)  # percent
POINTS = 200


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


@dataclass(frozen=True, slots=True)
class RiskCoverage:
    """Share of errors (not the gold node) among the share of rows with at least a confidence."""

    coverage: float
    risk: float
    threshold: float


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


def brier(sums: Floats) -> Floats:
    """Mean squared difference of confidence and right (1) or wrong (0); see `ece` for both.

    Brier 1950, "Verification of forecasts expressed in terms of probability".

    Parameters
    ----------
    sums
        float64 [2, n_samples], sum of squares and number of rows.
    """
    return ratio(sums[0], sums[1])


def aurc(covered: Floats, errors: Floats) -> Floats:
    """Area under the risk-coverage curve: the risk at each row's own confidence, averaged.

    Geifman and El-Yaniv 2017, "Selective Classification for Deep Neural Networks". Risk is the
    share of errors (not the gold node) among rows at least as confident; rows of the same
    confidence, to four digits, are accepted together, those without one last.

    Parameters
    ----------
    covered, errors
        float64 [n_thresholds, n_samples], rows and errors accepted so far, from the surest on.
    """
    own = np.diff(covered, axis=0, prepend=0)
    return ratio((own * ratio(errors, covered, empty=0.0)).sum(axis=0), covered[-1])


def coverage_at_risk(covered: Floats, errors: Floats, risk: float) -> Floats:
    """The largest share of rows that can be accepted with at most {level} % errors among them.

    See `aurc` for the order in which rows are accepted and for what an error is. 0 where even the
    surest rows have more errors.
    """
    good = np.where(errors <= risk * covered + 1e-9, covered, 0.0)
    return ratio(good.max(axis=0), covered[-1])


class ConfidenceMetrics:
    """The metrics of confidence of some answers, for many samples of their rows at once.

    Parameters
    ----------
    answers
        At least one has a confidence.
    """

    def __init__(self, answers: GoldAndPredicted) -> None:
        sure = _confidence(answers)
        right, exact = answers.below, answers.exact
        # Rows that are alike in all three count together: there are few of these.
        kind = (np.round(-sure * 10**DIGITS).astype(np.int64) * 2 + right) * 2 + exact
        _, first, which = np.unique(kind, return_index=True, return_inverse=True)
        self._merge = GroupedRows(which, len(first))
        claimed = sure[first]
        claims, correct = claimed >= 0, right[first].astype(np.float64)
        of_bin = _bins(claimed[claims], BINS)
        ones = np.ones(len(of_bin))
        self._bins = indicator(
            np.concatenate([of_bin, BINS + of_bin, 2 * BINS + of_bin]),
            np.tile(np.flatnonzero(claims), 3),
            (3 * BINS, len(first)),
            np.concatenate([ones, claimed[claims], correct[claims]]),
        )
        self._squares = np.stack([(claimed - correct) ** 2 * claims, claims])
        self._wrong = ~exact[first, None]
        self._starts = np.flatnonzero(np.append(True, claimed[1:] != claimed[:-1]))

    def __call__(self, weights: Floats) -> dict[str, Floats]:
        """Every metric by name, for weights float64 [n_rows, n_samples]."""
        merged = self._merge(weights)
        bins = np.asarray(self._bins @ merged).reshape(3, BINS, -1)
        covered, errors = self._accepted(merged), self._accepted(merged * self._wrong)
        return {
            "ece": ece(bins),
            "brier": brier(self._squares @ merged),
            "aurc": aurc(covered, errors),
            **{
                f"coverage_at_risk_{risk}": coverage_at_risk(covered, errors, risk / 100)
                for risk in RISKS
            },
        }

    def _accepted(self, counts: Floats) -> Floats:
        """What is accepted from the surest down to each confidence, [n_thresholds, n_samples]."""
        return np.cumsum(np.add.reduceat(counts, self._starts, axis=0), axis=0)


def reliability(answers: GoldAndPredicted, bins: int = BINS) -> list[Bin]:
    """The reliability curve: bins of equal width with rows in them, least sure first.

    Empty where there are no confidences. See `ece` for what is right.
    """
    if not _has_confidence(answers):
        return []
    sure = _confidence(answers)
    claims = sure >= 0
    sure, right = sure[claims], answers.below[claims]
    of_bin = _bins(sure, bins)
    found = []
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


def risk_coverage(answers: GoldAndPredicted, points: int = POINTS) -> list[RiskCoverage]:
    """The risk-coverage curve, surest first, at no more than `points` of its thresholds.

    Empty where there are no confidences. See `aurc` for the order and for what an error is.
    """
    if not _has_confidence(answers):
        return []
    sure = _confidence(answers)
    order = np.argsort(-sure, kind="stable")
    ends = np.flatnonzero(np.append(np.diff(sure[order]) != 0, True))
    errors = np.cumsum(~answers.exact[order])[ends]
    shown = np.unique(np.linspace(0, len(ends) - 1, min(points, len(ends))).round().astype(int))
    return [
        RiskCoverage(
            float((ends[i] + 1) / len(answers)),
            float(errors[i] / (ends[i] + 1)),
            float(sure[order[ends[i]]]) if sure[order[ends[i]]] >= 0 else np.nan,
        )
        for i in shown.tolist()
    ]


def _has_confidence(answers: GoldAndPredicted) -> bool:
    return answers.confidence is not None and not np.isnan(answers.confidence).all()


def _confidence(answers: GoldAndPredicted) -> Floats:
    """float64 [n_rows], confidences as they are written, to four digits; -1 for none."""
    assert answers.confidence is not None
    return np.where(np.isnan(answers.confidence), -1.0, np.round(answers.confidence, DIGITS))


def _bins(sure: Floats, bins: int) -> NDArray[np.int64]:
    return np.minimum((sure * bins).astype(np.int64), bins - 1)
