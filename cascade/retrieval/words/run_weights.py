"""Weights of the runs of characters that texts have, and the products of texts with texts.

Many texts are multiplied as sparse matrices of SciPy, whose import takes as long as the answers to
the first rows; so a few are multiplied without.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cascade.retrieval.array_ops import expand_ranges, run_starts

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

Floats = NDArray[np.float32]
Ints = NDArray[np.integer[Any]]

COLUMNS = 1 << 20  # runs are told apart by so many values of their hash
FEW = 16  # texts that are multiplied without SciPy


@dataclass(frozen=True)
class RunWeights:
    """Entries of texts, sorted by text and then by run, each pair of them once.

    Parameters
    ----------
    starts
        int64 [n_texts + 1], where the entries of each text begin.
    run
        int32 [n_entries]
    value
        float32 [n_entries]
    """

    starts: NDArray[np.int64]
    run: NDArray[np.int32]
    value: Floats

    @classmethod
    def of(cls, n_texts: int, row: Ints, run: Ints, value: Floats) -> RunWeights:
        """Of entries sorted by text and run; those of the same pair are added up."""
        if len(row) and len(first := run_starts(row, run)) < len(row):
            row, run, value = row[first], run[first], np.add.reduceat(value, first)
        starts = np.searchsorted(row, np.arange(n_texts + 1))
        return cls(starts, run.astype(np.int32), value)

    @classmethod
    def joined(cls, parts: Sequence[RunWeights]) -> RunWeights:
        """The texts of all parts, one part after the other."""
        if len(parts) == 1:
            return parts[0]
        sizes = np.concatenate([[0], *(np.diff(part.starts) for part in parts)])
        run = [np.empty(0, np.int32), *(part.run for part in parts)]
        value = [np.empty(0, np.float32), *(part.value for part in parts)]
        return cls(np.cumsum(sizes).astype(np.int64), np.concatenate(run), np.concatenate(value))

    def __len__(self) -> int:
        return len(self.starts) - 1

    def take(self, texts: Ints) -> RunWeights:
        """The entries of some texts, in their order."""
        first, last = self.starts[texts], self.starts[np.asarray(texts) + 1]
        entries, _ = expand_ranges(first, last)
        starts = np.concatenate([[0], np.cumsum(last - first)])
        return RunWeights(starts, self.run[entries], self.value[entries])

    def products(self, others: RunWeights) -> Floats:
        """Products of all texts with all others, [n_texts, n_others]."""
        n = len(others)
        if n > FEW:
            return np.asarray((self._matrix @ others._matrix.T).toarray())
        ordered, entry, text = self._by_run
        first = np.searchsorted(ordered, others.run)
        last = np.searchsorted(ordered, others.run, side="right")
        found, owner = expand_ranges(first, last)
        cell = text[found].astype(np.int64) * n + others._row[owner]
        value = self.value[entry[found]] * others.value[owner]
        summed = np.bincount(cell, value, minlength=len(self) * n)
        return summed.reshape(len(self), n).astype(np.float32)

    def pair_products(self, texts: Ints, others: RunWeights, rows: Ints) -> Floats:
        """Products of `texts[i]` and the other text `rows[i]`, [n]."""
        if len(others) > FEW:
            product = self._matrix[texts].multiply(others._matrix[rows])
            return np.asarray(product.sum(axis=1)).ravel()
        some = self.take(texts)
        owner = some._row
        key = others._row.astype(np.int64) << 32 | others.run
        wanted = np.asarray(rows)[owner].astype(np.int64) << 32 | some.run
        at = np.searchsorted(key, wanted)
        here = np.flatnonzero(at < len(key))
        here = here[key[at[here]] == wanted[here]]
        value = some.value[here] * others.value[at[here]]
        return np.bincount(owner[here], value, minlength=len(some)).astype(np.float32)

    @cached_property
    def _matrix(self) -> csr_matrix:
        """The same as a matrix [n_texts, COLUMNS]."""
        from scipy.sparse import csr_matrix

        return csr_matrix((self.value, self.run, self.starts), shape=(len(self), COLUMNS))

    @cached_property
    def _row(self) -> NDArray[np.int32]:
        """int32 [n_entries], the text of each entry."""
        return np.repeat(np.arange(len(self), dtype=np.int32), np.diff(self.starts))

    @cached_property
    def _by_run(self) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int32]]:
        """Runs in order, and the entry and the text of each; all int32 [n_entries]."""
        entry = np.argsort(self.run, kind="stable").astype(np.int32)
        return self.run[entry], entry, self._row[entry]
