"""Which leaf answers a row, by a student's probabilities, and signs of how much that may lose."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cascade.taxonomy import Taxonomy

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]

LIKELIEST = 4  # leaves that tell of how much may be lost: the answer, and what it leaves behind

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
        """The answer to each row, its likeliest leaf by its place among the leaves, and its signs.

        Signs: the probabilities of the likeliest leaves, falling; how far the answer is from each
        of these, as lost hierarchical F1; what is expected of it, with probabilities made sharper;
        and by how much the likeliest others could lower that.

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
        likely, share = self._likeliest(p)
        best = likely[:, 0]
        sharper = p * np.sqrt(p)
        far = 1 - self._alike(best, likely)
        hoped = self._expected(sharper, best) / sharper.sum(axis=1)
        risk = (far * share).sum(axis=1) / np.maximum(share[:, 0], 1e-12)
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

    def _expected(self, weights: Floats, best: Ints) -> Floats:
        """The hierarchical F1 of leaves that weights of all leaves expect, times their sum.

        Parameters
        ----------
        weights
            float32 [n_rows, n_leaves].
        best
            int64 [n_rows], of each row.
        """
        found = np.zeros(len(best), np.float32)
        for level in self._levels.tolist():
            here = np.flatnonzero(self._level[best] == level)
            own, rows = best[here], np.arange(len(here))
            below = np.zeros((len(here), weights.shape[1] + 1), np.float32)
            both = (2 / (level + self._level)).astype(np.float32)
            np.cumsum(weights[here] * both, axis=1, out=below[:, 1:])
            for first, last in zip(self._first, self._last, strict=True):
                found[here] += below[rows, last[own]] - below[rows, first[own]]
        return found
