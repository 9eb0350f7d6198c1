"""Rows of few numbers, in NumPy: what the first rows need not wait for SciPy's import for."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cascade.retrieval.array_ops import expand_ranges

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

FEW = 16  # rows that are quicker multiplied here than SciPy is imported


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
        float32 [n_entries]
    width
        Columns that there are.
    unknown
        float64 [n_rows], of rows of text the share of words and runs of words that have no column;
        NaN where a text has none. Empty of other rows.
    """

    starts: NDArray[np.int64]
    columns: NDArray[np.int32]
    values: NDArray[np.float32]
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

        arrays: Any = (self.values, self.columns, self.starts)
        return csr_matrix(arrays, shape=self.shape)
