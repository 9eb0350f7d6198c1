"""Narrowing: the best k children of a node for each item, by the best text in their subtrees."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cascade.config import IndexKind, NodeText
from cascade.items import Batch, Choices
from cascade.retrieval import kinds
from cascade.retrieval.comparison import Comparison
from cascade.retrieval.dense import DenseComparison
from cascade.retrieval.encoder import Encoder, Progress
from cascade.retrieval.index import NodeIndex
from cascade.retrieval.queries import query_vectors
from cascade.retrieval.searching import NodeSearch
from cascade.retrieval.sparse import SparseComparison
from cascade.retrieval.subtree import Subtrees
from cascade.taxonomy import Taxonomy

HITS = 256  # texts that are found for each item, where texts are searched


class Retriever:
    """Compares items with the nodes of a taxonomy and narrows children to the most similar.

    With every node where there are few; else with those that a search of their texts finds.

    Parameters
    ----------
    taxonomy, encoder, recipe
        What is searched, with what, and which texts stand for a node.
    index
        How texts are searched; by default as suits their number.
    hits
        Texts that a search finds for each item.
    folder
        Where the index is kept; by default in the user's cache.
    progress
        Called while the index is built, which happens once.

    Attributes
    ----------
    is_sparse
        Whether items are compared with what a search finds, and not with every node.
    """

    def __init__(
        self,
        taxonomy: Taxonomy,
        encoder: Encoder,
        recipe: NodeText = "full",
        *,
        index: IndexKind = "auto",
        hits: int = HITS,
        folder: Path | None = None,
        progress: Progress | None = None,
    ) -> None:
        self.taxonomy = taxonomy
        self.encoder = encoder
        self._index = NodeIndex.open(
            taxonomy, encoder, recipe, kind=index, folder=folder, progress=progress
        )
        self._text_starts = self._index.starts[:-1]
        self._search = NodeSearch(taxonomy, self._index, encoder.encode, hits)
        kind, n_texts = self._index.searcher.kind, len(self._index.vectors)
        self.is_sparse = kind != "flat" or n_texts > kinds.EXACT

    @cached_property
    def subtrees(self) -> Subtrees:
        """Passes over all subtrees."""
        return Subtrees(self.taxonomy)

    def compare(self, batch: Batch) -> Comparison:
        """A batch compared with the nodes, once."""
        return batch.once((self, "comparison"), lambda _: self._compared(batch))

    def _compared(self, batch: Batch) -> Comparison:
        if not self.is_sparse:
            values = self.nearest(batch)
            return DenseComparison(self.taxonomy, self.subtrees, values, self.head_similarity)
        with batch.timed("encoding and searching"):
            return SparseComparison.of(self._search, query_vectors(self.encoder, batch))

    def nearest(self, batch: Batch) -> NDArray[np.float32]:
        """Best cosine similarity of each item with any text of each node itself.

        Returns
        -------
        float32 [n_nodes, n_items]
        """
        with batch.timed("encoding and searching"):
            return batch.once((self, "nearest"), lambda _: self._with_all(batch))

    def similarity(self, batch: Batch) -> NDArray[np.float32]:
        """Best cosine similarity of each item with any text in the subtree of each node.

        Returns
        -------
        float32 [n_nodes, n_items]
        """
        return batch.once(
            (self, "similarity"), lambda _: self.subtrees.maximum(self.nearest(batch).copy())
        )

    @property
    def reads_pictures(self) -> bool:
        """Whether items are compared with nodes by their pictures too."""
        return self.encoder.reads_pictures

    def head_similarity(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Cosine similarity of each text with the first text of each node, which has its name.

        Returns
        -------
        float32 [n_nodes, n_texts]
        """
        return np.asarray(self._heads @ self.encoder.encode(texts).T)

    @cached_property
    def _heads(self) -> NDArray[np.float32]:
        """float32 [n_nodes, width], the first text of each node; a copy only where it must be."""
        vectors = self._index.vectors
        return vectors if len(vectors) == len(self.taxonomy) else vectors[self._text_starts]

    def _with_all(self, batch: Batch) -> NDArray[np.float32]:
        best: NDArray[np.float32] = self._index.vectors @ query_vectors(self.encoder, batch).T
        if len(best) == len(self.taxonomy):
            return best
        return np.asarray(np.maximum.reduceat(best, self._text_starts, axis=0))

    def narrow(
        self, batch: Batch, rows: NDArray[np.int32], parents: NDArray[np.int32], k: int
    ) -> Choices:
        """The k most similar children of `parents[q]` for item `rows[q]`, most similar first.

        Parameters
        ----------
        rows, parents
            int32 [n_questions]; -1 stands above the top, and no parent is a leaf.
        """
        with batch.timed("narrowing"):
            return self.compare(batch).narrow(rows, parents, k)
