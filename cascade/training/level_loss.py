"""The loss of TTC (arXiv 2501.06827), `sum over levels l of pi[l] CE[l]`, and heads fitted with it.

Heads alone are fitted here, over features that are given; `packs.backbone_training` trains a
backbone with the same loss. A row whose label ends early has no loss below its end.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cascade.scoring.ttc_heads import Form
from cascade.taxonomy import Taxonomy

if TYPE_CHECKING:
    import torch


class TorchForms:
    """`scoring.ttc_heads` in torch, for one taxonomy and the nodes that have outputs.

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
            reaching = found[reached]
            loss = torch.nn.functional.nll_loss(reaching, targets[reached, level])
            if smoothing:
                even = -reaching.clamp(min=-30).mean()  # finite, whatever is impossible
                loss = (1 - smoothing) * loss + smoothing * even
            total = total + weight * loss
    return total
