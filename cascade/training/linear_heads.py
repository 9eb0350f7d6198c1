"""Linear heads over sparse features with the squared hinge loss: support vector machines.

One against the rest, with scikit-learn's LinearSVC (LIBLINEAR, Fan et al. 2008). On sparse text it
is quicker than a softmax and more often right. `leaf` has one problem for each labelled node over
all rows; `conditional` one for each child over the rows below its parent.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from cascade.config import Section
from cascade.scoring.ttc_forms import Form
from cascade.scoring.ttc_heads import Heads
from cascade.taxonomy import Taxonomy
from cascade.training.level_loss import TorchForms, level_loss, outputs

if TYPE_CHECKING:
    import torch
    from scipy.sparse import csr_matrix

Progress = Callable[[int, int], None]

Problem = tuple[int, "NDArray[np.int64] | None", NDArray[np.bool_]]
"""A node, the rows to tell it apart in (None for all), and which of them are of it."""

SMALL = 0.003  # weights below it are left out: a fifth of what is not zero, the same answers
FEW = 200_000  # rows times problems below which one core is quicker than several
MARGIN = 0.15  # temperature of margins before one is fitted


class HeadsRecipe(Section):
    """How heads are learnt from features."""

    form: Form = Field("conditional", description="How levels are tied; see scoring.forms.")
    importance: list[float] = Field(
        default_factory=lambda: [1.0],
        description="Weight of each level's loss from the top; the last holds for all below.",
    )
    epochs: int = Field(30, ge=1, description="Times that all rows are seen.")
    batch_size: int = Field(256, ge=1, description="Rows of one step.")
    learning_rate: float = Field(0.003, gt=0, description="Of Adam; it falls to 0 linearly.")
    weight_decay: float = Field(0.01, ge=0, description="Of dense features' weights.")


def fit_heads(
    rows: NDArray[np.float32] | csr_matrix,
    nodes: NDArray[np.int32],
    taxonomy: Taxonomy,
    recipe: HeadsRecipe,
    *,
    seed: int = 0,
    progress: Progress | None = None,
) -> Heads:
    """Heads for the nodes that items are labelled with.

    Parameters
    ----------
    rows
        float32 [n_items, width], dense (they are standardised first) or sparse.
    nodes
        int32 [n_items].
    progress
        Called with the epochs that are done and all.
    """
    import scipy.sparse
    import torch

    has = outputs(nodes, taxonomy, recipe.form)
    forms = TorchForms(taxonomy, recipe.form, has)
    targets = forms.targets(nodes, taxonomy)
    sparse = scipy.sparse.issparse(rows)
    layer: _SparseLayer | _DenseLayer
    layer = _SparseLayer(rows, len(has), recipe) if sparse else _DenseLayer(rows, len(has), recipe)
    rng = np.random.default_rng(seed)
    steps = recipe.epochs * math.ceil(len(nodes) / recipe.batch_size)
    step = 0
    with torch.enable_grad():
        for epoch in range(recipe.epochs):
            for some in _batches(rng, len(nodes), recipe.batch_size):
                layer.rate(recipe.learning_rate * (1 - step / steps))
                loss = level_loss(
                    forms.log_probabilities(layer.logits(some)), targets[some], recipe.importance
                )
                layer.step(loss)
                step += 1
            if progress is not None:
                progress(epoch + 1, recipe.epochs)
    weights, bias, mean, scale = layer.found()
    return Heads(recipe.form, weights, bias, has, 1.0, mean, scale)


def _batches(rng: np.random.Generator, n: int, size: int) -> Iterator[NDArray[np.int64]]:
    order = rng.permutation(n)
    for start in range(0, n, size):
        yield order[start : start + size]


class _DenseLayer:
    """`z = ((a - mean) scale) W + b`, learnt by AdamW."""

    def __init__(self, rows: Any, n_outputs: int, recipe: HeadsRecipe) -> None:
        import torch

        self._mean = np.asarray(rows.mean(axis=0), dtype=np.float32)
        spread = rows.std(axis=0)
        self._scale = np.asarray(1 / np.where(spread > 1e-6, spread, 1), dtype=np.float32)
        self._rows = torch.from_numpy(((rows - self._mean) * self._scale).astype(np.float32))
        self._weights = torch.zeros(rows.shape[1], n_outputs, requires_grad=True)
        self._bias = torch.zeros(n_outputs, requires_grad=True)
        self._optimizer = torch.optim.AdamW(
            [self._weights, self._bias], weight_decay=recipe.weight_decay
        )

    def logits(self, some: NDArray[np.int64]) -> torch.Tensor:
        return self._rows[some] @ self._weights + self._bias

    def rate(self, value: float) -> None:
        for group in self._optimizer.param_groups:
            group["lr"] = value

    def step(self, loss: torch.Tensor) -> None:
        self._optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self._optimizer.step()

    def found(self) -> tuple[Any, NDArray[np.float32], Any, Any]:
        weights, bias = self._weights.detach().numpy(), self._bias.detach().numpy()
        return weights, bias, self._mean, self._scale


class _SparseLayer:
    """`z = a W + b` over sparse rows; a step touches the weights of the features that it saw."""

    def __init__(self, rows: Any, n_outputs: int, recipe: HeadsRecipe) -> None:
        import torch

        self._rows = rows
        self._weights = torch.zeros(rows.shape[1], n_outputs, requires_grad=True)
        self._bias = torch.zeros(n_outputs, requires_grad=True)
        self._optimizers = [
            torch.optim.SparseAdam([self._weights]),
            torch.optim.Adam([self._bias]),
        ]

    def logits(self, some: NDArray[np.int64]) -> torch.Tensor:
        import torch

        part = self._rows[some]
        summed = torch.nn.functional.embedding_bag(
            torch.from_numpy(part.indices.astype(np.int64)),
            self._weights,
            torch.from_numpy(part.indptr[:-1].astype(np.int64)),
            mode="sum",
            sparse=True,
            per_sample_weights=torch.from_numpy(part.data.astype(np.float32)),
        )
        return summed + self._bias

    def rate(self, value: float) -> None:
        for optimizer in self._optimizers:
            for group in optimizer.param_groups:
                group["lr"] = value

    def step(self, loss: torch.Tensor) -> None:
        for optimizer in self._optimizers:
            optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        for optimizer in self._optimizers:
            optimizer.step()

    def found(self) -> tuple[Any, NDArray[np.float32], Any, Any]:
        from scipy.sparse import csr_matrix

        return csr_matrix(self._weights.detach().numpy()), self._bias.detach().numpy(), None, None


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
