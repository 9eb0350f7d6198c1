"""Gold and predicted nodes of rows, as the arrays that every metric is computed from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cascade.errors import UsageError
from cascade.taxonomy import Taxonomy

Floats = NDArray[np.float64]
Nodes = NDArray[np.int32]
Flags = NDArray[np.bool_]

DIGITS = 4  # of a confidence; predictions are written with as many


@dataclass(frozen=True)
class GoldAndPredicted:
    """Predicted against gold nodes of some rows; make one with `of`.

    Parameters
    ----------
    predicted_node, gold_node
        int32 [n_rows], indices of nodes; predicted is -1 where there is none.
    confidence
        float64 [n_rows], nan where there is none; None where no row has one.
    nearest_node, reached
        int32 [n_rows], of the known and the other right answers of a row the one that is nearest to
        the predicted node, and the deepest level to which the predicted path is that of any; None
        where no others are known. See `_nearest`.
    consistent
        bool [n_rows], whether what was predicted for each level is a path of the taxonomy; None
        where one node was predicted for all levels, which always is one.
    reviewed
        bool [n_rows], whether the answer was left for somebody to review; None where none was.
    facets
        int64 [n_rows, 3], facets of each row that are right, predicted, and gold; None where the
        taxonomy has none.
    given_node
        int32 [n_rows], the node that was answered with, which may lie above the predicted one where
        that was not sure enough; None where it never does.
    set_size, in_set
        int32 and bool [n_rows], nodes of the set of each row, and whether one of them is the gold
        node or above it; None where there are no sets.
    """

    taxonomy: Taxonomy
    predicted_node: Nodes
    gold_node: Nodes
    confidence: Floats | None = None
    nearest_node: Nodes | None = None
    reached: Nodes | None = None
    consistent: Flags | None = None
    reviewed: Flags | None = None
    facets: NDArray[np.int64] | None = None
    given_node: Nodes | None = None
    set_size: Nodes | None = None
    in_set: Flags | None = None

    @classmethod
    def of(
        cls,
        taxonomy: Taxonomy,
        predicted: ArrayLike,
        gold: ArrayLike,
        *,
        confidence: ArrayLike | None = None,
        also: Sequence[Sequence[int]] | None = None,
        levels: ArrayLike | None = None,
        reviewed: ArrayLike | None = None,
        facets: ArrayLike | None = None,
        given: ArrayLike | None = None,
        sets: Sequence[Sequence[int]] | None = None,
    ) -> GoldAndPredicted:
        """Arrays from node indices; -1 and nan where something is missing.

        Parameters
        ----------
        predicted, gold
            int [n_rows], indices of nodes.
        confidence
            float [n_rows], probability that the item lies at or below the predicted node.
        also
            For each row its other right answers.
        levels
            int [n_rows, depth], the nodes that were predicted for each level on its own.
        reviewed
            bool [n_rows], whether the answer is left for somebody to review.
        facets
            int [n_rows, 3], facets of each row that are right, predicted, and gold.
        given
            int [n_rows], the node that each row was answered with, where some are above the
            predicted one.
        sets
            For each row the nodes of its set.

        Raises
        ------
        UsageError
            There are no rows, the lengths differ, a value is no index of a node, or a confidence is
            no probability.
        """
        found = _indices("predicted", predicted, -1, len(taxonomy))
        known = _indices("gold", gold, 0, len(taxonomy))
        rows = len(known)
        _check_length("predicted nodes", found, rows)
        sure = nearest = reached = consistent = left = counts = shown = None
        if confidence is not None:
            sure = np.asarray(confidence, dtype=np.float64)
            _check_length("confidences", sure, rows)
            if wrong := np.flatnonzero((sure < 0) | (sure > 1)).tolist():
                raise UsageError(
                    f"confidence: found {sure[wrong[0]]:g} in row {wrong[0]}; expected "
                    "probabilities from 0 to 1, nan where there is none"
                )
        if also is not None:
            _check_length("lists of other right answers", also, rows)
            nearest, reached = _nearest(taxonomy, found, known, also)
        if levels is not None:
            by_level = _indices("levels", levels, -1, len(taxonomy), ndim=2)
            _check_length("rows of levels", by_level, rows)
            consistent = _consistent(taxonomy, by_level)
        if reviewed is not None:
            left = np.asarray(reviewed, dtype=np.bool_)
            _check_length("marks of review", left, rows)
        if facets is not None:
            counts = np.asarray(facets, dtype=np.int64).reshape(-1, 3)
            _check_length("counts of facets", counts, rows)
        if given is not None:
            shown = _indices("given", given, -1, len(taxonomy))
            _check_length("given nodes", shown, rows)
        size = held = None
        if sets is not None:
            _check_length("sets", sets, rows)
            size, held = _sets(taxonomy, known, sets)
        return cls(
            *(taxonomy, found, known, sure, nearest, reached, consistent, left, counts, shown),
            *(size, held),
        )

    def __len__(self) -> int:
        return len(self.gold_node)

    @cached_property
    def predicted(self) -> Nodes:
        """int32 [n_rows, depth], the predicted node at each level, -1 below the end of the path."""
        return paths(self.taxonomy)[self.predicted_node]

    @cached_property
    def gold(self) -> Nodes:
        """int32 [n_rows, depth], the gold node at each level, -1 below the end of the path."""
        return paths(self.taxonomy)[self.gold_node]

    @cached_property
    def depth(self) -> int:
        """The deepest level that a gold node has."""
        return int(self.taxonomy.level[self.gold_node].max())

    @property
    def same(self) -> Flags:
        """bool [n_rows, depth], the gold node lies at or below the predicted path's node there."""
        return np.asarray((self.predicted == self.gold) & (self.gold >= 0))

    @cached_property
    def shared(self) -> Floats:
        """float64 [n_rows], nodes that the predicted and the gold path have in common."""
        return np.asarray(self.same.sum(axis=1), dtype=np.float64)

    @property
    def accepted(self) -> Flags:
        """bool [n_rows], the predicted node is the gold node or another right answer."""
        return np.asarray(self.nearest_node == self.predicted_node)

    @cached_property
    def predicted_size(self) -> Floats:
        """float64 [n_rows], nodes on the predicted path; 0 where there is no prediction."""
        return self._level_of(self.predicted_node)

    @cached_property
    def gold_size(self) -> Floats:
        """float64 [n_rows], nodes on the gold path."""
        return self._level_of(self.gold_node)

    @property
    def exact(self) -> Flags:
        """bool [n_rows], the predicted node is the gold node."""
        return np.asarray(self.predicted_node == self.gold_node)

    @property
    def answered(self) -> Flags:
        """bool [n_rows], there is a prediction."""
        return np.asarray(self.predicted_node >= 0)

    @property
    def below(self) -> Flags:
        """bool [n_rows], the gold node lies at or below the predicted node."""
        return np.asarray(self.answered & (self.shared == self.predicted_size))

    @property
    def has_confidence(self) -> bool:
        """Whether any row has a confidence."""
        return self.confidence is not None and not np.isnan(self.confidence).all()

    @property
    def written_confidence(self) -> Floats:
        """float64 [n_rows], confidences as they are written, to four digits; -1 for none."""
        assert self.confidence is not None
        return np.where(np.isnan(self.confidence), -1.0, np.round(self.confidence, DIGITS))

    def take(self, rows: NDArray[np.int64]) -> GoldAndPredicted:
        """The answers of some rows."""
        columns = [getattr(self, field.name) for field in fields(self)[1:]]
        chosen: list[Any] = [None if column is None else column[rows] for column in columns]
        return GoldAndPredicted(self.taxonomy, *chosen)

    def distinct(self) -> tuple[GoldAndPredicted, GroupedRows]:
        """The answers that differ, and which of them each row has.

        Rows with the same predicted and gold nodes are the same to all metrics but those of
        confidence, so that these have to look at each pair once. Confidences are those of any row
        of a group.
        """
        key = self.gold_node.astype(np.int64) * (len(self.taxonomy) + 1) + self.predicted_node
        for flag in (self.consistent, self.reviewed, self.in_set):
            key = key * 2 + (0 if flag is None else flag)
        others = (self.nearest_node, self.reached, self.facets, self.given_node, self.set_size)
        for column in others:
            if column is not None:
                kinds, kind = np.unique(column, axis=0, return_inverse=True)
                key = np.unique(key, return_inverse=True)[1] * len(kinds) + kind.reshape(-1)
        first, groups = GroupedRows.of(key)
        return self.take(first), groups

    def distinct_confidences(self) -> tuple[GoldAndPredicted, GroupedRows]:
        """The answers that differ in confidence or in being right, the surest first.

        Other than in these they are those of any row of a group.
        """
        sure = np.round(-self.written_confidence * 10**DIGITS).astype(np.int64)
        first, groups = GroupedRows.of((sure * 2 + self.below) * 2 + self.exact)
        return self.take(first), groups

    def _level_of(self, nodes: Nodes) -> Floats:
        level = np.append(self.taxonomy.level, 0).astype(np.float64)
        return np.asarray(level[nodes])


