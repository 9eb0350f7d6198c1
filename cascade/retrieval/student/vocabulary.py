"""Texts as words, pairs of words and runs of characters: what a student knows of a text.

What a text has is the sum of what its words and pairs have, by weights of rarity, and its length is
taken as if no two of them had anything in common. So all that a word adds can be kept with it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cascade.retrieval.words.ngrams import count_characters

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]

WORD = re.compile(r"\w+")
CHARACTERS = 2000  # of a text that are read
WORDS = 64  # different ones of a text that are read
LONGEST = 40  # characters of a word that are read
SHORTEST_RUN, LONGEST_RUN = 3, 5  # of characters
SHARED = 2  # texts that a pair must be in

OF_WORD, OF_RUNS, OF_MEANING, OF_PAIR = 0.7, 0.7, 0.5, 0.5
"""How much each speaks, chosen on seven sets; see `eval/LOG.md`."""


def words_of(text: str) -> list[str]:
    """The different words of a text, in lower case, in their order."""
    found = WORD.findall(text[:CHARACTERS].lower())
    if len(found) > WORDS or max(map(len, found), default=0) > LONGEST:
        found = [word[:LONGEST] for word in found]
    return list(dict.fromkeys(found))[:WORDS]


class Rows(NamedTuple):
    """The words of texts by number, and the pairs of neighbours that are known.

    Parameters
    ----------
    words
        int64 [n_words], of all texts, one after the other.
    starts
        int64 [n_texts + 1], where those of each text begin.
    pairs
        int64 [n_pairs], known ones by number.
    pair_row
        int64 [n_pairs], their texts; never decreases.
    length
        float32 [n_texts], of what each text has; 0 without a word.
    """

    words: Ints
    starts: Ints
    pairs: Ints
    pair_row: Ints
    length: Floats


@dataclass(frozen=True)
class Vocabulary:
    """What of words, pairs and runs of characters some texts have, and how rare each is.

    Parameters
    ----------
    words
        By number.
    rarity
        float32 [n_words + 1], inverse document frequency; the last is that of unknown words.
    pair_key
        int64 [n_pairs], sorted: `first * n_words + second`.
    pair_rarity
        float32 [n_pairs + 1]; the last is that of unknown pairs.
    run
        uint32 [n_runs], sorted hashes of runs of characters.
    run_rarity
        float32 [n_runs + 1]; the last is that of unknown runs.
    """

    words: list[str]
    rarity: Floats
    pair_key: Ints
    pair_rarity: Floats
    run: NDArray[np.uint32]
    run_rarity: Floats

    @classmethod
    def of(cls, texts: Sequence[Sequence[str]]) -> Vocabulary:
        """Of texts as their words."""
        words = list(dict.fromkeys(chain.from_iterable(texts)))
        number = {word: at for at, word in enumerate(words)}
        n, n_words = len(texts), len(words)
        flat = np.array([number[word] for text in texts for word in text], dtype=np.int64)
        row = np.repeat(np.arange(n), [len(text) for text in texts])
        keys = (flat[:-1] * n_words + flat[1:])[row[:-1] == row[1:]]
        pairs, often = np.unique(keys, return_counts=True)
        runs = count_characters(words, SHORTEST_RUN, LONGEST_RUN)
        run, within = np.unique(runs.gram, return_counts=True)
        return cls(
            words,
            _rarity(np.bincount(flat, minlength=n_words), n),
            pairs[often >= SHARED],
            _rarity(often[often >= SHARED], n),
            run,
            _rarity(within, n_words),
        )

    def rows(self, texts: Iterable[Sequence[str]], number: Callable[[str], int]) -> Rows:
        """Texts by the numbers of their words; those of unknown words are `len(words)` or more."""
        numbers = [list(map(number, words)) for words in texts]
        sizes = np.fromiter(map(len, numbers), np.int64, len(numbers))
        starts = np.concatenate([[0], np.cumsum(sizes)])
        flat = np.fromiter(chain.from_iterable(numbers), np.int64, int(starts[-1]))
        row = np.repeat(np.arange(len(numbers)), sizes)
        n_words = len(self.words)
        together = np.flatnonzero(row[:-1] == row[1:])
        first, second = flat[together], flat[together + 1]
        key = np.where((first < n_words) & (second < n_words), first * n_words + second, -1)
        at = np.searchsorted(self.pair_key, key)
        here = self._is_pair(at, key)
        pair = np.where(here, at, len(self.pair_key))
        square = np.bincount(
            row, self.rarity[np.minimum(flat, n_words)] ** 2, minlength=len(numbers)
        ) * (OF_WORD**2 + OF_RUNS**2 + OF_MEANING**2)
        square += np.bincount(
            row[together], (OF_PAIR * self.pair_rarity[pair]) ** 2, minlength=len(numbers)
        )
        return Rows(
            flat, starts, pair[here], row[together][here], np.sqrt(square).astype(np.float32)
        )

    def _is_pair(self, at: Ints, key: Ints) -> NDArray[np.bool_]:
        if not len(self.pair_key):
            return np.zeros(len(key), bool)
        return np.asarray(self.pair_key[np.minimum(at, len(self.pair_key) - 1)] == key)

    def runs_of(self, words: Sequence[str]) -> tuple[Ints, Ints, Floats]:
        """The known runs of words: word, run by number, and weight, of which those of a word have
        unit length with its unknown ones.
        """
        found = count_characters(words, SHORTEST_RUN, LONGEST_RUN)
        at = np.searchsorted(self.run, found.gram)
        at = np.minimum(at, max(len(self.run) - 1, 0))
        here = self.run[at] == found.gram if len(self.run) else np.zeros(len(at), bool)
        rarity = self.run_rarity[np.where(here, at, len(self.run))]
        square = np.bincount(found.row, rarity**2, minlength=len(words))
        weight = rarity / np.sqrt(square)[found.row]
        return found.row[here], at[here], weight[here].astype(np.float32)


def _rarity(often: NDArray[np.integer], n: int) -> Floats:
    """Inverse document frequency, as in scikit-learn; last that of what was never seen."""
    return (np.log((1 + n) / (1 + np.append(often, 0))) + 1).astype(np.float32)
