"""Learning of a file without a label: from its own answers, where they are sure, of all classes.

Self-training (Yarowsky 1995) in a form that is hard to lead astray: the surest answers of each
class, a few of each, teach heads over words and vectors, whose opinion is then added to what names
of nodes say, with half its weight; a few rounds. How frequent classes are in the file is
estimated too (`scoring.adaptation`), and counts where answers are spread over few of the leaves:
where all are about as frequent, it does harm.

Whether it helps is told by another view of rows that were held out: words alone, taught by the
answers of the other half before any of this (co-training's two views, Blum and Mitchell 1998). It
is kept if it makes answers of held-out rows likelier to that view.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cascade.io.files import read_tensors, write_tensors
from cascade.labelling.learner import Branches, Floats, Lesson, learn, log_softmax
from cascade.scoring.adaptation import KEPT, LEAST, Adaptation
from cascade.scoring.corrections import Corrections

EACH = 20  # the surest rows of a class that teach
UNSURE = 0.3  # share of the rows that are the least sure, which never do
WEIGHT = 0.5  # of the heads, where names have 1
ROUNDS = 3
RIDGE = 0.3  # of heads that learn from answers
STEPS = 30
SKEWED = 0.5
"""Share of the leaves that answers are spread over, below which the frequencies of leaves count."""

FIGURES = ("spread", "gain", "error", "moved")

Tick = Callable[[int, int], None]


@dataclass(frozen=True)
class Bootstrap:
    """What a file taught without a label.

    Parameters
    ----------
    corrections
        None where nothing is kept.
    spread
        Share of the leaves that answers by names are spread over.
    gain, error
        By how much answers of held-out rows are likelier to another view of them, mean of the
        logarithms, and its standard error.
    moved
        Share of the rows whose answer is another one.
    """

    corrections: Corrections | None
    spread: float = 1.0
    gain: float = 0.0
    error: float = 0.0
    moved: float = 0.0

    @classmethod
    def load(cls, path: Path, nodes: NDArray[np.int32]) -> Bootstrap:
        """What `save` wrote, for heads of these nodes."""
        about, arrays = read_tensors(path)
        kept = None
        if about["kept"]:
            kept = Corrections(1.0, arrays["nodes"], arrays["weights"], arrays["bias"])
            kept = kept.placed(np.union1d(nodes, kept.nodes).astype(np.int32)).of(nodes)
        return cls(kept, *(float(about[name]) for name in FIGURES))

    def save(self, path: Path) -> None:
        """Write it for the next round."""
        made = self.corrections
        arrays: dict[str, NDArray[Any]] = {"none": np.zeros(1, np.float32)}
        if made is not None:
            arrays = {"nodes": made.nodes, "weights": made.weights, "bias": made.bias}
        figures = {name: getattr(self, name) for name in FIGURES}
        write_tensors(path, {"kept": made is not None, **figures}, arrays)


@dataclass(frozen=True)
class Unlabelled:
    """Rows without labels, in views.

    Parameters
    ----------
    known
        float32 [n_rows, n_leaves], logarithms of what names of nodes say.
    vectors
        float32 [n_rows, width], of their meaning, then of their words.
    meaning
        How many numbers of a vector are of its meaning.
    """

    branches: Branches
    known: Floats
    vectors: Floats
    meaning: int

    def part(self, rows: NDArray[np.int64]) -> Unlabelled:
        """Some of them."""
        return Unlabelled(self.branches, self.known[rows], self.vectors[rows], self.meaning)

    def view(self, *, words: bool) -> Floats:
        """float32 [n_rows, width], one view alone, the other 0."""
        found = self.vectors.copy()
        found[:, slice(None, self.meaning) if words else slice(self.meaning, None)] = 0
        return found


def bootstrap(rows: Unlabelled, *, seed: int = 0, tick: Tick = lambda done, of: None) -> Bootstrap:
    """Learn from the rows' own answers, if that makes them better.

    Parameters
    ----------
    tick
        Called with what is done and all.
    """
    n, of = len(rows.known), 3
    if n < LEAST or len(rows.branches.leaves) < 2 or not rows.vectors[:, rows.meaning :].any():
        return Bootstrap(None)
    halves = np.array_split(np.random.default_rng(seed).permutation(n), 2)
    first, held = rows.part(halves[0]), rows.part(halves[1])
    told = _view_of_words(first, held)
    tick(1, of)
    at = np.arange(len(halves[1]))
    before = told[at, held.known.argmax(axis=1)]
    spread = _spread(rows.known)
    lift = _lift(first, spread)
    heads = _taught(first, lift, first.view(words=False))
    z = _answers(held, lift, heads, held.view(words=False))
    gains = told[at, z.argmax(axis=1)] - before
    tick(2, of)
    gain, error = float(gains.mean()), float(gains.std() / np.sqrt(len(at)))
    if gain <= 2 * error:
        return Bootstrap(None, spread, gain, error)
    lift = _lift(rows, spread)
    heads = _taught(rows, lift, rows.vectors)
    moved = _answers(rows, lift, heads, rows.vectors).argmax(axis=1) != rows.known.argmax(axis=1)
    tick(of, of)
    made = _together(rows.branches, lift, heads)
    return Bootstrap(made, spread, gain, error, float(moved.mean()))


def _view_of_words(taught: Unlabelled, asked: Unlabelled) -> Floats:
    """float32 [n_asked, n_leaves], log-probabilities by words alone, taught by first answers."""
    rows, leaves = surest(taught.known)
    n_leaves = taught.known.shape[1]
    lesson = Lesson.of(taught.view(words=True)[rows], leaves, n_leaves)
    heads = learn(lesson, taught.branches, ridge=RIDGE, steps=STEPS)
    return log_softmax(asked.branches.added(heads, asked.view(words=True)))


def _taught(rows: Unlabelled, lift: Floats, vectors: Floats) -> Corrections:
    """Heads that the surest answers taught, round by round."""
    heads = Corrections.none(rows.branches.nodes, vectors.shape[1])
    z = rows.known + lift
    for _ in range(ROUNDS):
        which, leaves = surest(z)
        lesson = Lesson.of(vectors[which], leaves, z.shape[1])
        heads = learn(lesson, rows.branches, ridge=RIDGE, steps=STEPS)
        z = _answers(rows, lift, heads, vectors)
    return heads


def _answers(rows: Unlabelled, lift: Floats, heads: Corrections, vectors: Floats) -> Floats:
    told = log_softmax(rows.branches.added(heads, vectors))
    return np.asarray(rows.known + lift + np.float32(WEIGHT) * told)


def surest(z: Floats) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The rows that teach, and the place of the leaf of each: the surest few of each class."""
    p = np.exp(log_softmax(z))
    leaves, sure = p.argmax(axis=1), p.max(axis=1)
    order = np.lexsort((-sure, leaves))
    starts = np.searchsorted(leaves[order], leaves[order], "left")
    kept = order[np.arange(len(order)) - starts < EACH]
    kept = np.sort(kept[sure[kept] >= np.quantile(sure, UNSURE)])
    return kept, leaves[kept]


