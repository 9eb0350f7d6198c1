"""Token sequences of different lengths in one array."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Sequences:
    """Token sequences, one after another.

    Parameters
    ----------
    tokens
        int64 [n_tokens].
    lengths
        int64 [n_sequences].
    """

    tokens: NDArray[np.int64]
    lengths: NDArray[np.int64]

    @classmethod
    def of(cls, sequences: Sequence[Sequence[int]]) -> Sequences:
        """Sequences that are lists or tuples."""
        lengths = np.fromiter(map(len, sequences), np.int64, len(sequences))
        n_tokens = int(lengths.sum())
        return cls(np.fromiter(chain.from_iterable(sequences), np.int64, n_tokens), lengths)

    def __len__(self) -> int:
        return len(self.lengths)

    @property
    def starts(self) -> NDArray[np.int64]:
        """int64 [n_sequences], where each begins."""
        return np.cumsum(self.lengths) - self.lengths

    def take(self, which: NDArray[np.int64]) -> Sequences:
        """Some of them, in that order; one may come more than once."""
        lengths = self.lengths[which]
        ends = np.cumsum(lengths)
        shift = np.repeat(self.starts[which] - (ends - lengths), lengths)
        return Sequences(self.tokens[shift + np.arange(len(shift))], lengths)

    def joined(self, counts: NDArray[np.int64]) -> Sequences:
        """As many of them as `counts` [n] says, at least one, made into each of n sequences."""
        first = np.cumsum(counts) - counts
        lengths = np.add.reduceat(self.lengths, first) if len(counts) else counts
        return Sequences(self.tokens, lengths)