@dataclass(frozen=True)
class GroupedRows:
    """Rows that are the same to a metric, counted together.

    Parameters
    ----------
    group
        int64 [n_rows], the group that each row is in.
    groups
        How many groups there are.
    """

    group: NDArray[np.int64]
    groups: int

    @classmethod
    def of(cls, keys: NDArray[np.int64]) -> tuple[NDArray[np.int64], GroupedRows]:
        """The first row of each group of equal keys, in the order of the keys, and the groups."""
        _, first, group = np.unique(keys, return_index=True, return_inverse=True)
        return first, cls(group.astype(np.int64), len(first))

    def total(self, weights: Floats) -> Floats:
        """float64 [n_groups, n_samples], summed over weights float64 [n_rows, n_samples]."""
        if self.groups == len(self.group):
            merged = np.empty_like(weights, order="C")
            merged[self.group] = weights
            return merged
        columns = [np.bincount(self.group, each, self.groups) for each in weights.T]
        return np.stack(columns, axis=1)


def paths(taxonomy: Taxonomy) -> Nodes:
    """int32 [n_nodes + 1, depth], the path to each node, -1 below it; the last row is all -1."""
    nodes = np.arange(len(taxonomy), dtype=np.int32)
    return np.vstack([taxonomy.paths_of(nodes).T, np.full((1, taxonomy.depth), -1, np.int32)])


