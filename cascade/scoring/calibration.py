"""Calibration on held-out rows: raw scores to confidences, and confidences to accept at a risk."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import chain, pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

PRIOR = np.linspace(-4.5, 4.5, 20)  # log-odds of rows that stand for no change, beside real ones
LEAST_SLOPE = 0.1  # of a map, so that a higher confidence stays a higher one
TINY = 1e-6  # a confidence is at least this far from 0 and 1
DELTA = 0.1  # probability, over the held-out rows, that a promised risk is exceeded
ROWS = 1000  # thresholds of a table, at most


def _is_number(value: Any) -> bool:
    """Whether a value is a number that can be counted with: finite, and within 10^15."""
    return type(value) in (int, float) and abs(value) <= 1e15  # NaN is not


@dataclass(frozen=True)
class BetaCalibration:
    """Beta calibration (Kull et al. 2017): `logit(q) = a log p - b log(1 - p) + c`, a and b >= 0.

    It never changes the order of confidences, and three numbers cannot overfit a few hundred rows.
    With fewer the prior holds it: see `fit`.
    """

    a: float = 1.0
    b: float = 1.0
    c: float = 0.0

    @classmethod
    def fit(cls, confidence: NDArray[np.float64], right: NDArray[np.bool_]) -> BetaCalibration:
        """The likeliest map, given which answers were right; [n_rows] each.

        Beside the rows there are those of `PRIOR`, on which raw confidences are true: of those with
        p the share p is right. So no rows give no change, a few that are all wrong do not give 0
        (Platt 1999 smooths his targets for the same reason), and where there are no rows, as at the
        low confidences of alternatives, a map stays near to what it maps.
        """
        from scipy.optimize import minimize

        prior = 1 / (1 + np.exp(-PRIOR))
        p = np.clip(np.concatenate([confidence, prior]), TINY, 1 - TINY)
        share = np.concatenate([right.astype(np.float64), prior])
        x = np.stack([np.log(p), -np.log1p(-p), np.ones_like(p)], axis=1)

        def loss(t: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
            z = x @ t
            q = 1 / (1 + np.exp(-np.clip(z, -500, 500)))
            return float((np.logaddexp(0, z) - share * z).mean()), (q - share) @ x / len(z)

        bounds = [(LEAST_SLOPE, None), (LEAST_SLOPE, None), (None, None)]
        start = np.array([1.0, 1.0, 0.0])
        found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds).x
        return cls(*(round(float(value), 6) for value in found))

    def is_whole(self) -> bool:
        """Whether the numbers are such as `fit` finds, whatever file they come from."""
        return all(map(_is_number, (self.a, self.b, self.c))) and self.a >= 0 and self.b >= 0

    def apply(self, confidence: float) -> float:
        """The probability that an answer of this confidence is right."""
        p = min(max(confidence, TINY), 1 - TINY)
        z = self.a * math.log(p) - self.b * math.log1p(-p) + self.c
        return 1 / (1 + math.exp(-max(min(z, 500.0), -500.0)))


@dataclass(frozen=True)
class RiskTable:
    """How many held-out answers were as sure as a threshold, and how many of them wrong.

    Parameters
    ----------
    threshold
        Confidences, decreasing.
    accepted, wrong
        Held-out answers with at least that confidence, and those of them that were wrong.
    """

    threshold: tuple[float, ...]
    accepted: tuple[int, ...]
    wrong: tuple[int, ...]

    @classmethod
    def fit(cls, confidence: NDArray[np.float64], wrong: NDArray[np.bool_]) -> RiskTable:
        """The table of held-out answers, [n_rows] each."""
        order = np.argsort(-confidence, kind="stable")
        sure, errors = confidence[order], np.cumsum(wrong[order])
        last = np.flatnonzero(np.append(np.diff(sure) != 0, True))  # ties are accepted together
        if len(last) > ROWS:
            last = last[np.linspace(0, len(last) - 1, ROWS).astype(np.int64)]
        return cls(
            tuple(sure[last].tolist()),
            tuple((last + 1).tolist()),
            tuple(errors[last].astype(int).tolist()),
        )

    def is_whole(self) -> bool:
        """Whether the table is such as `fit` makes, whatever file it comes from."""
        rows = (self.threshold, self.accepted, self.wrong)
        if len({len(row) for row in rows}) != 1 or not all(map(_is_number, chain(*rows))):
            return False
        counts = zip(self.accepted, self.wrong, strict=True)
        return (
            all(0 <= wrong <= accepted for accepted, wrong in counts)
            and all(before > after for before, after in pairwise(self.threshold))
            and all(before <= after for before, after in pairwise(self.accepted))
        )

    def least_confidence(self, max_risk: float) -> float:
        """The least confidence at which answers may be accepted; infinite where none may.

        Of what is accepted at most the share `max_risk` is wrong, with a probability of
        `1 - DELTA` over the held-out rows. Thresholds are tested from the strictest on, each with
        the exact binomial bound (Clopper and Pearson 1934), until one fails: fixed-sequence
        testing, as in Learn then Test (Angelopoulos et al. 2021). A mean over accepted rows is no
        monotone risk, which is what conformal risk control (Angelopoulos et al. 2022) asks for.
        """
        from scipy.stats import beta

        if max_risk >= 1:
            return 0.0
        if max_risk <= 0:
            return math.inf
        n, wrong = np.array(self.accepted), np.array(self.wrong)
        enough = math.log(DELTA) / math.log1p(-max_risk)  # rows that pass without an error
        first = int(np.searchsorted(n, enough))
        n, wrong = n[first:], wrong[first:]
        right = n - wrong
        bound = np.where(right == 0, 1.0, beta.ppf(1 - DELTA, wrong + 1, np.maximum(right, 1)))
        failed = np.flatnonzero(bound > max_risk)
        if len(failed):
            return self.threshold[first + failed[0] - 1] if failed[0] > 0 else math.inf
        return 0.0 if len(n) else math.inf  # all of them together are right enough