def _spread(known: Floats) -> float:
    """How many leaves answers are spread over (Simpson 1949, without bias), as a share of all."""
    counts = np.bincount(known.argmax(axis=1), minlength=known.shape[1]).astype(float)
    n = counts.sum()
    alike = float(counts @ (counts - 1)) / (n * (n - 1))
    return float(min(1.0, 1 / max(alike, 1e-12) / len(counts)))


def _lift(rows: Unlabelled, spread: float) -> Floats:
    """float32 [n_leaves], the logarithm of how frequent each leaf is over a flat share; or 0."""
    branches = rows.branches
    if spread >= SKEWED:
        return np.zeros(len(branches.leaves), np.float32)
    k = min(KEPT, rows.known.shape[1])
    best = np.argpartition(-rows.known, k - 1, axis=1)[:, :k]
    p = np.exp(np.take_along_axis(rows.known, best, axis=1))
    found = Adaptation.learnt(branches.taxonomy, branches.leaves[best], p)
    return np.asarray(found.log_weight[branches.leaves], dtype=np.float32)


def _together(branches: Branches, lift: Floats, heads: Corrections) -> Corrections:
    """The prior of classes and the heads, as corrections of nodes."""
    bias = np.float32(WEIGHT) * heads.bias
    bias[np.searchsorted(heads.nodes, branches.leaves)] += lift
    return Corrections(1.0, heads.nodes, np.float32(WEIGHT) * heads.weights, bias)
