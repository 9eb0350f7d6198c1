"""Attention of packed sequences over a prefix that all share, their cached tokens, and their own.

A batch that begins with the same instructions would hold, and read for every token, one copy
of their keys and values for each row. Here all queries of some rows meet the one copy together, as
in Hydragen (arXiv 2402.05099); what they make of it and of each row's own tokens is one softmax.
Rows lie one after another without padding, and are padded to those of nearly their length here.
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
"""Keys and values [tokens, groups, d] of each layer."""

ATTENTION = "cascade_shared_prefix"


@dataclass
class Tier:
    """Rows of nearly one length, which are padded to it, one after another.

    Parameters
    ----------
    attention_mask
        bool [n, width, past + width], which of its row's tokens each token attends to; at least
        one.
    tokens
        Which tokens of the pass they have: one after another, or int64 [n x width] with padding.
    real
        int64, those of the n x width that are no padding; None is all.
    past
        int64 [n, past], places of what each row had before; None if nothing.
    positions, key_positions
        int64 [n, width] and [n, past + width], of the tokens and of what they may attend to, from
        the beginning of the prefix.
    """

    attention_mask: torch.Tensor
    tokens: slice | torch.Tensor
    real: torch.Tensor | None
    past: torch.Tensor | None
    positions: torch.Tensor
    key_positions: torch.Tensor
    _masks: dict[tuple[int, int | None, int], torch.Tensor] = field(
        default_factory=dict, repr=False
    )

    def mask(self, heads: int, window: int | None, ahead: int, dtype: torch.dtype) -> torch.Tensor:
        """[n, heads x width, ahead + past + width], what is added to the logits of a group's heads.

        Minus infinity where they do not attend, which is added in half the time of a fill.

        Parameters
        ----------
        window
            How many tokens, itself included, a token sees; None is all.
        ahead
            So many tokens of the prefix come first.
        """
        import torch

        if (heads, window, ahead) not in self._masks:  # the same for all layers of a kind
            n, width, own = self.attention_mask.shape
            hidden = self.attention_mask.new_zeros((n, width, ahead + own))
            torch.logical_not(self.attention_mask, out=hidden[..., ahead:])
            if window is not None:
                place = torch.arange(ahead, device=hidden.device).expand(n, ahead)
                keys = torch.cat([place, self.key_positions], 1)
                hidden |= self.positions[:, :, None] - keys[:, None] >= window
            added = hidden.new_zeros(hidden.shape, dtype=dtype).masked_fill_(hidden, -torch.inf)
            self._masks[heads, window, ahead] = added.repeat(1, heads, 1)
        return self._masks[heads, window, ahead]


@dataclass
class AttentionContext:
    """What the tokens of one forward pass attend to.

    Parameters
    ----------
    shared
        Keys and values of the prefix, which all tokens attend to; or None.
    bank
        Those of which rows have a part before their new tokens.
    tiers
        All rows, in the order of their tokens.
    longest
        The greatest position, and one.
    new
        Keys and values [n_tokens, groups, d] of each layer that the pass has been through.
    windows
        How many tokens a token sees in those layers; None is all.
    """

    shared: Layers | None
    bank: Layers | None
    tiers: Sequence[Tier]
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
    # [tokens, heads, d]
    query, key, value = (x[0].transpose(0, 1) for x in (query, key, value))
    active.new.append((key, value))
    active.windows.add(sliding_window)
    window = sliding_window if sliding_window and active.longest > sliding_window else None
    outputs = []
    for tier in active.tiers:
        some = [_at(x, tier.tokens) for x in (query, key, value)]
        output = _over_rows(some, tier, active, layer, scale, window, softcap, s_aux)
        outputs.append(output if tier.real is None else output.index_select(0, tier.real))
    return torch.cat(outputs)[None], None


def _over_rows(
    some: Sequence[torch.Tensor],
    tier: Tier,
    active: AttentionContext,
    layer: int,
    scale: float,
    window: int | None,
    softcap: float | None,
    nothing: torch.Tensor | None,
) -> torch.Tensor:
    """Attention [n x width, heads, d] of rows that are padded to one length.

    Parameters
    ----------
    some
        Queries [n x width, heads, d], keys and values [n x width, groups, d].
    layer
        Its number.
    scale, window, softcap, nothing
        As `_attention` is given them.
    """
    import torch

    n, width = tier.attention_mask.shape[:2]
    heads, d = some[0].shape[1:]
    groups = some[1].shape[1]
    beside = heads // groups
    # [groups, n, heads of the group, width, d], scaled where they are copied
    queries = some[0].view(n, width, groups, beside, d).permute(2, 0, 3, 1, 4)
    rows = torch.mul(queries, scale, out=queries.new_empty(queries.shape))
    rows = rows.view(groups * n, beside * width, d)
    keys, values = (
        _with_past(x.view(n, width, groups, d), bank, tier.past)
        for x, bank in zip(
            some[1:], active.bank[layer] if active.bank else (None, None), strict=True
        )
    )
    shared = active.shared[layer] if active.shared else None
    ahead, own = 0 if shared is None else len(shared[0]), keys.shape[1]
    logits = rows.new_empty((*rows.shape[:2], ahead + own + (nothing is not None)))
    torch.bmm(rows, keys.transpose(1, 2), out=logits[..., ahead : ahead + own])
    if shared is not None:
        together = logits.view(groups, -1, logits.shape[2])[..., :ahead]
        torch.bmm(rows.view(groups, -1, d), shared[0].permute(1, 2, 0), out=together)
    if softcap is not None:
        logits = logits.float().div_(softcap).tanh_().mul_(softcap)
    by_group = logits.view(groups, n, beside * width, -1)
    hidden = ahead if window is None else 0  # all of the prefix is seen where there is no window
    by_group[..., hidden : ahead + own].add_(
        tier.mask(beside, window, ahead - hidden, logits.dtype)
    )
    if nothing is not None:
        own_logit = nothing.to(logits.dtype).view(groups, 1, beside, 1)
        by_group[..., -1].view(groups, n, beside, width).copy_(own_logit)
    weights = logits.softmax(-1, dtype=torch.float32).to(values.dtype)
    output = weights[..., ahead : ahead + own] @ values
    if shared is not None:
        together = weights.view(groups, -1, weights.shape[2])[..., :ahead]
        output += (together @ shared[1].transpose(0, 1)).view(output.shape)
    by_row = output.view(groups, n, beside, width, d).permute(1, 3, 0, 2, 4)
    return by_row.reshape(n * width, heads, d)


def _at(values: torch.Tensor, places: slice | torch.Tensor) -> torch.Tensor:
    """Some of values [n, ...]; rows are copied whole, for which indexing takes twice as long."""
    return values[places] if isinstance(places, slice) else values.index_select(0, places)


def _with_past(
    new: torch.Tensor, bank: torch.Tensor | None, past: torch.Tensor | None
) -> torch.Tensor:
    """Keys or values [groups x n, past + width, d] of new ones [n, width, groups, d]."""
    import torch

    if bank is not None and past is not None:
        before = bank.index_select(0, past.view(-1)).view(*past.shape, *bank.shape[1:])
        new = torch.cat([before, new], 1)
    return new.permute(2, 0, 1, 3).flatten(0, 1)


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
