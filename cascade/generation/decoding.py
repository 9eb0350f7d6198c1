"""Greedy decoding of a batch after a shared prefix, free or held to grammars."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from cascade.generation.prefix import PrefixCache

if TYPE_CHECKING:
    import torch

Constrain = Callable[["torch.Tensor", "torch.Tensor"], "torch.Tensor"]
"""Spelled token ids [n, steps] and logits [n, vocabulary] to logits with forbidden ones at -inf."""


def decode(
    model: Any,
    cache: PrefixCache,
    prefix: tuple[int, ...],
    prompts: list[list[int]],
    *,
    finished: Callable[[list[int]], bool],
    max_tokens: int,
    constrain: Constrain | None = None,
) -> list[tuple[list[int], float]]:
    """The likeliest next token, again and again, until each row is finished.

    Parameters
    ----------
    prefix, prompts
        Token ids that all rows share, and what each has beyond them (at least one).
    finished
        Whether a row's spelled tokens are complete.
    max_tokens
        Most tokens of an answer.

    Returns
    -------
    list of (tokens, logprob)
        For each prompt the spelled tokens and their log-probability among allowed ones.
    """
    import torch
    from transformers import DynamicCache

    n, width, device = len(prompts), max(map(len, prompts)), model.device
    lengths = torch.tensor([len(prompt) for prompt in prompts], device=device)
    ids = torch.zeros((n, width), dtype=torch.int64)
    for row, prompt in zip(ids, prompts, strict=True):
        row[: len(prompt)] = torch.tensor(prompt)
    steps = torch.arange(width, device=device)
    visible = steps < lengths[:, None]
    # Padding sees the row's first token, because it must see something.
    mask = visible[:, None, None, :] & (steps <= steps[:, None])
    past = DynamicCache()
    states = cache.forward(prefix, ids.to(device), steps.expand(n, -1), mask, past)
    last = states[torch.arange(n, device=device), lengths - 1]
    position = lengths
    spelled: list[list[int]] = [[] for _ in prompts]
    total = np.zeros(n)
    open_ = np.ones(n, dtype=np.bool_)
    chosen = torch.zeros((n, 1), dtype=torch.int64, device=device)
    for _ in range(max_tokens):
        logits = model.get_output_embeddings()(last).float()
        if constrain is not None:
            logits = constrain(chosen, logits)
        best, token = torch.max(logits.log_softmax(-1), dim=-1)
        total += np.where(open_, best.cpu().numpy(), 0.0)
        for i, t in enumerate(token.tolist()):
            if open_[i]:
                spelled[i].append(t)
                open_[i] = not finished(spelled[i])
        if not open_.any():
            break
        chosen = torch.cat([chosen, token[:, None]], dim=1)
        visible = torch.cat([visible, visible.new_ones((n, 1))], dim=1)
        seen = visible[:, None, None, :]
        last = cache.forward(prefix, token[:, None], position[:, None], seen, past)[:, 0]
        position = position + 1
    return list(zip(spelled, total.tolist(), strict=True))
