"""Which leaf answers a row, by a student's probabilities, and what tells how much that may lose.

A student is less sure than the method whose words it repeats: where several leaves are nearly as
likely, one among others that are near to it loses less than one that stands alone. So of the
likeliest leaves that one answers whose expected hierarchical F1 is the greatest, with probabilities
made sharper.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cascade.taxonomy import Taxonomy

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]

LIKELIEST = 4  # leaves that an answer is chosen of; from all it is the same in 99% of the rows

CELLS = 1 << 18  # probabilities that are looked at together: what a core keeps at hand
HOPED = -2  # place of the sign that tells what is expected of an answer


def n_signs(n_leaves: int) -> int:
    """How many signs an answer has."""
    return 2 * min(LIKELIEST, n_leaves) + 2


class Choosing:
    """Answers and their signs, for one taxonomy."""

    def __init__(self, taxonomy: Taxonomy) -> None:
        leaves = taxonomy.leaves
        self.n_likeliest = min(LIKELIEST, len(leaves))
        self._level = taxonomy.level[leaves].astype(np.int64)
        # Ranges of leaves below the nodes of each leaf's path; empty ones where it has ended.
        paths = taxonomy.paths_of(leaves)
        inside = np.maximum(paths, 0)
        self._path = paths
        self._first = np.where(paths < 0, 0, np.searchsorted(leaves, inside))
        self._last = np.where(paths < 0, 0, np.searchsorted(leaves, taxonomy.end[inside]))
        self._levels = np.unique(self._level)

    def of(self, p: Floats) -> tuple[Ints, Floats]:
        """The answer to each row by its place among the leaves, and its signs.

        Signs: the probabilities of the likeliest leaves, falling; how far the answer is from each
        of these, as lost hierarchical F1; what is expected of it; and by how much the likeliest
        others could lower that.

        Parameters
        ----------
        p
            float32 [n_rows, n_leaves].

        Returns
        -------
        best : int64 [n_rows]
        signs : float32 [n_rows, n_signs]
        """
        best = np.empty(len(p), np.int64)
        signs = np.empty((len(p), n_signs(p.shape[1])), np.float32)
        step = max(1, CELLS // p.shape[1])
        for start in range(0, len(p), step):
            part = slice(start, start + step)
            best[part], signs[part] = self._of(p[part])
        return best, signs

    def _of(self, p: Floats) -> tuple[Ints, Floats]:
        rows = np.arange(len(p))
        likely, share = self._likeliest(p)
        sharper = p * np.sqrt(p)
        expected = self._expected(sharper, likely)
        chosen = expected.argmax(axis=1)
        best, own = likely[rows, chosen], share[rows, chosen]
        far = 1 - self._alike(best, likely)
        hoped = expected[rows, chosen] / sharper.sum(axis=1)
        risk = (far * share).sum(axis=1) / np.maximum(own, 1e-12)
        return best, np.column_stack([share, far, hoped, risk]).astype(np.float32)

    def _likeliest(self, p: Floats) -> tuple[Ints, Floats]:
        """The places and probabilities of the likeliest leaves [n_rows, n_likeliest], falling."""
        rows = np.arange(len(p))
        places = np.empty((len(p), self.n_likeliest), np.int64)
        shares = np.empty((len(p), self.n_likeliest), np.float32)
        for number in range(self.n_likeliest):
            places[:, number] = at = p.argmax(axis=1)
            shares[:, number] = p[rows, at]
            p[rows, at] = -1
        for number in range(self.n_likeliest):
            p[rows, places[:, number]] = shares[:, number]
        return places, shares

    def _alike(self, best: Ints, others: Ints) -> Floats:
        """Hierarchical F1 between leaves, float32 [n_rows, n_others]."""
        shared = np.zeros(others.shape, np.float32)
        for nodes in self._path:
            own = nodes[best][:, None]
            shared += (own == nodes[others]) & (own >= 0)
        return np.asarray(2 * shared / (self._level[best][:, None] + self._level[others]))

    def _expected(self, weights: Floats, leaves: Ints) -> Floats:
        """The hierarchical F1 of leaves that weights of all leaves expect, times their sum.

        Parameters
        ----------
        weights
            float32 [n_rows, n_leaves].
        leaves
            int64 [n_rows, n], of each row.
        """
        found = np.zeros(leaves.shape, np.float32)
        rows = np.arange(len(weights))[:, None]
        below = np.zeros((len(weights), weights.shape[1] + 1), np.float32)
        for level in self._levels.tolist():
            both = (2 / (level + self._level)).astype(np.float32)
            np.cumsum(weights * both, axis=1, out=below[:, 1:])
            here = self._level[leaves] == level
            total = np.zeros(leaves.shape, np.float32)
            for first, last in zip(self._first, self._last, strict=True):
                total += below[rows, last[leaves]] - below[rows, first[leaves]]
            found = np.where(here, total, found)
        return found
