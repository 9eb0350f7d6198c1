"""How much the phrases of descriptions have in common with base terms and descriptors."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cascade.items import Batch
from cascade.retrieval.encoder import Encoder
from cascade.retrieval.index import NodeIndex, Progress
from cascade.retrieval.word_overlap import NEGATIONS, WordIndex, words_of
from cascade.taxonomy import Taxonomy
from cascade.taxonomy.facets import FacetedTaxonomy

SEPARATOR = re.compile(
    r"[,;:\n|/()\[\]]+|\s[-\u2013\u2014]\s|"
    r"\b(?:with|without|in|into|from|made of|made from|made with|containing|and|for|by|plus)\b",
    re.IGNORECASE,
)
MEANINGFUL = re.compile(r"\b(?:without|in|from|for)\b", re.IGNORECASE)  # separators that are kept
MAX_PHRASES = 12


def phrases(text: str) -> list[str]:
    """The whole text, then its phrases between commas and small words, each once, in their order.

    A phrase keeps the small word before it where that has a meaning: `in olive oil`.
    """
    found = [" ".join(text.split())]
    start = 0
    before = ""
    for separator in [*SEPARATOR.finditer(text), None]:
        phrase = text[start : separator.start() if separator else len(text)].strip(" .\t")
        if phrase:
            found.append(f"{before} {phrase}".strip())
            if before and before.casefold() != "without":
                found.append(phrase)
        word = separator[0].strip() if separator else ""
        before = word if MEANINGFUL.fullmatch(word) else ""
        start = separator.end() if separator else len(text)
    return list(dict.fromkeys(found))[: MAX_PHRASES + 1]


@dataclass(frozen=True)
class Evidence:
    """The phrases of a batch, and how much each has in common with every term.

    Parameters
    ----------
    phrases
        Of each item, the whole text first.
    vectors
        float32 [n_phrases, width], of unit length.
    starts
        int64 [n_items + 1]; item i has the columns `starts[i]:starts[i + 1]`.
    similarity
        float32 [n_terms, n_phrases], best cosine similarity with a text of the term.
    overlap
        float32 [n_terms, n_phrases], share of the term's words that are in the phrase.
    """

    phrases: list[list[str]]
    vectors: NDArray[np.float32]
    starts: NDArray[np.int64]
    similarity: NDArray[np.float32]
    overlap: NDArray[np.float32]

    @cached_property
    def negated(self) -> NDArray[np.bool_]:
        """bool [n_phrases], whether a phrase tells what is absent: `without rind`."""
        first = [words_of(phrase)[:1] for own in self.phrases for phrase in own]
        return np.array([bool(word) and word[0] in NEGATIONS for word in first], dtype=bool)


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
        Base terms and descriptors together; its nodes are the rows of evidence.
    words
        The words of their names and synonyms.
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
        names = [[name, *terms.synonyms(i)] for i, name in enumerate(terms.names)]
        nodes = np.repeat(np.arange(len(terms), dtype=np.int32), list(map(len, names)))
        self.words = WordIndex([name for own in names for name in own], nodes)

    def of(self, batch: Batch) -> Evidence:
        """The evidence of a batch, computed once."""
        with batch.timed("encoding and searching"):
            return batch.once((self, "evidence"), lambda _: self._of(batch))

    def rows_of(self, tree: Taxonomy) -> NDArray[np.int32]:
        """int32 [n_nodes], the rows of evidence that are the nodes of a tree."""
        return np.array([self.terms.index(code) for code in tree.codes], dtype=np.int32)

    def _of(self, batch: Batch) -> Evidence:
        split = [phrases(item.text) for item in batch.items]
        flat = [phrase for own in split for phrase in own]
        unique = list(dict.fromkeys(flat))
        column = {phrase: at for at, phrase in enumerate(unique)}
        columns = np.array([column[phrase] for phrase in flat], dtype=np.int64)
        vectors = self.encoder.encode(unique)
        texts = self._index.vectors @ vectors.T
        similarity = np.maximum.reduceat(texts, self._starts, axis=0)[:, columns]
        overlap = self.words.covered(unique)[:, columns]
        starts = np.concatenate([[0], np.cumsum(list(map(len, split)))]).astype(np.int64)
        return Evidence(split, vectors[columns], starts, similarity, overlap)
