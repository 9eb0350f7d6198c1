"""Linear heads over features that are not trained, by two losses.

`fit_heads` learns by cross-entropy through the forms of TTC (arXiv 2501.06827). `fit_hinge` learns
support vector machines, one against the rest, with scikit-learn's LinearSVC (LIBLINEAR, Fan et al.
2008): on sparse text it is quicker and more often right. Its form `leaf` has one problem for each
labelled node over all rows, `conditional` one for each child over the rows below its parent.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from cascade.config import Section
from cascade.processes import end_with
from cascade.scoring.ttc_heads import Form, Heads
from cascade.taxonomy import Taxonomy
from cascade.training.level_loss import TorchForms, level_loss, outputs

if TYPE_CHECKING:
    import torch
    from scipy.sparse import csc_matrix, csr_matrix

Progress = Callable[[int, int], None]

Problem = tuple[int, "NDArray[np.int64] | None", NDArray[np.bool_]]
"""A node, the rows to tell it apart in (None for all), and which of them are of it."""

SMALL = 0.003  # weights below it are left out: a fifth of what is not zero, the same answers
FEW = 200_000  # rows times problems below which one core is quicker than several
MARGIN = 0.15  # temperature of margins before one is fitted


class HeadsRecipe(Section):
    """How heads are learnt from features."""

    form: Form = Field("conditional", description="How levels are tied; see scoring.ttc_heads.")
    importance: list[Annotated[float, Field(ge=0, le=1e6)]] = Field(
        min_length=1,
        default_factory=lambda: [1.0],
        description="Weight of each level's loss from the top; the last holds for all below.",
    )
    epochs: int = Field(30, ge=1, le=1000, description="Times that all rows are seen.")
    batch_size: int = Field(256, ge=1, le=10**5, description="Rows of one step.")
    learning_rate: float = Field(0.003, gt=0, le=10, description="Of Adam; it falls to 0 linearly.")
    weight_decay: float = Field(0.01, ge=0, le=10, description="Of dense features' weights.")


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
    import torch

    has = outputs(nodes, taxonomy, recipe.form)
    forms = TorchForms(taxonomy, recipe.form, has)
    targets = forms.targets(nodes, taxonomy)
    layer, size = _Layer(rows, len(has), recipe), recipe.batch_size
    steps = recipe.epochs * math.ceil(len(nodes) / size)
    falling = [
        torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 - step / steps)
        for optimizer in layer.optimizers
    ]
    rng = np.random.default_rng(seed)
    with torch.enable_grad():
        for epoch in range(recipe.epochs):
            order = rng.permutation(len(nodes))
            for some in (order[start : start + size] for start in range(0, len(nodes), size)):
                logprobs = forms.log_probabilities(layer.logits(some))
                for optimizer in layer.optimizers:
                    optimizer.zero_grad()
                loss = level_loss(logprobs, targets[some], recipe.importance)
                loss.backward()  # type: ignore[no-untyped-call]
                for optimizer, rate in zip(layer.optimizers, falling, strict=True):
                    optimizer.step()
                    rate.step()
            if progress is not None:
                progress(epoch + 1, recipe.epochs)
    return layer.heads(recipe.form, has)


class _Layer:
    """`z = a W + b` over sparse rows, or over dense ones that are standardised first.

    A step touches the weights of the sparse features that it saw, and all weights of dense ones.
    """

    def __init__(self, rows: Any, n_outputs: int, recipe: HeadsRecipe) -> None:
        import scipy.sparse
        import torch

        self._weights = torch.zeros(rows.shape[1], n_outputs, requires_grad=True)
        self._bias = torch.zeros(n_outputs, requires_grad=True)
        self._mean = self._scale = None
        self.optimizers: list[torch.optim.Optimizer]
        if scipy.sparse.issparse(rows):
            self._rows = rows
            self.optimizers = [
                torch.optim.SparseAdam([self._weights], recipe.learning_rate),
                torch.optim.Adam([self._bias], recipe.learning_rate),
            ]
            return
        self._mean = np.asarray(rows.mean(axis=0), dtype=np.float32)
        spread = rows.std(axis=0)
        self._scale = np.asarray(1 / np.where(spread > 1e-6, spread, 1), dtype=np.float32)
        self._rows = torch.from_numpy(((rows - self._mean) * self._scale).astype(np.float32))
        both, decay = [self._weights, self._bias], recipe.weight_decay
        self.optimizers = [torch.optim.AdamW(both, recipe.learning_rate, weight_decay=decay)]

    def logits(self, some: NDArray[np.int64]) -> torch.Tensor:
        """float32 [n, n_outputs], of some rows."""
        import torch

        part = self._rows[some]
        if self._mean is not None:
            logits: torch.Tensor = part @ self._weights + self._bias
            return logits
        summed = torch.nn.functional.embedding_bag(
            torch.from_numpy(part.indices.astype(np.int64)),
            self._weights,
            torch.from_numpy(part.indptr[:-1].astype(np.int64)),
            mode="sum",
            sparse=True,
            per_sample_weights=torch.from_numpy(part.data.astype(np.float32)),
        )
        return summed + self._bias

    def heads(self, form: Form, nodes: NDArray[np.int32]) -> Heads:
        """What was learnt."""
        from scipy.sparse import csr_matrix

        weights, bias = self._weights.detach().numpy(), self._bias.detach().numpy()
        found = csr_matrix(weights) if self._mean is None else weights
        return Heads(form, found, bias, nodes, 1.0, self._mean, self._scale)


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
    from scipy.sparse import hstack

    if form == "leaf":
        problems: list[Problem] = [(int(node), None, nodes == node) for node in np.unique(nodes)]
    else:
        problems = _family_problems(nodes, taxonomy)
    if progress is not None:
        progress(0, len(problems))
    # LIBLINEAR computes in double precision; one copy serves all problems.
    data = rows.astype(np.float64)
    columns, biases = [], []
    for done, (column, bias) in enumerate(_solutions(data, problems, cost, seed), start=1):
        columns.append(column)
        biases.append(bias)
        if progress is not None:
            progress(done, len(problems))
    weights = hstack(columns, "csr", dtype=np.float32)
    solved = np.array([node for node, _, _ in problems], dtype=np.int32)
    return Heads(form, weights, np.array(biases, dtype=np.float32), solved, MARGIN)


def _solutions(
    data: csr_matrix, problems: list[Problem], cost: float, seed: int
) -> Iterator[tuple[csc_matrix, float]]:
    """The solution of each problem, in order; many of them on all cores.

    LIBLINEAR draws from one generator for a whole process, so that threads would make the result
    depend on which comes first; processes do not.
    """
    if data.shape[0] * len(problems) < FEW:
        yield from (_solve(data, among, right, cost, seed) for _, among, right in problems)
        return
    from joblib import Parallel, delayed, parallel_config

    me = os.getpid()
    with parallel_config("loky", initializer=end_with, initargs=(me,)):
        pool = Parallel(n_jobs=-1, return_as="generator")
        solve = delayed(_solve_beside)
        yield from pool(solve(me, data, among, right, cost, seed) for _, among, right in problems)


def _solve_beside(parent: int, *problem: Any) -> tuple[csc_matrix, float]:
    """`_solve` in a worker; joblib below 1.5 passes over its initializer."""
    end_with(parent)
    return _solve(*problem)


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
) -> tuple[csc_matrix, float]:
    """The weights that are not small, as a column, and the bias."""
    from scipy.sparse import csc_matrix
    from sklearn.svm import LinearSVC

    width = data.shape[1]
    if positive.all():
        return csc_matrix((width, 1), dtype=np.float32), 0.0
    if not width:  # no word is known: only how many they are
        return csc_matrix((width, 1), dtype=np.float32), float(2 * positive.mean() - 1)
    rows = data if among is None else data[among]
    model = LinearSVC(C=cost, random_state=seed).fit(rows, positive)
    weights = np.where(np.abs(model.coef_) > SMALL, model.coef_, 0).astype(np.float32)
    return csc_matrix(weights.T), float(model.intercept_[0])
