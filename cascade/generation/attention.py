"""Attention of packed sequences over a prefix that all share, what each has kept, and its own.

A batch that begins with the same instructions would hold, and read for every token, one copy
of their keys and values for each row. Here all queries meet the one copy together, and its part
of the softmax is joined with that of each row's own tokens (as in Hydragen, arXiv 2402.05099).
Rows lie one after another without padding; only their attention to themselves is padded.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

Layers = list[tuple["torch.Tensor", "torch.Tensor"]]
"""Keys and values [..., groups, tokens, d] of each layer."""

ATTENTION = "cascade_shared_prefix"
MANY_KEYS = 256  # of a row's own, from which on fused attention beats plain products on a CPU


@dataclass
class Attended:
    """What the tokens of one forward pass see.

    Parameters
    ----------
    shared
        Of the prefix [groups, tokens, d], which all tokens see; None without one.
    past
        What each row had before [n, groups, past, d]; None if nothing.
    padded
        int64 [n, width], the place of each row's tokens among all; 0 where there is none.
    packed
        int64 [n_tokens], the place of each token in `padded`, flattened.
    sees
        bool [n, width, past + width], which of its row's tokens each token sees.
    new
        Keys and values [groups, n_tokens, d] of each layer that the pass has been through.
    """

    shared: Layers | None
    past: Layers | None
    padded: torch.Tensor
    packed: torch.Tensor
    sees: torch.Tensor
    new: Layers = field(default_factory=list)
    _hidden: dict[int, torch.Tensor] = field(default_factory=dict, repr=False)

    def hidden(self, heads: int) -> torch.Tensor:
        """bool [n, 1, heads x width, past + width], what the heads of a group do not see."""
        if heads not in self._hidden:  # the same for all layers
            self._hidden[heads] = ~self.sees.repeat(1, heads, 1)[:, None]
        return self._hidden[heads]


_active: ContextVar[Attended | None] = ContextVar("active", default=None)


def install(model: Any) -> None:
    """Replace the attention of a model of transformers by the one of this module."""
    from transformers import AttentionInterface, AttentionMaskInterface
    from transformers.masking_utils import sdpa_mask

    AttentionInterface.register(ATTENTION, _attention)
    AttentionMaskInterface.register(ATTENTION, sdpa_mask)
    model.set_attn_implementation(ATTENTION)


@contextmanager
def attending(attended: Attended) -> Iterator[None]:
    """Inside, forward passes of one batch of packed tokens [1, n_tokens] see this."""
    token = _active.set(attended)
    try:
        yield
    finally:
        _active.reset(token)


def _attention(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    **_: Any,
) -> tuple[torch.Tensor, None]:
    """Attention as transformers calls it; outside of `attending`, that of torch.

    Parameters
    ----------
    query
        [1, heads, n_tokens, d]
    key, value
        [1, groups, n_tokens, d]; each group serves `heads / groups` heads in turn.

    Returns
    -------
    [1, n_tokens, heads, d], None
    """
    import torch

    heads, groups, d = query.shape[1], key.shape[1], query.shape[3]
    scale = d**-0.5 if scaling is None else scaling
    active = _active.get()
    if active is None:
        output = torch.nn.functional.scaled_dot_product_attention(
            query,
            key,
            value,
            attention_mask,
            is_causal=attention_mask is None and query.shape[2] > 1,
            scale=scale,
            enable_gqa=heads != groups,
        )
        return output.transpose(1, 2).contiguous(), None
    layer = module.layer_idx
    active.new.append((key[0], value[0]))
    n, width = active.padded.shape
    # [n, groups, heads of the group x width, d]
    rows = query[0][:, active.padded].view(groups, -1, n, width, d).permute(2, 0, 1, 3, 4)
    own_key, own_value = (x[0][:, active.padded].transpose(0, 1) for x in (key, value))
    if active.past is not None:
        past_key, past_value = active.past[layer]
        own_key = torch.cat([past_key, own_key], 2)
        own_value = torch.cat([past_value, own_value], 2)
    output, total = _partial(
        rows.reshape(n, groups, -1, d), own_key, own_value, active.hidden(heads // groups), scale
    )
    output = _packed(output, active.packed, width)
    if active.shared is not None:
        shared_key, shared_value = active.shared[layer]
        ahead, ahead_total = _partial(
            query.reshape(1, groups, -1, d), shared_key[None], shared_value[None], None, scale
        )
        share = torch.sigmoid(
            ahead_total.reshape(heads, -1, 1) - _packed(total[..., None], active.packed, width)
        )
        ahead = ahead.reshape(heads, -1, d)
        output = torch.lerp(output.float(), ahead.float(), share).to(query.dtype)
    return output.transpose(0, 1)[None].contiguous(), None


def _packed(padded: torch.Tensor, packed: torch.Tensor, width: int) -> torch.Tensor:
    """[n, groups, heads of the group x width, d] as [heads, n_tokens, d]."""
    n, groups, many, d = padded.shape
    heads = groups * many // width
    return padded.reshape(n, heads, width, d).transpose(0, 1).reshape(heads, -1, d)[:, packed]


def _partial(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    hidden: torch.Tensor | None,
    scale: float,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Attention over some of the keys, and the logarithm of their part of the softmax's sum.

    Parameters
    ----------
    query
        [n, groups, m, d]
    key, value
        [n, groups, s, d]
    hidden
        bool [n, 1, m, s], what is not seen.

    Returns
    -------
    [n, groups, m, d], and float32 [n, groups, m]
    """
    import torch

    if query.device.type == "cpu" and (hidden is None or key.shape[2] >= MANY_KEYS):
        mask = None
        if hidden is not None:
            mask = query.new_zeros(hidden.shape).masked_fill_(hidden, float("-inf"))
        found: tuple[torch.Tensor, torch.Tensor]
        found = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(
            query, key, value, 0.0, False, attn_mask=mask, scale=scale
        )
        return found[0].contiguous(), found[1].float()
    logits = (query @ key.transpose(2, 3)).float() * scale
    if hidden is not None:
        logits = logits.masked_fill_(hidden, float("-inf"))
    total = logits.logsumexp(-1)
    weights = logits.sub_(total[..., None]).exp_().to(value.dtype)
    return weights @ value, total
