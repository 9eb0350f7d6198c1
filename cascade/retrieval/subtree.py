"""Values of nodes to values of subtrees, for all subtrees and many items at once.

Nodes lie in depth-first order, so siblings are neighbours among the nodes of their level, and
one segmented pass for each level, from the bottom up, reaches every subtree.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cascade.taxonomy import Taxonomy


class Subtrees:
    """Segmented passes over the subtrees of one taxonomy."""

    def __init__(self, taxonomy: Taxonomy) -> None:
        self._levels = [_by_parent(taxonomy, level) for level in range(taxonomy.depth, 1, -1)]
        self._inner = np.ones(len(taxonomy), dtype=np.bool_)
        self._inner[taxonomy.leaves] = False

    def maximum(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """The greatest value in each subtree, its root included.

        Parameters
        ----------
        values
            float32 [n_nodes, n_items].

        Returns
        -------
        float32 [n_nodes, n_items], `values` itself, changed in place.
        """
        return self._pass_up(values, np.maximum)

    def total(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """The sum over each subtree, its root included; as `maximum`, in place."""
        return self._pass_up(values, np.add)

    def log_mass(self, scores: NDArray[np.float32]) -> NDArray[np.float32]:
        """Log of the share of each subtree in a softmax over all leaves.

        Parameters
        ----------
        scores
            float32 [n_nodes, n_items], logits; those of inner nodes do not count.

        Returns
        -------
        float32 [n_nodes, n_items], at most 0; siblings and the mass of their parent agree.
        """
        scores = np.where(self._inner[:, None], np.float32(-np.inf), scores)
        shares = np.exp(scores - scores.max(axis=0))
        shares /= shares.sum(axis=0)
        return np.log(np.maximum(self.total(shares), np.finfo(np.float32).tiny))

    def _pass_up(self, values: NDArray[np.float32], combine: np.ufunc) -> NDArray[np.float32]:
        for nodes, starts, parents in self._levels:
            below = combine.reduceat(values[nodes], starts, axis=0)
            values[parents] = combine(values[parents], below)
        return values


def _by_parent(
    taxonomy: Taxonomy, level: int
) -> tuple[NDArray[np.int32], NDArray[np.int64], NDArray[Any]]:
    """Nodes of a level, where each parent's children start among them, and those parents."""
    nodes = taxonomy.level_nodes(level)
    above = taxonomy.parent[nodes]
    starts = np.flatnonzero(np.concatenate([[True], above[1:] != above[:-1]]))
    return nodes, starts, above[starts]
