"""Linear heads learnt by cross-entropy through the forms of TTC (arXiv 2501.06827).

The backbone is frozen, its features are given; `loss = sum over levels l of pi[l] CE[l]`. A row
whose label ends early has no loss below its end.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from cascade.config import Section
from cascade.scoring.forms import Form
from cascade.scoring.heads import Heads
from cascade.taxonomy import Taxonomy

if TYPE_CHECKING:
    import torch
    from scipy.sparse import csr_matrix

Progress = Callable[[int, int], None]
Rows = "NDArray[np.float32] | csr_matrix"


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


class TorchForms:
    """`scoring.forms` in torch, for one taxonomy and the nodes that have outputs.

    Parameters
    ----------
    nodes
        int32 [n_outputs], increasing: for `leaf` the labelled nodes, else with all above them.
    """

    def __init__(self, taxonomy: Taxonomy, form: Form, nodes: NDArray[np.int32]) -> None:
        import torch

        self.form = form
        self._levels: list[Any] = []
        for level in range(1, taxonomy.depth + 1):
            members = taxonomy.level_nodes(level)
            if form == "leaf":
                kept = np.array([m for m in members if _any_below(m, taxonomy, nodes)], np.int32)
                column = np.searchsorted(kept, nodes, side="right") - 1
                ends = np.append(taxonomy.end[kept], 0)  # the last for column -1: nothing is inside
                inside = nodes < ends[column]
                self._levels.append((kept, torch.tensor(column[inside]), torch.tensor(inside)))
                continue
            kept = members[np.isin(members, nodes)]
            at = torch.tensor(np.searchsorted(nodes, kept))
            above = self._levels[-1][0] if self._levels else np.empty(0, np.int32)
            parent = torch.tensor(np.searchsorted(above, taxonomy.parent[kept]))
            self._levels.append((kept, at, parent))

    def log_probabilities(self, logits: torch.Tensor) -> list[torch.Tensor]:
        """Log-probabilities of each level's nodes.

        Parameters
        ----------
        logits
            float32 [n_items, n_outputs].

        Returns
        -------
        float32 [n_items, n_level] for each level, over the nodes that `targets` counts
        """
        import torch

        if self.form == "leaf":
            shares = torch.softmax(logits, dim=1)
            return [
                (
                    shares.new_zeros(len(shares), len(kept)).index_add(1, column, shares[:, inside])
                    + 1e-12
                ).log()
                for kept, column, inside in self._levels
            ]
        found: list[torch.Tensor] = []
        for level, (_, at, parent) in enumerate(self._levels):
            z = logits[:, at]
            above = found[-1][:, parent] if level else None
            found.append(self._level(z, above, parent))
        return found

    def _level(
        self, z: torch.Tensor, above: torch.Tensor | None, parent: torch.Tensor
    ) -> torch.Tensor:
        import torch

        if above is None or self.form == "flat":
            return torch.log_softmax(z, dim=1)
        if self.form == "published":
            return torch.log_softmax(z * above.exp(), dim=1)
        if self.form == "additive":
            return torch.log_softmax(z + above, dim=1)
        family = parent.expand(len(z), -1)
        families = int(parent.max()) + 1 if parent.numel() else 0
        top = z.new_full((len(z), families), -math.inf)
        top = top.scatter_reduce(1, family, z.detach(), "amax").clamp(min=-1e30)
        total = z.new_zeros(len(z), families)
        total = total.scatter_add(1, family, (z - top.gather(1, family)).exp())
        within = z - (total.clamp(min=1e-30).log() + top).gather(1, family)
        return above + within

    def targets(self, nodes: NDArray[np.int32], taxonomy: Taxonomy) -> torch.Tensor:
        """int64 [n_items, depth], place of each item's node among its level's; -1 below its end."""
        import torch

        found = np.full((len(nodes), len(self._levels)), -1, dtype=np.int64)
        for level, (kept, _, _) in enumerate(self._levels):
            if len(kept):
                at = np.maximum(np.searchsorted(kept, nodes, side="right") - 1, 0)
                inside = (kept[at] <= nodes) & (nodes < taxonomy.end[kept[at]])
                found[inside, level] = at[inside]
        return torch.tensor(found)


def _any_below(node: int, taxonomy: Taxonomy, nodes: NDArray[np.int32]) -> bool:
    return bool(np.searchsorted(nodes, node) < np.searchsorted(nodes, taxonomy.end[node]))


def outputs(nodes: NDArray[np.int32], taxonomy: Taxonomy, form: Form) -> NDArray[np.int32]:
    """int32, increasing: the nodes that heads of a form have outputs for, given the labels."""
    labelled = np.unique(nodes)
    if form == "leaf":
        return labelled.astype(np.int32)
    return np.unique([step for node in labelled for step in taxonomy.path_nodes(int(node))]).astype(
        np.int32
    )


def level_loss(
    logprobs: Sequence[torch.Tensor],
    targets: torch.Tensor,
    importance: Sequence[float],
    smoothing: float = 0.0,
) -> torch.Tensor:
    """`sum over levels l of pi[l] CE[l]`, means over the rows that reach the level.

    Parameters
    ----------
    logprobs
        float32 [n_items, n_level] for each level.
    targets
        int64 [n_items, depth], -1 where a label has ended.
    smoothing
        Share of a label that is spread over all of its level (Szegedy et al. 2016).
    """
    import torch

    total = logprobs[0].new_zeros(())
    for level, found in enumerate(logprobs):
        weight = importance[min(level, len(importance) - 1)]
        reached = targets[:, level] >= 0
        if weight and bool(reached.any()):
            said = found[reached]
            loss = torch.nn.functional.nll_loss(said, targets[reached, level])
            if smoothing:
                even = -said.clamp(min=-30).mean()  # finite, whatever is impossible
                loss = (1 - smoothing) * loss + smoothing * even
            total = total + weight * loss
    return total


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
