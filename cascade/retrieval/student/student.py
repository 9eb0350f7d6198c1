"""A student: similarities with leaves as sums over the words of a text, looked up in a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cascade.retrieval.student.pieces import PieceVectors
from cascade.retrieval.student.vocabulary import (
    OF_MEANING,
    OF_RUNS,
    OF_WORD,
    Vocabulary,
    words_of,
)

Floats = NDArray[np.float32]
Halves = NDArray[np.float16]

CELLS = 1 << 25  # numbers of all words of a table


@dataclass(frozen=True)
class Meaning:
    """What the pieces of a word tell, where the encoder lets them be read.

    Parameters
    ----------
    pieces
        Their vectors.
    mean
        float32 [width], of words, which says nothing.
    weights
        float32 [width, n_outputs].
    """

    pieces: PieceVectors
    mean: Floats
    weights: Floats

    @cached_property
    def _outputs(self) -> Floats:
        """float32 [n_pieces, n_outputs], of the vector of each piece."""
        return self.pieces.table @ self.weights

    @cached_property
    def _mean_output(self) -> Floats:
        return self.mean @ self.weights

    def of(self, words: Sequence[str]) -> Floats:
        """float32 [n_words, n_outputs], by the unit vectors of words; the same in any company."""
        ids = self.pieces.of_words(words)
        length = np.linalg.norm(word_means(self.pieces.table, ids) - self.mean, axis=1)
        told = word_means(self._outputs, ids) - self._mean_output
        return np.asarray(told / np.maximum(length, 1e-6)[:, None])


def word_means(table: Floats, ids: Sequence[Sequence[int]]) -> Floats:
    """float32 [n_words, width], the mean of the pieces of each word; of none the table's first."""
    parts = [own or [0] for own in ids]
    sizes = np.array([len(own) for own in parts], dtype=np.int64)
    flat = np.concatenate([np.array(own, dtype=np.int64) for own in parts] or [np.empty(0, int)])
    if not len(flat):
        return np.empty((0, table.shape[1]), np.float32)
    sums = np.add.reduceat(table[flat], np.cumsum(sizes) - sizes, axis=0)
    return np.asarray(sums / sizes[:, None].astype(np.float32))


class _Numbers(dict[str, int]):
    """Words by number; one that is not known gets the next, and is noted as new."""

    def __init__(self, words: Sequence[str]) -> None:
        super().__init__(zip(words, range(len(words)), strict=True))
        self.new: list[str] = []

    def __missing__(self, word: str) -> int:
        self.new.append(word)
        self[word] = number = len(self)
        return number


