"""Narrowing: the k children of a node whose subtrees are most similar to an item."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cascade.config import IndexKind, NodeText
from cascade.items import Batch, Choices, Item
from cascade.retrieval import faiss_index
from cascade.retrieval.encoder import Encoder, item_vectors
from cascade.retrieval.hit_similarities import HitSimilarities
from cascade.retrieval.index import NodeIndex
from cascade.retrieval.node_search import NodeSearch
from cascade.retrieval.node_texts import node_texts
from cascade.retrieval.similarities import DenseSimilarities, Similarities
from cascade.retrieval.subtrees import Subtrees
from cascade.retrieval.text_vectors import Progress
from cascade.retrieval.words.characters import ItemCharacters, SharedCharacters
from cascade.taxonomy import Taxonomy
from cascade.taxonomy.staying import stays_at

HITS = 256  # texts that are found for each item, where texts are searched


class Retriever:
    """Compares items with the nodes of a taxonomy and narrows children to the most similar.

    With every node where there are few; otherwise with those that a search of their texts finds.

    Parameters
    ----------
    taxonomy, encoder, recipe
        The nodes, what encodes texts, and which texts stand for a node.
    index
        How texts are searched; by default as suits their number.
    hits
        Texts that a search finds for each item.
    words
        Weight of the characters that an item shares with a text, where the cosine has 1.
    folder
        Where the index is kept; by default in the user's cache.
    progress
        Called while the index is built, which happens once.

    Attributes
    ----------
    uses_hits
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
        words: float = 0.0,
        folder: Path | None = None,
        progress: Progress | None = None,
    ) -> None:
        self.taxonomy = taxonomy
        self.encoder = encoder
        self._index = NodeIndex.open(
            taxonomy, encoder, recipe, kind=index, folder=folder, progress=progress
        )
        self._recipe, self._words = recipe, words
        self._text_starts = self._index.starts[:-1]
        self._search = NodeSearch(self._index, encoder.encode, hits)
        kind, n_texts = self._index.searcher.kind, len(self._index.vectors)
        self.uses_hits = kind != "flat" or n_texts > faiss_index.MAX_EXACT

    @property
    def reads_pictures(self) -> bool:
        """Whether items are compared with nodes by their pictures too."""
        return self.encoder.reads_pictures

    @cached_property
    def subtrees(self) -> Subtrees:
        """Reductions over all subtrees."""
        return Subtrees(self.taxonomy)

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

    def compare(self, batch: Batch) -> Similarities:
        """The similarities of a batch with nodes, computed once."""
        return batch.once((self, "similarities"), lambda _: self._compare(batch))

    def _compare(self, batch: Batch) -> Similarities:
        if not self.uses_hits:
            values = self.node_similarity(batch)
            return DenseSimilarities(self.taxonomy, self.subtrees, values, self.name_similarity)
        with batch.timed("encoding and searching"):
            vectors = self.vectors(batch)
            characters = self._item_characters(batch)
            return HitSimilarities.of(self.taxonomy, self._search, vectors, characters)

    def find(self, texts: Sequence[str], k: int) -> list[list[int]]:
        """For each text at most k nodes of any level, best first.

        First those whose name, synonym or code is like the text (`Taxonomy.search`), at most half
        of them; then those whose texts mean the like.
        """
        batch = Batch([Item({"text": text}) for text in texts])
        similar = self.compare(batch).top_nodes(k).tolist()
        found = []
        for text, own in zip(texts, similar, strict=True):
            named = [node.index for node in self.taxonomy.search(text, k)]
            ordered = dict.fromkeys([*named[: (k + 1) // 2], *own, *named])
            nodes = [n for n in ordered if n >= 0 and not stays_at(self.taxonomy, n)]
            found.append(nodes[:k])
        return found

    def vectors(self, batch: Batch) -> NDArray[np.float32]:
        """float32 [n_items, width], what items are compared by, computed once."""
        return batch.once((self, "vectors"), lambda _: item_vectors(self.encoder, batch))

    def node_similarity(self, batch: Batch) -> NDArray[np.float32]:
        """Similarity of each item with the most similar text of each node itself.

        Returns
        -------
        float32 [n_nodes, n_items]
        """
        with batch.timed("encoding and searching"):
            return batch.once((self, "node similarity"), lambda _: self._similarity(batch))

    def _similarity(self, batch: Batch) -> NDArray[np.float32]:
        best: NDArray[np.float32] = self._index.vectors @ self.vectors(batch).T
        if (characters := self._item_characters(batch)) is not None:
            best += characters.with_all()
        if len(best) == len(self.taxonomy):
            return best
        return np.asarray(np.maximum.reduceat(best, self._text_starts, axis=0))

    def _item_characters(self, batch: Batch) -> ItemCharacters | None:
        """The characters of the items of a batch; None where they do not count."""
        if not self._words:
            return None
        return self._characters.of([item.text for item in batch.items], self._words)

    @cached_property
    def _characters(self) -> SharedCharacters:
        """The characters of all texts of nodes."""
        return SharedCharacters(node_texts(self.taxonomy, self._recipe)[0])

    def name_similarity(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Cosine similarity of each text with the first text of each node, which has its name.

        Returns
        -------
        float32 [n_nodes, n_texts]
        """
        return np.asarray(self._name_vectors @ self.encoder.encode(texts).T)

    @cached_property
    def _name_vectors(self) -> NDArray[np.float32]:
        """float32 [n_nodes, width], of the first text of each node."""
        vectors = self._index.vectors
        return vectors if len(vectors) == len(self.taxonomy) else vectors[self._text_starts]
