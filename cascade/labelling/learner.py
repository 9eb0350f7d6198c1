"""What rows teach about nodes, on top of what is known without a label.

Logits of leaves are those that are known without labels, scaled, and corrections that are linear in
an item's vector; what a node is corrected by holds for all leaves below it, so that a label teaches
its branch too (weights shared along the tree, as in Gopal et al., "Bayesian models for large-scale
hierarchical classification", NeurIPS 2012). All are drawn to no correction by a ridge, the maximum
a posteriori under a Gaussian, so a few labels change little where they say little.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cascade.scoring.corrections import Corrections
from cascade.taxonomy import Taxonomy

Floats = NDArray[np.float32]
Nodes = NDArray[np.int32]

RIDGE = 0.03  # of weights over vectors, beside one row
BIAS_RIDGE = 1.0
SCALE_RIDGE = 10.0  # of the scale, towards 1
STEPS = 40  # of L-BFGS


def log_softmax(z: Floats) -> Floats:
    """Over the last axis."""
    z = z - z.max(axis=-1, keepdims=True)
    return np.asarray(z - np.log(np.exp(z).sum(axis=-1, keepdims=True)))


@dataclass(frozen=True)
class Branches:
    """Some leaves of a taxonomy, and the nodes on their paths.

    Parameters
    ----------
    leaves
        int32 [n_leaves], sorted.
    """

    taxonomy: Taxonomy
    leaves: Nodes

    @cached_property
    def nodes(self) -> Nodes:
        """int32 [n_nodes], sorted: the leaves and all above them."""
        return np.unique(np.concatenate(self._paths)).astype(np.int32)

    @cached_property
    def on_path(self) -> Any:
        """CSR float32 [n_leaves, n_nodes], 1 where a node is on the path of a leaf."""
        from scipy.sparse import csr_matrix

        starts = np.cumsum([0, *map(len, self._paths)])
        columns = np.searchsorted(self.nodes, np.concatenate(self._paths))
        ones = np.ones(len(columns), np.float32)
        return csr_matrix((ones, columns, starts), (len(self.leaves), len(self.nodes)))

    @cached_property
    def shared(self) -> Floats:
        """float32 [n_leaves, n_leaves], hierarchical F1 of one leaf where the other is right."""
        both = np.asarray((self.on_path @ self.on_path.T).todense(), dtype=np.float32)
        size = both.diagonal()
        return np.asarray(2 * both / (size[:, None] + size))

    def place(self, nodes: Nodes) -> NDArray[np.int64]:
        """int64 [n], where each node stands among the leaves; -1 where it is none of them."""
        at = np.minimum(np.searchsorted(self.leaves, nodes), len(self.leaves) - 1)
        return np.where(self.leaves[at] == nodes, at, -1)

    def below(self, node: int) -> slice:
        """Which of the leaves lie at or below a node: a range, as nodes lie depth first."""
        first, last = np.searchsorted(self.leaves, [node, self.taxonomy.end[node]])
        return slice(int(first), int(last))

    def logits(self, corrections: Corrections, known: Floats, vectors: Floats) -> Floats:
        """float32 [n_items, n_leaves], corrected ones.

        Parameters
        ----------
        known
            float32 [n_items, n_leaves], without corrections.
        vectors
            float32 [n_items, width].
        """
        return np.asarray(np.float32(corrections.scale) * known + self.added(corrections, vectors))

    def added(self, corrections: Corrections, vectors: Floats) -> Floats:
        """float32 [n_items, n_leaves], what corrections of these nodes add."""
        found: Floats = self.on_path @ corrections.of_nodes(vectors)
        return found.T

    @cached_property
    def _paths(self) -> list[Nodes]:
        return [np.asarray(self.taxonomy.path_nodes(node)) for node in self.leaves.tolist()]


@dataclass(frozen=True)
class Lesson:
    """Rows to learn from.

    Parameters
    ----------
    vectors
        float32 [n_rows, width].
    targets
        float32 [n_rows, n_leaves], how likely each leaf is the right one of a row.
    known
        float32 [n_rows, n_leaves], logits without these rows; None for none.
    """

    vectors: Floats
    targets: Floats
    known: Floats | None = None

    @classmethod
    def of(cls, vectors: Floats, leaves: NDArray[np.integer[Any]], n_leaves: int) -> Lesson:
        """Of rows of which one leaf each is right, by its place."""
        targets = np.zeros((len(vectors), n_leaves), np.float32)
        targets[np.arange(len(vectors)), leaves] = 1
        return cls(vectors, targets)


def learn(
    lesson: Lesson, branches: Branches, *, ridge: float = RIDGE, steps: int = STEPS
) -> Corrections:
    """The likeliest corrections: cross-entropy with ridges by L-BFGS, which is convex."""
    from scipy.optimize import minimize

    x, axes = _spanned(lesson.vectors)
    n, width = len(branches.nodes), x.shape[1]
    path, back = branches.on_path, branches.on_path.T.tocsr()
    targets = np.ascontiguousarray(lesson.targets.T)
    known = None if lesson.known is None else np.ascontiguousarray(lesson.known.T)
    drawn = np.full(n * width + n + 1, ridge)
    drawn[n * width :], drawn[-1] = BIAS_RIDGE, SCALE_RIDGE
    usual = np.zeros(len(drawn))
    usual[-1] = 1

    def loss(t: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        weights = t[: n * width].reshape(n, width).astype(np.float32)
        z = path @ (weights @ x.T + t[n * width : -1].astype(np.float32)[:, None])
        if known is not None:
            z += np.float32(t[-1]) * known
        z -= z.max(axis=0)
        p = np.exp(z)
        total = p.sum(axis=0)
        found = float((np.log(total) - np.einsum("ln,ln->n", targets, z)).sum())
        p /= total
        p -= targets
        up = back @ p
        slope = drawn * (t - usual)
        found += 0.5 * float(slope @ (t - usual))
        slope[: n * width] += (up @ x).ravel()
        slope[n * width : -1] += up.sum(axis=1)
        if known is not None:
            slope[-1] += float(np.einsum("ln,ln->", p, known))
        return found, slope

    options = {"maxiter": steps, "maxcor": 10}
    end = minimize(loss, usual, jac=True, method="L-BFGS-B", options=options).x
    weights = end[: n * width].reshape(n, width).astype(np.float32) @ axes
    return Corrections(
        float(end[-1]), branches.nodes, weights, end[n * width : -1].astype(np.float32)
    )


def _spanned(vectors: Floats) -> tuple[Floats, Floats]:
    """Coordinates [n, r] of vectors along orthonormal axes [r, width] that span them.

    The likeliest weights lie in that span (the representer theorem), so they are sought there.
    """
    if len(vectors) >= vectors.shape[1]:
        return vectors, np.eye(vectors.shape[1], dtype=np.float32)
    left, size, axes = np.linalg.svd(vectors, full_matrices=False)
    return np.ascontiguousarray(left * size, dtype=np.float32), np.asarray(axes, np.float32)
