"""Hierarchical precision, recall and F1, and other metrics of whole paths.

Each is a function of `GoldAndPredicted` and gives what its numerator and denominator sum up over
rows, so that the figure and all its bootstrap resamples are the same matrix product.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from cascade.evaluation.metrics.gold_and_predicted import Floats, GoldAndPredicted, heights
from cascade.evaluation.metrics.ratio import Ratio, RatioOf


def hp_micro(answers: GoldAndPredicted) -> Ratio:
    """Hierarchical precision, pooled over rows: sum |P & G| / sum |P|.

    P and G are the ancestors-or-self of the predicted and of the known answer. The root above the
    top, which every node shares, does not count (Kiritchenko, Matwin, Nock and Famili 2006,
    "Learning and Evaluation in the Presence of Class Hierarchies"; Silla and Freitas 2011, "A
    survey of hierarchical classification across different application domains"). 0 where nothing
    is predicted.
    """
    return Ratio(answers.shared, answers.predicted_size, empty=0.0)


def hr_micro(answers: GoldAndPredicted) -> Ratio:
    """Hierarchical recall, pooled over rows: sum |P & G| / sum |G|; see `hp_micro`."""
    return Ratio(answers.shared, answers.gold_size)


def hf1_micro(answers: GoldAndPredicted) -> Ratio:
    """Hierarchical F1, pooled over rows: 2 sum |P & G| / (sum |P| + sum |G|); see `hp_micro`.

    This is the harmonic mean of `hp_micro` and `hr_micro`.
    """
    return Ratio(2 * answers.shared, answers.predicted_size + answers.gold_size)


def hf1_sample(answers: GoldAndPredicted) -> Ratio:
    """Hierarchical F1 of each row, averaged: mean of 2 |P & G| / (|P| + |G|).

    Every row counts alike, where `hf1_micro` lets deep paths count more.
    """
    row = 2 * answers.shared / (answers.predicted_size + answers.gold_size)
    return Ratio.mean(row)


def exact_match(answers: GoldAndPredicted) -> Ratio:
    """Share of rows whose predicted node is the known answer, neither above nor below it."""
    return Ratio.mean(answers.exact)


def exact_match_with_nowhere(answers: GoldAndPredicted, unanswered: NDArray[np.bool_]) -> Ratio:
    """Share of rows that are exactly right, those that fit nowhere among them: any answer is wrong.

    It is over the rows of `answers`, then those that fit nowhere.

    Parameters
    ----------
    unanswered
        bool [n_nowhere], of each row that fits nowhere by its label, whether it got no node.
    """
    return Ratio.mean(np.concatenate([answers.exact, unanswered.astype(float)]))


def hp_micro_lenient(answers: GoldAndPredicted) -> Ratio:
    """`hp_micro` where an exact hit on another right answer counts in full.

    For such a row that answer takes the place of the known one. Nearness to another right answer
    counts nothing.
    """
    return Ratio(_hit(answers, answers.shared), answers.predicted_size, empty=0.0)


def hr_micro_lenient(answers: GoldAndPredicted) -> Ratio:
    """`hr_micro` where an exact hit on another right answer counts in full."""
    return Ratio(_hit(answers, answers.shared), _hit(answers, answers.gold_size))


def hf1_micro_lenient(answers: GoldAndPredicted) -> Ratio:
    """`hf1_micro` where an exact hit on another right answer counts in full.

    Nearness to another right answer counts nothing; see `hf1_micro_lenient_partial`.
    """
    sizes = answers.predicted_size + _hit(answers, answers.gold_size)
    return Ratio(2 * _hit(answers, answers.shared), sizes)


def hf1_micro_lenient_partial(answers: GoldAndPredicted) -> Ratio:
    """`hf1_micro` against the right answer that is nearest to the predicted one, in each row.

    Of the known and the other right answers R it is that with the largest 2 |P & R| / (|P| + |R|),
    so that nearness to any of them counts, where `hf1_micro_lenient` counts exact hits alone.
    """
    assert answers.nearest_node is not None
    nearest = replace(answers, gold_node=answers.nearest_node)
    return hf1_micro(nearest)


def exact_match_lenient(answers: GoldAndPredicted) -> Ratio:
    """Share of rows whose predicted node is the known answer or another right answer."""
    return Ratio.mean(answers.accepted)


def consistency(answers: GoldAndPredicted) -> Ratio:
    """Share of answered rows whose predictions, level by level, are a path of the taxonomy.

    One node predicted for all levels is always a path; predictions made for each level on its own
    may contradict each other. Rows without any prediction do not count.
    """
    good = np.ones(len(answers)) if answers.consistent is None else answers.consistent
    return Ratio.mean(good, answers.answered)


def lca_distance_mean(answers: GoldAndPredicted) -> Ratio:
    """Mean number of edges from the predicted to the known answer, over their common ancestor.

    |P| + |G| - 2 |P & G|: up from the predicted node to the lowest common ancestor and down to the
    gold node. Top nodes hang under a root; where nothing is predicted the way starts there.
    """
    steps = answers.predicted_size + answers.gold_size - 2 * answers.shared
    return Ratio.mean(steps)


def mistake_severity(answers: GoldAndPredicted) -> Ratio:
    """Mean height of the lowest common ancestor of predicted and right node, over errors only.

    The height of a node is the number of levels below it, that of the root above the top the depth
    of the taxonomy (Bertinetto, Mueller, Tertikas, Samangooei and Lord 2020, "Making Better
    Mistakes", section 4). Undefined without errors.
    """
    depth = answers.shared.astype(np.int64)
    ancestor = np.where(depth > 0, answers.gold[np.arange(len(answers)), depth - 1], -1)
    return Ratio.mean(heights(answers.taxonomy)[ancestor], ~answers.exact)


STRICT: tuple[RatioOf, ...] = (
    hf1_micro,
    hp_micro,
    hr_micro,
    hf1_sample,
    exact_match,
    consistency,
    lca_distance_mean,
    mistake_severity,
)
LENIENT: tuple[RatioOf, ...] = (
    hf1_micro_lenient,
    hp_micro_lenient,
    hr_micro_lenient,
    hf1_micro_lenient_partial,
    exact_match_lenient,
)


def _hit(answers: GoldAndPredicted, otherwise: Floats) -> Floats:
    """The size of the predicted path where that is a right answer."""
    return np.where(answers.accepted, answers.predicted_size, otherwise)
