"""Rows that are the same to a metric, counted together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cascade.evaluation.metrics.answers import Floats


@dataclass(frozen=True)
class Merge:
    """Adds up the weights of rows that are the same.

    Parameters
    ----------
    which
        int64 [n_rows], the kind that each row is of.
    kinds
        How many kinds there are.
    """

    which: NDArray[np.int64]
    kinds: int

    def __call__(self, weights: Floats) -> Floats:
        """float64 [n_kinds, n_samples] from weights float64 [n_rows, n_samples]."""
        if self.kinds == len(self.which):
            merged = np.empty_like(weights, order="C")
            merged[self.which] = weights
            return merged
        columns = [np.bincount(self.which, each, self.kinds) for each in weights.T]
        return np.stack(columns, axis=1)
