"""A batch compared with the nodes that a search found: beyond the search, work on the hits alone.

A subtree is a range of nodes, so the hits of an item in it are a range of its sorted hits. What the
search did not find, and is asked about all the same, is compared with its own texts.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cascade.items import Choices
from cascade.retrieval.best import best_first, best_of_each
from cascade.retrieval.comparison import Comparison, Floats, Leaves, Mass, Nodes
from cascade.retrieval.hits import Pairs
from cascade.retrieval.measures import Measure, OwnTexts, WithNames
from cascade.retrieval.searching import NodeSearch
from cascade.retrieval.segments import ranks, reduced, run_starts, spans

Ints = NDArray[np.integer[Any]]
Found = tuple[NDArray[np.int64], Nodes, Floats]
"""Questions, children and their similarities, all [n]."""

SHARED = 1024  # children to compare with, of questions at one parent, from which a product pays
CELLS = 1 << 24  # similarities that such a product makes at a time

LEAST = np.finfo(np.float32).tiny  # a share that is not less, so that its log is finite


class SparseComparison(Comparison):
    """Similarities of items with nodes that were found.

    Parameters
    ----------
    search
        What finds nodes.
    found
        Pairs of items and nodes with their similarity.
    n_items
        Items of the batch.
    measure
        The similarity of any pair.
    """

    def __init__(self, search: NodeSearch, found: Pairs, n_items: int, measure: Measure) -> None:
        self.taxonomy = search.taxonomy
        self.values = found.value
        self._search = search
        self._found = found
        self._n_items = n_items
        self._measure = measure
        self._known = found  # grows by what is asked about

    @classmethod
    def of(cls, search: NodeSearch, vectors: Floats) -> SparseComparison:
        """Items compared, by their unit vectors [n_items, width], with what is near them."""
        return cls(search, search.find(vectors), len(vectors), OwnTexts(search.index, vectors))

    def narrow(self, rows: Nodes, parents: Nodes, k: int) -> Choices:
        """The k best children of each question; see `Comparison`.

        Where hits lie below fewer than k children, the others are compared with the item.
        """
        taxonomy = self.taxonomy
        end = np.where(parents < 0, len(taxonomy), taxonomy.end[parents])
        at, question = spans(*self._found.within(rows, parents + 1, end))
        level = np.where(parents < 0, 0, taxonomy.level[parents])
        child = self._ways[level[question], at]
        starts = run_starts(question, child)
        best = np.maximum.reduceat(self.values[at], starts) if len(at) else self.values[:0]
        question, child = question[starts], child[starts]
        total = taxonomy.n_children(parents)
        few = np.bincount(question, minlength=len(rows)) < np.minimum(total, k)
        if few.any():
            more = self._others(rows, parents, np.flatnonzero(few), question, child, k)
            question, child, best = (
                np.concatenate(own) for own in zip((question, child, best), *more, strict=True)
            )
        order = np.lexsort((child, -best, question))
        order = order[ranks(question[order]) < k]
        offsets = np.concatenate([[0], np.cumsum(np.minimum(total, k))]).astype(np.int64)
        return Choices(rows, parents, offsets, child[order].astype(np.int32))

    def _others(
        self,
        rows: Nodes,
        parents: Nodes,
        few: NDArray[np.int64],
        question: NDArray[np.int64],
        child: Nodes,
        k: int,
    ) -> list[Found]:
        """Children of the questions `few` below which nothing was found, perhaps the best alone.

        Below each child in `child`, of the question in `question`, something was found.
        """
        few = few[np.argsort(parents[few], kind="stable")]
        starts = run_starts(parents[few])
        ends = np.append(starts[1:], len(few))
        cells = (ends - starts) * self.taxonomy.n_children(parents[few[starts]])
        shared = cells >= SHARED
        apart = few[np.repeat(~shared, ends - starts)]
        found = [self._apart(rows, parents, apart, question, child)]
        for first, last in zip(starts[shared].tolist(), ends[shared].tolist(), strict=True):
            children = self.taxonomy.children(int(parents[few[first]]))
            size = max(1, CELLS // len(children))
            for at in range(first, last, size):
                asked = few[at : min(at + size, last)]
                found.append(self._together(rows, children, asked, question, child, k))
        return found

    def _apart(
        self,
        rows: Nodes,
        parents: Nodes,
        asked: NDArray[np.int64],
        question: Ints,
        child: Nodes,
    ) -> Found:
        """`_others` of questions at many parents: pair by pair."""
        offsets, children = self.taxonomy.children_of(parents[asked])
        of = np.repeat(asked, np.diff(offsets))
        n = len(self.taxonomy)
        seen = np.isin(of * n + children, question * n + child, kind="sort")
        children, of = children[~seen], of[~seen]
        return of, children, self._similarity(rows[of], children)

    def _together(
        self,
        rows: Nodes,
        children: Nodes,
        asked: NDArray[np.int64],
        question: Ints,
        child: Nodes,
        k: int,
    ) -> Found:
        """`_others` of questions at one parent, the k best: one matrix product for all."""
        scores = self._measure.table(rows[asked], children).T
        seen, of = spans(
            np.searchsorted(question, asked), np.searchsorted(question, asked, side="right")
        )
        scores[of, np.searchsorted(children, child[seen])] = -np.inf
        best = best_first(scores, k)
        value = np.take_along_axis(scores, best, axis=1)
        there = value > -np.inf
        of = np.broadcast_to(asked[:, None], best.shape)[there]
        return of, children[best[there]], value[there]

    @cached_property
    def _ways(self) -> Nodes:
        """int32 [depth, n_pairs], the node at each level on the way down to that of a pair.

        What stands at the levels below a pair's own node means nothing.
        """
        taxonomy, node = self.taxonomy, self._found.nodes
        level = taxonomy.level[node]
        ways = np.empty((taxonomy.depth, len(node)), dtype=np.int32)
        for depth in range(taxonomy.depth, 0, -1):
            ways[depth - 1] = node
            node = np.where(level >= depth, taxonomy.parent[node], node)
        return ways

    def _similarity(self, rows: Ints, nodes: Ints) -> Floats:
        """float32 [n], the similarity of each pair, computed once."""
        at, here = self._known.find(rows, nodes)
        if not here.all():
            new_rows, new_nodes = rows[~here], nodes[~here]
            value = self._measure.pairs(new_rows, new_nodes)
            new = Pairs.best(len(self.taxonomy), new_rows, new_nodes, value)
            self._known = self._known.and_more(new)
            at, _ = self._known.find(rows, nodes)
        return self._known.value[at]

    def plus(self, weight: np.float32, texts: Sequence[str]) -> SparseComparison:
        """With the similarity of names added; see `Comparison`.

        What a search for the texts finds is held too.
        """
        vectors = self._search.encode(texts)
        other = self._search.find(vectors)
        new = ~self._found.find(other.rows, other.nodes)[1]
        rows = np.concatenate([self._found.rows, other.rows[new]])
        nodes = np.concatenate([self._found.nodes, other.nodes[new]])
        measure = WithNames(self._search.index, self._measure, weight, vectors)
        # What this comparison knows of a pair is not asked for again.
        value = self._similarity(rows, nodes) + weight * measure.names(rows, nodes)
        found = Pairs.best(len(self.taxonomy), rows, nodes, value)
        return SparseComparison(self._search, found, self._n_items, measure)

    def best_leaves(self, k: int) -> Leaves:
        """The k most similar leaves that were found; see `Comparison`."""
        at = self._leaves
        rows = self._found.rows[at]
        at = at[best_of_each(rows, self.values[at], k)]
        return Leaves(self._found.rows[at], self._found.nodes[at], at)

    @cached_property
    def _leaves(self) -> NDArray[np.int64]:
        """Which pairs have a leaf, in order."""
        nodes = self._found.nodes
        return np.flatnonzero(self.taxonomy.end[nodes] == nodes + 1)

    def log_total(self, logits: Floats) -> Floats:
        """Log of the sum over leaves that were found; see `Comparison`."""
        rows = np.arange(self._n_items)
        leaf = self._found.rows[self._leaves]
        first, last = np.searchsorted(leaf, rows), np.searchsorted(leaf, rows, side="right")
        return reduced(np.logaddexp, logits[self._leaves], first, last, -np.inf)

    def spread(self, per_item: Floats) -> Floats:
        """One for each pair; see `Comparison`."""
        return np.asarray(per_item[self._found.rows])

    def log_mass(
        self, logits: Floats, temperature: np.float32, shift: Floats | None = None
    ) -> SparseMass:
        """The mass of every node; see `Comparison`."""
        if shift is None:
            shift = np.zeros(self._n_items, dtype=np.float32)
        return SparseMass(self, logits, temperature, shift)

    def likely(self, rows: Ints, nodes: Ints) -> Floats:
        """How similar the best leaf may be in subtrees in which none was found, float32 [n].

        That of the best hit in the subtree, or of its root itself, but for inner nodes no more than
        the item's worst hit has: the search would have found a leaf that is more similar.
        """
        first, last = self._found.within(rows, nodes, self.taxonomy.end[nodes])
        best = reduced(np.maximum, self.values, first, last, -np.inf)
        none = np.flatnonzero(first == last)
        best[none] = self._similarity(rows[none], nodes[none])
        leaf = self.taxonomy.end[nodes] == nodes + 1
        return np.where(leaf, best, np.minimum(best, self._worst[rows]))

    @cached_property
    def _worst(self) -> Floats:
        """float32 [n_items], the least similarity of what was found."""
        every = np.arange(self._n_items)
        zero, end = np.zeros_like(every), np.full_like(every, len(self.taxonomy))
        first, last = self._found.within(every, zero, end)
        return reduced(np.minimum, self.values, first, last, np.inf)

    def leaves_with(self, value: NDArray[Any]) -> Pairs:
        """The leaves that were found, with other values; `value` is [n_pairs]."""
        return Pairs(self._found.n_nodes, self._found.key[self._leaves], value[self._leaves])


class SparseMass(Mass):
    """Shares of the leaves that were found, added up for the nodes that are asked about.

    Parameters
    ----------
    comparison
        What was found.
    logits
        float32 [n_pairs].
    temperature, shift
        See `Comparison.log_mass`.
    """

    def __init__(
        self, comparison: SparseComparison, logits: Floats, temperature: np.float32, shift: Floats
    ) -> None:
        self._comparison = comparison
        self._temperature, self._shift = temperature, shift
        self._end = comparison.taxonomy.end
        total = comparison.log_total(logits)
        # Where no leaf was found, the best that there can be takes the place of all.
        self._total = np.where(np.isneginf(total), shift, total)
        shares = np.exp((logits - comparison.spread(self._total)).astype(np.float64))
        self._leaves = comparison.leaves_with(shares)

    def of(self, rows: Ints, nodes: Nodes) -> Floats:
        """Log-shares of pairs; see `Mass`."""
        first, last = self._leaves.within(rows, nodes, self._end[nodes])
        mass = np.log(np.maximum(reduced(np.add, self._leaves.value, first, last, 0.0), LEAST))
        none = np.flatnonzero(first == last)
        own = rows[none]
        likely = self._comparison.likely(own, nodes[none])
        logits = likely / self._temperature + self._shift[own]
        mass[none] = np.maximum(logits - self._total[own], np.log(LEAST))
        return np.asarray(mass, dtype=np.float32)

    def best_leaves(self, k: int) -> Nodes:
        """The likeliest leaves that were found; see `Mass`."""
        rows = self._leaves.rows
        best = best_of_each(rows, self._leaves.value, k)
        place = ranks(rows[best])
        width = int(place.max(initial=-1)) + 1
        out = np.full((len(self._shift), width), -1, dtype=np.int32)
        out[rows[best], place] = self._leaves.nodes[best]
        return out
