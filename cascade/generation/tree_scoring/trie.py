"""Token tries: all answers to a question as one tree, with what each edge costs.

Answers that begin alike share their tokens, so a trie is scored by one forward pass over its
nodes with a tree attention mask, as in SpecInfer (arXiv 2305.09781) and Medusa (arXiv 2401.10774).
"""

from __future__ import annotations

from dataclasses import dataclass
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

    @classmethod
    def build(cls, sequences: TokenSequences) -> Trie:
        """The trie of token sequences, none of which may be a prefix of another.

        Equal sequences share a leaf.
        """
        flat, lengths, starts = sequences.tokens, sequences.lengths, sequences.starts
        deepest = int(lengths.max(initial=0))
        vocabulary = int(flat.max(initial=0)) + 1
        ways = np.zeros((len(sequences), deepest), dtype=np.int64)
        token, parent, depth = ([np.array([first])] for first in (-1, -1, 0))
        n = 1
        for level in range(deepest):
            live = np.flatnonzero(lengths > level)
            above = ways[live, level - 1] if level else 0
            # A node is its parent and its token; sorted, children of a parent lie together.
            keys, which = np.unique(
                above * vocabulary + flat[starts[live] + level], return_inverse=True
            )
            ways[live, level] = n + which
            token.append(keys % vocabulary)
            parent.append(keys // vocabulary)
            depth.append(np.full(len(keys), level + 1))
            n += len(keys)
        return cls(np.concatenate(token), np.concatenate(parent), np.concatenate(depth), ways)

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
        return self._all_edges if reading == "global" else self._branching_edges

    @cached_property
    def _all_edges(self) -> ScoringPlan:
        return self._plan(min_children=1)

    @cached_property
    def _branching_edges(self) -> ScoringPlan:
        return self._plan(min_children=2)

    def _plan(self, min_children: int) -> ScoringPlan:
        """The plan that reads the edges out of nodes with so many children or more."""
        is_source = self.n_children >= min_children
        computed = is_source.copy()
        level_ends = np.searchsorted(self.depth, np.arange(int(self.depth[-1]) + 2))
        for start, end in zip(level_ends[-2:0:-1], level_ends[:1:-1], strict=True):
            # A node is computed where one of its children is: from the deepest level upwards.
            computed[self.parent[start:end][computed[start:end]]] = True
        nodes = np.flatnonzero(computed[1:]) + 1
        place = np.full(len(self), -1)  # of each node in the plan; 0 is the end of the prompt
        place[0] = 0
        place[nodes] = 1 + np.arange(len(nodes))
        edges = np.flatnonzero(is_source[self.parent[1:]]) + 1
        sources = np.flatnonzero(is_source)
        return ScoringPlan(
            nodes,
            self.token[nodes],
            self.depth[nodes],
            place[self.parent[nodes]] - 1,
            edges,
            self.token[edges],
            place[sources],
            np.searchsorted(self.parent[edges], sources),
        )

    def totals(self, edge_logprob: NDArray[np.float64]) -> NDArray[np.float64]:
        """Sum of `edge_logprob` [n_nodes] (0 for node 0) along the way to each answer."""
        return np.asarray(edge_logprob[self.ways].sum(axis=1))
