"""A first pass learnt from rows that the method answers: a student, and how sure it must be.

How sure is settled on the same rows, by what the student says of each when it has not learnt from
it: the hierarchical F1 that its answers lose, expected under the method's own probabilities. Where
the method itself is often wrong this is more than what is lost against the truth.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cascade.items import Batch, Item
from cascade.retrieval.retriever import Retriever
from cascade.retrieval.student.fitting import fit_student
from cascade.retrieval.student.pieces import PieceVectors
from cascade.scoring.first_pass.choosing import HOPED, Choosing
from cascade.scoring.first_pass.deciding import LEAST, FirstPass, softmax
from cascade.scoring.first_pass.doubt import fit_doubt
from cascade.scoring.scorer import NodeProbabilityScorer
from cascade.taxonomy import Taxonomy
from cascade.taxonomy.names import readable_name

Floats = NDArray[np.float32]

NAMES = 1500  # of leaves, that are learnt from beside the rows, at the most; and at the most ...
NAMES_OF_ROWS = 3  # ... one for so many rows
KEPT = 64  # likeliest leaves of a row by which answers to it are judged
TOGETHER = 128  # names that are compared at a time
STEPS = np.geomspace(0.4, 2.5, 23)  # of the sharpness, as parts of the inverse temperature
JUDGED = 1000  # rows by which it is chosen
SURE = 1.645  # standard errors that the loss may be more than it seems, with 95% certainty


class Taught(NamedTuple):
    """What the method says of some rows.

    Parameters
    ----------
    texts
        Of the rows.
    similarities
        float32 [n_rows, n_leaves].
    leaves, p
        int32 and float32 [n_rows, at most KEPT], the likeliest leaves and their probabilities.
    """

    texts: list[str]
    similarities: Floats
    leaves: NDArray[np.int32]
    p: Floats


def learn_first_pass(
    taxonomy: Taxonomy,
    scorer: NodeProbabilityScorer,
    retriever: Retriever,
    batches: Iterable[Batch],
    pieces: PieceVectors | None,
    allowed: float,
    temperature: float,
) -> FirstPass:
    """From what a scorer says of the items of some batches.

    Parameters
    ----------
    pieces
        Of the retriever's encoder; None where it has none.
    allowed
        Hierarchical F1 that may be lost, over all rows.
    temperature
        Of the scorer: about the inverse of the sharpness.
    """
    taught = _taught(taxonomy, scorer, retriever, batches)
    n = len(taught.texts)
    if n < LEAST:
        return FirstPass(n)
    names, of_names = _names(taxonomy, retriever, min(NAMES, n // NAMES_OF_ROWS))
    similarities = np.concatenate([taught.similarities, of_names])
    student, left_out = fit_student([*taught.texts, *names], similarities, pieces)
    prior = None if scorer.prior is None else scorer.prior[taxonomy.leaves]
    sharpness = _sharpness(taxonomy, taught, left_out[:n], prior, temperature)
    best, signs = Choosing(taxonomy).of(softmax(left_out[:n], sharpness, prior))
    loss = expected_loss(taxonomy, taught, taxonomy.leaves[best])
    doubt, told = fit_doubt(signs, loss)
    most, share, lost = most_doubt(told, loss, allowed)
    lowest = float(signs[told <= most, HOPED].min(initial=1.0))
    return FirstPass(n, share, lost, most, lowest, student, doubt, sharpness, prior)


def _taught(
    taxonomy: Taxonomy,
    scorer: NodeProbabilityScorer,
    retriever: Retriever,
    batches: Iterable[Batch],
) -> Taught:
    texts: list[str] = []
    similarities, leaves, p = [], [], []
    for batch in batches:
        texts += [item.text for item in batch.items]
        similarities.append(retriever.node_similarity(batch)[taxonomy.leaves].T)
        found, own = scorer.confidences(batch).top_ends(KEPT)
        missing = ((0, 0), (0, KEPT - found.shape[1]))
        leaves.append(np.pad(found, missing, constant_values=-1))
        p.append(np.pad(own, missing))
    none = np.empty((0, len(taxonomy.leaves)), np.float32)
    return Taught(
        texts,
        np.concatenate([none, *similarities]),
        np.concatenate([np.empty((0, KEPT), np.int32), *leaves]),
        np.concatenate([np.empty((0, KEPT), np.float32), *p]),
    )


def _names(taxonomy: Taxonomy, retriever: Retriever, most: int) -> tuple[list[str], Floats]:
    """Names of leaves, drawn where there are many, and their similarities with all leaves."""
    drawn = np.random.default_rng(0).permutation(len(taxonomy.leaves))[:most]
    nodes = taxonomy.leaves[np.sort(drawn)].tolist()
    names = [readable_name(taxonomy.names[node]) for node in nodes]
    found = []
    for start in range(0, len(names), TOGETHER):
        batch = Batch([Item({"name": name}) for name in names[start : start + TOGETHER]])
        found.append(retriever.node_similarity(batch)[taxonomy.leaves].T)
    return names, np.concatenate(found)


def _sharpness(
    taxonomy: Taxonomy,
    taught: Taught,
    left_out: Floats,
    prior: Floats | None,
    temperature: float,
) -> float:
    """The sharpness under which the student's probabilities are most like the method's."""
    n = len(left_out)
    rows = np.unique(np.linspace(0, n - 1, min(n, JUDGED)).astype(np.int64))
    known = taught.leaves[rows] >= 0
    at = np.searchsorted(taxonomy.leaves, np.where(known, taught.leaves[rows], 0))
    at = np.minimum(at, len(taxonomy.leaves) - 1)
    p = np.where(known, taught.p[rows], 0)
    found = []
    for step in STEPS:
        told = softmax(left_out[rows], step / temperature, prior)
        likely = np.take_along_axis(told, at, axis=1)
        found.append(-(p * np.log(np.maximum(likely, 1e-12))).sum())
    return float(STEPS[int(np.argmin(found))] / temperature)


def expected_loss(
    taxonomy: Taxonomy, taught: Taught, answers: NDArray[np.int32]
) -> NDArray[np.float64]:
    """Hierarchical F1 that answers lose to the method's, expected under its probabilities, [n]."""
    rest = np.maximum(taught.p, 0).astype(np.float64)
    known = np.where(taught.leaves >= 0, taught.leaves, 0)

    def expected(nodes: NDArray[np.int32]) -> NDArray[np.float64]:
        own = taxonomy.paths_of(nodes)
        total = np.zeros(len(nodes))
        for column in range(known.shape[1]):
            path = taxonomy.paths_of(known[:, column])
            shared = ((path == own) & (own >= 0)).sum(axis=0)
            both = taxonomy.level[nodes] + taxonomy.level[known[:, column]]
            total += rest[:, column] * 2 * shared / both
        return total

    return expected(taught.leaves[:, 0]) - expected(answers)


def most_doubt(
    doubt: Floats, loss: NDArray[np.float64], allowed: float
) -> tuple[float, float, float]:
    """The most doubt with which no more than allowed is lost, over all rows.

    With 95% certainty: an upper bound of the mean loss is held below.

    Returns
    -------
    most
        -2 where even the surest rows lose too much.
    share, loss
        Of rows with no more doubt, and what they lose.
    """
    n = len(doubt)
    order = np.argsort(doubt, kind="stable")
    mean = np.cumsum(loss[order]) / n
    square = np.cumsum(loss[order] ** 2) / n
    bound = mean + SURE * np.sqrt(np.maximum(square - mean**2, 0) / n)
    rising = doubt[order]
    last = np.append(rising[1:] > rising[:-1], True)  # rows of the same doubt are sure together
    good = np.flatnonzero(last & (bound <= allowed))
    if not len(good):
        return -2.0, 0.0, 0.0
    at = int(good[-1])
    return float(rising[at]), (at + 1) / n, float(max(mean[at], 0.0))
