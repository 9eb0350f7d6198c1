"""Bets that shares have moved: test martingales over counts of rows in cells.

A reference tells how often a row falls into each cell: `share`, as known from so many `rows`. A
tree of splits parts the cells in two until each stands alone, so that the rows of a file are a
sequence of throws at each split. Unmoved, the part that goes left is Beta distributed around its
share, as narrowly as the reference rows tell (together a Dirichlet distribution; the throws are a
Polya urn that begins with the reference rows). A bet says that it is spread wider. What the bet
gains is the ratio of two likelihoods of the same sequence, so a test martingale: it exceeds
1 / alpha at any time, however long the sequence, with a probability of at most alpha (Ville 1939;
Shafer et al. 2011, "Test martingales, Bayes factors and p-values"). Since both laws are
exchangeable it depends on counts alone, not on the order of the rows. Mixtures of bets are
martingales again (Robbins 1970): of many spreads, of all splits together and of each alone.

Trees are of two kinds. Classes are parted one by one, the most frequent first, with bets that are
about as wide on the log scale for all of them: a generalised Dirichlet distribution (Connor and
Mosimann 1969). Ranges of a number are halved (a Polya tree, Holmes et al. 2015, "Two-sample
Bayesian nonparametric hypothesis testing").
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

SPREADS = (0.05, 0.1, 0.25, 1.0, 4.0, 16.0)  # variances of the logarithms of moved shares
WIDEST = 0.5  # concentration of a Beta distribution, at least
SIZES = tuple(32 * 4**i for i in range(7))  # rows for which critical values are simulated
DRAWS = 4000
MANY = 10_000  # counts
SHIFTED = 8  # Stirling's series is exact to 1e-10 from here on

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Bets:
    """Bets against one reference.

    Parameters
    ----------
    share
        float64 [n_cells], above 0; they sum to 1.
    rows
        How many rows the shares are known from.
    left, whole
        bool [n_splits, n_cells]: the cells that each split parts from others, and both together.
    even
        Whether shares of single cells move alike on the log scale; else those of halves do.
    """

    share: Floats
    rows: float
    left: NDArray[np.bool_]
    whole: NDArray[np.bool_]
    even: bool

    @classmethod
    def on_classes(cls, share: Floats, rows: float) -> Bets:
        """Each class is parted from all that are less frequent."""
        order = np.argsort(-share, kind="stable")
        place = np.empty(len(share), np.int64)
        place[order] = np.arange(len(share))
        splits = np.arange(len(share) - 1)[:, None]
        return cls(share, rows, place == splits, place >= splits, even=True)

    @classmethod
    def on_ranges(cls, share: Floats, rows: float, *, first_apart: bool = False) -> Bets:
        """Ranges, in their order, are halved as evenly as their shares allow.

        Parameters
        ----------
        first_apart
            Whether the first is parted from all others before.
        """
        left: list[NDArray[np.bool_]] = []
        whole: list[NDArray[np.bool_]] = []
        at = np.arange(len(share))
        todo = [(0, len(share))]
        while todo:
            start, end = todo.pop()
            if end - start < 2:
                continue
            before = np.cumsum(share[start : end - 1])
            middle = start + 1 + int(np.abs(before - share[start:end].sum() / 2).argmin())
            if first_apart and (start, end) == (0, len(share)):
                middle = 1
            left.append((at >= start) & (at < middle))
            whole.append((at >= start) & (at < end))
            todo += [(start, middle), (middle, end)]
        shape = (-1, len(share))
        return cls(share, rows, np.reshape(left, shape), np.reshape(whole, shape), even=False)

    @cached_property
    def _laws(self) -> tuple[Floats, Floats]:
        """The Beta distributions of each split.

        Returns
        -------
        laws
            float64 [3, 1 + n_spreads, n_splits]: both parameters, and their sum. The first are
            those of shares that did not move.
        start
            float64 [1 + n_spreads, n_splits], logarithms of their Beta functions.
        """
        p_left, p_whole = self.left @ self.share, self.whole @ self.share
        p_right = p_whole - p_left
        p = p_left / p_whole
        unmoved = self.rows * p_whole
        known = 1 / (self.rows * p_left) + 1 / (self.rows * p_right)  # variance of the log-odds
        alike = np.ones(len(p))
        if self.even:
            squares = self.share**2
            alike = self.left @ squares / p_left**2
            alike = alike + (self.whole & ~self.left) @ squares / p_right**2
        spread = known + np.array(SPREADS)[:, None] * alike
        # The log-odds of a Beta variable of concentration s vary by about 1 / (p (1 - p) (s + 1)).
        moved = np.clip(1 / (p * (1 - p) * spread) - 1, WIDEST, None)
        concentration = np.vstack([unmoved, np.minimum(moved, unmoved)])
        laws = concentration * np.stack([p, 1 - p, np.ones(len(p))])[:, None, :]
        first, second, both = log_gamma(laws)
        return laws, first + second - both

    def log_gain(self, counts: NDArray[np.int64]) -> Floats:
        """The logarithm of what the bets have gained at counts [..., n_cells]; [...]."""
        if not len(self.left):
            return np.zeros(counts.shape[:-1])
        left, whole = counts @ self.left.T, counts @ self.whole.T
        laws, start = self._laws
        parts = np.stack([left, whole - left, whole])
        first, second, both = _log_gamma_of(parts, laws)
        ratio = first + second - both - start
        ratio = ratio[..., 1:, :] - ratio[..., :1, :]  # by spread and split
        together = log_mean(ratio.sum(axis=-1))
        alone = log_mean(ratio.reshape(*ratio.shape[:-2], -1))
        return log_mean(np.stack([together, alone], axis=-1))

    def critical(self, alpha: float, seed: int = 0) -> Floats:
        """What `log_gain` exceeds with probability `alpha` after each of `SIZES` unmoved rows.

        At a number of rows that does not depend on what they are this is less than Ville's bound,
        which holds for all numbers at once.
        """
        rng = np.random.default_rng(seed)
        found = []
        for size in SIZES:
            shares = rng.dirichlet(self.rows * self.share, DRAWS)
            shares /= shares.sum(axis=1, keepdims=True)
            counts = rng.multinomial(size, shares)
            found.append(np.quantile(self.log_gain(counts), 1 - alpha))
        return np.array(found)


def critical_at(critical: Sequence[float], rows: int) -> float:
    """The value of `Bets.critical` for a number of rows: the greater of its neighbours'."""
    at = int(np.searchsorted(SIZES, rows))
    near = critical[max(at - 1, 0) : at + 1] if at < len(SIZES) else critical[-1:]
    return max(near)


