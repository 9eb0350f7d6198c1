"""Maps from raw confidences to probabilities, fitted on held-out rows."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

PRIOR = np.linspace(-4.5, 4.5, 20)  # log-odds of rows that stand for no change, beside real ones
LEAST_SLOPE = 0.1  # of a map, so that a higher confidence stays a higher one
TINY = 1e-6  # a confidence is at least this far from 0 and 1


def is_number(value: Any) -> bool:
    """Whether a value of a file can be counted with: finite, and within 10^15."""
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
    def fit(
        cls,
        confidence: NDArray[np.float64],
        right: NDArray[np.bool_],
        before: BetaCalibration | None = None,
    ) -> BetaCalibration:
        """The likeliest map, given which answers were right; [n_rows] each.

        Beside the rows there are those of `PRIOR`, on which raw confidences are true: of those with
        p the share p is right. So no rows give no change, a few that are all wrong do not give 0
        (Platt 1999 smooths his targets for the same reason), and where there are no rows, as at the
        low confidences of alternatives, a map stays near to what it maps.

        Parameters
        ----------
        before
            What these rows say, in place of no change: a map that was fitted to others before.
        """
        from scipy.optimize import minimize

        prior = 1 / (1 + np.exp(-PRIOR))
        p = np.clip(np.concatenate([confidence, prior]), TINY, 1 - TINY)
        known = prior if before is None else np.array([before.apply(v) for v in prior.tolist()])
        share = np.concatenate([right.astype(np.float64), known])
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
        return all(map(is_number, (self.a, self.b, self.c))) and self.a >= 0 and self.b >= 0

    def apply(self, confidence: float) -> float:
        """The probability that an answer of this confidence is right."""
        p = min(max(confidence, TINY), 1 - TINY)
        z = self.a * math.log(p) - self.b * math.log1p(-p) + self.c
        return 1 / (1 + math.exp(-max(min(z, 500.0), -500.0)))

    def of(self, confidences: NDArray[np.float64]) -> NDArray[np.float64]:
        """The probabilities of many confidences, nan for nan; see `apply`."""
        p = np.clip(confidences, TINY, 1 - TINY)
        z = self.a * np.log(p) - self.b * np.log1p(-p) + self.c
        return np.asarray(1 / (1 + np.exp(-np.clip(z, -500, 500))))
