"""Sets of nodes that hold the right one with a probability that was asked for.

A family of sets grows as a threshold t falls. The set at t is, of all sets of nodes none of which
lies below another, the one with the greatest sum of `p(node) - t * cost(node)`, where a leaf costs
1 and a subtree of n leaves `1 + log2(n)`: it is one entry, and so many questions with two answers
then tell its leaves apart. A leaf alone is in from `t = p(leaf)` on, as in the least ambiguous sets
of Sadinle et al. (2019); a whole subtree takes the place of its parts where it is worth more.

What is in at t stays in at all t below: worth over t grows with 1/t by the whole probability of a
subtree, and by no more for its parts, so that once it takes their place it keeps it. Of such nested
sets split conformal prediction (Gupta, Kuchibhotla and Ramdas 2022) finds the threshold: of n
held-out rows the `floor(a (n + 1))`-th smallest one at which the right node comes in, for a share a
that may be missed. Sets of several subtrees: Mortier et al. (arXiv 2501.19038).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cascade.confidence.maps import TINY, is_number
from cascade.errors import UsageError
from cascade.items import Spread
from cascade.predictions import Place, Prediction
from cascade.taxonomy import Taxonomy

Floats = NDArray[np.float64]

LEAST = 1e-3  # nodes that are less likely are not opened while thresholds are looked for
ENOUGH = 5  # rows of a branch that may be missed, so that it has a threshold of its own
STEPS = 40  # halvings of the interval of a threshold
MOST = 2000  # thresholds of a branch that are kept


class SetFamily:
    """The sets of one taxonomy, at any threshold.

    Parameters
    ----------
    is_end
        bool [n_nodes], where paths end, as if these nodes were leaves.

    Attributes
    ----------
    n_leaves
        [n_nodes], ends of paths at or below each node.
    """

    def __init__(self, taxonomy: Taxonomy, is_end: NDArray[np.bool_]) -> None:
        self.taxonomy = taxonomy
        lowest = is_end.copy()
        for node in np.flatnonzero(is_end).tolist():
            lowest[node + 1 : taxonomy.end[node]] = False
        before = np.concatenate([[0], np.cumsum(lowest)])
        self.n_leaves = np.maximum(before[taxonomy.end] - before[:-1], 1)
        self._cost = 1 + np.log2(self.n_leaves)

    def chosen(self, spread: Spread, threshold: Floats) -> NDArray[np.bool_]:
        """Which nodes make the set of each item at its threshold [n_items]; bool [n]."""
        worth = spread.probability - threshold[spread.rows] * self._cost[spread.nodes]
        below = np.zeros(len(worth))
        levels = list(zip(spread.levels[:-1], spread.levels[1:], strict=True))
        for start, end in levels[:0:-1]:
            best = np.maximum(worth[start:end], below[start:end])
            np.add.at(below, spread.parents[start:end], best)
        taken = (worth > below) | ((below == 0) & (worth >= 0))  # of equals the lower node
        covered = np.zeros(len(worth), bool)
        for start, end in levels[1:]:
            above = spread.parents[start:end]
            covered[start:end] = covered[above] | taken[above]
        return np.asarray(taken & ~covered)

    def comes_in(self, spread: Spread, right: NDArray[np.int32], n_items: int) -> Floats:
        """The greatest threshold at which the set of each item holds its right node; or 0.

        A set holds a node that is in it, or below one that is.

        Parameters
        ----------
        right
            int32 [n_items]
        """
        wanted = right[spread.rows]
        above = (spread.nodes <= wanted) & (wanted < self.taxonomy.end[spread.nodes])

        def holds(threshold: Floats) -> NDArray[np.bool_]:
            held = np.zeros(n_items, bool)
            held[spread.rows[self.chosen(spread, threshold) & above]] = True
            return held

        low, high = np.full(n_items, math.log(LEAST)), np.zeros(n_items)
        ever = holds(np.exp(low))
        for _ in range(STEPS):
            middle = (low + high) / 2
            held = holds(np.exp(middle))
            low, high = np.where(held, middle, low), np.where(held, high, middle)
        return np.where(ever, np.exp(low), 0.0)


@dataclass(frozen=True)
class SetTable:
    """Thresholds at which held-out rows' right nodes come into their sets.

    Parameters
    ----------
    branches
        By the code of the likeliest node of level 1, in increasing order.
    """

    branches: Mapping[str, tuple[float, ...]]

    @classmethod
    def fit(cls, comes_in: Floats, branch: NDArray[np.str_]) -> SetTable:
        """The table of held-out rows, [n_rows] each."""
        by_branch: dict[str, list[float]] = {}
        for code, value in zip(branch.tolist(), comes_in.tolist(), strict=True):
            by_branch.setdefault(code, []).append(round(value, 6))
        return cls({code: _thinned(sorted(found)) for code, found in sorted(by_branch.items())})

    @classmethod
    def parse(cls, values: Any) -> SetTable:
        """The table in plain values, which may not fit together; see `is_whole`."""
        return cls({code: tuple(found) for code, found in values["branches"].items()})

    def is_whole(self) -> bool:
        """Whether the table is such as `fit` makes, whatever file it comes from."""
        return all(
            all(map(is_number, found)) and all(0 <= value <= 1 for value in found)
            for found in self.branches.values()
        )

    def thresholds(self, coverage: float) -> tuple[dict[str, float], float]:
        """The threshold of each branch with rows enough, and that of all others.

        The others share one, from their own rows, or from all where these are too few.

        Raises
        ------
        UsageError
            All rows together are too few, or too many of them are never held.
        """
        missed = 1 - coverage
        own, rest, every = dict[str, float](), list[float](), list[float]()
        for code, found in self.branches.items():
            every += found
            if len(found) * missed >= ENOUGH:
                own[code] = _threshold(found, missed)
            else:
                rest += found
        pooled = _threshold(every, missed)
        if pooled <= 0:
            reached = sum(value > 0 for value in every) / (len(every) + 1)
            raise UsageError(
                f"the {len(every):,} held-out rows of this pack cannot tell sets with a coverage "
                f"of {coverage:g}, at most {math.floor(1000 * reached) / 1000:g}; ask for less "
                "(--set-coverage, calibration.set_coverage), or fit with more rows"
            )
        enough = len(rest) * missed >= ENOUGH
        return own, _threshold(rest, missed) if enough else pooled


def _thinned(values: list[float]) -> tuple[float, ...]:
    """At most `MOST` of some values in order, evenly."""
    step = math.ceil(len(values) / MOST)
    return tuple(values[::step]) if values else ()


def _threshold(values: Sequence[float], missed: float) -> float:
    """What a new row's threshold is below with a probability of at most `missed`; 0 of too few."""
    at = math.floor(missed * (len(values) + 1) + 1e-9)
    return sorted(values)[at - 1] if at else 0.0


