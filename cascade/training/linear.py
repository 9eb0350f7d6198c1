"""Linear heads over sparse features with the squared hinge loss: support vector machines.

One against the rest, with scikit-learn's LinearSVC (LIBLINEAR, Fan et al. 2008). On sparse text it
is quicker than a softmax and more often right. `leaf` has one problem for each labelled node over
all rows; `conditional` one for each child over the rows below its parent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cascade.scoring.forms import Form
from cascade.scoring.heads import Heads
from cascade.taxonomy import Taxonomy

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

Progress = Callable[[int, int], None]

Problem = tuple[int, "NDArray[np.int64] | None", NDArray[np.bool_]]
"""A node, the rows to tell it apart in (None for all), and which of them are of it."""

SMALL = 0.003  # weights below it are left out: a fifth of what is not zero, the same answers
FEW = 200_000  # rows times problems below which one core is quicker than several
MARGIN = 0.15  # temperature of margins before one is fitted


def fit_hinge(
    rows: csr_matrix,
    nodes: NDArray[np.int32],
    taxonomy: Taxonomy,
    form: Form,
    *,
    cost: float = 1.0,
    seed: int = 0,
    progress: Progress | None = None,
) -> Heads:
    """Heads of form `leaf` or `conditional`.

    Parameters
    ----------
    rows
        float32 [n_items, width].
    nodes
        int32 [n_items], the node of each item.
    cost
        LIBLINEAR's C: what an error costs beside the size of the weights.
    progress
        Called with the problems that are solved and all.
    """
    problems = _leaf_problems(nodes) if form == "leaf" else _family_problems(nodes, taxonomy)
    # LIBLINEAR computes in double precision; one copy serves all problems.
    data = rows.astype(np.float64)
    solved = []
    for done, found in enumerate(_solutions(data, problems, cost, seed), start=1):
        solved.append(found)
        if progress is not None:
            progress(done, len(problems))
    return _assembled(form, [node for node, _, _ in problems], solved, rows.shape[1])


def _solutions(data: csr_matrix, problems: list[Problem], cost: float, seed: int) -> Iterator[Any]:
    """The solution of each problem, in order; many of them on all cores.

    LIBLINEAR draws from one generator for a whole process, so that threads would make the result
    depend on who comes first; processes do not.
    """
    if data.shape[0] * len(problems) < FEW:
        yield from (_solve(data, among, right, cost, seed) for _, among, right in problems)
        return
    from joblib import Parallel, delayed

    pool = Parallel(n_jobs=-1, return_as="generator")
    yield from pool(delayed(_solve)(data, among, right, cost, seed) for _, among, right in problems)


def _leaf_problems(nodes: NDArray[np.int32]) -> list[Problem]:
    return [(int(node), None, nodes == node) for node in np.unique(nodes)]


def _family_problems(nodes: NDArray[np.int32], taxonomy: Taxonomy) -> list[Problem]:
    """For each node that items are at or below, itself against its siblings."""
    problems: list[Problem] = []
    above = {int(p) for node in np.unique(nodes) for p in taxonomy.path_nodes(int(node))}
    for parent in [-1, *sorted(above)]:
        if parent >= 0 and taxonomy.is_leaf(parent):
            continue
        end = len(taxonomy) if parent < 0 else int(taxonomy.end[parent])
        among = np.flatnonzero((nodes > parent) & (nodes < end))
        for child in taxonomy.children(parent).tolist():
            inside = (nodes[among] >= child) & (nodes[among] < taxonomy.end[child])
            if inside.any():
                problems.append((child, None if parent < 0 else among, inside))
    return problems


def _solve(
    data: csr_matrix,
    among: NDArray[np.int64] | None,
    positive: NDArray[np.bool_],
    cost: float,
    seed: int,
) -> tuple[NDArray[np.int64], NDArray[np.float32], float]:
    """Which weights are not small, what they are, and the bias."""
    from sklearn.svm import LinearSVC

    if positive.all():
        return np.empty(0, np.int64), np.empty(0, np.float32), 0.0
    if not data.shape[1]:  # no word is known: only how many they are
        return np.empty(0, np.int64), np.empty(0, np.float32), float(2 * positive.mean() - 1)
    rows = data if among is None else data[among]
    model = LinearSVC(C=cost, random_state=seed).fit(rows, positive)
    weights = model.coef_[0]
    kept = np.flatnonzero(np.abs(weights) > SMALL)
    return kept, weights[kept].astype(np.float32), float(model.intercept_[0])


def _assembled(form: Form, nodes: list[int], solved: list[Any], width: int) -> Heads:
    from scipy.sparse import csc_matrix

    starts = np.cumsum([0, *(len(kept) for kept, _, _ in solved)])
    weights = csc_matrix(
        (
            np.concatenate([values for _, values, _ in solved]),
            np.concatenate([kept for kept, _, _ in solved]),
            starts,
        ),
        shape=(width, len(nodes)),
        dtype=np.float32,
    )
    bias = np.array([intercept for _, _, intercept in solved], dtype=np.float32)
    return Heads(form, weights.tocsr(), bias, np.array(nodes, dtype=np.int32), MARGIN)
