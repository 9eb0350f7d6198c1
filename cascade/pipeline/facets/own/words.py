"""What an institution calls terms, beside the names of the catalogue; and names with slips."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from cascade.pipeline.facets.evidence import EvidenceFinder
from cascade.retrieval.index import NodeIndex
from cascade.retrieval.words.ngrams import count_characters
from cascade.retrieval.words.overlap import WordIndex
from cascade.taxonomy import Taxonomy

SHORTEST, LONGEST = 3, 4  # characters of a run


@dataclass(frozen=True)
class OwnWords:
    """Names of terms that were learnt from coded descriptions.

    Parameters
    ----------
    codes, names
        Of the terms, one name each time.
    vectors
        float32 [n_names, width], of unit length.
    """

    codes: Sequence[str]
    names: Sequence[str]
    vectors: NDArray[np.float32]

    @classmethod
    def none(cls, width: int) -> OwnWords:
        """No names, for vectors of a width."""
        return cls([], [], np.zeros((0, width), np.float32))


class OwnWordsFinder(EvidenceFinder):
    """Compares descriptions with the catalogue's names of terms, and with learnt ones.

    Parameters
    ----------
    finder
        Knows the catalogue's names; its index is shared.

    Attributes
    ----------
    spelling
        The catalogue's names by their characters.
    """

    def __init__(
        self, finder: EvidenceFinder, own: OwnWords, spelling: NameSpelling | None = None
    ) -> None:
        vars(self).update(vars(finder))
        self.spelling = spelling or spelling_of(self.terms)
        known = [at for at, code in enumerate(own.codes) if code in self.terms]
        order = sorted(known, key=lambda at: self.terms.index(own.codes[at]))
        nodes = np.array([self.terms.index(own.codes[at]) for at in order], dtype=np.int32)
        self._own_nodes, self._own_starts = np.unique(nodes, return_index=True)
        self._own_vectors = own.vectors[order].astype(np.float32)
        if order:
            self.words = _JoinedWords(finder.words, [own.names[at] for at in order], nodes)

    def _similarity(self, index: NodeIndex, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        found = super()._similarity(index, vectors)
        if len(self._own_nodes):
            texts = self._own_vectors @ vectors.T
            own = np.maximum.reduceat(texts, self._own_starts, axis=0)
            here = self._own_nodes < len(found)
            nodes = self._own_nodes[here]
            found[nodes] = np.maximum(found[nodes], own[here])
        return found


class _JoinedWords(WordIndex):
    """The words of the catalogue's names, and beside them those of own names of some nodes."""

    def __init__(
        self, catalogue: WordIndex, names: Sequence[str], nodes: NDArray[np.int32]
    ) -> None:
        self._catalogue, self._nodes = catalogue, np.unique(nodes)
        self._own = WordIndex(names, nodes)

    def knows(self, words: Sequence[str]) -> bool:
        return self._catalogue.knows(words) or self._own.knows(words)

    def covered_by(
        self, texts: Sequence[Sequence[str]], first: int | None = None
    ) -> NDArray[np.float32]:
        found = self._catalogue.covered_by(texts, first)
        here = self._nodes < len(found)
        nodes = self._nodes[here]
        found[nodes] = np.maximum(found[nodes], self._own.covered_by(texts)[here])
        return found


def spelling_of(terms: Taxonomy) -> NameSpelling:
    """The names and synonyms of terms by their characters."""
    names = [[name, *terms.synonyms(i)] for i, name in enumerate(terms.names)]
    nodes = np.repeat(np.arange(len(terms), dtype=np.int32), list(map(len, names)))
    return NameSpelling([name for own in names for name in own], nodes)


class NameSpelling:
    """Which part of names a text spells, by runs of characters, so that a slip costs little.

    Parameters
    ----------
    names
        Several for a node.
    node
        int32 [n_names], the node of each; never decreases, and every node has one.
    """

    def __init__(self, names: Sequence[str], node: NDArray[np.int32]) -> None:
        self._starts = np.flatnonzero(np.diff(node, prepend=-1))
        self._grams = np.empty(0, dtype=np.uint32)
        has = self._has(names, known=False)
        often = np.asarray((has > 0).sum(axis=0)).ravel()
        self._idf = np.log1p(has.shape[0] / np.maximum(often, 1)).astype(np.float32)
        self._weighed = has.multiply(self._idf).tocsr().astype(np.float32)
        self._total = np.maximum(np.asarray(self._weighed.sum(axis=1)), 1e-6)

    def of(self, texts: Sequence[str]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """The share of the best name that a text spells, and of the text that a name explains.

        Returns
        -------
        Both float32 [n_nodes, n_texts]; runs count by their rarity among names.
        """
        has = self._has(texts)
        shared = np.asarray((self._weighed @ has.T).todense(), dtype=np.float32)
        length = np.maximum(np.asarray(has @ self._idf[:, None]), 1e-6)[:, 0]
        cover = np.maximum.reduceat(shared / self._total, self._starts, axis=0)
        explained = np.maximum.reduceat(shared, self._starts, axis=0) / length
        return cover, explained.astype(np.float32)

    def _has(self, texts: Sequence[str], *, known: bool = True) -> scipy.sparse.csr_matrix:
        """float32 [n_texts, n_grams], one where a text has a run."""
        found = count_characters([_plain(text) for text in texts], SHORTEST, LONGEST)
        if not known:
            self._grams = np.unique(found.gram)
        at = np.searchsorted(self._grams, found.gram)
        at[at == len(self._grams)] = 0
        kept = self._grams[at] == found.gram if len(self._grams) else np.zeros(len(at), bool)
        ones = np.ones(int(kept.sum()), dtype=np.float32)
        shape = len(texts), len(self._grams)
        made = scipy.sparse.csr_matrix((ones, (found.row[kept], at[kept])), shape=shape)
        made.data[:] = 1
        return made


def _plain(text: str) -> str:
    """In lower case, without accents."""
    parts = unicodedata.normalize("NFKD", text.casefold())
    return "".join(sign for sign in parts if not unicodedata.combining(sign))
