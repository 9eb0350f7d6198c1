"""Arithmetic over ranges of a flat array, many ranges at once."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.integer[Any]]


def spans(first: Ints, last: Ints) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
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


def reduced(
    combine: np.ufunc, values: NDArray[Any], first: Ints, last: Ints, empty: float
) -> NDArray[Any]:
    """`combine.reduce(values[first[i]:last[i]])` of each range [n_ranges], `empty` of an empty one.

    Differences of prefix sums would be as quick, and lose what is small beside what comes before.
    """
    members, owner = spans(first, last)
    out = np.full(len(first), empty, dtype=values.dtype)
    if len(members):
        starts = run_starts(owner)
        out[owner[starts]] = combine.reduceat(values[members], starts)
    return out


def run_starts(*keys: Ints) -> NDArray[np.int64]:
    """int64 [n_runs], where runs of equal keys begin; keys are arrays of one length."""
    changes = np.zeros(len(keys[0]), dtype=np.bool_)
    changes[:1] = True
    for key in keys:
        changes[1:] |= key[1:] != key[:-1]
    return np.flatnonzero(changes)


def ranks(group: Ints) -> NDArray[np.int64]:
    """int64 [n], place of each member inside its group, from 0; groups lie together."""
    starts = run_starts(group)
    sizes = np.diff(np.append(starts, len(group)))
    return np.asarray(np.arange(len(group)) - np.repeat(starts, sizes))
