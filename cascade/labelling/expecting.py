"""How right answers will be, as labelled rows tell it, and what more labels would bring.

Each labelled row is answered by what the others teach (cross-validation). How sure the model is of
all rows tells how many are right, as far as it is true; labelled rows, each counted for as many
rows of the file as it stands for, tell how far it is not. What more labels bring is told by what
half of them would have missed: the difference of both, paired row by row, is what one doubling
brought, and the next brings about as much where accuracy grows with the logarithm of labels (it
grows less and less, so this is rather too much than too little once labels are many).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cascade.confidence.maps import BetaCalibration
from cascade.labelling.learner import Branches, Floats, Lesson, learn, log_softmax

FOLDS = 5
LEAST = 20  # labelled rows; fewer tell nothing
COUNTING = 0.5  # of the labelled rows that weights leave at least, as an effective number
NORMAL = 1.96  # of a 95% interval


@dataclass(frozen=True)
class Figure:
    """A figure with its 95% interval."""

    value: float
    low: float
    high: float

    def to_values(self) -> dict[str, float]:
        """As plain values, rounded."""
        return {name: round(value, 4) for name, value in vars(self).items()}

    def __str__(self) -> str:
        return f"{self.value:.0%} ({self.low:.0%} to {self.high:.0%})"


@dataclass(frozen=True)
class Expectation:
    """What labelled rows tell of all.

    Parameters
    ----------
    exact
        Share of answers that are the right leaf, of rows without a label.
    hf1
        Hierarchical F1, see `evaluation.metrics`.
    more
        By how much `exact` grows with `extra` more labels.
    raw
        float64 [n, depth], confidences down the paths of answers, NaN below their ends.
    right
        bool [n, depth], whether the label lies at or below the node there.
    whole
        bool [n], whether the answer is right as a whole.
    heaviest
        Share of all rows that one label would have stood for, where few would have decided, so that
        weights were limited; 0 where they were not.
    """

    exact: Figure
    hf1: Figure
    more: Figure
    extra: int
    raw: NDArray[np.float64]
    right: NDArray[np.bool_]
    whole: NDArray[np.bool_]
    heaviest: float = 0.0


@dataclass(frozen=True)
class Known:
    """Labelled rows.

    Parameters
    ----------
    lesson
        What they teach.
    nodes
        int32 [n], what they are labelled with.
    weight
        float64 [n], rows of the file that each stands for, in any unit.
    """

    lesson: Lesson
    nodes: NDArray[np.int32]
    weight: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.nodes)


class Everywhere(NamedTuple):
    """What a model says of all rows that have no label.

    Parameters
    ----------
    sure
        float64 [n_rows], probability of the answer.
    near
        float64 [n_rows], its expected hierarchical F1.
    copies
        float64 [n_rows], rows that are alike.
    """

    sure: NDArray[np.float64]
    near: NDArray[np.float64]
    copies: NDArray[np.float64]

    @classmethod
    def of(cls, logits: Floats, branches: Branches, copies: NDArray[Any]) -> Everywhere:
        """From logits [n_rows, n_leaves]."""
        p = np.exp(log_softmax(logits))
        best = p.argmax(axis=1)
        near = np.einsum("nl,nl->n", p, branches.shared[best])
        return cls(p.max(axis=1).astype(float), near.astype(float), copies.astype(float))


def expect(
    known: Known,
    branches: Branches,
    everywhere: Everywhere,
    extra: int,
    seed: int = 0,
    tick: Callable[[int, int], None] = lambda done, of: None,
) -> Expectation | None:
    """What to expect after these labels; None where they are too few to tell."""
    n = len(known)
    if n < LEAST or not len(everywhere.sure):
        return None
    fold = np.random.default_rng(seed).permutation(n) % FOLDS
    found = np.empty((n, len(branches.leaves)), np.float32)
    half = np.empty(n, np.int64)
    for own in range(FOLDS):
        rest, held = np.flatnonzero(fold != own), np.flatnonzero(fold == own)
        found[held] = _taught(known.lesson, rest, held, branches)
        fewer = np.random.default_rng([seed, own]).permutation(rest)[: len(rest) // 2]
        half[held] = _taught(known.lesson, fewer, held, branches).argmax(axis=1)
        tick(own + 1, FOLDS)
    best = found.argmax(axis=1)
    whole, before = (_is_right(branches, at, known.nodes) for at in (best, half))
    weight = limited(known.weight)
    heaviest = float(known.weight.max() / known.weight.sum())
    own_sure, own_near = Everywhere.of(found, branches, np.ones(n))[:2]
    worth = BetaCalibration.fit(own_sure, whole)
    exact = _differed(
        *(worth.of(everywhere.sure), everywhere.copies), worth.of(own_sure), whole, weight
    )
    exact = _widened(exact, weight)
    hf1 = _differed(
        *(everywhere.near, everywhere.copies), own_near, _hf1(branches, best, known.nodes), weight
    )
    gained = whole.astype(float) - before
    doublings = math.log2(1 + extra / n)
    mean = float(weight @ gained)
    reach = NORMAL * math.sqrt(
        float(weight**2 @ (gained - mean) ** 2) + float(weight @ weight) ** 2
    )
    gains = [doublings * value for value in (mean, mean - reach, mean + reach)]
    raw, right = paths_of(branches, found, best, known.nodes)
    most = 1 - exact.value
    more = Figure(*(min(most, value) for value in gains))
    heaviest = 0.0 if np.allclose(weight, known.weight / known.weight.sum()) else heaviest
    return Expectation(exact, hf1, more, extra, raw, right, whole, heaviest)


def limited(weight: NDArray[np.float64]) -> NDArray[np.float64]:
    """Weights that sum to 1, drawn so far to even ones that no few of them decide.

    Their effective number (Kish 1965), 1 / (w @ w), is `COUNTING` of all at least. What is lost in
    exactness on average is little beside what one row that stands for most of a file can do.
    """
    weight = weight / weight.sum()
    n = len(weight)
    spread = float(weight @ weight) - 1 / n
    allowed = (1 / COUNTING - 1) / n
    share = 1.0 if spread <= allowed else math.sqrt(allowed / spread)
    return share * weight + (1 - share) / n


def _taught(
    lesson: Lesson, rest: NDArray[np.int64], held: NDArray[np.int64], branches: Branches
) -> Floats:
    """float32 [n_held, n_leaves], logits for held rows by what the rest teaches."""
    assert lesson.known is not None
    taught = Lesson(lesson.vectors[rest], lesson.targets[rest], lesson.known[rest])
    return branches.logits(learn(taught, branches), lesson.known[held], lesson.vectors[held])


def paths_of(
    branches: Branches, logits: Floats, best: NDArray[np.int64], nodes: NDArray[np.int32]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Confidences down the paths of answers, and which are right; see `Expectation`."""
    tree = branches.taxonomy
    p = np.exp(log_softmax(logits))
    raw = np.full((len(best), tree.depth), np.nan)
    right = np.zeros((len(best), tree.depth), dtype=bool)
    for row, at in enumerate(best.tolist()):
        for level, node in enumerate(tree.path_nodes(int(branches.leaves[at])).tolist()):
            raw[row, level] = min(1.0, float(p[row, branches.below(node)].sum()))
            right[row, level] = bool(
                _below(tree, nodes[row], node) or _below(tree, node, nodes[row])
            )
    return raw, right


