"""Attention of packed sequences over a prefix that all share, their cached tokens, and their own.

A batch that begins with the same instructions would hold, and read for every token, one copy
of their keys and values for each row. Here all queries meet the one copy together, and its part
of the softmax is joined with that of each row's own tokens (as in Hydragen, arXiv 2402.05099).
Rows lie one after another, padded to those of nearly their length.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

Layers = list[tuple["torch.Tensor", "torch.Tensor"]]
"""Keys and values [..., groups, tokens, d] of each layer."""

ATTENTION = "cascade_shared_prefix"


@dataclass
class Tier:
    """Rows of nearly one length, padded to it, one after another.

    Parameters
    ----------
    attention_mask
        bool [n, width, past + width], which of its row's tokens each token attends to; at least
        one.
    past
        What each row had before [groups, n, past, d] in each layer; None if nothing.
    positions, key_positions
        int64 [n, width] and [n, past + width], of the tokens and of what they may attend to, from
        the beginning of the prefix.
    """

    attention_mask: torch.Tensor
    past: Layers | None
    positions: torch.Tensor
    key_positions: torch.Tensor
    _masks: dict[tuple[int, int | None], torch.Tensor] = field(default_factory=dict, repr=False)

    def mask(self, heads: int, window: int | None, dtype: torch.dtype) -> torch.Tensor:
        """[1, n, heads x width, past + width], what is added to the logits of a group's heads.

        Minus infinity where they do not attend, which is added in half the time of a fill.

        Parameters
        ----------
        window
            How many tokens, itself included, a token sees; None is all.
        """
        import torch

        if (heads, window) not in self._masks:  # the same for all layers of a kind
            hidden = ~self.attention_mask
            if window is not None:
                hidden |= self.positions[:, :, None] - self.key_positions[:, None] >= window
            added = hidden.new_zeros(hidden.shape, dtype=dtype).masked_fill_(hidden, -torch.inf)
            self._masks[heads, window] = added.repeat(1, heads, 1)[None]
        return self._masks[heads, window]


@dataclass
class AttentionContext:
    """What the tokens of one forward pass attend to.

    Parameters
    ----------
    shared
        Keys and values of the prefix [groups, tokens, d], which all tokens attend to; or None.
    tiers
        All rows, in the order of their tokens.
    positions
        int64 [n_tokens], from the beginning of the prefix.
    longest
        The greatest of them, and one.
    new
        Keys and values [groups, n_tokens, d] of each layer that the pass has been through.
    windows
        How many tokens a token sees in those layers; None is all.
    """

    shared: Layers | None
    tiers: Sequence[Tier]
    positions: torch.Tensor
    longest: int
    new: Layers = field(default_factory=list)
    windows: set[int | None] = field(default_factory=set)


_active: ContextVar[AttentionContext | None] = ContextVar("active", default=None)


def install_attention(model: Any) -> None:
    """Replace the attention of a model, of `models.llama` or transformers, by that of this module.

    Whether the model then does what it did before is told by `tree_scoring.agreement`.
    """
    from cascade.models.llama import Llama

    if isinstance(model, Llama):
        model.attention = _attention
        return
    from transformers import AttentionInterface, AttentionMaskInterface
    from transformers.masking_utils import sdpa_mask

    AttentionInterface.register(ATTENTION, _attention)
    AttentionMaskInterface.register(ATTENTION, sdpa_mask)
    model.set_attn_implementation(ATTENTION)


@contextmanager
def attention_context(context: AttentionContext) -> Iterator[None]:
    """Inside, forward passes of one batch of packed tokens [1, n_tokens] attend to this."""
    token = _active.set(context)
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
    sliding_window: int | None = None,
    softcap: float | None = None,
    s_aux: torch.Tensor | None = None,
    **_: Any,
) -> tuple[torch.Tensor, None]:
    """Attention as transformers calls it; outside of `attention_context`, that of torch.

    Parameters
    ----------
    query
        [1, heads, n_tokens, d]
    key, value
        [1, groups, n_tokens, d]; each group serves `heads / groups` heads in turn.
    sliding_window
        How many tokens, itself included, a token sees; None is all.
    softcap
        Logits are bent so that they stay below this (Gemma 2, arXiv 2408.00118).
    s_aux
        [heads], the logit of attending to nothing (gpt-oss).

    Returns
    -------
    [1, n_tokens, heads, d], None
    """
    import torch

    heads, groups, d = query.shape[1], key.shape[1], query.shape[3]
    scale = d**-0.5 if scaling is None else scaling
    active = _active.get()
    if active is None:
        if softcap is not None or s_aux is not None:
            return _eager(query, key, value, attention_mask, scale, softcap, s_aux), None
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
    active.windows.add(sliding_window)
    query, key, value = query[0], key[0], value[0]
    window = sliding_window if sliding_window and active.longest > sliding_window else None
    ahead = total = None
    if active.shared is not None:
        shared_key, shared_value = active.shared[layer]
        if window is None and softcap is None:
            ahead, total = _over_shared(query, shared_key, shared_value, scale)
        else:
            place = torch.arange(shared_key.shape[1], device=key.device)
            seen = active.positions[:, None] - place < (window or active.longest)
            ahead, total = _over_seen(query, shared_key, shared_value, scale, seen, softcap)
    if s_aux is not None:
        ahead, total = _with_nothing(query, ahead, total, s_aux)
    query = query * scale
    outputs, end = [], 0
    for tier in active.tiers:
        n, width = tier.attention_mask.shape[:2]
        start, end = end, end + n * width
        rows = _rows(query[:, start:end], n, groups)
        own_key, own_value = (x[:, start:end].view(groups, n, width, d) for x in (key, value))
        if tier.past is not None:
            own_key = torch.cat([tier.past[layer][0], own_key], 2)
            own_value = torch.cat([tier.past[layer][1], own_value], 2)
        own = own_key.shape[2]
        products = rows @ own_key.transpose(2, 3)
        if softcap is not None:
            products = products.float().div_(softcap).tanh_().mul_(softcap)
        logits = query.new_empty((*rows.shape[:3], own + (ahead is not None)), dtype=torch.float32)
        logits[..., :own] = products.add_(tier.mask(heads // groups, window, query.dtype))
        if total is not None:
            # The prefix is one more key, whose logit is the logarithm of its part of the sum.
            logits[..., own:] = _rows(total[:, start:end, None], n, groups)
        weights = logits.softmax(-1).to(value.dtype)
        output = weights[..., :own] @ own_value
        if ahead is not None:
            output.addcmul_(weights[..., own:], _rows(ahead[:, start:end], n, groups))
        # [n, width, groups, heads of the group, d]
        outputs.append(output.view(groups, n, -1, width, d).permute(1, 3, 0, 2, 4).flatten(0, 1))
    return torch.cat(outputs).view(1, -1, heads, d), None


def _rows(values: torch.Tensor, n: int, groups: int) -> torch.Tensor:
    """Values [heads, n x width, d] as [groups, n, heads of the group x width, d]."""
    d = values.shape[2]
    found = values.unflatten(1, (n, -1)).unflatten(0, (groups, -1))
    rows: torch.Tensor = found.transpose(1, 2).reshape(groups, n, -1, d)
    return rows


def _over_shared(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, scale: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """Attention over the prefix alone, and the logarithm of its part of the softmax's sum.

    Parameters
    ----------
    query
        [heads, n_tokens, d]
    key, value
        [groups, tokens, d]

    Returns
    -------
    [heads, n_tokens, d], and float32 [heads, n_tokens]
    """
    import torch

    heads, n, d = query.shape
    grouped = query.reshape(1, len(key), -1, d)
    if query.device.type == "cpu":
        output, total = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(
            grouped, key[None], value[None], scale=scale
        )
    else:
        logits = ((grouped * scale) @ key.transpose(1, 2)).float()
        total = logits.logsumexp(-1)
        output = (logits - total[..., None]).exp_().to(value.dtype) @ value
    return output.reshape(heads, n, d), total.reshape(heads, n).float()


def _over_seen(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    scale: float,
    seen: torch.Tensor,
    softcap: float | None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """As `_over_shared`, where a token sees a part of the prefix, or logits are capped.

    Parameters
    ----------
    seen
        bool [n_tokens, tokens]
    """
    heads, n, d = query.shape
    logits = ((query * scale).reshape(len(key), -1, n, d) @ key[:, None].transpose(2, 3)).float()
    if softcap is not None:
        logits = (logits / softcap).tanh() * softcap
    logits = logits.masked_fill(~seen, float("-inf"))
    total = logits.logsumexp(-1)
    weights = (logits - total[..., None]).exp_().nan_to_num_(0.0)  # of a token that sees nothing
    output = weights.to(value.dtype) @ value[:, None]
    return output.reshape(heads, n, d), total.reshape(heads, n)


def _with_nothing(
    query: torch.Tensor,
    ahead: torch.Tensor | None,
    total: torch.Tensor | None,
    logit: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor]:
    """What stands before a row's own tokens, with nothing [heads] as one more to attend to."""
    import torch

    nothing = logit.float()[:, None].expand(query.shape[:2])
    if ahead is None or total is None:
        return torch.zeros_like(query), nothing
    both = torch.logaddexp(total, nothing)
    return ahead * (total - both).exp()[..., None].to(ahead.dtype), both


def _eager(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scale: float,
    softcap: float | None,
    nothing: torch.Tensor | None,
) -> torch.Tensor:
    """[1, n_tokens, heads, d], attention with capped logits or with nothing to attend to."""
    import torch

    heads, groups = query.shape[1], key.shape[1]
    key, value = (x.repeat_interleave(heads // groups, dim=1) for x in (key, value))
    logits = (query @ key.transpose(2, 3)).float() * scale
    if softcap is not None:
        logits = (logits / softcap).tanh() * softcap
    n, seen = query.shape[2], key.shape[2]
    if attention_mask is None:
        attention_mask = torch.ones(n, seen, dtype=torch.bool, device=key.device).tril(seen - n)
    if attention_mask.dtype is torch.bool:
        logits = logits.masked_fill(~attention_mask, float("-inf"))
    else:
        logits = logits + attention_mask
    if nothing is not None:
        beside = nothing.float().view(1, heads, 1, 1).expand(*logits.shape[:3], 1)
        logits = torch.cat([logits, beside], dim=-1)
    weights = logits.softmax(-1)[..., :seen].to(value.dtype)
    return (weights @ value).transpose(1, 2).contiguous()