class PredictionSets:
    """Adds to predictions the sets that have a coverage.

    Parameters
    ----------
    taxonomy
        What is scored: with a child for each node at which an item may stay.
    """

    def __init__(
        self, table: SetTable, coverage: float, taxonomy: Taxonomy, is_end: NDArray[np.bool_]
    ) -> None:
        self._family = SetFamily(taxonomy, is_end)
        own, other = table.thresholds(coverage)
        self._threshold = np.full(len(taxonomy), max(other, TINY))
        for node in taxonomy.level_nodes(1).tolist():
            self._threshold[node] = max(own.get(taxonomy.codes[node], other), TINY)

    @property
    def least(self) -> float:
        """The probability from which nodes have to be opened."""
        return max(float(self._threshold.min()), LEAST)

    def apply(
        self, predictions: Sequence[Prediction], spreads: Sequence[Spread]
    ) -> list[Prediction]:
        """The predictions with their sets, likeliest node first; the answer where a set is empty.

        Parameters
        ----------
        spreads
            Of the items of the predictions, with rows in their order.
        """
        found: list[list[int]] = [[] for _ in predictions]
        for spread in spreads:
            branch = likeliest_branches(spread, len(predictions))
            threshold = np.where(branch >= 0, self._threshold[branch], 1.0)
            chosen = np.flatnonzero(self._family.chosen(spread, threshold))
            order = chosen[np.argsort(-spread.probability[chosen], kind="stable")]
            for row, node in zip(
                spread.rows[order].tolist(), spread.nodes[order].tolist(), strict=True
            ):
                found[row].append(node)
        return [
            replace(prediction, set=self._set(prediction, nodes))
            for prediction, nodes in zip(predictions, found, strict=True)
        ]

    def _set(self, prediction: Prediction, nodes: Sequence[int]) -> tuple[Place, ...]:
        """Nodes as places; the answer where there are none.

        Also of an item that fits nowhere: should it belong all the same, the coverage holds.
        """
        return tuple([self._place(node) for node in nodes]) or _itself(prediction)

    def _place(self, node: int) -> Place:
        if node not in self._known:
            taxonomy = self._family.taxonomy
            self._known[node] = Place(taxonomy.codes[node], taxonomy.path(node))
        return self._known[node]

    @cached_property
    def _known(self) -> dict[int, Place]:
        return {}


def _itself(prediction: Prediction) -> tuple[Place, ...]:
    """The whole best answer, also where it was climbed from, or fits nowhere."""
    best = prediction.climbed_from or prediction
    if best.code is None or best.path is None:
        return ()
    return (Place(best.code, best.path),)


def likeliest_branches(spread: Spread, n_items: int) -> NDArray[np.int32]:
    """The likeliest node of level 1 of each item, -1 of those that the spread has not; int32."""
    top = slice(0, spread.levels[1] if len(spread.levels) > 1 else 0)
    order = np.argsort(spread.probability[top], kind="stable")
    found = np.full(n_items, -1, np.int32)
    found[spread.rows[top][order]] = spread.nodes[top][order]  # the last of each row stays
    return found
