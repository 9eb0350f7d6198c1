"""Taxonomies of any size with vectors that lie as those of a real one do, for benchmarks.

Every node has ten children. A node's vector is its parent's with as much noise as leaves a cosine
of 0.8 between them, so that siblings have 0.64 in common, and those that share only what is above
less; an item is a leaf with noise, at a cosine of 0.7. Random vectors without that order would be
a worst case for graphs and lists that no taxonomy is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cascade.items import Batch, Item
from cascade.retrieval.encoder_prompts import Prompts

WIDTH = 384  # as of MiniLM
CHILDREN = 10
PARENT, LEAF = 0.8, 0.7  # cosines of a child with its parent, and of an item with its leaf
BLOCK = 65_536

Vectors = NDArray[np.float32]


class SyntheticEncoder:
    """Vectors of nodes called `name 17` and of items called `item 3`, without a model.

    Parameters
    ----------
    n_nodes
        Nodes of the taxonomy; see `write_taxonomy`.
    """

    width = WIDTH
    reads_pictures = False
    prompts = Prompts()

    def __init__(self, n_nodes: int) -> None:
        self.identity = f"synthetic-{n_nodes}"
        self._n = n_nodes
        self._nodes: Vectors | None = None
        self._made: dict[int, Vectors] = {}

    def encode(
        self, texts: Sequence[str], *, progress: Callable[[int, int], None] | None = None
    ) -> Vectors:
        """Float32 [n_texts, width], unit length."""
        number = np.array([int(text.split()[1]) for text in texts], dtype=np.int64)
        if texts and texts[0].startswith("item"):
            return self._items(number)
        if self._nodes is None:
            self._nodes = node_vectors(self._n)
        return self._nodes[number]

    def encode_documents(self, texts: Sequence[str], *, half: bool = False) -> Vectors:
        """As `encode`."""
        return self.encode(texts)

    def _items(self, number: NDArray[np.int64]) -> Vectors:
        """Made once for each item, so that benchmarks can make them beforehand."""
        for item in number.tolist():
            if item not in self._made:
                self._made[item] = self._item(item)
        return np.stack([self._made[item] for item in number.tolist()])

    def _item(self, item: int) -> Vectors:
        assert self._nodes is not None, "encode the nodes first"
        rng = np.random.default_rng((1, item))
        inner = (self._n - 1) // CHILDREN  # nodes that have children
        leaf = self._nodes[[int(rng.integers(inner, self._n))]]
        return _near(leaf, _unit(rng.standard_normal((1, WIDTH), dtype=np.float32)), LEAF)[0]


def node_vectors(n: int) -> Vectors:
    """float32 [n, width], of nodes by number; node i hangs below node i // 10 - 1."""
    rng = np.random.default_rng(0)
    out = np.empty((n, WIDTH), dtype=np.float32)
    start, end = 0, min(CHILDREN, n)
    while start < n:
        for first in range(start, end, BLOCK):
            last = min(first + BLOCK, end)
            noise = _unit(rng.standard_normal((last - first, WIDTH), dtype=np.float32))
            parents = np.arange(first, last) // CHILDREN - 1
            out[first:last] = noise if start == 0 else _near(out[parents], noise, PARENT)
        start, end = end, min((end + 1) * CHILDREN, n)
    return out


def _near(vectors: Vectors, noise: Vectors, cosine: float) -> Vectors:
    return _unit(cosine * vectors + np.float32(1 - cosine**2) ** 0.5 * noise)


def _unit(vectors: Vectors) -> Vectors:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def write_taxonomy(n: int, path: Path) -> None:
    """Write a taxonomy of n nodes as CSV."""
    rows = (f"{i},name {i},{i // CHILDREN - 1 if i >= CHILDREN else ''}\n" for i in range(n))
    path.write_text("code,name,parent\n" + "".join(rows), "utf-8")


def batch_of(items: Sequence[int]) -> Batch:
    """Items by number."""
    return Batch([Item({"text": f"item {i}"}) for i in items])