def _below(tree: Any, node: Any, above: Any) -> bool:
    """Whether a node lies at or below another."""
    return bool(above <= node < tree.end[above])


def _is_right(
    branches: Branches, at: NDArray[np.int64], nodes: NDArray[np.int32]
) -> NDArray[np.bool_]:
    """bool [n], whether leaves lie at or below labels."""
    leaves = branches.leaves[at]
    return np.asarray((leaves >= nodes) & (leaves < branches.taxonomy.end[nodes]))


def _hf1(
    branches: Branches, at: NDArray[np.int64], nodes: NDArray[np.int32]
) -> NDArray[np.float64]:
    """float64 [n], hierarchical F1 of each row."""
    tree, found = branches.taxonomy, np.empty(len(at))
    for row, leaf in enumerate(branches.leaves[at].tolist()):
        one, other = tree.path_nodes(leaf), tree.path_nodes(int(nodes[row]))
        found[row] = 2 * len(np.intersect1d(one, other)) / (len(one) + len(other))
    return found


def _differed(
    told: NDArray[np.float64],
    copies: NDArray[np.float64],
    own: NDArray[np.float64],
    true: NDArray[Any],
    weight: NDArray[np.float64],
) -> Figure:
    """What a model tells of all rows, moved by how far it is wrong about labelled ones.

    The difference estimator of survey sampling (Saerndal, Swensson and Wretman 1992, ch. 6): it
    is right on average however bad the model is, and the more exact, the better it is. With few
    rows their spread is not known well, so a row that is wrong by as much as can be is added, of
    the mean weight of rows that count.

    Parameters
    ----------
    told, copies
        [n_rows], of all rows.
    own, true, weight
        [n], of labelled rows; weights sum to 1.
    """
    off = true - own
    moved = float(weight @ off)
    value = float(np.average(told, weights=copies)) + moved
    variance = float(weight**2 @ (off - moved) ** 2) + float(weight @ weight) ** 2
    reach = NORMAL * math.sqrt(variance)
    return Figure(*(min(1.0, max(0.0, v)) for v in (value, value - reach, value + reach)))


def _widened(found: Figure, weight: NDArray[np.float64]) -> Figure:
    """A share at least as uncertain as one that is counted on as many rows as count.

    Its interval holds Wilson's (1927) for the effective number of rows; its value is what Jeffreys'
    prior makes of it, so that some dozen labels promise neither all nor nothing.
    """
    n, square = 1 / float(weight @ weight), NORMAL**2
    centre = (n * found.value + square / 2) / (n + square)
    spread = found.value * (1 - found.value) / n + square / (4 * n * n)
    reach = NORMAL * math.sqrt(spread) / (1 + square / n)
    value = (n * found.value + 0.5) / (n + 1)
    return Figure(value, min(found.low, centre - reach), max(found.high, centre + reach))
