"""The greatest of each row, in order."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cascade.retrieval.segments import ranks


def best_first(scores: NDArray[np.float32], k: int) -> NDArray[np.int64]:
    """Columns of the k greatest of each row [n_rows, k], greatest first; ties by position."""
    if scores.shape[1] > k:
        top = np.sort(np.argpartition(-scores, k - 1, axis=1)[:, :k], axis=1)
    else:
        top = np.broadcast_to(np.arange(scores.shape[1]), scores.shape)
    order = np.argsort(-np.take_along_axis(scores, top, axis=1), axis=1, kind="stable")
    return np.asarray(np.take_along_axis(top, order, axis=1))


def best_of_each(rows: NDArray[np.integer[Any]], values: NDArray[Any], k: int) -> NDArray[np.int64]:
    """The k greatest of each row, greatest first; `rows` never decreases."""
    order = np.lexsort((-values, rows))  # stable: ties by position
    return np.asarray(order[ranks(rows[order]) < k])
