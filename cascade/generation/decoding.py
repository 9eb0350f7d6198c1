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

    n, width, held = len(prompts), max(map(len, prompts)), len(prefix)
    lengths = np.array([len(p) for p in prompts])
    ids = np.zeros((n, width), dtype=np.int64)
    for row, prompt in zip(ids, prompts, strict=True):
        row[: len(prompt)] = prompt
    seen = np.ones((n, held + width), dtype=np.bool_)
    seen[:, held:] = np.arange(width) < lengths[:, None]
    causal = np.tri(width, held + width, held, dtype=np.bool_)
    mask = torch.from_numpy(seen[:, None, None, :] & causal | _self(width, held)).to(model.device)
    past = cache.expanded(prefix, n)
    states = model.base_model(
        input_ids=torch.from_numpy(ids).to(model.device),
        position_ids=torch.arange(held, held + width, device=model.device).expand(n, -1),
        attention_mask=mask,
        past_key_values=past,
        use_cache=True,
    ).last_hidden_state
    last = states[torch.arange(n), torch.from_numpy(lengths - 1)]
    visible = torch.from_numpy(seen).to(model.device)
    position = torch.from_numpy(held + lengths).to(model.device)
    spelled: list[list[int]] = [[] for _ in prompts]
    total = np.zeros(n)
    open_ = np.ones(n, dtype=np.bool_)
    chosen = torch.zeros((n, 1), dtype=torch.int64, device=model.device)
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
        last = model.base_model(
            input_ids=token[:, None],
            position_ids=position[:, None],
            attention_mask=visible[:, None, None, :],
            past_key_values=past,
            use_cache=True,
        ).last_hidden_state[:, 0]
        position = position + 1
    return list(zip(spelled, total.tolist(), strict=True))


def _self(width: int, held: int) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Bool [width, held + width]: each token sees itself, padding too, which must see something."""
    return np.eye(width, held + width, held, dtype=np.bool_)
