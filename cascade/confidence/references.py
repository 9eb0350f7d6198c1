"""References of `confidence.shift`, made of held-out rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cascade.confidence.shift import (
    ALARM,
    MOST_CLASSES,
    RANGES,
    RARE,
    TRUSTED,
    Floats,
    Kind,
    Reference,
    Stream,
    stream_weights,
)

UNSEEN = 0.5  # of a row is in each cell beside those that were seen there
FEW = 3  # rows of a label that are a group of their own


@dataclass(frozen=True)
class Groups:
    """How held-out rows stand for all: what is held out has not the labels in their true shares.

    A row counts for as much as its group has among all rows and not among the held-out ones
    (post-stratification). So the shares of classes are known nearly as well as from all rows.

    Parameters
    ----------
    of
        int64 [n_rows], the group of each held-out row, from 0.
    share
        float64 [n_groups], of all rows; sums to 1.
    total
        How many rows there are in all.
    """

    of: NDArray[np.int64]
    share: Floats
    total: int

    @classmethod
    def single(cls, rows: int) -> Groups:
        """All rows in one: they stand for themselves."""
        return cls(np.zeros(rows, np.int64), np.ones(1), rows)

    @classmethod
    def of_labels(
        cls,
        held: NDArray[np.int32],
        everything: NDArray[np.int32],
        parent: NDArray[np.int32],
    ) -> Groups:
        """Each label with `FEW` held-out rows is a group, others are one with those beside them.

        Parameters
        ----------
        held, everything
            Labels of held-out rows, and of all rows with them.
        parent
            int32 [n_nodes], of each label that there may be; -1 above the top.
        """
        labels, counts = np.unique(everything, return_counts=True)
        own = np.bincount(np.searchsorted(labels, held), minlength=len(labels))
        everywhere = 2 * len(parent)  # the group of what is rare at the top
        group = labels.astype(np.int64)  # a node, or what is rare below one: its number from n on
        while True:
            _, at = np.unique(group, return_inverse=True)
            small = (np.bincount(at, own)[at] < FEW) & (group != everywhere)
            if not small.any():
                break
            above = parent[group[small] % len(parent)]
            group[small] = np.where(above < 0, everywhere, len(parent) + above)
        rest = group == everywhere
        if own[rest].sum() < FEW and not rest.all():
            _, at = np.unique(group, return_inverse=True)
            group[rest] = group[np.bincount(at, own)[at].argmax()]
        _, group = np.unique(group, return_inverse=True)
        share = np.bincount(group, counts) / len(everything)
        return cls(group[np.searchsorted(labels, held)], share, len(everything))

    @property
    def sizes(self) -> NDArray[np.int64]:
        """int64 [n_groups], held-out rows of each."""
        return np.bincount(self.of, minlength=len(self.share))

    @property
    def weight(self) -> Floats:
        """float64 [n_rows]; they sum to 1."""
        return (self.share / np.maximum(self.sizes, 1))[self.of]

    def rows(self, cell: NDArray[np.int64], n_cells: int) -> float:
        """How many independent rows would tell the shares of cells as well.

        Parameters
        ----------
        cell
            int64 [n_rows], that of each held-out row.
        """
        sizes = np.maximum(self.sizes, 1)[:, None]
        within = np.zeros((len(self.share), n_cells))
        np.add.at(within, (self.of, cell), 1.0)
        within /= sizes
        mean = self.share @ within
        # One row does not tell how the next would differ: then it is as in all rows.
        alone = mean * (1 - mean)
        noise = np.where(sizes > 1, within * (1 - within) / np.maximum(sizes - 1, 1), alone)
        variance = (self.share**2) @ noise + self.share @ (within - mean) ** 2 / self.total
        spread = float((mean * (1 - mean)).sum())
        return float(np.clip(spread / max(variance.sum(), 1e-12), 1, len(self.of) + self.total))


def fit_reference(
    values: Mapping[str, tuple[Kind, Sequence[Any] | Floats]],
    groups: Groups,
    classes: Mapping[str, Sequence[str]],
    named: Callable[[str], str],
) -> Reference:
    """What a pack remembers of held-out rows.

    Parameters
    ----------
    values
        By stream, its kind and [n_rows] codes or numbers; NaN where a row has none.
    classes
        By stream, codes with a cell of their own. They are not chosen by the same rows: of classes
        chosen because they are frequent there the others would be too few.
    named
        The name of a code, as it is told.
    """
    weights = stream_weights([kind for kind, _ in values.values()])
    streams = []
    for (name, (kind, own)), weight in zip(values.items(), weights.tolist(), strict=True):
        codes = tuple(classes.get(name, ()))
        streams.append(_stream(name, kind, own, groups, codes, named, ALARM * weight))
    return Reference(tuple(s for s in streams if s is not None), len(groups.of))


def _stream(
    name: str,
    kind: Kind,
    values: Sequence[Any] | Floats,
    groups: Groups,
    classes: tuple[str, ...],
    named: Callable[[str], str],
    alpha: float,
) -> Stream | None:
    """A stream whose alarms have a probability of `alpha`; None where rows do not differ in it."""
    edges = np.empty(0)
    if kind == "classes":
        codes, known = [code or "" for code in values], np.ones(len(values), bool)
        cells = {code: cell for cell, code in enumerate(classes)}
        cell = np.array([cells.get(code, len(classes)) for code in codes], np.int64)
        n_cells = len(classes) + 1
    else:
        numbers = np.asarray(values, np.float64)
        known = ~np.isnan(numbers)
        edges = _edges(numbers[known], groups.weight[known], empty_apart=kind == "text")
        cell, n_cells = edges.searchsorted(numbers, side="right"), len(edges) + 1
        cell = np.where(known, cell, 0)
    n = int(known.sum())
    if n_cells < 2 or n < RANGES:
        return None
    used = Groups(groups.of[known], groups.share, groups.total)
    weighed = np.bincount(cell[known], used.weight, minlength=n_cells)
    rows = min(TRUSTED, used.rows(cell[known], n_cells))
    share = weighed / weighed.sum() * rows + UNSEEN
    share /= share.sum()
    found = Stream(name, kind, share, rows, np.empty(0), classes, tuple(map(named, classes)), edges)
    return replace(found, limits=found.bets.critical(alpha))


def frequent(codes: Sequence[str]) -> tuple[str, ...]:
    """Codes that enough of many rows have, the most frequent first."""
    counts = Counter(codes)
    enough = [(code, n) for code, n in counts.items() if n >= RARE * len(codes)]
    enough.sort(key=lambda one: (-one[1], one[0]))
    return tuple(code for code, _ in enough[:MOST_CLASSES])


def _edges(numbers: Floats, weight: Floats, *, empty_apart: bool) -> Floats:
    """Where ranges end that have about as many rows each, increasing."""
    least = 0.5 if empty_apart else -np.inf
    some = numbers > least
    found = np.array([0.5]) if empty_apart else np.empty(0)
    if some.any():
        order = np.argsort(numbers[some], kind="stable")
        rising, below = numbers[some][order], np.cumsum(weight[some][order])
        wanted = np.arange(1, RANGES) / RANGES * below[-1]
        cuts = rising[np.minimum(np.searchsorted(below, wanted), len(rising) - 1)]
        found = np.concatenate([found, np.unique(cuts[cuts > rising[0]])])
    return found
