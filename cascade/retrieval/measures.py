"""How similar items are to any nodes, whether a search found them or not."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from cascade.retrieval.index import NodeIndex
from cascade.retrieval.segments import run_starts, spans

Floats = NDArray[np.float32]
Ints = NDArray[np.integer[Any]]

PAIRS = 2048  # pairs whose vectors lie side by side at a time: 6 MB at a width of 384
NODES = 16_384  # nodes whose vectors do


class Measure(Protocol):
    """The similarity of items and nodes."""

    def pairs(self, rows: Ints, nodes: Ints) -> Floats:
        """float32 [n], that of item `rows[i]` and node `nodes[i]`."""
        ...

    def table(self, rows: Ints, nodes: Ints) -> Floats:
        """float32 [n_nodes, n_rows], that of each item with each node; nodes increase."""
        ...


class OwnTexts:
    """The best cosine similarity with any text of a node itself.

    Parameters
    ----------
    vectors
        float32 [n_items, width], unit length.
    """

    def __init__(self, index: NodeIndex, vectors: Floats) -> None:
        self._index = index
        self._vectors = vectors

    def pairs(self, rows: Ints, nodes: Ints) -> Floats:
        """Of pairs; see `Measure`."""
        text, pair = spans(*self._index.texts_of(nodes))
        similar = dots(self._index.vectors, text, self._vectors, rows[pair])
        return np.asarray(np.maximum.reduceat(similar, run_starts(pair))) if len(pair) else similar

    def table(self, rows: Ints, nodes: Ints) -> Floats:
        """Of all with all; see `Measure`."""
        out = np.empty((len(nodes), len(rows)), dtype=np.float32)
        queries = self._vectors[rows].T
        for start in range(0, len(nodes), NODES):
            text, node = spans(*self._index.texts_of(nodes[start : start + NODES]))
            similar = self._index.vectors[text] @ queries
            out[start : start + NODES] = np.maximum.reduceat(similar, run_starts(node), axis=0)
        return out


class WithNames:
    """Another measure, with the weighted similarity of a text of each item to the node's name.

    Parameters
    ----------
    vectors
        float32 [n_items, width], of the texts.
    """

    def __init__(
        self, index: NodeIndex, before: Measure, weight: np.float32, vectors: Floats
    ) -> None:
        self._index, self._before = index, before
        self._weight, self._vectors = weight, vectors

    def names(self, rows: Ints, nodes: Ints) -> Floats:
        """float32 [n], cosine similarity of the text of an item and the first text of a node."""
        return dots(self._index.vectors, self._index.texts_of(nodes)[0], self._vectors, rows)

    def pairs(self, rows: Ints, nodes: Ints) -> Floats:
        """Of pairs; see `Measure`."""
        return np.asarray(self._before.pairs(rows, nodes) + self._weight * self.names(rows, nodes))

    def table(self, rows: Ints, nodes: Ints) -> Floats:
        """Of all with all; see `Measure`."""
        heads = self._index.vectors[self._index.texts_of(nodes)[0]] @ self._vectors[rows].T
        return np.asarray(self._before.table(rows, nodes) + self._weight * heads)


def dots(left: Floats, i: Ints, right: Floats, j: Ints) -> Floats:
    """float32 [n], the products of `left[i]` and `right[j]`, pair by pair."""
    out = np.empty(len(i), dtype=np.float32)
    for start in range(0, len(i), PAIRS):
        part = slice(start, start + PAIRS)
        np.einsum("ij,ij->i", left[i[part]], right[j[part]], out=out[part])
    return out
