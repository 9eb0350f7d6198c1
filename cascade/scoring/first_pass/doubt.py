"""What an answer may lose, told by a few numbers about it: boosted trees, learnt from losses.

Least-squares boosting with a part of the rows for each tree (Friedman 2002). Trees are symmetric:
the same question for all rows of a level, so that a row's leaf is a number of a few bits and
answers are looked up for all rows together.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]

TREES, DEPTH = 100, 3
RATE = 0.06
PART = 0.5  # of the rows, drawn for each tree
CUTS = 31  # places at which a number is asked, at the most
WEIGHT = 30.0  # rows that say 0 in each leaf, beside its own
FOLDS = 5


@dataclass(frozen=True)
class Doubt:
    """Trees whose sum is the loss to expect.

    Parameters
    ----------
    feature
        int64 [TREES, DEPTH], what is asked.
    cut
        float32 [TREES, DEPTH], whether it is more than this.
    value
        float32 [TREES, 2**DEPTH], by the answers as bits.
    mean
        Of all losses, to which trees add.
    """

    feature: Ints
    cut: Floats
    value: Floats
    mean: float

    def of(self, signs: Floats) -> Floats:
        """The loss to expect [n_rows], of rows with signs [n_rows, n_signs]."""
        columns = np.ascontiguousarray(signs.T)
        total = np.full(len(signs), self.mean, np.float32)
        for feature, cut, value in zip(self.feature.tolist(), self.cut, self.value, strict=True):
            leaf = np.zeros(len(signs), np.uint8)
            for bit, own in enumerate(feature):
                leaf |= (columns[own] > cut[bit]).view(np.uint8) << np.uint8(bit)
            total += value[leaf]
        return total

    def arrays(self) -> dict[str, NDArray[Any]]:
        """All that `of_arrays` needs, by name."""
        mean = np.array([self.mean])
        return {"feature": self.feature, "cut": self.cut, "value": self.value, "mean": mean}

    @classmethod
    def of_arrays(cls, arrays: dict[str, NDArray[Any]], n_signs: int) -> Doubt:
        """What `arrays` gave.

        Raises
        ------
        ValueError, KeyError
            They are none.
        """
        feature, cut, value, mean = (arrays[n] for n in ("feature", "cut", "value", "mean"))
        n = len(feature)
        shapes = feature.shape == cut.shape == (n, DEPTH) and value.shape == (n, 1 << DEPTH)
        if not shapes or not ((feature >= 0) & (feature < n_signs)).all():
            raise ValueError("no trees")
        own = cut.astype(np.float32), value.astype(np.float32)
        return cls(feature.astype(np.int64), *own, float(mean[0]))


def fit_doubt(signs: Floats, loss: NDArray[np.float64]) -> tuple[Doubt, Floats]:
    """From five rows or more whose losses are known; and what is told of each by the others.

    Parameters
    ----------
    signs
        [n_rows, n_signs].
    loss
        [n_rows].

    Returns
    -------
    doubt
    left_out : float32 [n_rows]
    """
    fold = np.random.default_rng(0).permutation(len(signs)) % FOLDS
    left_out = np.empty(len(signs), np.float32)
    for number in range(FOLDS):
        others, own = fold != number, fold == number
        left_out[own] = _fitted(signs[others], loss[others]).of(signs[own])
    return _fitted(signs, loss), left_out


def _fitted(signs: Floats, loss: NDArray[np.float64]) -> Doubt:
    n, n_signs = signs.shape
    cuts = np.quantile(signs, np.linspace(0, 1, CUTS + 2)[1:-1], axis=0).astype(np.float32)
    bins = np.stack([np.searchsorted(cuts[:, own], signs[:, own]) for own in range(n_signs)])
    mean = float(loss.mean())
    rest = loss - mean
    feature, cut = np.zeros((TREES, DEPTH), np.int64), np.zeros((TREES, DEPTH), np.float32)
    value = np.zeros((TREES, 1 << DEPTH), np.float32)
    rng = np.random.default_rng(0)
    for tree in range(TREES):
        drawn = np.flatnonzero(rng.random(n) < PART)
        leaf = np.zeros(n, np.int64)
        for bit in range(DEPTH):
            own, at = _question(bins[:, drawn], leaf[drawn], rest[drawn], 1 << bit)
            feature[tree, bit], cut[tree, bit] = own, cuts[at, own]
            leaf |= (bins[own] > at).astype(np.int64) << bit
        sums = np.bincount(leaf[drawn], rest[drawn], minlength=1 << DEPTH)
        counts = np.bincount(leaf[drawn], minlength=1 << DEPTH)
        value[tree] = RATE * sums / (counts + WEIGHT)
        rest -= value[tree][leaf]
    return Doubt(feature, cut, value, mean)


def _question(bins: Ints, leaf: Ints, rest: NDArray[np.float64], n_leaves: int) -> tuple[int, int]:
    """The sign, and the number of its cut, that tell losses apart most in all leaves together."""
    best = (-1.0, 0, 0)
    for own, bin_ in enumerate(bins):
        key = leaf * (CUTS + 1) + bin_
        shape = n_leaves, CUTS + 1
        sums = np.bincount(key, rest, minlength=n_leaves * (CUTS + 1)).reshape(shape).cumsum(axis=1)
        counts = np.bincount(key, minlength=n_leaves * (CUTS + 1)).reshape(shape).cumsum(axis=1)
        below, above = sums[:, :-1], sums[:, -1:] - sums[:, :-1]
        n_below, n_above = counts[:, :-1], counts[:, -1:] - counts[:, :-1]
        gain = (below**2 / (n_below + WEIGHT) + above**2 / (n_above + WEIGHT)).sum(axis=0)
        at = int(gain.argmax())
        if gain[at] > best[0]:
            best = (float(gain[at]), own, at)
    return best[1], best[2]
