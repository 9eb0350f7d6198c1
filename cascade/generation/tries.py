"""Token tries: all answers to a question as one tree, with what each edge costs.

Answers that begin alike share their tokens, so a trie is scored by one forward pass over its
nodes with a tree attention mask, as in SpecInfer (arXiv 2305.09781) and Medusa (arXiv 2401.10774).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Reads:
    """What a reading takes from a trie: the nodes to compute, and the edges read off them.

    Parameters
    ----------
    nodes
        int64 [n], trie nodes whose hidden state is needed, without node 0 (the prompt's last
        token); parents come before their children.
    token, depth
        int64 [n], the token of each of them, and how many tokens it is from the prompt.
    sees
        bool [n, n], row i may see column j, an ancestor or itself.
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
    sees: NDArray[np.bool_]
    edges: NDArray[np.int64]
    edge_token: NDArray[np.int64]
    sources: NDArray[np.int64]
    starts: NDArray[np.int64]


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
    def build(cls, sequences: Sequence[Sequence[int]]) -> Trie:
        """The trie of token sequences, none of which may be a prefix of another.

        Equal sequences share a leaf.
        """
        lengths = np.fromiter(map(len, sequences), np.int64, len(sequences))
        flat = np.fromiter((t for s in sequences for t in s), np.int64, int(lengths.sum()))
        starts = np.cumsum(lengths) - lengths
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
    def leaf(self) -> NDArray[np.int64]:
        """int64 [n_answers], the node that ends each answer."""
        return np.asarray(self.ways.max(axis=1, initial=0))

    @property
    def n_children(self) -> NDArray[np.int64]:
        """int64 [n_nodes], how many edges leave each node."""
        return np.bincount(self.parent[1:], minlength=len(self))

    @cached_property
    def whole(self) -> Reads:
        """What the global reading needs: every edge."""
        return self._reads(1)

    @cached_property
    def branchings(self) -> Reads:
        """What the local reading needs: edges where the way divides.

        A lone edge has probability one, so only nodes on the way to a branching are computed.
        """
        return self._reads(2)

    def _reads(self, fewest: int) -> Reads:
        """The edges that leave nodes of at least `fewest` children."""
        n_children = self.n_children
        read = n_children >= fewest
        needed = read.copy()
        ends = np.searchsorted(self.depth, np.arange(int(self.depth[-1]) + 2))
        for start, end in zip(ends[-2:0:-1], ends[:1:-1], strict=True):
            needed[self.parent[start:end][needed[start:end]]] = True
        nodes = np.flatnonzero(needed[1:]) + 1
        place = np.full(len(self), -1)
        place[0] = 0
        place[nodes] = 1 + np.arange(len(nodes))
        edges = np.flatnonzero(read[self.parent[1:]]) + 1
        sources = np.flatnonzero(read)
        return Reads(
            nodes,
            self.token[nodes],
            self.depth[nodes],
            self._sees(nodes, place),
            edges,
            self.token[edges],
            place[sources],
            np.searchsorted(self.parent[edges], sources),
        )

    def _sees(self, nodes: NDArray[np.int64], place: NDArray[np.int64]) -> NDArray[np.bool_]:
        mask = np.zeros((len(nodes), len(nodes)), dtype=np.bool_)
        above = nodes
        while (inside := np.flatnonzero(above > 0)).size:
            mask[inside, place[above[inside]] - 1] = True
            above = np.where(above > 0, self.parent[above], 0)
        return mask

    def totals(self, edge_logprob: NDArray[np.float64]) -> NDArray[np.float64]:
        """Sum of `edge_logprob` [n_nodes] (0 for node 0) along the way to each answer."""
        return np.asarray(edge_logprob[self.ways].sum(axis=1))
