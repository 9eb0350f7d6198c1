"""How right answers will be, as labelled rows tell it, and what more labels would bring.

Each labelled row is answered by what the others teach (cross-validation), and counts for as many
rows of the file as it stands for. What more labels bring is told by what half of them would have
missed: the difference of both, paired row by row, is what one doubling brought, and the next brings
about as much where accuracy grows with the logarithm of labels (it grows less and less, so this is
rather too much than too little once labels are many).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cascade.labelling.learner import Branches, Floats, Lesson, learn, log_softmax

FOLDS = 5
LEAST = 20  # labelled rows; fewer tell nothing
RESAMPLES = 1000
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
        Share of answers that are the right leaf.
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
    """

    exact: Figure
    hf1: Figure
    more: Figure
    extra: int
    raw: NDArray[np.float64]
    right: NDArray[np.bool_]
    whole: NDArray[np.bool_]


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


def expect(
    known: Known,
    branches: Branches,
    extra: int,
    seed: int = 0,
    tick: Callable[[int, int], None] = lambda done, of: None,
) -> Expectation | None:
    """What to expect after these labels; None where they are too few to tell."""
    n = len(known)
    if n < LEAST:
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
    weight = known.weight / known.weight.sum()
    shared, sizes = _shared(branches, best, known.nodes)
    gained = weight @ (whole.astype(float) - before)
    spread = math.sqrt(float(weight**2 @ (whole.astype(float) - before - gained) ** 2))
    doublings = math.log2(1 + extra / n)
    more = [doublings * (gained + z * spread) for z in (0, -NORMAL, NORMAL)]
    left = 1 - float(weight @ whole)
    raw, right = paths_of(branches, found, best, known.nodes)
    return Expectation(
        wilson(float(weight @ whole), 1 / float(weight @ weight)),
        _resampled(2 * shared, sizes, weight, seed),
        Figure(*(min(left, value) for value in more)),
        extra,
        raw,
        right,
        whole,
    )


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


def _shared(
    branches: Branches, at: NDArray[np.int64], nodes: NDArray[np.int32]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """float64 [n] each: nodes that paths of answer and label share, and nodes of both."""
    tree = branches.taxonomy
    shared, sizes = np.empty(len(at)), np.empty(len(at))
    for row, (leaf, node) in enumerate(
        zip(branches.leaves[at].tolist(), nodes.tolist(), strict=True)
    ):
        one, other = tree.path_nodes(leaf), tree.path_nodes(node)
        shared[row] = len(np.intersect1d(one, other))
        sizes[row] = len(one) + len(other)
    return shared, sizes


def wilson(share: float, n: float) -> Figure:
    """A share of n rows with its interval (Wilson 1927); n may be an effective number (Kish)."""
    z = NORMAL**2
    middle = (share + z / (2 * n)) / (1 + z / n)
    reach = NORMAL * math.sqrt(share * (1 - share) / n + z / (4 * n * n)) / (1 + z / n)
    return Figure(share, max(0.0, middle - reach), min(1.0, middle + reach))


def _resampled(
    over: NDArray[np.float64], under: NDArray[np.float64], weight: NDArray[np.float64], seed: int
) -> Figure:
    """A ratio of weighed sums, with its interval by bootstrap."""
    rng, n = np.random.default_rng(seed), len(over)
    times = rng.multinomial(n, np.full(n, 1 / n), size=RESAMPLES) * weight
    low, high = np.quantile((times @ over) / (times @ under), [0.025, 0.975])
    return Figure(float(weight @ over / (weight @ under)), float(low), float(high))
