"""Top-k, and reductions over many ranges of a flat array at once."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.integer[Any]]


def top_k(scores: NDArray[np.float32], k: int) -> NDArray[np.int64]:
    """Columns of the k greatest of each row [n_rows, k], greatest first; ties by position."""
    if scores.shape[1] > k:
        top = np.sort(np.argpartition(-scores, k - 1, axis=1)[:, :k], axis=1)
    else:
        top = np.broadcast_to(np.arange(scores.shape[1]), scores.shape)
    order = np.argsort(-np.take_along_axis(scores, top, axis=1), axis=1, kind="stable")
    return np.asarray(np.take_along_axis(top, order, axis=1))


def top_k_of_runs(key: Ints, values: NDArray[Any], k: int) -> NDArray[np.int64]:
    """Places of the k greatest values of each run of equal keys, greatest first; ties by place.

    Parameters
    ----------
    key
        Integers [n] that never decrease.
    values
        [n]
    """
    order = np.lexsort((-values, key))  # stable
    return np.asarray(order[rank_in_run(key[order]) < k])


def run_starts(*keys: Ints) -> NDArray[np.int64]:
    """int64 [n_runs], where runs of equal keys begin; keys are arrays of one length."""
    changes = np.zeros(len(keys[0]), dtype=np.bool_)
    changes[:1] = True
    for key in keys:
        changes[1:] |= key[1:] != key[:-1]
    return np.flatnonzero(changes)


def rank_in_run(key: Ints) -> NDArray[np.int64]:
    """int64 [n], place of each member inside its run of equal keys, from 0."""
    starts = run_starts(key)
    sizes = np.diff(np.append(starts, len(key)))
    return np.asarray(np.arange(len(key)) - np.repeat(starts, sizes))


def expand_ranges(first: Ints, last: Ints) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The members of ranges, one range after the other.

    Parameters
    ----------
    first, last
        Integers [n_ranges]; range i is `range(first[i], last[i])`.

    Returns
    -------
    members
        int64 [n_members]
    owner
        int64 [n_members], the range that each is of.
    """
    sizes = np.maximum(np.asarray(last, dtype=np.int64) - first, 0)
    owner = np.repeat(np.arange(len(sizes)), sizes)
    before = np.cumsum(sizes) - sizes
    return np.arange(len(owner)) + (first - before)[owner], owner


def reduce_ranges(
    combine: np.ufunc, values: NDArray[Any], first: Ints, last: Ints, empty: float
) -> NDArray[Any]:
    """`combine.reduce(values[first[i]:last[i]])` of each range [n_ranges], `empty` of an empty one.

    Differences of prefix sums would be as quick, and lose what is small beside what comes before.
    """
    members, owner = expand_ranges(first, last)
    out = np.full(len(first), empty, dtype=values.dtype)
    if len(members):
        starts = run_starts(owner)
        out[owner[starts]] = combine.reduceat(values[members], starts)
    return out


def run_max(
    values: NDArray[np.float32], starts: NDArray[np.int64], axis: int = 0
) -> NDArray[np.float32]:
    """The greatest of each run of rows (or columns) of a matrix, as `maximum.reduceat` finds it.

    Where runs are short, as the texts of a node, it is several times as fast: first all first rows
    are taken, then the second ones of the runs that have two, and so on.

    Parameters
    ----------
    starts
        Where each run begins, ascending; the last ends with the matrix. No run is empty.
    """
    sizes = np.diff(starts, append=values.shape[axis])
    out = np.take(values, starts, axis=axis)
    for rank in range(1, int(sizes.max(initial=0))):
        long = np.flatnonzero(sizes > rank)
        more = np.take(values, starts[long] + rank, axis=axis)
        if axis == 0:
            out[long] = np.maximum(out[long], more)
        else:
            out[:, long] = np.maximum(out[:, long], more)
    return out