@dataclass
class Student:
    """Similarities of texts with leaves, by a table of words that grows with the texts it is asked.

    Parameters
    ----------
    vocabulary
        Of the texts that it learnt from.
    words, pairs, runs
        float16 [n, n_outputs], weights of each.
    meaning
        Of words by their pieces; None where no pieces are known.
    mean
        float32 [n_leaves], similarities of a text of which nothing is known.
    basis
        float32 [n_outputs, n_leaves], similarities that outputs stand for; None where outputs are
        similarities themselves.
    """

    vocabulary: Vocabulary
    words: Halves
    pairs: Halves
    runs: Halves
    meaning: Meaning | None
    mean: Floats
    basis: Floats | None
    _lock: Lock = field(default_factory=Lock, init=False, repr=False)
    _table: Floats = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._width = self.words.shape[1]
        self._most = max(len(self.words) + 1000, CELLS // self._width)
        self._run_weights = self.runs.astype(np.float32)
        self._pair_weights = self.pairs.astype(np.float32)
        self._known = self._looked_up(self.vocabulary.words, self.words.astype(np.float32))
        self._forget()

    def similarities(self, texts: Sequence[str]) -> tuple[Floats, NDArray[np.bool_]]:
        """Similarities of texts with leaves, and which texts have a word that can be read.

        Those of a text do not depend on what else was asked, but for the last digits.

        Returns
        -------
        similarities : float32 [n_texts, n_leaves]
        readable : bool [n_texts]
        """
        with self._lock:
            return self._similarities([words_of(text) for text in texts])

    def _similarities(self, texts: list[list[str]]) -> tuple[Floats, NDArray[np.bool_]]:
        from scipy.sparse import csr_matrix

        rows = self.vocabulary.rows(texts, self._numbers.__getitem__)
        self._add(self._numbers.new)
        n, there = len(texts), rows.length > 0
        ones = np.ones(len(rows.words), dtype=np.float32)
        shape = n, len(self._numbers)
        of_words = csr_matrix((ones, rows.words, rows.starts), shape=shape)
        out = of_words @ self._table[: shape[1]]
        if len(rows.pairs):
            ones = np.ones(len(rows.pairs), dtype=np.float32)
            starts = np.searchsorted(rows.pair_row, np.arange(n + 1))
            of_pairs = csr_matrix((ones, rows.pairs, starts), shape=(n, len(self.pairs)))
            out += of_pairs @ self._pair_weights
        out /= np.where(there, rows.length, 1)[:, None]
        if len(self._numbers) > self._most:
            self._forget()
        found = out if self.basis is None else out @ self.basis
        found += self.mean
        return found, there

    def _looked_up(self, words: Sequence[str], own: Floats | None = None) -> Floats:
        """float32 [n_words, n_outputs], what words add, with weights of their own if they have any.

        Each row is computed for itself, so that it is the same whenever a word comes.
        """
        from scipy.sparse import csr_matrix

        vocabulary = self.vocabulary
        word, run, weight = vocabulary.runs_of(words)
        starts = np.searchsorted(word, np.arange(len(words) + 1))
        has = csr_matrix((weight, run, starts), shape=(len(words), len(self.runs)))
        found = np.float32(OF_RUNS) * (has @ self._run_weights)
        if self.meaning is not None:
            found += np.float32(OF_MEANING) * self.meaning.of(words)
        if own is None:
            return np.asarray(found * vocabulary.rarity[-1])
        return np.asarray((found + np.float32(OF_WORD) * own) * vocabulary.rarity[:-1, None])

    def _add(self, new: list[str]) -> None:
        """Put new words into the table."""
        if not new:
            return
        n = len(self._numbers)
        if n > len(self._table):
            grown = np.empty((max(n, 2 * len(self._table)), self._width), np.float32)
            grown[: len(self._table)] = self._table
            self._table = grown
        self._table[n - len(new) : n] = self._looked_up(new)
        new.clear()

    def _forget(self) -> None:
        """Begin anew with the words that were learnt."""
        self._numbers = _Numbers(self.vocabulary.words)
        self._table = self._known

    def arrays(self) -> dict[str, NDArray[Any]]:
        """All that `of_arrays` needs, by name, but for the words."""
        vocabulary = self.vocabulary
        found: dict[str, NDArray[Any]] = {
            "rarity": vocabulary.rarity,
            "pair_key": vocabulary.pair_key,
            "pair_rarity": vocabulary.pair_rarity,
            "run": vocabulary.run,
            "run_rarity": vocabulary.run_rarity,
            "words": self.words,
            "pairs": self.pairs,
            "runs": self.runs,
            "mean": self.mean,
        }
        if self.basis is not None:
            found["basis"] = self.basis
        if self.meaning is not None:
            found |= {"meaning_mean": self.meaning.mean, "meaning": self.meaning.weights}
        return found

    @classmethod
    def of_arrays(
        cls, words: list[str], arrays: Mapping[str, NDArray[Any]], pieces: PieceVectors | None
    ) -> Student:
        """What `arrays` gave, with its words.

        Raises
        ------
        ValueError
            They are no student's, or need pieces of words that are not there.
        """
        try:
            vocabulary = Vocabulary(
                words,
                *(arrays[n] for n in ("rarity", "pair_key", "pair_rarity")),
                *(arrays[n] for n in ("run", "run_rarity")),
            )
            meaning = None
            if "meaning" in arrays:
                if pieces is None:
                    raise ValueError("no vectors of pieces")
                meaning = Meaning(pieces, arrays["meaning_mean"], arrays["meaning"])
            own = (arrays["words"], arrays["pairs"], arrays["runs"])
            return cls(vocabulary, *own, meaning, arrays["mean"], arrays.get("basis"))
        except (KeyError, IndexError, TypeError) as error:
            raise ValueError(f"no student: {error}") from None
