"""Prompt prefixes that many sequences share: computed once, and attended to without copies.

A batch that begins with the same instructions would hold, and read for every token, one copy
of their keys and values for each row. Here the rows' queries meet the one copy in a single
matrix product, and its part of the softmax is joined with that of each row's own tokens (as in
Hydragen, arXiv 2402.05099).
"""

from __future__ import annotations

import inspect
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

Layers = list[tuple["torch.Tensor", "torch.Tensor"]]
"""Keys and values [heads, tokens, width] of each layer."""

ATTENTION = "cascade_shared_prefix"
HELD = 8  # prefixes kept at a time; a prompt file has one

_active: ContextVar[Layers | None] = ContextVar("active_prefix", default=None)


class PrefixCache:
    """Runs a model over sequences that continue a shared prefix.

    Parameters
    ----------
    model
        A causal language model of transformers; its attention is replaced by one that knows
        the shared prefix.
    """

    def __init__(self, model: Any) -> None:
        from transformers import AttentionInterface, AttentionMaskInterface
        from transformers.masking_utils import sdpa_mask

        AttentionInterface.register(ATTENTION, _attention)
        AttentionMaskInterface.register(ATTENTION, sdpa_mask)
        model.set_attn_implementation(ATTENTION)
        self._model = model
        # Called `cache` from transformers 5.24 on.
        taken = inspect.signature(model.base_model.forward).parameters
        self._past = "cache" if "cache" in taken else "past_key_values"
        self._held: OrderedDict[tuple[int, ...], Layers] = OrderedDict()

    def forward(
        self,
        prefix: tuple[int, ...],
        ids: torch.Tensor,
        positions: torch.Tensor,
        mask: torch.Tensor,
        past: Any = None,
    ) -> torch.Tensor:
        """Hidden states of tokens that come after the prefix.

        Parameters
        ----------
        ids, positions
            int64 [n, width]; positions count from the end of the prefix.
        mask
            bool [n, 1, width, past + width], which own tokens each token sees; all see all of
            the prefix.
        past
            A transformers cache of the rows' earlier own tokens, which grows.

        Returns
        -------
        [n, width, hidden]
        """
        with self._attending(prefix):
            output = self._model.base_model(
                input_ids=ids,
                position_ids=positions + len(prefix),
                attention_mask=mask,
                use_cache=past is not None,
                **{self._past: past},
            )
        states: torch.Tensor = output.last_hidden_state
        return states

    @contextmanager
    def _attending(self, prefix: tuple[int, ...]) -> Iterator[None]:
        token = _active.set(self._layers(prefix) if prefix else None)
        try:
            yield
        finally:
            _active.reset(token)

    def _layers(self, prefix: tuple[int, ...]) -> Layers:
        import torch
        from transformers import DynamicCache

        if prefix not in self._held:
            device, n = self._model.device, len(prefix)
            past: Any = DynamicCache()
            self.forward(
                (),
                torch.tensor([prefix], device=device),
                torch.arange(n, device=device)[None],
                torch.ones((1, 1, n, n), dtype=torch.bool, device=device).tril(),
                past,
            )
            self._held[prefix] = [(layer.keys[0], layer.values[0]) for layer in past.layers]
            if len(self._held) > HELD:
                self._held.popitem(last=False)
        self._held.move_to_end(prefix)
        return self._held[prefix]


def _attention(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    **_: Any,
) -> tuple[torch.Tensor, None]:
    """Attention over the shared prefix and the rows' own tokens.

    Parameters
    ----------
    query
        [n, heads, width, d]
    key, value
        [n, groups, own, d]; each group serves `heads / groups` heads in turn.
    attention_mask
        bool [n, 1, width, own]; None, outside of `PrefixCache.forward`, is causal.

    Returns
    -------
    [n, width, heads, d], None
    """
    import torch

    n, heads, width, d = query.shape
    groups, own = key.shape[1], key.shape[2]
    scale = d**-0.5 if scaling is None else scaling
    layers = _active.get()
    if layers is None or attention_mask is None:
        output = torch.nn.functional.scaled_dot_product_attention(
            query,
            key,
            value,
            attention_mask,
            is_causal=attention_mask is None and width > 1,
            scale=scale,
            enable_gqa=heads != groups,
        )
        return output.transpose(1, 2).contiguous(), None
    ahead_key, ahead_value = layers[module.layer_idx]
    held = ahead_key.shape[1]
    # [groups, n, heads of the group x width, d]
    grouped = (query * scale).reshape(n, groups, -1, d).transpose(0, 1)
    flat = grouped.reshape(groups, -1, d)
    rows = flat.shape[1] // n
    logits = query.new_empty((groups, n, rows, held + own), dtype=torch.float32)
    logits[..., :held] = (flat @ ahead_key.transpose(1, 2)).view(groups, n, rows, held)
    own_logits = grouped @ key.permute(1, 0, 3, 2)
    hidden = ~attention_mask.expand(n, rows // width, width, own).reshape(1, n, rows, own)
    logits[..., held:] = own_logits.masked_fill(hidden, float("-inf"))
    weights = logits.softmax(-1).to(value.dtype)
    output = (weights[..., :held].reshape(groups, -1, held) @ ahead_value).view(groups, n, rows, d)
    output = output + weights[..., held:] @ value.transpose(0, 1)
    return output.transpose(0, 1).reshape(n, heads, width, d).transpose(1, 2).contiguous(), None
