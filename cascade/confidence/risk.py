"""Confidences from which answers may be accepted, so that few of them are wrong."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import chain, pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cascade.confidence.maps import is_number

DELTA = 0.1  # probability, over the held-out rows, that a promised risk is exceeded
ROWS = 1000  # thresholds of a table, at most


@dataclass(frozen=True)
class RiskTable:
    """How many held-out rows get an answer at a threshold, and how many of them a wrong one.

    Parameters
    ----------
    threshold
        Confidences, decreasing.
    accepted, wrong
        Held-out rows that are answered where a node needs that confidence, and those of them whose
        answer is wrong.
    """

    threshold: tuple[float, ...]
    accepted: tuple[int, ...]
    wrong: tuple[int, ...]

    @classmethod
    def fit(cls, answered: NDArray[np.float64], wrong: NDArray[np.float64]) -> RiskTable:
        """The table of held-out rows.

        Parameters
        ----------
        answered
            float64 [n_rows], the greatest threshold at which each row still gets an answer.
        wrong
            float64 [n_rows], the greatest at which that answer is wrong; -inf where it never is. It
            is wrong at all thresholds below, too, and never above `answered`.
        """
        threshold = np.unique(np.concatenate([answered, wrong[np.isfinite(wrong)]]))[::-1]
        if len(threshold) > ROWS:
            threshold = threshold[np.linspace(0, len(threshold) - 1, ROWS).astype(np.int64)]
        counts = [
            len(values) - np.searchsorted(np.sort(values), threshold)
            for values in (answered, wrong)
        ]
        return cls(*(tuple(values.tolist()) for values in (threshold, *counts)))

    @classmethod
    def parse(cls, values: Any) -> RiskTable:
        """The table in plain values, which may not fit together; see `is_whole`."""
        return cls(**{name: tuple(row) for name, row in values.items()})

    def is_whole(self) -> bool:
        """Whether the table is such as `fit` makes, whatever file it comes from."""
        rows = (self.threshold, self.accepted, self.wrong)
        if len({len(row) for row in rows}) != 1 or not all(map(is_number, chain(*rows))):
            return False
        counts = zip(self.accepted, self.wrong, strict=True)
        return (
            all(0 <= wrong <= accepted for accepted, wrong in counts)
            and all(before > after for before, after in pairwise(self.threshold))
            and all(before <= after for before, after in pairwise(self.accepted))
        )

    def least_confidence(self, max_risk: float) -> float:
        """The least confidence at which a node may be accepted; infinite where none may.

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
