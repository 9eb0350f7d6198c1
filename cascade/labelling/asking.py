"""Which rows to ask a person about: those that teach most, and that still tell how good it all is.

Rows are put into groups by k-means over their vectors, in which a row counts as much as it is
doubtful (weighted clustering, as in Zhdanov, "Diverse mini-batch active learning", 2019): so all of
the file is covered, the more finely the more doubt there is. One row of each group is drawn, and
more of groups that hold much doubt, so that no row stands for most of the file; a doubtful row is
drawn with a higher probability (systematic sampling, Madow 1949). As that probability is known and
never 0, what is measured on such rows can be weighed back to the file (Horvitz and Thompson 1952).
"""

from __future__ import annotations

import heapq
import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cascade.labelling.learner import Floats, log_softmax

EVEN = 1.0  # of the mean doubt, added to that about each row, so that none stands for too many
LEAST = 0.02  # that is added
GROUPS = 2 / 3  # of the number of rows to choose; the rest goes to the heaviest groups
ROUNDS = 15  # of k-means


@dataclass(frozen=True)
class Asked:
    """Rows that are asked for, in a random order, so that whoever stops early has covered the file.

    Parameters
    ----------
    rows
        int64 [k], places in the sample.
    weight
        float64 [k], rows of the sample that each stands for.
    """

    rows: NDArray[np.int64]
    weight: NDArray[np.float64]


def ask(
    answers: Floats,
    vectors: Floats,
    copies: NDArray[np.int64],
    known: NDArray[np.int64],
    k: int,
    seed: int,
) -> Asked:
    """Choose rows.

    Parameters
    ----------
    answers
        float32 [n_rows, n_leaves], logits of now.
    vectors
        float32 [n_rows, width].
    copies
        int64 [n_rows], rows of the file's sample that are alike.
    known
        Rows that have a label, or were asked for before.
    k
        Rows to choose; fewer where fewer are left.
    """
    left = np.setdiff1d(np.arange(len(answers)), known)
    k = min(k, len(left))
    if k == 0:
        return Asked(left, np.empty(0))
    rng = np.random.default_rng(seed)
    doubt = 1 - np.exp(log_softmax(answers[left])).max(axis=1)
    doubt = doubt.astype(np.float64) + max(LEAST, EVEN * float(doubt.mean()))
    size = doubt * copies[left]
    group = _groups(vectors[left], size, max(1, round(GROUPS * k)), seed)
    chance, chosen = np.empty(len(left)), list[int]()
    for own, draws in _shared(group, size, k):
        chance[own] = _chances(size[own], draws)
        line = rng.permutation(own)
        passed = np.cumsum(chance[line])
        passed[-1] = draws  # but for rounding
        chosen += line[np.searchsorted(passed, rng.random() + np.arange(draws), "right")].tolist()
    order = rng.permutation(chosen)
    return Asked(left[order], copies[left[order]] / chance[order])


def _shared(
    group: NDArray[np.int64], size: NDArray[np.float64], k: int
) -> list[tuple[NDArray[np.int64], int]]:
    """Rows of each group, and how many of them to draw: one, the rest of k where size is most."""
    members = [np.flatnonzero(group == own) for own in range(int(group.max()) + 1)]
    sizes = [float(size[own].sum()) for own in members]
    draws = [1] * len(members)
    heaviest = [(-total, at) for at, total in enumerate(sizes)]
    heapq.heapify(heaviest)
    for _ in range(k - len(members)):
        while draws[heaviest[0][1]] == len(members[heaviest[0][1]]):  # all of it is drawn
            heapq.heappop(heaviest)
        at = heaviest[0][1]
        draws[at] += 1
        heapq.heapreplace(heaviest, (-sizes[at] / draws[at], at))
    return list(zip(members, draws, strict=True))


def _chances(size: NDArray[np.float64], k: int) -> NDArray[np.float64]:
    """float64 [n], probabilities to be drawn: as sizes are, at most 1, together k."""
    chance = np.ones(len(size))
    rest = np.arange(len(size))
    while len(rest):
        own = (k - len(size) + len(rest)) * size[rest] / size[rest].sum()
        if (own < 1).all():
            chance[rest] = own
            break
        rest = rest[own < 1]
    return chance


def _groups(vectors: Floats, weight: NDArray[np.float64], k: int, seed: int) -> NDArray[np.int64]:
    """int64 [n], the group of each row; all k have one at least."""
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning

    if k == len(vectors):
        return np.arange(k)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # rows that are all alike
        fitted = KMeans(k, n_init=1, max_iter=ROUNDS, random_state=seed).fit(
            vectors, sample_weight=weight
        )
    group = fitted.labels_.astype(np.int64)
    for empty in np.setdiff1d(np.arange(k), group).tolist():  # rows that are all alike
        sizes = np.bincount(group, minlength=k)
        group[np.flatnonzero(group == sizes.argmax())[-1]] = empty
    return np.asarray(group)
