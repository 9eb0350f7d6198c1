"""Token tries: all answers to a question as one tree, with what each edge costs.

Answers that begin alike share their tokens, so a trie is scored by one forward pass over its
nodes with a tree attention mask, as in SpecInfer (arXiv 2305.09781) and Medusa (arXiv 2401.10774).
Those of many questions are made together, for most are so small that NumPy's calls cost more than
what they do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from cascade.generation.engine import Reading
from cascade.generation.text_encoding import TokenSequences


@dataclass(frozen=True)
class ScoringPlan:
    """What of a trie is computed and read: nodes for the model to run, and edges to score.

    Parameters
    ----------
    nodes
        int64 [n], trie nodes whose hidden state is needed, without node 0 (the prompt's last
        token); parents come before their children.
    token, depth
        int64 [n], the token of each of them, and how many tokens it is from the prompt.
    parents
        int64 [n], the place in `nodes` of the parent of each; -1 is the prompt.
    edges, edge_token
        int64 [n_edges], trie nodes whose edge is read, and the token on it; edges of one source
        lie together.
    sources
        int64 [n_sources], where the state is that edges are read off: 0 is the end of the prompt,
        1 + i the node `nodes[i]`.
    starts
        int64 [n_sources], where the edges of each source begin.
    """

    nodes: NDArray[np.int64]
    token: NDArray[np.int64]
    depth: NDArray[np.int64]
    parents: NDArray[np.int64]
    edges: NDArray[np.int64]
    edge_token: NDArray[np.int64]
    sources: NDArray[np.int64]
    starts: NDArray[np.int64]

    @cached_property
    def attention_mask(self) -> NDArray[np.bool_]:
        """bool [n, n], whether node i attends to node j, an ancestor or itself."""
        n = len(self.nodes)
        mask = np.zeros((n, n), dtype=np.bool_)
        above = np.arange(n)
        while (inside := np.flatnonzero(above >= 0)).size:
            mask[inside, above[inside]] = True
            above = np.where(above >= 0, self.parents[above], -1)
        return mask

    def split(self, most: int) -> list[ScoringPlan]:
        """The same in parts of at most `most` nodes, with the ancestors of these."""
        n = len(self.nodes)
        if n <= most:
            return [self]
        order = self._depth_first()
        counts = np.diff(self.starts, append=len(self.edges))
        parts = []
        for start in range(0, n, most):
            own = np.zeros(n + 1, dtype=np.bool_)  # the last is the prompt
            own[order[start : start + most]] = True
            read = own[self.sources - 1]
            read[self.sources == 0] = start == 0
            above = np.flatnonzero(own[:n])
            while (above := self.parents[above][self.parents[above] >= 0]).size:
                own[above] = True
            kept = np.flatnonzero(own[:n])
            place = np.full(n + 1, -1)
            place[kept] = np.arange(len(kept))
            edges = np.repeat(read, counts)
            parts.append(
                ScoringPlan(
                    self.nodes[kept],
                    self.token[kept],
                    self.depth[kept],
                    place[self.parents[kept]],
                    self.edges[edges],
                    self.edge_token[edges],
                    1 + place[self.sources[read] - 1],
                    np.cumsum(counts[read]) - counts[read],
                )
            )
        return parts

    def _depth_first(self) -> NDArray[np.int64]:
        """int64 [n], places of the nodes so that those of a subtree are neighbours."""
        above = self.parents.tolist()
        size = [1] * (len(above) + 1)
        for i in range(len(above) - 1, -1, -1):
            size[above[i]] += size[i]
        free = [0] * (len(above) + 1)  # the next place below each; the last is the prompt
        order = np.empty(len(above), dtype=np.int64)
        for i, parent in enumerate(above):
            at = free[parent]
            order[at] = i
            free[parent] += size[i]
            free[i] = at + 1
        return order


@dataclass(frozen=True)
class Trie:
    """A prefix tree over token sequences; node 0 is the end of the prompt.

    Nodes lie in breadth-first order, so the children of a node are neighbours.

    Parameters
    ----------
    token
        int64 [n_nodes], token on the edge into each node; -1 for node 0.
    parent
        int64 [n_nodes], -1 for node 0; never decreases.
    depth
        int64 [n_nodes], 0 for node 0.
    ways
        int64 [n_answers, depth], the nodes on the way to each answer, filled up with node 0.
    """

    token: NDArray[np.int64]
    parent: NDArray[np.int64]
    depth: NDArray[np.int64]
    ways: NDArray[np.int64]
    _plans: dict[Reading, ScoringPlan] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def build(cls, sequences: TokenSequences) -> Trie:
        """The trie of token sequences, none of which may be a prefix of another.

        Equal sequences share a leaf.
        """
        return tries_of(sequences, [len(sequences)])[0]

    def __len__(self) -> int:
        return len(self.token)

    @property
    def n_children(self) -> NDArray[np.int64]:
        """int64 [n_nodes], how many edges leave each node."""
        return np.bincount(self.parent[1:], minlength=len(self))

    def plan(self, reading: Reading) -> ScoringPlan:
        """What must be computed and read to score all answers in a reading.

        The global reading needs every edge. In the local one an edge without siblings has
        probability one, so that only edges at branchings are read, and only nodes on the way to a
        branching are computed.
        """
        return plans_of([self], reading)[0]

    def totals(self, edge_logprob: NDArray[np.float64]) -> NDArray[np.float64]:
        """Sum of `edge_logprob` [n_nodes] (0 for node 0) along the way to each answer."""
        return np.asarray(edge_logprob[self.ways].sum(axis=1))


def tries_of(sequences: TokenSequences, counts: Sequence[int]) -> list[Trie]:
    """The tries of many questions; see `Trie.build`.

    Parameters
    ----------
    sequences
        Those of the first question, then those of the second, and so on.
    counts
        How many each question has.
    """
    lengths, n = sequences.lengths, len(counts)
    owner = np.repeat(np.arange(n), counts)
    real = np.arange(int(lengths.max(initial=0))) < lengths[:, None]
    rows: NDArray[np.int64] = np.full(real.shape, -1)
    rows[real] = sequences.tokens
    order = _sorted(rows, owner)
    rows, real, owner = rows[order], real[order], owner[order]
    # What begins alike lies together, and a node is new where a row differs from the one before.
    is_new = np.ones_like(real)
    is_new[1:] = rows[1:] != rows[:-1]
    if rows.shape[1]:
        is_new[1:, 0] |= owner[1:] != owner[:-1]
    is_new = (np.logical_or.accumulate(is_new, axis=1) & real).T
    # All are built as one forest, whose first nodes are the ends of the prompts.
    number = n - 1 + np.cumsum(is_new.ravel()).reshape(is_new.shape)
    above = np.vstack([owner, number[:-1]])[: len(number)]
    nothing = np.full(n, -1)
    token = np.concatenate([nothing, rows.T[is_new]])
    parent = np.concatenate([nothing, above[is_new]])
    by_depth = np.concatenate([[n], is_new.sum(axis=1)])
    depth = np.repeat(np.arange(len(by_depth)), by_depth)
    ways = np.empty_like(rows)
    ways[order] = np.where(real, number.T, 0)
    if n == 1:
        return [Trie(token, parent, depth, ways)]
    root = np.concatenate([np.arange(n), np.broadcast_to(owner, is_new.shape)[is_new]])
    return _divided(token, parent, depth, root, ways, counts)


def _sorted(rows: NDArray[np.int64], owner: NDArray[np.int64]) -> NDArray[np.int64]:
    """int64 [n], the order of rows [n, width] of tokens and -1, by `owner` and then by tokens."""
    base = int(rows.max(initial=0)) + 2
    together = 63 // base.bit_length()  # tokens that are compared as one number
    keys = [owner]
    for start in range(0, rows.shape[1], together):
        key = np.zeros(len(rows), dtype=np.int64)
        for column in rows.T[start : start + together]:
            key = key * base + column + 1
        keys.append(key)
    return np.lexsort(keys[::-1])


def _divided(
    token: NDArray[np.int64],
    parent: NDArray[np.int64],
    depth: NDArray[np.int64],
    root: NDArray[np.int64],
    ways: NDArray[np.int64],
    counts: Sequence[int],
) -> list[Trie]:
    """The tries of a forest, with the `root` of each node, each with numbers of its own."""
    order = np.argsort(root, kind="stable")
    sizes = np.bincount(root, minlength=len(counts))
    number = np.empty_like(order)  # of each node in its trie
    number[order] = np.arange(len(order)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    parent = np.where(parent < 0, -1, number[parent])
    token, parent, depth, ways = token[order], parent[order], depth[order], number[ways]
    tries, node, answer = [], 0, 0
    for size, count in zip(sizes.tolist(), counts, strict=True):
        own = slice(node, node := node + size)
        own_ways = ways[answer : (answer := answer + count), : int(depth[node - 1])]
        tries.append(Trie(token[own], parent[own], depth[own], own_ways))
    return tries


def plans_of(tries: Sequence[Trie], reading: Reading) -> list[ScoringPlan]:
    """The plans of many tries in a reading; see `Trie.plan`."""
    new = list({id(trie): trie for trie in tries if reading not in trie._plans}.values())
    if new:
        for trie, plan in zip(new, _planned(new, 1 if reading == "global" else 2), strict=True):
            trie._plans[reading] = plan
    return [trie._plans[reading] for trie in tries]


def _planned(tries: Sequence[Trie], min_children: int) -> list[ScoringPlan]:
    """The plans that read the edges out of nodes with so many children or more."""
    sizes = np.array([len(trie) for trie in tries])
    roots = np.cumsum(sizes) - sizes
    token, depth = (
        np.concatenate([getattr(t, name) for t in tries]) for name in ("token", "depth")
    )
    shift = np.repeat(roots, sizes)
    parent = np.concatenate([trie.parent for trie in tries]) + shift
    parent[roots] = -1
    inner = np.flatnonzero(parent >= 0)
    is_source = np.bincount(parent[inner], minlength=len(parent)) >= min_children
    computed = is_source.copy()
    above = np.flatnonzero(is_source)
    while above.size:  # a node is computed where one of its children is
        above = parent[above]
        above = above[above >= 0]
        above = above[~computed[above]]
        computed[above] = True
    computed[roots] = False
    nodes, sources = np.flatnonzero(computed), np.flatnonzero(is_source)
    edges = inner[is_source[parent[inner]]]
    # Where those of each trie end among all.
    ends = [np.searchsorted(found, roots + sizes) for found in (nodes, edges, sources)]
    before = [np.repeat(own - np.diff(own, prepend=0), sizes) for own in ends[:2]]
    place = np.zeros(len(parent), dtype=np.int64)  # in the plan; 0 is the end of the prompt
    place[nodes] = 1 + np.arange(len(nodes)) - before[0][nodes]
    starts = np.searchsorted(parent[edges], sources) - before[1][sources]
    by_node = [nodes - shift[nodes], token[nodes], depth[nodes], place[parent[nodes]] - 1]
    by_edge = [edges - shift[edges], token[edges]]
    by_source = [place[sources], starts]
    plans, at = [], [0, 0, 0]
    for until in zip(*(own.tolist() for own in ends), strict=True):
        node, edge, source = map(slice, at, until)
        plans.append(
            ScoringPlan(
                *(values[node] for values in by_node),
                *(values[edge] for values in by_edge),
                *(values[source] for values in by_source),
            )
        )
        at = list(until)
    return plans
