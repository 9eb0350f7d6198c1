"""Which rows to ask a person about: those that teach most, and that still tell how good it all is.

Rows are put into as many groups as are asked for, by k-means over their vectors, in which a row
counts as much as it is doubtful (weighted clustering, as in Zhdanov, "Diverse mini-batch active
learning", 2019): so all of the file is covered, the more finely the more doubt there is. One row of
each group is drawn, a doubtful one with a higher probability. As that probability is known and
never 0, what is measured on such rows can be weighed back to the file (Horvitz and Thompson 1952).
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cascade.labelling.learner import Floats, log_softmax

EVEN = 1.0  # of the mean doubt, added to that about each row, so that none stands for too many
LEAST = 0.02  # that is added
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
    drawn = doubt * copies[left]
    group = _groups(vectors[left], drawn, k, seed)
    chosen, weight = [], []
    for own in (np.flatnonzero(group == g) for g in range(k)):
        share = drawn[own] / drawn[own].sum()
        at = rng.choice(len(own), p=share)
        chosen.append(own[at])
        weight.append(copies[left[own[at]]] / share[at])
    order = rng.permutation(k)
    return Asked(left[np.array(chosen)[order]], np.array(weight)[order])


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
