"""From values of nodes to values of their subtrees, and the probabilities of all nodes.

Nodes lie in depth-first order, so siblings are neighbours among the nodes of their level, and one
segmented reduction for each level, from the bottom up, reaches every subtree of many items at once.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cascade.retrieval.array_ops import run_starts, top_k
from cascade.taxonomy import Taxonomy

Floats = NDArray[np.float32]
Nodes = NDArray[np.int32]


class Subtrees:
    """Reductions over the subtrees of one taxonomy, of arrays float32 [n_nodes, n_items]."""

    def __init__(self, taxonomy: Taxonomy) -> None:
        self._families = []  # nodes of a level, where those of one parent begin, the parents
        for level in range(taxonomy.depth, 1, -1):
            nodes = taxonomy.level_nodes(level)
            starts = run_starts(taxonomy.parent[nodes])
            self._families.append((nodes, starts, taxonomy.parent[nodes[starts]]))
        self._inner = np.ones(len(taxonomy), dtype=np.bool_)
        self._inner[taxonomy.leaves] = False

    def maximum(self, values: Floats) -> Floats:
        """The greatest value in each subtree, its root included; changes `values` in place."""
        return self._reduce(values, np.maximum)

    def sum(self, values: Floats) -> Floats:
        """The sum over each subtree, its root included; changes `values` in place."""
        return self._reduce(values, np.add)

    def log_softmax(self, logits: Floats) -> Floats:
        """Log-probability of each subtree under a softmax over all leaves.

        Logits of inner nodes do not count. The probabilities of siblings sum to their parent's.
        """
        logits = np.where(self._inner[:, None], np.float32(-np.inf), logits)
        p = np.exp(logits - logits.max(axis=0))
        p /= p.sum(axis=0)
        return np.log(np.maximum(self.sum(p), np.finfo(np.float32).tiny))

    def _reduce(self, values: Floats, combine: np.ufunc) -> Floats:
        for nodes, starts, parents in self._families:
            below = combine.reduceat(values[nodes], starts, axis=0)
            values[parents] = combine(values[parents], below)
        return values


class NodeProbabilities(ABC):
    """For each item of a batch the probability of every node; an inner node has its leaves' sum."""

    @abstractmethod
    def log_prob(self, rows: NDArray[np.integer[Any]], nodes: NDArray[np.int32]) -> Floats:
        """float32 [n], log-probability of `nodes[i]` for item `rows[i]`; finite."""

    @abstractmethod
    def top_ends(self, k: int, ends: Nodes | None = None) -> tuple[Nodes, Floats]:
        """The likeliest of the nodes where a path may end, best first.

        Parameters
        ----------
        ends
            int32 [n_nodes], for each leaf the node at or above it where its path ends; the leaf
            itself if not given.

        Returns
        -------
        nodes : int32 [n_items, at most k]
            -1 behind the last that is known.
        probability : float32 [n_items, at most k]
        """

    @abstractmethod
    def likeliest_at(self, level: int) -> tuple[Nodes, Floats]:
        """The likeliest node of a level, -1 where none is known, and its probability; [n_items]."""

    @abstractmethod
    def expected(self, worth: Floats, rows: NDArray[np.integer[Any]], nodes: Nodes) -> Floats:
        """float32 [n], sum of `p(leaf) * worth[leaf]` over leaves at or below nodes.

        Parameters
        ----------
        worth
            float32 [n_nodes].
        rows, nodes
            [n], items and nodes.
        """


class DenseNodeProbabilities(NodeProbabilities):
    """Probabilities as one array.

    Parameters
    ----------
    log_probs
        float32 [n_nodes, n_items], finite.
    """

    def __init__(self, taxonomy: Taxonomy, log_probs: Floats) -> None:
        self._taxonomy = taxonomy
        self._log_probs = log_probs

    def log_prob(self, rows: NDArray[np.integer[Any]], nodes: NDArray[np.int32]) -> Floats:
        """Log-probabilities of pairs; see `NodeProbabilities`."""
        return np.asarray(self._log_probs[nodes, rows])

    def top_ends(self, k: int, ends: Nodes | None = None) -> tuple[Nodes, Floats]:
        """The likeliest ends; see `NodeProbabilities`."""
        leaves = self._taxonomy.leaves
        nodes = leaves if ends is None else np.unique(ends[leaves])
        log_probs = self._log_probs[nodes].T
        best = top_k(log_probs, k)
        return nodes[best], np.exp(np.take_along_axis(log_probs, best, axis=1))

    def likeliest_at(self, level: int) -> tuple[Nodes, Floats]:
        """The likeliest node of a level; see `NodeProbabilities`."""
        nodes = self._taxonomy.level_nodes(level)
        log_probs = self._log_probs[nodes]
        best = log_probs.argmax(axis=0)
        return nodes[best], np.exp(log_probs[best, np.arange(len(best))])

    def expected(self, worth: Floats, rows: NDArray[np.integer[Any]], nodes: Nodes) -> Floats:
        """Over all leaves; see `NodeProbabilities`."""
        leaves = self._taxonomy.leaves
        value = np.exp(self._log_probs[leaves]) * worth[leaves, None]
        sums = np.zeros((len(leaves) + 1, value.shape[1]))
        np.cumsum(value, axis=0, out=sums[1:], dtype=np.float64)
        first, last = np.searchsorted(leaves, [nodes, self._taxonomy.end[nodes]])
        return np.asarray(sums[last, rows] - sums[first, rows], dtype=np.float32)
