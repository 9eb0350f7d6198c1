"""Metrics of answers as they were given: cut to a node above, or left for review, where unsure,
or with a set of nodes beside.

All other metrics are about the likeliest answers as a whole, whatever of them was given, so that
they compare methods and versions. Functions of `GoldAndPredicted`, as in `hierarchical_f1`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from cascade.evaluation.metrics.gold_and_predicted import Flags, Floats, GoldAndPredicted
from cascade.evaluation.metrics.hierarchical_f1 import exact_match, hf1_micro
from cascade.evaluation.metrics.ratio import Ratio, RatioOf


def coverage(answers: GoldAndPredicted) -> Ratio:
    """Share of rows that are answered and not marked `review`."""
    return Ratio.mean(_accepted(answers))


def exact_match_covered(answers: GoldAndPredicted) -> Ratio:
    """Share of exact answers among the rows that are answered and not marked `review`."""
    return Ratio.mean(_as_given(answers).exact, _accepted(answers))


def exact_match_whole(answers: GoldAndPredicted) -> Ratio:
    """Share of exact answers among the rows that were accepted as a whole, `ok` for most."""
    whole = _accepted(answers) & (_as_given(answers).predicted_node == answers.predicted_node)
    return Ratio.mean(answers.exact, whole)


def exact_match_given(answers: GoldAndPredicted) -> Ratio:
    """`exact_match` of answers as they were given: one above the known answer is not exact."""
    return exact_match(_as_given(answers))


def hf1_micro_given(answers: GoldAndPredicted) -> Ratio:
    """`hf1_micro` of answers as they were given; rows for `review` count by their suggestion."""
    return hf1_micro(_as_given(answers))


def risk_given(answers: GoldAndPredicted) -> Ratio:
    """Share of rows answered beside the known answer, neither it nor above it, not for `review`.

    Of all rows that are answered and not marked `review`. `--max-risk` bounds this risk.
    """
    return Ratio.mean(~_as_given(answers).below, _accepted(answers))


def information_given(answers: GoldAndPredicted) -> Ratio:
    """Mean share of the known answer's levels that are accepted and right; `review` has none."""
    given = _as_given(answers)
    return Ratio.mean(np.where(_accepted(answers), given.shared / given.gold_size, 0))


def set_coverage(answers: GoldAndPredicted) -> Ratio:
    """Share of rows whose set has the known answer or a node above it, of rows with a set."""
    return Ratio.mean(np.asarray(answers.in_set), _with_set(answers))


def set_size(answers: GoldAndPredicted) -> Ratio:
    """Mean number of nodes in a set, of which a whole branch counts as one."""
    return Ratio.mean(np.asarray(answers.set_size), _with_set(answers))


def set_size_median(sizes: Floats, weights: Floats) -> Floats:
    """Median number of nodes in a set, of which a whole branch counts as one.

    Parameters
    ----------
    sizes
        float64 [n_rows], 0 of rows without a set.
    weights
        float64 [n_rows, n_samples]

    Returns
    -------
    float64 [n_samples], nan where no row has a set.
    """
    order = np.argsort(sizes, kind="stable")
    order = order[sizes[order] > 0]
    if not len(order):
        return np.full(weights.shape[1], np.nan)
    below = np.cumsum(weights[order], axis=0)
    return np.asarray(sizes[order][(below >= below[-1] / 2).argmax(axis=0)])


def _with_set(answers: GoldAndPredicted) -> Flags:
    return np.asarray(np.asarray(answers.set_size) > 0)


SETS: tuple[RatioOf, ...] = (set_coverage, set_size)


def _as_given(answers: GoldAndPredicted) -> GoldAndPredicted:
    if answers.given_node is None:
        return answers
    return replace(answers, predicted_node=answers.given_node)


def _accepted(answers: GoldAndPredicted) -> Flags:
    if answers.reviewed is None:
        return answers.answered
    return np.asarray(answers.answered & ~answers.reviewed)


GIVEN: tuple[RatioOf, ...] = (
    coverage,
    exact_match_covered,
    exact_match_whole,
    exact_match_given,
    hf1_micro_given,
    risk_given,
    information_given,
)


@dataclass(frozen=True, slots=True)
class RowsGiven:
    """Rows that were given alike: as a whole, at a level, for review or not at all.

    Parameters
    ----------
    what
        `ok`, `level N`, `review` or `none` (in error, or nowhere).
    rows, right
        How many, and how many of them are the known answer, or above it where they were cut; for
        review: whose suggestion is the known answer.
    """

    what: str
    rows: int
    right: int


def rows_given(answers: GoldAndPredicted) -> list[RowsGiven]:
    """Rows by what was given: whole answers, those cut to a level from the deepest up, review."""
    return [each for each in _rows_given(answers) if each.rows]


def _rows_given(answers: GoldAndPredicted) -> Iterator[RowsGiven]:
    n = len(answers)
    review = np.zeros(n, bool) if answers.reviewed is None else answers.reviewed
    given = answers.predicted_node if answers.given_node is None else answers.given_node
    there = answers.answered & ~review
    whole = there & (given == answers.predicted_node)
    yield RowsGiven("ok", int(whole.sum()), int((whole & answers.exact).sum()))
    tree = answers.taxonomy
    above = (given <= answers.gold_node) & (answers.gold_node < np.append(tree.end, 0)[given])
    level = np.append(tree.level, 0)[given]
    for at in range(tree.depth, 0, -1):
        cut = there & ~whole & (level == at)
        yield RowsGiven(f"level {at}", int(cut.sum()), int((cut & above).sum()))
    left = review & answers.answered
    yield RowsGiven("review", int(left.sum()), int((left & answers.exact).sum()))
    yield RowsGiven("none", int((~answers.answered).sum()), 0)


@dataclass(frozen=True, slots=True)
class SetsOfSize:
    """Rows whose sets have about as many nodes.

    Parameters
    ----------
    low, high
        Sizes from and to.
    rows, held
        How many rows, and how many of their sets have the known answer or a node above it.
    """

    low: int
    high: int
    rows: int
    held: int

    @property
    def what(self) -> str:
        """The sizes in words."""
        if self.low == self.high:
            return f"{self.low} node{'s' * (self.low > 1)}"
        return f"{self.low} to {self.high} nodes"


def sets_by_size(answers: GoldAndPredicted) -> list[SetsOfSize]:
    """Rows by the size of their sets: size-stratified coverage; empty without sets.

    Angelopoulos and Bates 2021, "A gentle introduction to conformal prediction", section 3.1. Sizes
    above two are joined in steps that double.
    """
    if answers.set_size is None or answers.in_set is None:
        return []
    found, low = list[SetsOfSize](), 1
    while low <= answers.set_size.max():
        high = low if low < 3 else 2 * low - 2
        own = (answers.set_size >= low) & (answers.set_size <= high)
        if own.any():
            found.append(SetsOfSize(low, high, int(own.sum()), int((own & answers.in_set).sum())))
        low = high + 1
    return found
