"""Overlap of the words of texts and names, weighted by inverse document frequency."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from functools import cached_property, lru_cache

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

WORD = re.compile(r"\d+(?:[.,]\d+)?|[^\W\d_]+|%")
ASIDE = re.compile(r"\((?:as|generic)\b[^)]*\)")  # `(as animal)`: in names, not in texts
STOP_WORDS = frozenset(
    "a an and as at be by for from in into is it its of on or other than that the their this to "  # noqa: SIM905
    "was were which while with w o".split()
)

NEGATIONS = frozenset({"without", "no"})


def words_of(text: str) -> list[str]:
    """Words of a text in the singular, without accents and stop words; numbers with a point.

    A negated word is another word, with a minus before it: of `skin` in `without skin`, and of
    `sugar` in `sugar free`.
    """
    closed = text.rfind(")") + 1 if "(" in text else 0
    plain = f"{ASIDE.sub(' ', text[:closed])}{text[closed:]}".casefold().replace("w/o", "without")
    if not plain.isascii():
        parts = unicodedata.normalize("NFKD", plain)
        plain = "".join(c for c in parts if not unicodedata.combining(c))
    found: list[str] = []
    words = [
        singular(word.replace(",", ".")) for word in WORD.findall(plain) if word not in STOP_WORDS
    ]
    for at, word in enumerate(words):
        free = word == "free" and words[at + 1 : at + 2] != ["range"]
        if free and found and not found[-1].startswith("-"):
            found[-1] = f"-{found[-1]}"
        found.append(f"-{word}" if found and found[-1] in NEGATIONS else word)
    return found


@lru_cache(maxsize=1 << 16)
def singular(word: str) -> str:
    """Of an English noun in lower case the form for one, as far as its last letters tell."""
    if len(word) > 4 and word.endswith("ies"):
        return word[:-3] + "y"
    if len(word) > 4 and word.endswith(("oes", "shes", "ches", "xes")):
        return word[:-2]
    if len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is")):
        return word[:-1]
    return word


class WordIndex:
    """Which share of the words of each name a text has.

    Parameters
    ----------
    texts
        Names, several for a node.
    node
        int32 [n_texts], the node of each; never decreases, and every node has one.
    """

    def __init__(self, texts: Sequence[str], node: NDArray[np.int32]) -> None:
        self._starts = np.flatnonzero(np.diff(node, prepend=-1))
        self._node = np.cumsum(np.diff(node, prepend=-1) > 0) - 1
        vocabulary = [sorted(set(words_of(text))) for text in texts]
        self._column = {
            word: at for at, word in enumerate(dict.fromkeys(w for own in vocabulary for w in own))
        }
        columns = np.array([self._column[w] for own in vocabulary for w in own], dtype=np.int32)
        rows = np.repeat(np.arange(len(texts)), list(map(len, vocabulary)))
        ones = np.ones(len(columns), dtype=np.float32)
        shape = len(texts), len(self._column)
        self._has = scipy.sparse.csr_matrix((ones, (rows, columns)), shape=shape)

    @cached_property
    def _idf(self) -> NDArray[np.float32]:
        """float32 [n_words], inverse document frequency."""
        often = np.asarray((self._has > 0).sum(axis=0)).ravel()
        return np.asarray(np.log1p(self._has.shape[0] / np.maximum(often, 1)), dtype=np.float32)

    @cached_property
    def _shares(self) -> scipy.sparse.csr_matrix:
        """Share of each word in its name; the rows sum to one, where a name has a word."""
        weighed = self._has.multiply(self._idf).tocsr()
        total = np.maximum(np.asarray(weighed.sum(axis=1)), 1e-9)
        return weighed.multiply(1 / total).tocsr()

    def words_in(self, nodes: NDArray[np.int32]) -> set[str]:
        """The words of the names of some nodes; those that are negated without their minus."""
        rows = np.isin(self._node, nodes)
        every = list(self._column)
        return {every[at].lstrip("-") for at in np.unique(self._has[rows].indices).tolist()}

    def knows(self, words: Sequence[str]) -> bool:
        """Whether any of some words, as `words_of` writes them, is in a name; or there are none."""
        return not words or any(word.lstrip("-") in self._column for word in words)

    def covered(self, texts: Sequence[str], first: int | None = None) -> NDArray[np.float32]:
        """Share of a node's words that a text has, by rarity, of its best name.

        Parameters
        ----------
        first
            Of how many nodes from the first on; by default of all.

        Returns
        -------
        float32 [n_nodes, n_texts]
        """
        return self.covered_by([words_of(text) for text in texts], first)

    def covered_by(
        self, texts: Sequence[Sequence[str]], first: int | None = None
    ) -> NDArray[np.float32]:
        """As `covered`, by texts as their words."""
        n_nodes = len(self._starts) if first is None else first
        columns: list[int] = []
        rows: list[int] = []
        for row, words in enumerate(texts):
            known = {self._column[word] for word in words if word in self._column}
            columns += known
            rows += [row] * len(known)
        ones = np.ones(len(columns), dtype=np.float32)
        shape = len(self._column), len(texts)
        has = scipy.sparse.csr_matrix((ones, (columns, rows)), shape=shape)
        names = len(self._node) if first is None else int(np.searchsorted(self._node, first))
        shares = (self._shares[:names] @ has).tocoo()
        out = np.zeros((n_nodes, len(texts)), dtype=np.float32)
        np.maximum.at(out, (self._node[shares.row], shares.col), shares.data)
        return out
