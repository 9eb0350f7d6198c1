"""McNemar's exact test: whether two runs are right equally often."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cascade.errors import UsageError
from cascade.evaluation.metrics.gold_and_predicted import Flags, GoldAndPredicted


@dataclass(frozen=True, slots=True)
class McNemar:
    """Rows by who is right, and how likely so uneven a split would be if both were equally good.

    Parameters
    ----------
    both, only_ours, only_theirs, neither
        Rows.
    p_value
        Two-sided, exact; 1 where the two are right on the same rows.
    """

    both: int
    only_ours: int
    only_theirs: int
    neither: int
    p_value: float


def mcnemar(ours: GoldAndPredicted, theirs: GoldAndPredicted, level: int | None = None) -> McNemar:
    """McNemar's exact test of two answers to the same rows.

    Under the null hypothesis each row that only one has right is as likely to be the one's as the
    other's: p = P(B <= min) + P(B >= max) for B ~ Binomial(only_ours + only_theirs, 1/2)
    (McNemar 1947, "Note on the sampling error of the difference between correlated proportions";
    Dietterich 1998, "Approximate Statistical Tests for Comparing Supervised Classification
    Learning Algorithms").

    Parameters
    ----------
    level
        Right is having the gold node at this level, of the rows whose gold path is that deep; if
        None it is having the gold node itself.

    Raises
    ------
    UsageError
        The answers are not of the same rows.
    """
    from scipy.stats import binomtest

    if not np.array_equal(ours.gold_node, theirs.gold_node):
        raise UsageError("answers of other rows, or in another order; give answers of the same")
    a, b = (_right(answers, level) for answers in (ours, theirs))
    only_ours, only_theirs = int((a & ~b).sum()), int((b & ~a).sum())
    split = only_ours + only_theirs
    return McNemar(
        int((a & b).sum()),
        only_ours,
        only_theirs,
        int((~a & ~b).sum()),
        float(binomtest(only_ours, split).pvalue) if split else 1.0,
    )


def _right(answers: GoldAndPredicted, level: int | None) -> Flags:
    if level is None:
        return answers.exact
    gold = answers.gold[:, level - 1]
    return np.asarray((answers.predicted[:, level - 1] == gold)[gold >= 0])
