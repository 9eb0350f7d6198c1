"""Similarities of items with the nodes that a search found: all further work is on these hits.

A subtree is a range of nodes, so the hits of an item in it are a range of its sorted hits. A node
that is asked about, but was not found, is compared with the item by its own texts.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cascade.items import Choices
from cascade.retrieval.array_ops import (
    expand_ranges,
    rank_in_run,
    reduce_ranges,
    run_starts,
    top_k,
    top_k_of_runs,
)
from cascade.retrieval.node_search import ExactSimilarity, NodeSearch, PairTable
from cascade.retrieval.similarities import Floats, Nodes, Similarities, TopLeaves
from cascade.retrieval.subtrees import NodeProbabilities
from cascade.retrieval.words.characters import ItemCharacters
from cascade.taxonomy import Taxonomy

Ints = NDArray[np.integer[Any]]

MATMUL_CELLS = 1024  # similarities with the children of one parent from which a matmul is quicker
MAX_CELLS = 1 << 24  # similarities that one matmul computes

TINY = np.finfo(np.float32).tiny  # least probability, so that its log is finite


class _Scored(NamedTuple):
    """Children of the parents of questions with their similarities, all [n]."""

    question: NDArray[np.int64]
    child: Nodes
    similarity: Floats


class HitSimilarities(Similarities):
    """Similarities of items with the nodes that were found for them.

    Parameters
    ----------
    taxonomy, search
        Nodes, and what finds them.
    hits
        Pairs of an item and a node that was found for it, with their similarity.
    n_items
        Items of the batch.
    exact
        The similarity of any other pair.
    """

    def __init__(
        self,
        taxonomy: Taxonomy,
        search: NodeSearch,
        hits: PairTable,
        n_items: int,
        exact: ExactSimilarity,
    ) -> None:
        self.taxonomy = taxonomy
        self.values = hits.value
        self._search = search
        self._hits = hits
        self._n_items = n_items
        self._exact = exact
        self._known = hits  # grows by the pairs that are asked about

    @classmethod
    def of(
        cls,
        taxonomy: Taxonomy,
        search: NodeSearch,
        vectors: Floats,
        characters: ItemCharacters | None = None,
    ) -> HitSimilarities:
        """Items, by their vectors [n_items, width] and characters, with the nodes near them."""
        exact = ExactSimilarity(search.index, vectors, characters=characters)
        return cls(taxonomy, search, search.find(vectors, characters), len(vectors), exact)

    def narrow(self, rows: Nodes, parents: Nodes, k: int) -> Choices:
        """The k best children of each question; see `Similarities`.

        Where hits lie below fewer than k children, the others are compared with the item.
        """
        scored = self._children_with_hits(rows, parents)
        n_kept = np.minimum(self.taxonomy.n_children(parents), k)
        too_few = np.flatnonzero(np.bincount(scored.question, minlength=len(rows)) < n_kept)
        if len(too_few):
            more = self._other_children(rows, parents, too_few, scored, k)
            scored = _Scored(*map(np.concatenate, zip(scored, *more, strict=True)))
        order = np.lexsort((scored.child, -scored.similarity, scored.question))
        order = order[rank_in_run(scored.question[order]) < k]
        offsets = np.concatenate([[0], np.cumsum(n_kept)]).astype(np.int64)
        return Choices(rows, parents, offsets, scored.child[order].astype(np.int32))

    def _children_with_hits(self, rows: Nodes, parents: Nodes) -> _Scored:
        """Children whose subtrees have hits, by question and child, with their best hit."""
        taxonomy = self.taxonomy
        end = np.where(parents < 0, len(taxonomy), taxonomy.end[parents])
        level = np.where(parents < 0, 0, taxonomy.level[parents])
        hit, question = expand_ranges(*self._hits.ranges(rows, parents + 1, end))
        child = self._ancestors[level[question], hit]
        starts = run_starts(question, child)
        best = np.maximum.reduceat(self.values[hit], starts) if len(hit) else self.values[:0]
        return _Scored(question[starts], child[starts], best)

    def _other_children(
        self, rows: Nodes, parents: Nodes, asked: NDArray[np.int64], scored: _Scored, k: int
    ) -> list[_Scored]:
        """Children that are not in `scored`, of the questions `asked`; perhaps only the k best."""
        asked = asked[np.argsort(parents[asked], kind="stable")]
        starts = run_starts(parents[asked])
        ends = np.append(starts[1:], len(asked))
        cells = (ends - starts) * self.taxonomy.n_children(parents[asked[starts]])
        by_matmul = cells >= MATMUL_CELLS
        rest = asked[np.repeat(~by_matmul, ends - starts)]
        found = [self._others_by_pairs(rows, parents, rest, scored)]
        for start, end in zip(starts[by_matmul].tolist(), ends[by_matmul].tolist(), strict=True):
            children = self.taxonomy.children(int(parents[asked[start]]))
            size = max(1, MAX_CELLS // len(children))
            for at in range(start, end, size):
                questions = asked[at : min(at + size, end)]
                found.append(self._others_by_matmul(rows, children, questions, scored, k))
        return found

    def _others_by_pairs(
        self, rows: Nodes, parents: Nodes, asked: NDArray[np.int64], scored: _Scored
    ) -> _Scored:
        """`_other_children` of questions at many parents: all of them, pair by pair."""
        offsets, child = self.taxonomy.children_of(parents[asked])
        question = np.repeat(asked, np.diff(offsets))
        n = len(self.taxonomy)
        known = np.isin(question * n + child, scored.question * n + scored.child, kind="sort")
        question, child = question[~known], child[~known]
        return _Scored(question, child, self._similarity(rows[question], child))

    def _others_by_matmul(
        self, rows: Nodes, children: Nodes, asked: NDArray[np.int64], scored: _Scored, k: int
    ) -> _Scored:
        """`_other_children` of questions at one parent: the k best, by one matrix product."""
        scores = self._exact.of_all(rows[asked], children).T
        first = np.searchsorted(scored.question, asked)
        last = np.searchsorted(scored.question, asked, side="right")
        known, row = expand_ranges(first, last)
        scores[row, np.searchsorted(children, scored.child[known])] = -np.inf
        best = top_k(scores, k)
        similarity = np.take_along_axis(scores, best, axis=1)
        there = similarity > -np.inf
        question = np.broadcast_to(asked[:, None], best.shape)[there]
        return _Scored(question, children[best[there]], similarity[there])

    @cached_property
    def _ancestors(self) -> Nodes:
        """int32 [depth, n_pairs], the ancestor of a hit at each level, or the hit itself.

        What stands at the levels below the hit's own means nothing.
        """
        taxonomy, node = self.taxonomy, self._hits.nodes
        level = taxonomy.level[node]
        ancestors = np.empty((taxonomy.depth, len(node)), dtype=np.int32)
        for depth in range(taxonomy.depth, 0, -1):
            ancestors[depth - 1] = node
            node = np.where(level >= depth, taxonomy.parent[node], node)
        return ancestors

    def _similarity(self, rows: Ints, nodes: Ints) -> Floats:
        """float32 [n], the similarity of each pair, computed once."""
        at, here = self._known.find(rows, nodes)
        if not here.all():
            new_rows, new_nodes = rows[~here], nodes[~here]
            value = self._exact.of_pairs(new_rows, new_nodes)
            new = PairTable.of(len(self.taxonomy), new_rows, new_nodes, value)
            self._known = self._known.merged(new)
            at, _ = self._known.find(rows, nodes)
        return self._known.value[at]

    def plus_names(self, weight: np.float32, texts: Sequence[str]) -> HitSimilarities:
        """With the similarities of names added; see `Similarities`.

        Holds the nodes that a search for the texts finds, too.
        """
        vectors = self._search.encode(texts)
        other = self._search.find(vectors)
        new = ~self._hits.find(other.rows, other.nodes)[1]
        rows = np.concatenate([self._hits.rows, other.rows[new]])
        nodes = np.concatenate([self._hits.nodes, other.nodes[new]])
        # What is known here of a pair is not computed again.
        names = self._exact.of_names(vectors, rows, nodes)
        value = self._similarity(rows, nodes) + weight * names
        hits = PairTable.of(len(self.taxonomy), rows, nodes, value)
        exact = self._exact.plus_names(weight, vectors)
        return HitSimilarities(self.taxonomy, self._search, hits, self._n_items, exact)

    def top_leaves(self, k: int) -> TopLeaves:
        """The k most similar leaves that were found; see `Similarities`."""
        hit = self._leaf_hits
        hit = hit[top_k_of_runs(self._hits.rows[hit], self.values[hit], k)]
        return TopLeaves(self._hits.rows[hit], self._hits.nodes[hit], hit)

    def top_nodes(self, k: int) -> Nodes:
        """The k most similar nodes that were found; see `Similarities`."""
        rows = self._hits.rows
        hit = top_k_of_runs(rows, self.values, k)
        best = np.full((self._n_items, k), -1, dtype=np.int32)
        best[rows[hit], rank_in_run(rows[hit])] = self._hits.nodes[hit]
        return best

    @cached_property
    def _leaf_hits(self) -> NDArray[np.int64]:
        """Which hits are leaves, in order."""
        nodes = self._hits.nodes
        return np.flatnonzero(self.taxonomy.end[nodes] == nodes + 1)

    def leaf_logsumexp(self, logits: Floats) -> Floats:
        """Over the leaves that were found; see `Similarities`."""
        items = np.arange(self._n_items)
        row = self._hits.rows[self._leaf_hits]
        first, last = np.searchsorted(row, items), np.searchsorted(row, items, side="right")
        return reduce_ranges(np.logaddexp, logits[self._leaf_hits], first, last, -np.inf)

    def broadcast(self, per_item: Floats) -> Floats:
        """One for each pair; see `Similarities`."""
        return np.asarray(per_item[self._hits.rows])

    def of_nodes(self, per_node: Floats) -> Floats:
        """One for each pair; see `Similarities`."""
        return np.asarray(per_node[self._hits.nodes])

    def best_leaves(self, values: Floats) -> tuple[TopLeaves, Floats]:
        """Of the leaves that were found; see `Similarities`."""
        leaf = self._leaf_hits
        top = leaf[top_k_of_runs(self._hits.rows[leaf], values[leaf], 2)]
        rows, of_top = self._hits.rows[top], values[top]
        second = np.flatnonzero(rank_in_run(rows) == 1)
        lead = np.zeros(self._n_items, dtype=np.float32)
        lead[rows[second]] = of_top[second - 1] - of_top[second]
        best = top[rank_in_run(rows) == 0]
        return TopLeaves(self._hits.rows[best], self._hits.nodes[best], best), lead

    def leaf_entropy(self, logits: Floats) -> Floats:
        """Of the leaves that were found; see `Similarities`."""
        log_z, rows = self.leaf_logsumexp(logits), self._hits.rows[self._leaf_hits]
        log_p = logits[self._leaf_hits] - log_z[rows]
        own = np.bincount(rows, -np.exp(log_p) * log_p, minlength=self._n_items)
        return own.astype(np.float32)

    def softmax(
        self, logits: Floats, temperature: Floats, shift: Floats | None = None
    ) -> HitNodeProbabilities:
        """Probabilities of all nodes; see `Similarities`."""
        if shift is None:
            shift = np.zeros(self._n_items, dtype=np.float32)
        return HitNodeProbabilities(self, logits, temperature, shift)

    def estimate(self, rows: Ints, nodes: Ints) -> Floats:
        """How similar the best leaf may be in subtrees without a leaf among the hits, float32 [n].

        As similar as the best hit in the subtree, or else as its root. But in the subtree of an
        inner node no more than the item's worst hit: the search would have found a better leaf.
        """
        first, last = self._hits.ranges(rows, nodes, self.taxonomy.end[nodes])
        best = reduce_ranges(np.maximum, self.values, first, last, -np.inf)
        none = np.flatnonzero(first == last)
        best[none] = self._similarity(rows[none], nodes[none])
        is_leaf = self.taxonomy.end[nodes] == nodes + 1
        return np.where(is_leaf, best, np.minimum(best, self._worst_hit[rows]))

    @cached_property
    def _worst_hit(self) -> Floats:
        """float32 [n_items], the least similarity of a hit."""
        items = np.arange(self._n_items)
        zero, end = np.zeros_like(items), np.full_like(items, len(self.taxonomy))
        first, last = self._hits.ranges(items, zero, end)
        return reduce_ranges(np.minimum, self.values, first, last, np.inf)

    def leaves_with(self, value: NDArray[Any]) -> PairTable:
        """The hits that are leaves, with other values, of all hits [n_pairs]."""
        return PairTable(
            self._hits.n_nodes, self._hits.key[self._leaf_hits], value[self._leaf_hits]
        )


class HitNodeProbabilities(NodeProbabilities):
    """Probabilities of the leaves that were found, summed for the nodes that are asked about.

    Parameters
    ----------
    similarities
        The hits.
    logits
        float32 [n_pairs].
    temperature, shift
        See `Similarities.softmax`.
    """

    def __init__(
        self, similarities: HitSimilarities, logits: Floats, temperature: Floats, shift: Floats
    ) -> None:
        self._taxonomy = similarities.taxonomy
        self._similarities = similarities
        self._temperature, self._shift = temperature, shift
        self._end = similarities.taxonomy.end
        log_z = similarities.leaf_logsumexp(logits)
        # Without a leaf among the hits, the greatest possible logit takes its place.
        self._log_z = np.where(np.isneginf(log_z), shift, log_z)
        p = np.exp((logits - similarities.broadcast(self._log_z)).astype(np.float64))
        self._leaves = similarities.leaves_with(p)

    def log_prob(self, rows: Ints, nodes: Nodes) -> Floats:
        """Log-probabilities of pairs; see `NodeProbabilities`."""
        first, last = self._leaves.ranges(rows, nodes, self._end[nodes])
        p = reduce_ranges(np.add, self._leaves.value, first, last, 0.0)
        out = np.log(np.maximum(p, TINY))
        none = np.flatnonzero(first == last)
        items = rows[none]
        similarity = self._similarities.estimate(items, nodes[none])
        logits = similarity / self._temperature[items] + self._shift[items]
        out[none] = np.maximum(logits - self._log_z[items], np.log(TINY))
        return np.asarray(out, dtype=np.float32)

    def top_ends(self, k: int, ends: Nodes | None = None) -> tuple[Nodes, Floats]:
        """The likeliest of the nodes above what was found; see `NodeProbabilities`."""
        nodes = self._leaves.nodes
        return self._top(self._leaves.rows, nodes if ends is None else ends[nodes], k)

    def likeliest_at(self, level: int) -> tuple[Nodes, Floats]:
        """The likeliest node of a level above what was found; see `NodeProbabilities`."""
        deep = np.flatnonzero(self._taxonomy.level[self._leaves.nodes] >= level)
        nodes = self._taxonomy.paths_of(self._leaves.nodes[deep])[level - 1]
        best, p = self._top(self._leaves.rows[deep], nodes, 1, deep)
        return best[:, 0], p[:, 0]

    def _top(
        self, rows: Nodes, nodes: Nodes, k: int, of: NDArray[np.int64] | None = None
    ) -> tuple[Nodes, Floats]:
        """The k nodes of each item with the greatest sums of leaves, where equal ones lie together.

        Parameters
        ----------
        rows, nodes
            For each leaf, or for each of those in `of`, its item and the node that it counts for.
        """
        value = self._leaves.value if of is None else self._leaves.value[of]
        n_items = len(self._shift)
        starts = run_starts(rows, nodes)
        rows, nodes = rows[starts], nodes[starts]
        p = np.add.reduceat(value, starts) if len(starts) else value
        best = top_k_of_runs(rows, p, k)
        rank = rank_in_run(rows[best])
        width = max(1, int(rank.max(initial=-1)) + 1)
        found = np.full((n_items, width), -1, dtype=np.int32)
        share = np.zeros((n_items, width), dtype=np.float32)
        found[rows[best], rank] = nodes[best]
        share[rows[best], rank] = p[best]
        return found, share

    def expected(self, worth: Floats, rows: Ints, nodes: Nodes) -> Floats:
        """Over the leaves that were found; see `NodeProbabilities`."""
        first, last = self._leaves.ranges(rows, nodes, self._end[nodes])
        value = self._leaves.value * worth[self._leaves.nodes]
        return np.asarray(reduce_ranges(np.add, value, first, last, 0.0), dtype=np.float32)
