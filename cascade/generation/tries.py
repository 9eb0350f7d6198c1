"""Token tries: all answers to a question as one tree, with what each edge costs.

Answers that begin alike share their tokens, so a trie is scored by one forward pass over its
nodes with a tree attention mask, as in SpecInfer (arXiv 2305.09781) and Medusa (arXiv 2401.10774).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Trie:
    """A prefix tree over token sequences; node 0 is the end of the prompt.

    Parameters
    ----------
    token
        int64 [n_nodes], token on the edge into each node; -1 for node 0.
    parent
        int64 [n_nodes], -1 for node 0; parents come before their children.
    depth
        int64 [n_nodes], 0 for node 0.
    leaf
        int64 [n_answers], the node that ends each answer.
    """

    token: NDArray[np.int64]
    parent: NDArray[np.int64]
    depth: NDArray[np.int64]
    leaf: NDArray[np.int64]

    @classmethod
    def build(cls, sequences: Sequence[Sequence[int]]) -> Trie:
        """The trie of token sequences, none of which may be a prefix of another.

        Equal sequences share a leaf.
        """
        token, parent, depth, leaf = [-1], [-1], [0], []
        children: dict[tuple[int, int], int] = {}
        for sequence in sequences:
            node = 0
            for t in sequence:
                child = children.get((node, t))
                if child is None:
                    child = children[node, t] = len(token)
                    token.append(t)
                    parent.append(node)
                    depth.append(depth[node] + 1)
                node = child
            leaf.append(node)
        return cls(*(np.array(column, dtype=np.int64) for column in (token, parent, depth, leaf)))

    def __len__(self) -> int:
        return len(self.token)

    @property
    def n_children(self) -> NDArray[np.int64]:
        """int64 [n_nodes], how many edges leave each node."""
        return np.bincount(self.parent[1:], minlength=len(self))

    def to_forward(self, *, local: bool) -> NDArray[np.int64]:
        """Nodes whose hidden state is needed, without node 0 (the prompt's last token).

        An edge is read off its parent, so leaves are never needed; and in the local reading
        only nodes on the way to a branching are, since a lone edge has probability one.
        """
        n_children = self.n_children
        needed = n_children >= (2 if local else 1)
        for node in range(len(self) - 1, 0, -1):
            if needed[node]:
                needed[self.parent[node]] = True
        return np.flatnonzero(needed[1:]) + 1

    def attention(self, nodes: NDArray[np.int64]) -> NDArray[np.bool_]:
        """bool [n, n] over `nodes`: row i may see column j, an ancestor or itself."""
        position = np.full(len(self), -1)
        position[nodes] = np.arange(len(nodes))
        mask = np.eye(len(nodes), dtype=np.bool_)
        for i, node in enumerate(nodes):
            above = position[self.parent[node]]
            if above >= 0:
                mask[i] |= mask[above]
        return mask

    def totals(self, edge_logprob: NDArray[np.float64]) -> NDArray[np.float64]:
        """Sum of `edge_logprob` [n_nodes] (0 for node 0) along the way to each answer."""
        total = np.zeros(len(self))
        for node in range(1, len(self)):
            total[node] = total[self.parent[node]] + edge_logprob[node]
        return np.asarray(total[self.leaf])
