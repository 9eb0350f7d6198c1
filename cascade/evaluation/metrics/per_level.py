"""Accuracy at a level, and the F1 of its classes, averaged in two ways."""

from __future__ import annotations

import numpy as np

from cascade.evaluation.metrics.gold_and_predicted import Floats, GoldAndPredicted, Nodes
from cascade.evaluation.metrics.ratio import Ratio, indicator, ratio


class ClassCounts:
    """Support, predictions and hits of every class at a level, for many samples of rows at once.

    Classes are the nodes at that level that are gold or predicted for a row whose gold path is that
    deep; rows whose gold path is shallower are dropped. A predicted path that is shallower is a
    miss, and no class.

    Parameters
    ----------
    lenient
        Whether the class of another right answer, where it is predicted, takes the place of the
        gold one.
    """

    def __init__(self, answers: GoldAndPredicted, level: int, *, lenient: bool = False) -> None:
        known = _lenient_gold(answers, level) if lenient else answers.gold[:, level - 1]
        rows = np.flatnonzero(known >= 0)
        gold = known[rows]
        found = answers.predicted[rows, level - 1]
        classes = np.unique(np.concatenate([gold, found[found >= 0]]))
        self._n = len(classes)
        place = np.searchsorted(classes, found[found >= 0])
        answered, right = found >= 0, found == gold
        home = np.searchsorted(classes, gold)
        self._sums = indicator(
            np.concatenate([home, self._n + place, 2 * self._n + home[right]]).astype(np.int64),
            np.concatenate([rows, rows[answered], rows[right]]),
            (3 * self._n, len(answers)),
        )

    def totals(self, weights: Floats) -> Floats:
        """Counts of samples: float64 [3, n_classes, n_samples], of gold, predicted, and both.

        Parameters
        ----------
        weights
            float64 [n_rows, n_samples], how often each row counts.
        """
        return np.asarray(self._sums @ weights).reshape(3, self._n, -1)


def accuracy(answers: GoldAndPredicted, level: int) -> Ratio:
    """Share of rows whose predicted path has the right node at level {level}.

    Rows whose gold path is shallower are dropped; a predicted path that is shallower is a miss.
    """
    known = answers.gold[:, level - 1] >= 0
    return Ratio.mean(answers.predicted[:, level - 1] == answers.gold[:, level - 1], known)


def accuracy_lenient(answers: GoldAndPredicted, level: int) -> Ratio:
    """`accuracy_l{level}` where the node of another right answer at that level is right, too."""
    known = _lenient_gold(answers, level)
    return Ratio.mean(answers.predicted[:, level - 1] == known, known >= 0)


def exact_to(answers: GoldAndPredicted, level: int) -> Ratio:
    """Share of all rows that are exactly right when both paths are cut at level {level}.

    Unlike `accuracy_l{level}` no row is dropped: one whose gold path ends above must end there too.
    """
    same = (answers.predicted[:, :level] == answers.gold[:, :level]).all(axis=1)
    return Ratio.mean(same)


def f1_weighted(totals: Floats) -> Floats:
    """F1 of each class at level {level}, averaged by gold support.

    sum_c s_c F1_c / sum_c s_c with F1_c = 2 tp_c / (s_c + p_c), where class c is the gold of s_c
    rows, predicted for p_c and both for tp_c, as `sklearn.metrics.f1_score(average="weighted")`.
    Rows whose gold path is shallower are dropped; a shallower prediction is a miss.
    """
    return ratio((totals[0] * _f1(totals)).sum(axis=0), totals[0].sum(axis=0))


def f1_macro(totals: Floats) -> Floats:
    """F1 of each class at level {level}, every class alike, over gold and predicted classes.

    A class that is predicted and never gold counts 0, as in `sklearn.metrics.f1_score(
    average="macro")` with these classes for labels. Rows whose gold path is shallower are dropped;
    a shallower prediction is a miss, and no class.
    """
    there = totals[0] + totals[1] > 0
    return ratio(_f1(totals).sum(axis=0), there.sum(axis=0).astype(np.float64))


def f1_weighted_lenient(totals: Floats) -> Floats:
    """`f1_weighted_l{level}` where the predicted class of another right answer is the gold one."""
    return f1_weighted(totals)


def f1_macro_lenient(totals: Floats) -> Floats:
    """`f1_macro_l{level}` where the predicted class of another right answer is the gold one."""
    return f1_macro(totals)


def _lenient_gold(answers: GoldAndPredicted, level: int) -> Nodes:
    """int32 [n_rows], the gold node at a level; the predicted one where a right answer has it."""
    assert answers.reached is not None
    right = answers.reached >= level
    return np.where(right, answers.predicted[:, level - 1], answers.gold[:, level - 1])


def _f1(totals: Floats) -> Floats:
    gold, predicted, both = totals
    return ratio(2 * both, gold + predicted, empty=0.0)
