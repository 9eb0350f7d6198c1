"""Ratios of sums over rows: what most metrics are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cascade.evaluation.metrics.gold_and_predicted import Floats, GoldAndPredicted

if TYPE_CHECKING:
    import scipy.sparse


@dataclass(frozen=True)
class Ratio:
    """Sum of part over sum of whole, both float64 [n_rows]; `empty` where that is 0 / 0."""

    part: Floats
    whole: Floats
    empty: float = np.nan

    @classmethod
    def mean(cls, values: ArrayLike, rows: ArrayLike | None = None) -> Ratio:
        """The mean of values over the rows that are true, or over all."""
        of = np.asarray(values, dtype=np.float64)
        among = np.ones(len(of)) if rows is None else np.asarray(rows, dtype=np.float64)
        return cls(of * among, among)


RatioOf = Callable[[GoldAndPredicted], Ratio]


def ratio(part: Floats, whole: Floats, empty: float = np.nan) -> Floats:
    """`part / whole`, and `empty` where the whole is 0."""
    quotient: Floats = np.divide(part, whole, out=np.full_like(part, empty), where=whole > 0)
    return quotient


def indicator(
    groups: NDArray[np.int64],
    rows: NDArray[np.int64],
    shape: tuple[int, int],
    values: Floats | None = None,
) -> scipy.sparse.csr_matrix:
    """[n_groups, n_rows], one (or a value) where a row is in a group."""
    import scipy.sparse

    filled = np.ones(len(rows)) if values is None else values
    return scipy.sparse.csr_matrix((filled, (groups, rows)), shape=shape)