def _nearest(
    taxonomy: Taxonomy, predicted: Nodes, gold: Nodes, also: Sequence[Sequence[int]]
) -> tuple[Nodes, Nodes]:
    """The right answer of each row that is nearest to the predicted node, and how far one agrees.

    Returns
    -------
    nearest : int32 [n_rows]
        The right answer with the largest 2 |P & R| / (|P| + |R|), P and R being the predicted path
        and its own; of equals the known answer, or else the first.
    reached : int32 [n_rows]
        The level down to which the predicted path is that of a right answer; 0 for none.
    """
    others = np.fromiter(map(len, also), dtype=np.int64, count=len(gold))
    every = np.arange(len(gold))
    rows = np.concatenate([every, np.repeat(every, others)])
    nodes = np.concatenate([gold, np.fromiter(chain.from_iterable(also), np.int32, others.sum())])
    way, level = paths(taxonomy), np.append(taxonomy.level, 0)
    ours, theirs = way[predicted[rows]], way[nodes]
    shared = ((ours == theirs) & (theirs >= 0)).sum(axis=1)
    near = 2 * shared / np.maximum(level[predicted[rows]] + level[nodes], 1)
    order = np.lexsort((-near, rows))  # stable: of equals the first stays the first
    first = order[np.searchsorted(rows[order], every)]
    reached = np.zeros(len(gold), dtype=np.int32)
    np.maximum.at(reached, rows, shared.astype(np.int32))
    return nodes[first].astype(np.int32), reached


def _sets(taxonomy: Taxonomy, gold: Nodes, sets: Sequence[Sequence[int]]) -> tuple[Nodes, Flags]:
    """How many nodes each set has, int32 [n_rows], and whether one holds the gold node, bool."""
    size = np.fromiter(map(len, sets), np.int32, len(gold))
    rows = np.repeat(np.arange(len(gold)), size)
    nodes = _indices("sets", [*chain.from_iterable(sets)] or [0], 0, len(taxonomy))[: len(rows)]
    held = np.zeros(len(gold), np.bool_)
    held[rows[(nodes <= gold[rows]) & (gold[rows] < taxonomy.end[nodes])]] = True
    return size, held


def heights(taxonomy: Taxonomy) -> Floats:
    """float64 [n_nodes + 1], levels below each node; last that of the root above the top."""
    found = np.zeros(len(taxonomy) + 1)
    for level in range(taxonomy.depth, 0, -1):
        nodes = taxonomy.level_nodes(level)
        np.maximum.at(found, taxonomy.parent[nodes], found[nodes] + 1)
    return found


def _indices(what: str, values: ArrayLike, least: int, n_nodes: int, ndim: int = 1) -> Nodes:
    array = np.asarray(values)
    if array.ndim != ndim or not array.size or not np.issubdtype(array.dtype, np.integer):
        raise UsageError(
            f"{what}: found {array.dtype} of shape {array.shape}; expected indices of nodes, "
            f"int {['[n_rows]', '[n_rows, depth]'][ndim - 1]}, of at least one row"
        )
    wrong = np.argwhere((array < least) | (array >= n_nodes))
    if wrong.size:
        hint = "; drop rows whose label is not in the taxonomy" if least == 0 else ""
        raise UsageError(
            f"{what}: found {array[tuple(wrong[0])]} in row {wrong[0, 0]}; expected indices from "
            f"{least} to {n_nodes - 1}{hint}"
        )
    return array.astype(np.int32)


def _check_length(what: str, values: Sequence[Any] | NDArray[Any], rows: int) -> None:
    if len(values) != rows:
        raise UsageError(f"{len(values):,} {what} for {rows:,} gold nodes; give one for each row")


def _consistent(taxonomy: Taxonomy, levels: Nodes) -> Flags:
    """Whether the nodes of each row, from the top, are each the parent of the next."""
    above = np.full(len(levels), -1, dtype=np.int32)
    good = np.ones(len(levels), dtype=np.bool_)
    ended = np.zeros(len(levels), dtype=np.bool_)
    parent = np.append(taxonomy.parent, -1)
    for column in levels.T:
        given = column >= 0
        good &= ~given | (~ended & (parent[column] == above))
        ended |= ~given
        above = column
    return good
