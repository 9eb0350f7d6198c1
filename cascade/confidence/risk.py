"""Thresholds from which answers are accepted, so that few of them are wrong."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import chain, pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cascade.confidence.maps import is_number

DELTA = 0.025
"""Probability, over the held-out rows, that the risk of new rows is above the promised one. A file
has chance of its own: so one of as many rows as were held out keeps the risk nine times of ten."""
SPARED = 10  # wrong rows that the first test allows, where there are rows enough
RISKS = (0.01, 0.02, 0.03, 0.05, 0.08, 0.1, 0.15, 0.2, 0.3, 0.5)  # that people may ask for
ROWS = 1000  # thresholds of a table, at most


@dataclass(frozen=True)
class RiskTable:
    """How many held-out rows get an answer at a threshold, and how many of them a wrong one.

    Parameters
    ----------
    threshold
        What a level needs, decreasing: a confidence, or another score that never grows down a path.
    accepted, wrong
        Held-out rows that are answered at that threshold, and those of them whose answer is wrong.
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

    def least_threshold(self, max_risk: float) -> float:
        """The least threshold at which the risk is kept; infinite where there is none.

        Of the rows that are answered at most the share `max_risk` is wrong, with a probability of
        `1 - DELTA` over the held-out rows. Thresholds are tested from the strictest on, each with
        the exact binomial bound (Clopper and Pearson 1934), until one fails: fixed-sequence
        testing, as in Learn then Test (Angelopoulos et al. 2021). A mean over accepted rows is no
        monotone risk, which is what conformal risk control (Angelopoulos et al. 2022) asks for.

        The first threshold answers so many rows that `SPARED` of them may be wrong, or fewer where
        that would be more than half of the rows: else a few wrong labels among the surest rows
        would end the test before it has begun.
        """
        from scipy.special import betaincinv  # scipy.stats takes ten times as long to import

        if max_risk >= 1:
            return 0.0
        n, wrong = np.array(self.accepted), np.array(self.wrong)
        if max_risk <= 0 or not len(n):
            return math.inf
        enough = [_rows_for(spared, max_risk) for spared in range(SPARED + 1)]
        fitting = [rows for rows in enough if rows <= n[-1] / 2]
        first = int(np.searchsorted(n, max(fitting, default=enough[0])))
        n, wrong = n[first:], wrong[first:]
        right = n - wrong
        bound = np.where(right == 0, 1.0, betaincinv(wrong + 1, np.maximum(right, 1), 1 - DELTA))
        failed = np.flatnonzero(bound > max_risk)
        if len(failed):
            return self.threshold[first + failed[0] - 1] if failed[0] > 0 else math.inf
        return 0.0 if len(n) else math.inf  # all of them together are right enough

    def least_risk(self) -> float | None:
        """The least of the usual risks that some threshold keeps; None where none of them is."""
        kept = (risk for risk in RISKS if math.isfinite(self.least_threshold(risk)))
        return next(kept, None)


def _rows_for(wrong: int, max_risk: float) -> int:
    """How many rows must be answered so that a number of wrong ones still keeps the risk."""
    from scipy.special import bdtr

    rows = max(wrong + 1, math.ceil(math.log(DELTA) / math.log1p(-max_risk)))
    while bdtr(wrong, rows, max_risk) > DELTA:
        rows = math.ceil(rows * 1.02)
    return rows
