"""A batch compared with every node: arrays of numbers for each node and item.

Exact, and the quickest for taxonomies whose texts a matrix product goes over in little time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cascade.items import Choices
from cascade.retrieval.best import best_first
from cascade.retrieval.comparison import Comparison, Floats, Leaves, Mass, Nodes
from cascade.retrieval.subtree import Subtrees
from cascade.taxonomy import Taxonomy


class DenseMass(Mass):
    """Log-shares of all nodes.

    Parameters
    ----------
    taxonomy
        Whose nodes are meant.
    values
        float32 [n_nodes, n_items], finite.
    """

    def __init__(self, taxonomy: Taxonomy, values: Floats) -> None:
        self._leaves = taxonomy.leaves
        self._values = values

    def of(self, rows: NDArray[np.integer[Any]], nodes: Nodes) -> Floats:
        """Log-shares of pairs; see `Mass`."""
        return np.asarray(self._values[nodes, rows])

    def best_leaves(self, k: int) -> Nodes:
        """The likeliest leaves; see `Mass`."""
        return np.asarray(self._leaves[best_first(self._values[self._leaves].T, k)])


class DenseComparison(Comparison):
    """Similarities of all items with all nodes.

    Parameters
    ----------
    taxonomy, subtrees
        Whose nodes are meant.
    values
        float32 [n_nodes, n_items]; see `Comparison`.
    heads
        Cosine similarities of texts with the first text of each node, [n_nodes, n_texts].
    """

    def __init__(
        self,
        taxonomy: Taxonomy,
        subtrees: Subtrees,
        values: Floats,
        heads: Callable[[Sequence[str]], Floats],
    ) -> None:
        self.values = values
        self._taxonomy = taxonomy
        self._subtrees = subtrees
        self._heads = heads

    @cached_property
    def below(self) -> Floats:
        """float32 [n_nodes, n_items], the greatest value in the subtree of each node."""
        return self._subtrees.maximum(self.values.copy())

    def narrow(self, rows: Nodes, parents: Nodes, k: int) -> Choices:
        """The k best children of each question; see `Comparison`."""
        kept: list[Nodes] = [np.empty(0, dtype=np.int32)] * len(rows)
        for parent in np.unique(parents):
            children = self._taxonomy.children(int(parent))
            questions = np.flatnonzero(parents == parent)
            scores = self.below[children[:, None], rows[questions]].T
            order = best_first(scores, k)
            for q, chosen in zip(questions, children[order], strict=True):
                kept[q] = chosen
        sizes = [len(nodes) for nodes in kept]
        offsets = np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)])
        nodes = np.concatenate(kept) if kept else np.empty(0, dtype=np.int32)
        return Choices(rows, parents, offsets.astype(np.int64), nodes)

    def plus(self, weight: np.float32, texts: Sequence[str]) -> DenseComparison:
        """With the similarity of names added; see `Comparison`."""
        values = self.values + weight * self._heads(texts)
        return DenseComparison(self._taxonomy, self._subtrees, values, self._heads)

    def best_leaves(self, k: int) -> Leaves:
        """The k most similar leaves; see `Comparison`."""
        leaves = self._taxonomy.leaves
        best = leaves[best_first(self.values[leaves].T, k)]
        rows = np.repeat(np.arange(len(best), dtype=np.int32), best.shape[1])
        return Leaves(rows, best.ravel(), (best.ravel(), rows))

    def log_total(self, logits: Floats) -> Floats:
        """Log of the sum over leaves; see `Comparison`."""
        return np.asarray(np.logaddexp.reduce(logits[self._taxonomy.leaves], axis=0))

    def spread(self, per_item: Floats) -> Floats:
        """One for each column; see `Comparison`."""
        return per_item

    def log_mass(
        self, logits: Floats, temperature: np.float32, shift: Floats | None = None
    ) -> DenseMass:
        """The mass of every node; see `Comparison`. All pairs are held."""
        return DenseMass(self._taxonomy, self._subtrees.log_mass(logits))
