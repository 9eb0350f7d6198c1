"""Greedy decoding of a batch after a shared prefix, free or held to grammars."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from cascade.generation.prefix import PrefixCache, Row

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

    n, device = len(prompts), model.device
    lengths = np.array([len(prompt) for prompt in prompts])
    run = cache.forward(prefix, [Row.plain(prompt) for prompt in prompts])
    last = run.states[torch.from_numpy(run.starts + lengths - 1).to(device)]
    width = int(lengths.max())
    steps = np.arange(width)
    real = steps < lengths[:, None]
    places = torch.from_numpy(np.where(real, run.starts[:, None] + steps, 0)).to(device)
    past = [(k[:, places], v[:, places]) for k, v in run.layers]
    spelled: list[list[int]] = [[] for _ in prompts]
    total = np.zeros(n)
    open_ = np.ones(n, dtype=np.bool_)
    chosen = torch.zeros((n, 1), dtype=torch.int64, device=device)
    for step in range(max_tokens):
        logits = model.get_output_embeddings()(last).float()
        if constrain is not None:
            logits = constrain(chosen, logits)
        best, token = torch.max(logits.log_softmax(-1), dim=-1)
        total += np.where(open_, best.cpu().numpy(), 0.0)
        tokens = token.cpu().numpy()
        for i, t in enumerate(tokens.tolist()):
            if open_[i]:
                spelled[i].append(t)
                open_[i] = not finished(spelled[i])
        if not open_.any() or step + 1 == max_tokens:
            break
        chosen = torch.cat([chosen, token[:, None]], dim=1)
        seen = np.concatenate([real, np.ones((n, step + 1), dtype=np.bool_)], axis=1)
        rows = [
            Row(tokens[i : i + 1], lengths[i : i + 1] + step, seen[i : i + 1]) for i in range(n)
        ]
        run = cache.forward(prefix, rows, past)
        last = run.states
        past = [
            (torch.cat([k, more_k[:, :, None]], 2), torch.cat([v, more_v[:, :, None]], 2))
            for (k, v), (more_k, more_v) in zip(past, run.layers, strict=True)
        ]
    return list(zip(spelled, total.tolist(), strict=True))
