"""Prompts that begin alike: what they share is computed once, for a run and for an item's levels.

Keys and values of the prefix that all prompts of a kind share (instructions, examples) are held
for the run. Those of a prompt's own tokens (the item) are kept from one level to the next, so that
the next question about the item costs only what is new in it.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cascade.generation.tree_scoring.shared_prefix_attention import (
    AttentionContext,
    Layers,
    Tier,
    attention_context,
    install_attention,
)

if TYPE_CHECKING:
    import torch

MAX_PREFIXES = 8  # at a time; a prompt file has one
# Attention alone pads rows: those of a tier have so many tokens for each real one at the most, or
# cost less than another tier.
MAX_PADDING = 1.15
MAX_PADDING_ON_GPU = 1.5  # where many small steps cost more
TIER = 16  # tokens that take as long as another tier
MAX_PAIRS = 1 << 17  # of tokens that attend to tokens in a tier of several rows
MAX_CACHE_BYTES = 1 << 30  # of keys and values of prompts' own tokens
NOTHING = np.empty(0, dtype=np.int64)


@dataclass(frozen=True)
class Row:
    """The new tokens of one sequence, after the shared prefix and what is kept of it.

    Parameters
    ----------
    tokens, positions
        int64 [n_new]; positions count from the end of the shared prefix.
    attention_mask
        bool [n_new, n_past + n_new], which of the row's own tokens each new token attends to;
        all attend to all of the prefix.
    past
        int64 [n_past], places in a bank of the keys and values of what is kept, which stands before
        the new tokens in the order of its positions.
    """

    tokens: NDArray[np.int64]
    positions: NDArray[np.int64]
    attention_mask: NDArray[np.bool_]
    past: NDArray[np.int64] = field(default_factory=lambda: NOTHING)

    @classmethod
    def plain(cls, tokens: Sequence[int]) -> Row:
        """A sequence of its own, with a causal mask."""
        n = len(tokens)
        return cls(np.asarray(tokens, dtype=np.int64), np.arange(n), np.tri(n, dtype=np.bool_))

    def __len__(self) -> int:
        return len(self.tokens)


@dataclass(frozen=True)
class Pass:
    """What a forward pass gave.

    Parameters
    ----------
    states
        [n_needed, hidden], of the tokens that were asked for.
    layers
        Keys and values [n_tokens, groups, d] of all tokens.
    """

    states: torch.Tensor
    layers: Layers


class PrefixCache:
    """Runs a model over sequences that continue a shared prefix.

    Parameters
    ----------
    model
        A causal language model of transformers, or a `models.llama.Llama`; its attention is
        replaced by one that knows the shared prefix.

    Attributes
    ----------
    windows
        How many tokens a token sees in the layers of the last pass; None is all.
    """

    def __init__(self, model: Any) -> None:
        install_attention(model)
        self._model = model
        self.windows: set[int | None] = set()
        self._prefixes: OrderedDict[tuple[int, ...], Layers] = OrderedDict()

    def forward(
        self,
        prefix: tuple[int, ...],
        rows: Sequence[Row],
        needed: NDArray[np.int64] | None = None,
        bank: Layers | None = None,
    ) -> Pass:
        """Run the new tokens of some rows, those of nearly one length next to each other.

        Parameters
        ----------
        needed
            Places among the tokens of all rows, one after another, whose states are asked for;
            None is all.
        bank
            Keys and values [tokens, groups, d] of what rows had before.
        """
        shared = self._shared(prefix) if prefix else None
        return self._forward(shared, len(prefix), rows, needed, bank)

    def _forward(
        self,
        shared: Layers | None,
        offset: int,
        rows: Sequence[Row],
        needed: NDArray[np.int64] | None,
        bank: Layers | None,
    ) -> Pass:
        import torch

        device = self._model.device
        on_cpu = device.type == "cpu"
        tiers, at = [], 0
        for first, end in _tiers(rows, offset, MAX_PADDING if on_cpu else MAX_PADDING_ON_GPU):
            tiers.append(_tier(rows[first:end], at, offset, device))
            at += sum(map(len, rows[first:end]))
        ids = torch.from_numpy(np.concatenate([row.tokens for row in rows])).to(device)
        positions = np.concatenate([row.positions for row in rows]) + offset
        wanted = None if needed is None else torch.from_numpy(needed).to(device)
        context = AttentionContext(shared, bank, tiers, int(positions.max()) + 1)
        with attention_context(context):
            states = _states(self._model, ids, torch.from_numpy(positions).to(device), wanted)
        self.windows = context.windows
        return Pass(states, context.new)

    def _shared(self, prefix: tuple[int, ...]) -> Layers:
        if prefix not in self._prefixes:
            last = np.array([len(prefix) - 1])
            layers = self._forward(None, 0, [Row.plain(prefix)], last, None).layers
            self._prefixes[prefix] = [
                (key.contiguous(), value.contiguous()) for key, value in layers
            ]
            if len(self._prefixes) > MAX_PREFIXES:
                self._prefixes.popitem(last=False)
        self._prefixes.move_to_end(prefix)
        return self._prefixes[prefix]


def _states(
    model: Any, ids: torch.Tensor, positions: torch.Tensor, needed: torch.Tensor | None
) -> torch.Tensor:
    """Hidden states [n_needed, hidden] of tokens [n_tokens] in the last layer."""
    import torch

    from cascade.models.llama import Llama

    if isinstance(model, Llama):
        return model.states(ids, positions, needed)
    output = model.base_model(
        input_ids=ids[None],
        position_ids=positions[None],
        # Four dimensions pass through transformers as they are; nobody reads it.
        attention_mask=torch.ones((1, 1, 1, 1), dtype=torch.bool, device=ids.device),
        use_cache=False,
    )
    states: torch.Tensor = output.last_hidden_state[0]
    return states if needed is None else states[needed]


def _tiers(rows: Sequence[Row], offset: int, waste: float) -> Iterator[tuple[int, int]]:
    """Where runs of rows begin and end that attention pads together."""
    start = real = widest = held = 0
    for end, row in enumerate(rows):
        width, past = max(widest, len(row)), max(held, len(row.past))
        n = end + 1 - start
        padded = n * width
        much = padded > max(waste * (real + len(row)), real + len(row) + TIER)
        if end > start and (much or padded * (offset + past + width) > MAX_PAIRS):
            yield start, end
            start, real, width, past = end, 0, len(row), len(row.past)
        widest, held = width, past
        real += len(row)
    yield start, len(rows)


def _tier(rows: Sequence[Row], first: int, offset: int, device: torch.device) -> Tier:
    """Rows padded to one length; padding attends to one token, because it must to some.

    Parameters
    ----------
    first
        Where their tokens begin among all.
    offset
        Tokens of the prefix.
    """
    import torch

    lengths = np.array([len(row) for row in rows])
    n, width, held = len(rows), int(lengths.max()), max(len(row.past) for row in rows)
    positions = np.zeros((n, width), dtype=np.int64)
    attention_mask = np.zeros((n, width, held + width), dtype=np.bool_)
    past = np.zeros((n, held), dtype=np.int64)
    for i, row in enumerate(rows):
        own, known = len(row), len(row.past)
        positions[i, :own] = row.positions
        attention_mask[i, :own, :known] = row.attention_mask[:, :known]
        attention_mask[i, :own, held : held + own] = row.attention_mask[:, known:]
        attention_mask[i, own:, held] = True
        past[i, :known] = row.past
    before = np.tile(np.arange(held), (n, 1))
    total = int(lengths.sum())
    tokens: slice | torch.Tensor = slice(first, first + total)
    real = None
    if total < n * width:
        is_real = np.arange(width) < lengths[:, None]
        starts = first + np.cumsum(lengths) - lengths
        places = np.where(is_real, starts[:, None] + np.arange(width), starts[:, None])
        tokens = torch.from_numpy(places.ravel()).to(device)
        real = torch.from_numpy(np.flatnonzero(is_real)).to(device)
    return Tier(
        torch.from_numpy(attention_mask).to(device),
        tokens,
        real,
        torch.from_numpy(past).to(device) if held else None,
        torch.from_numpy(positions + offset).to(device),
        torch.from_numpy(np.hstack([before, positions]) + offset).to(device),
    )


@dataclass(frozen=True)
class CachedPrompt:
    """Where a prompt's own tokens are in a `PromptCache`.

    Parameters
    ----------
    places
        int64 [n_tokens], where their keys and values are in the bank.
    state
        Place of the last token's hidden state.
    """

    places: NDArray[np.int64]
    state: int


@dataclass
class PromptCache:
    """Keys and values of prompts' own tokens after one shared prefix, and their last states.

    Attributes
    ----------
    states
        [n_prompts, hidden], the hidden state of each prompt's last token.
    bank
        Keys and values [tokens, groups, d] of all tokens.
    """

    states: torch.Tensor | None = None
    bank: Layers = field(default_factory=list)
    _used: int = 0
    _known: dict[tuple[int, ...], CachedPrompt] = field(default_factory=dict)
    _sorted: list[tuple[int, ...]] = field(default_factory=list)

    def contains(self, prompt: tuple[int, ...]) -> bool:
        """Whether all of a prompt is cached."""
        return prompt in self._known

    def find(self, prompt: tuple[int, ...]) -> tuple[NDArray[np.int64], int | None]:
        """Places of the longest known beginning of a prompt, and of its last state if all is known.

        Of a prompt that begins a longer known one, the last token is not taken: its state is gone.
        """
        if prompt in self._known:
            kept = self._known[prompt]
            return kept.places, kept.state
        at = bisect_left(self._sorted, prompt)
        best = max(
            (
                (_common_length(prompt, near), near)
                for near in self._sorted[max(at - 1, 0) : at + 1]
            ),
            default=(0, ()),
        )
        common = min(best[0], len(prompt) - 1)
        places = self._known[best[1]].places[:common] if common else np.empty(0, dtype=np.int64)
        return places, None

    def add(
        self,
        prompts: Sequence[tuple[int, ...]],
        before: Sequence[NDArray[np.int64]],
        places: Sequence[NDArray[np.int64]],
        ends: torch.Tensor,
        layers: Layers,
    ) -> None:
        """Add prompts that were computed, unless there is no room for them.

        Parameters
        ----------
        before
            Places in the bank of what was known of each.
        places
            Places among the new tokens of the rest of each; its last token is the last.
        ends
            [n_prompts, hidden], the hidden state of the last token of each.
        layers
            Keys and values of the new tokens.
        """
        import torch

        wanted = np.concatenate(places)
        key = layers[0][0]
        size = 2 * len(layers) * key.shape[1] * key.shape[2] * key.element_size()
        if (self._used + len(wanted)) * size > MAX_CACHE_BYTES:
            return
        picked = torch.from_numpy(wanted).to(key.device)
        parts = [(k.index_select(0, picked), v.index_select(0, picked)) for k, v in layers]
        self.bank = (
            [
                (torch.cat([k, more_k]), torch.cat([v, more_v]))
                for (k, v), (more_k, more_v) in zip(self.bank, parts, strict=True)
            ]
            if self.bank
            else parts
        )
        first_state = 0 if self.states is None else len(self.states)
        self.states = ends if self.states is None else torch.cat([self.states, ends])
        at = self._used
        for i, (prompt, had, own) in enumerate(zip(prompts, before, places, strict=True)):
            mine = np.arange(at, at + len(own))
            at += len(own)
            self._known[prompt] = CachedPrompt(np.concatenate([had, mine]), first_state + i)
            self._sorted.insert(bisect_left(self._sorted, prompt), prompt)
        self._used = at


def _common_length(a: tuple[int, ...], b: tuple[int, ...]) -> int:
    """How many tokens two sequences have in common at their beginnings."""
    n = 0
    for x, y in zip(a, b, strict=False):
        if x != y:
            break
        n += 1
    return n
