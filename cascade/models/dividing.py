"""Batches of nearly the same size."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def divided(
    order: NDArray[np.int64], sizes: NDArray[np.int64], most: int
) -> list[NDArray[np.int64]]:
    """`order` in parts, the sizes of which add up to about the same, and to about `most` or less.

    Parameters
    ----------
    order
        int64 [n], places in `sizes`.
    sizes
        int64 [n], each at least 1.
    """
    if not len(order):
        return []
    after = np.cumsum(sizes[order])
    n_parts = -(-after[-1] // most)
    part = (after - 1) * n_parts // after[-1]
    return np.split(order, np.flatnonzero(np.diff(part)) + 1)
