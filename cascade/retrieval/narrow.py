"""Narrowing: the best k children of a node for each item, by the best text in their subtrees."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cascade.config import Recipe
from cascade.items import Batch, Choices
from cascade.retrieval.encoder import Encoder, Progress
from cascade.retrieval.index import NodeIndex
from cascade.retrieval.queries import query_vectors
from cascade.retrieval.subtree import Subtrees
from cascade.taxonomy import Taxonomy


class Retriever:
    """Compares items with every node of a taxonomy and narrows children to the most similar.

    Parameters
    ----------
    taxonomy, encoder, recipe
        What is searched, with what, and which texts stand for a node.
    folder
        Where the index is kept; by default in the user's cache.
    progress
        Called while the index is built, which happens once.
    """

    def __init__(
        self,
        taxonomy: Taxonomy,
        encoder: Encoder,
        recipe: Recipe = "full",
        *,
        folder: Path | None = None,
        progress: Progress | None = None,
    ) -> None:
        self.taxonomy = taxonomy
        self.encoder = encoder
        self._index = NodeIndex.open(taxonomy, encoder, recipe, folder=folder, progress=progress)
        self._text_starts = np.searchsorted(self._index.node, np.arange(len(taxonomy)))
        self.subtrees = Subtrees(taxonomy)

    def nearest(self, batch: Batch) -> NDArray[np.float32]:
        """Best cosine similarity of each item with any text of each node itself.

        Returns
        -------
        float32 [n_nodes, n_items]
        """
        with batch.timed("encoding and searching"):
            return batch.once((self, "nearest"), lambda _: self._compare(batch))

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

    def _compare(self, batch: Batch) -> NDArray[np.float32]:
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
            similarity = self.similarity(batch)
            return self._narrowed(similarity, rows, parents, k)

    def _narrowed(
        self,
        similarity: NDArray[np.float32],
        rows: NDArray[np.int32],
        parents: NDArray[np.int32],
        k: int,
    ) -> Choices:
        kept: list[NDArray[np.int32]] = [np.empty(0, dtype=np.int32)] * len(rows)
        for parent in np.unique(parents):
            children = self.taxonomy.children(int(parent))
            questions = np.flatnonzero(parents == parent)
            scores = similarity[children[:, None], rows[questions]].T
            order = best_first(scores, k)
            for q, chosen in zip(questions, children[order], strict=True):
                kept[q] = chosen
        sizes = [len(nodes) for nodes in kept]
        offsets = np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)])
        nodes = np.concatenate(kept) if kept else np.empty(0, dtype=np.int32)
        return Choices(rows, parents, offsets.astype(np.int64), nodes)


def best_first(scores: NDArray[np.float32], k: int) -> NDArray[np.int64]:
    """Columns of the k greatest of each row [n_rows, k], greatest first; ties by position."""
    if scores.shape[1] > k:
        top = np.sort(np.argpartition(-scores, k - 1, axis=1)[:, :k], axis=1)
    else:
        top = np.broadcast_to(np.arange(scores.shape[1]), scores.shape)
    order = np.argsort(-np.take_along_axis(scores, top, axis=1), axis=1, kind="stable")
    return np.asarray(np.take_along_axis(top, order, axis=1))