def log_mean(values: Floats, weights: Floats | None = None) -> Floats:
    """The logarithm of the mean of what has these logarithms, over the last axis."""
    top = values.max(axis=-1, keepdims=True)
    mean = np.average(np.exp(values - top), axis=-1, weights=weights)
    return np.asarray(top[..., 0] + np.log(mean))


def _log_gamma_of(counts: NDArray[np.int64], laws: Floats) -> Floats:
    """`log_gamma(counts + laws)`, [3, ..., n_laws, n_splits], of counts [3, ..., n_splits].

    Where there are many they repeat each other, and each is computed once.
    """
    inner = (1,) * (counts.ndim - 2)
    if counts.size < MANY:
        return log_gamma(counts[..., None, :] + laws.reshape(3, *inner, *laws.shape[1:]))
    found = np.empty((*counts.shape[:-1], *laws.shape[1:]))
    for kind in range(3):
        for split in range(counts.shape[-1]):
            different, at = np.unique(counts[kind, ..., split], return_inverse=True)
            values = log_gamma(different[:, None] + laws[kind, :, split])
            found[kind, ..., split] = values[at]
    return found


def log_gamma(x: Floats) -> Floats:
    """The logarithm of the gamma function, of numbers above 0.

    Stirling's series, behind a shift. SciPy has it too, but the import takes longer than a short
    run.
    """
    below = np.ones_like(x)
    for step in range(SHIFTED):
        below *= x + step
    x = x + SHIFTED
    square = x * x
    series = (1 / 12 - (1 / 360 - (1 / 1260 - 1 / (1680 * square)) / square) / square) / x
    return np.asarray((x - 0.5) * np.log(x) - x + 0.5 * np.log(2 * np.pi) + series - np.log(below))
