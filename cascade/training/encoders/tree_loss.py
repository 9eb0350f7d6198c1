"""A contrastive loss that sees the tree: an answer near the right one costs less than others."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import torch

MASKED = -1e4


def tree_loss(
    similarity: torch.Tensor,
    gold: NDArray[np.int64],
    wrong: NDArray[np.bool_],
    shared: NDArray[np.bool_],
    *,
    scale: float,
    upper: float,
    back: float,
) -> torch.Tensor:
    """The mean over items of the negative log-likelihood of their node and of what lies above it.

    A softmax over the candidates gives each node a probability; that of an ancestor is the sum over
    the candidates below it. So a wrong answer under the right parent is wrong once, one in another
    branch at every level.

    Parameters
    ----------
    similarity
        float32 [n_items, n_candidates], cosines.
    gold
        Place of each item's node among the candidates, [n_items].
    wrong
        [n_items, n_candidates], which candidates are no right answers; others, but for the gold
        one, do not count.
    shared
        [n_levels, n_items, n_candidates], whether a candidate lies under the ancestor of the item's
        node at a level above it.
    scale
        Of cosines before the softmax.
    upper
        Weight of all levels above the node together.
    back
        Weight of the other direction: a node is to find its items among those of the batch.
    """
    import torch
    from torch.nn.functional import cross_entropy

    device = similarity.device
    place, rows = torch.from_numpy(gold).to(device), torch.arange(len(gold), device=device)
    out = torch.from_numpy(~wrong).to(device)
    out[rows, place] = False
    logits = (similarity * scale).masked_fill(out, MASKED)
    total = torch.logsumexp(logits, dim=1)
    loss = (total - logits[rows, place]).mean()
    if upper and len(shared):
        under = torch.from_numpy(shared).to(device)
        known = under.any(dim=2)  # [n_levels, n_items]
        inside = logits[None].masked_fill(~under, MASKED)
        missed = (total - torch.logsumexp(inside, dim=2)) * known
        loss = loss + upper * (missed.sum(0) / known.sum(0).clamp(min=1)).mean()
    if back:
        # Each item once: among all items, those of other nodes are wrong for its node.
        reverse = (similarity * scale)[:, place].T  # [n_items as nodes, n_items]
        same = torch.from_numpy((gold[:, None] == gold[None, :]) | ~wrong[:, gold].T).to(device)
        same.fill_diagonal_(False)
        reverse = reverse.masked_fill(same, MASKED)
        loss = loss + back * cross_entropy(reverse, rows)
    return loss
