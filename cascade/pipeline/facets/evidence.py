"""What pieces of descriptions have in common with base terms and descriptors."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cascade.items import Batch
from cascade.pipeline.facets.pieces import pieces
from cascade.retrieval.encoder import Encoder
from cascade.retrieval.index import NodeIndex, Progress
from cascade.retrieval.word_overlap import NEGATIONS, WordIndex, words_of
from cascade.taxonomy import Taxonomy
from cascade.taxonomy.facets import FacetedTaxonomy


@dataclass(frozen=True)
class Evidence:
    """Of a batch: its pieces, and what each has in common with every term.

    Parameters
    ----------
    pieces
        Of each item, the whole text first.
    vectors
        float32 [n_pieces, width], of unit length.
    starts
        int64 [n_items + 1]; item i has the columns `starts[i]:starts[i + 1]`.
    similar
        float32 [n_terms, n_pieces], best cosine similarity with a text of the term.
    covered
        float32 [n_terms, n_pieces], share of the term's words that the piece has.
    """

    pieces: list[list[str]]
    vectors: NDArray[np.float32]
    starts: NDArray[np.int64]
    similar: NDArray[np.float32]
    covered: NDArray[np.float32]

    @cached_property
    def denied(self) -> NDArray[np.bool_]:
        """bool [n_pieces], whether a piece says what is not there: `without rind`."""
        said = [words_of(piece)[:1] for own in self.pieces for piece in own]
        return np.array([bool(first) and first[0] in NEGATIONS for first in said], dtype=bool)


class EvidenceFinder:
    """Compares descriptions with all terms of a faceted taxonomy.

    Parameters
    ----------
    progress
        Called while the index is built, which happens once.
    folder
        Where the index is kept; by default in the user's cache.

    Attributes
    ----------
    terms
        Base terms and descriptors side by side; rows of evidence are its nodes.
    words
        The words of their names.
    """

    def __init__(
        self,
        taxonomy: FacetedTaxonomy,
        encoder: Encoder,
        *,
        folder: Path | None = None,
        progress: Progress | None = None,
    ) -> None:
        self.terms = terms = taxonomy.terms
        self.encoder = encoder
        self._index = NodeIndex.open(terms, encoder, "full", folder=folder, progress=progress)
        self._starts = np.searchsorted(self._index.node, np.arange(len(terms)))
        self.words = WordIndex(*_names(terms))

    def of(self, batch: Batch) -> Evidence:
        """The evidence of a batch, computed once."""
        with batch.timed("encoding and searching"):
            return batch.once((self, "evidence"), lambda _: self._of(batch))

    def places(self, tree: Taxonomy) -> NDArray[np.int32]:
        """int32 [n_nodes], the rows of evidence that are the nodes of a tree."""
        return np.array([self.terms.index(code) for code in tree.codes], dtype=np.int32)

    def _of(self, batch: Batch) -> Evidence:
        split = [pieces(item.text) for item in batch.items]
        flat = [piece for own in split for piece in own]
        unique = list(dict.fromkeys(flat))
        at = {piece: column for column, piece in enumerate(unique)}
        columns = np.array([at[piece] for piece in flat], dtype=np.int64)
        vectors = self.encoder.encode(unique)
        best = self._index.vectors @ vectors.T
        similar = np.maximum.reduceat(best, self._starts, axis=0)[:, columns]
        covered = self.words.covered(unique)[:, columns]
        starts = np.concatenate([[0], np.cumsum(list(map(len, split)))]).astype(np.int64)
        return Evidence(split, vectors[columns], starts, similar, covered)


def _names(terms: Taxonomy) -> tuple[list[str], NDArray[np.int32]]:
    """Names and synonyms of all terms, without what describes them."""
    texts: list[str] = []
    node: list[int] = []
    for i, name in enumerate(terms.names):
        own = [name, *terms.synonyms(i)]
        texts += own
        node += [i] * len(own)
    return texts, np.array(node, dtype=np.int32)
