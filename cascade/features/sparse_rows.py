"""Rows of few numbers, in NumPy: what the first rows need not wait for SciPy's import for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cascade.retrieval.array_ops import expand_ranges

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

FEW = 16  # rows that are quicker multiplied here than SciPy is imported
FULL = 1 / 32  # share of a row that is not 0, from which on it is quicker as a dense row
ROOM = 1 << 28  # bytes of dense rows at most
_PLACE = np.uint16  # of a dense row; numbers of this type are sorted by a radix sort


@dataclass(frozen=True)
class SparseRows:
    """A matrix in compressed sparse rows.

    Parameters
    ----------
    starts
        int64 [n_rows + 1], where the entries of each row begin.
    columns
        int32 [n_entries]
    values
        float32 [n_entries]; on the right side of products also float16, as files have them
    width
        Columns that there are.
    unknown
        float64 [n_rows], of rows of text the share of words and runs of words that have no column;
        NaN where a text has none. Empty of other rows.
    """

    starts: NDArray[np.int64]
    columns: NDArray[np.int32]
    values: NDArray[np.floating[Any]]
    width: int
    unknown: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return len(self.starts) - 1, self.width

    @property
    def ndim(self) -> int:
        """2, as of any matrix."""
        return 2

    def times(self, other: SparseRows) -> NDArray[np.float32]:
        """The product with a matrix that has a row for each column, float32 [n_rows, width].

        Sums are taken in the order and the precision of SciPy, so that an item has the same answer
        among few others and among many.
        """
        n = len(self.starts) - 1
        row = np.repeat(np.arange(n), np.diff(self.starts))
        first, last = other.starts[self.columns], other.starts[self.columns + 1]
        entry, owner = expand_ranges(first, last)
        cell = row[owner] * other.width + other.columns[entry]
        summed = np.zeros(n * other.width, np.float32)
        np.add.at(summed, cell, self.values[owner] * other.values[entry])
        return summed.reshape(n, other.width)

    @cached_property
    def matrix(self) -> csr_matrix:
        """The same as a matrix of SciPy."""
        from scipy.sparse import csr_matrix

        arrays: Any = (self.values.astype(np.float32, copy=False), self.columns, self.starts)
        return csr_matrix(arrays, shape=self.shape)


class SplitRows:
    """Matrices as the right side of products with many sparse rows: their full rows dense.

    Few n-grams are in most texts, and it is those that have a weight for most nodes: of products
    with TF-IDF nearly all fall on half of the rows. Dense they are added a row at a time,
    without a look at where each number belongs, and take at most sixteen times the room. Those of
    several matrices lie side by side: what is looked up and read once serves all.

    Parameters
    ----------
    matrices
        Each with a row for each column of what they will be multiplied by.
    """

    def __init__(self, matrices: Sequence[SparseRows]) -> None:
        sizes = np.zeros(matrices[0].shape[0], np.int64)
        for matrix in matrices:
            sizes += matrix.starts[1:]
            sizes -= matrix.starts[:-1]
        width = sum(matrix.width for matrix in matrices)
        full = np.flatnonzero(sizes > FULL * width)
        missing = width - sizes[full]
        if width <= np.iinfo(_PLACE).max:
            missing = missing.astype(_PLACE)
        full = full[np.argsort(missing, kind="stable")]  # what is used most lies together
        full = full[: min(ROOM // (4 * max(width, 1)), np.iinfo(_PLACE).max)]
        self._full = full
        self._place = np.full(len(sizes), -1, np.int32)
        self._place[full] = np.arange(len(full))
        self._matrices = list(matrices)
        self._ends = np.cumsum([matrix.width for matrix in matrices])

    @cached_property
    def _dense(self) -> NDArray[np.float32]:
        full, dense = self._full, np.zeros((len(self._full), self._ends[-1]), np.float32)
        for matrix, end in zip(self._matrices, self._ends.tolist(), strict=True):
            entry, row = expand_ranges(matrix.starts[full], matrix.starts[full + 1])
            dense[row, matrix.columns[entry] + (end - matrix.width)] = matrix.values[entry]
        return dense

    def multiplied_by(self, rows: SparseRows) -> list[NDArray[np.float32]]:
        """The products `rows @ matrix`, float32 [n_rows, width] for each matrix.

        Sums are taken in one order, so that an item has the same answer among few and among many.
        """
        place = self._place[rows.columns]
        full = place >= 0
        before = np.zeros(len(full) + 1, np.int32)
        np.cumsum(full, out=before[1:])
        starts = before[rows.starts]
        row = np.repeat(np.arange(rows.shape[0], dtype=np.int32), np.diff(starts))
        some = place[full], row, rows.columns[full], rows.values[full]
        found = self._few(rows, starts, *some) if rows.shape[0] <= FEW else self._many(rows, *some)
        rest = SparseRows(rows.starts - starts, rows.columns[~full], rows.values[~full], rows.width)
        matrices = self._matrices if rows.shape[0] <= FEW else self._in_memory
        for product, matrix in zip(found, matrices, strict=True):
            product += rest.times(matrix)
        return found

    @cached_property
    def _in_memory(self) -> list[SparseRows]:
        """The matrices as many rows are quickest multiplied by: in memory, in single precision."""
        return [
            replace(own, columns=own.columns.copy(), values=own.values.astype(np.float32))
            for own in self._matrices
        ]

    def _few(
        self,
        rows: SparseRows,
        starts: NDArray[Any],
        place: NDArray[np.int32],
        row: NDArray[np.int32],
        columns: NDArray[np.int32],
        values: NDArray[np.float32],
    ) -> list[NDArray[np.float32]]:
        """The part of full rows, without SciPy; zeros, which are left out, change no sum."""
        order = np.lexsort((place, row))
        left = SparseRows(starts.astype(np.int64), columns[order], values[order], rows.width)
        return [left.times(matrix) for matrix in self._matrices]

    def _many(
        self,
        rows: SparseRows,
        place: NDArray[np.int32],
        row: NDArray[np.int32],
        columns: NDArray[np.int32],
        values: NDArray[np.float32],
    ) -> list[NDArray[np.float32]]:
        """The same of many rows: by columns each dense row is read once for all that have it."""
        from scipy.sparse import csc_matrix

        order = np.argsort(place.astype(_PLACE), kind="stable")
        ends = np.zeros(len(self._dense) + 1, np.int32)
        np.cumsum(np.bincount(place, minlength=len(self._dense)), out=ends[1:])
        arrays: Any = (values[order], row[order], ends)
        left = csc_matrix(arrays, shape=(rows.shape[0], len(self._dense)))
        product: NDArray[np.float32] = left @ self._dense
        return np.split(product, self._ends[:-1], axis=1)
