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
MAX_PADDING = 1.06  # padded tokens for each real one, at the most, where rows are padded together
MAX_PADDING_ON_GPU = 1.5  # where many small steps cost more than padding
MAX_CACHE_BYTES = 1 << 30  # of keys and values of prompts' own tokens


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
    past_positions
        int64 [n_past], of what is kept; None is one after another.
    """

    tokens: NDArray[np.int64]
    positions: NDArray[np.int64]
    attention_mask: NDArray[np.bool_]
    past_positions: NDArray[np.int64] | None = None

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
        [n_tokens, hidden], padding included.
    layers
        Keys and values [groups, n_tokens, d].
    starts
        int64 [n_rows], where each row begins among the tokens.
    """

    states: torch.Tensor
    layers: Layers
    starts: NDArray[np.int64]


class PrefixCache:
    """Runs a model over sequences that continue a shared prefix.

    Parameters
    ----------
    model
        A causal language model of transformers; its attention is replaced by one that knows
        the shared prefix.

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
        self, prefix: tuple[int, ...], rows: Sequence[Row], past: Layers | None = None
    ) -> Pass:
        """Run the new tokens of some rows, those of nearly one length next to each other.

        Parameters
        ----------
        past
            Keys and values [groups, n, past, d] of what rows had before, filled up at the end.
        """
        return self._forward(self._shared(prefix) if prefix else None, len(prefix), rows, past)

    def _forward(
        self, shared: Layers | None, offset: int, rows: Sequence[Row], past: Layers | None
    ) -> Pass:
        import torch

        device = self._model.device
        ids, positions, tiers, starts = [], [], [], []
        n_tokens = 0
        for first, end in _tiers(rows, MAX_PADDING if device.type == "cpu" else MAX_PADDING_ON_GPU):
            tier = _padded(rows[first:end])
            n, width = tier.tokens.shape
            held = tier.attention_mask.shape[2] - width
            ids.append(tier.tokens.ravel())
            positions.append(tier.positions.ravel())
            starts.append(n_tokens + width * np.arange(n))
            n_tokens += n * width
            own = past and [(k[:, first:end, :held], v[:, first:end, :held]) for k, v in past]
            before = tier.past_positions
            assert before is not None  # of padded rows
            tiers.append(
                Tier(
                    torch.from_numpy(tier.attention_mask).to(device),
                    own if held else None,
                    torch.from_numpy(tier.positions + offset).to(device),
                    torch.from_numpy(np.hstack([before, tier.positions]) + offset).to(device),
                )
            )
        places = torch.from_numpy(np.concatenate(positions) + offset).to(device)
        longest = offset + 1 + max(int(row.positions.max()) for row in rows)
        context = AttentionContext(shared, tiers, places, longest)
        with attention_context(context):
            output = self._model.base_model(
                input_ids=torch.from_numpy(np.concatenate(ids)).to(device)[None],
                position_ids=places[None],
                # Four dimensions pass through transformers as they are; nobody reads it.
                attention_mask=torch.ones((1, 1, 1, 1), dtype=torch.bool, device=device),
                use_cache=False,
            )
        self.windows = context.windows
        return Pass(output.last_hidden_state[0], context.new, np.concatenate(starts))

    def _shared(self, prefix: tuple[int, ...]) -> Layers:
        if prefix not in self._prefixes:
            layers = self._forward(None, 0, [Row.plain(prefix)], None).layers
            self._prefixes[prefix] = [
                (key.contiguous(), value.contiguous()) for key, value in layers
            ]
            if len(self._prefixes) > MAX_PREFIXES:
                self._prefixes.popitem(last=False)
        self._prefixes.move_to_end(prefix)
        return self._prefixes[prefix]


def _tiers(rows: Sequence[Row], waste: float) -> Iterator[tuple[int, int]]:
    """Where runs of rows begin and end that can be padded together without much waste."""
    start = real = widest = 0
    for end, row in enumerate(rows):
        width = max(widest, len(row))
        if end > start and (end + 1 - start) * width > waste * (real + len(row)):
            yield start, end
            start, real, width = end, 0, len(row)
        widest = width
        real += len(row)
    yield start, len(rows)


def _padded(rows: Sequence[Row]) -> Row:
    """Rows as one [n, width]; padding attends to one token, because it must to some."""
    width = max(map(len, rows))
    before = [row.attention_mask.shape[1] - len(row) for row in rows]
    held = max(before)
    tokens = np.zeros((len(rows), width), dtype=np.int64)
    positions = np.zeros_like(tokens)
    attention_mask = np.zeros((len(rows), width, held + width), dtype=np.bool_)
    past_positions = np.tile(np.arange(held), (len(rows), 1))
    for i, (row, past) in enumerate(zip(rows, before, strict=True)):
        n = len(row)
        tokens[i, :n] = row.tokens
        positions[i, :n] = row.positions
        attention_mask[i, :n, :past] = row.attention_mask[:, :past]
        attention_mask[i, :n, held : held + n] = row.attention_mask[:, past:]
        attention_mask[i, n:, held] = True
        if row.past_positions is not None:
            past_positions[i, :past] = row.past_positions
    return Row(tokens, positions, attention_mask, past_positions)


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
    """

    states: torch.Tensor | None = None
    _bank: Layers = field(default_factory=list)
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
        run: Pass,
    ) -> None:
        """Add prompts that were computed, unless there is no room for them.

        Parameters
        ----------
        before
            Places in the bank of what was known of each.
        places
            Places among the new tokens of the rest of each; its last token is the last.
        run
            What computed them.
        """
        import torch

        wanted = np.concatenate(places)
        key = run.layers[0][0]
        size = 2 * len(run.layers) * key.shape[0] * key.shape[2] * key.element_size()
        if (self._used + len(wanted)) * size > MAX_CACHE_BYTES:
            return
        picked = torch.from_numpy(wanted).to(key.device)
        parts = [(k[:, picked], v[:, picked]) for k, v in run.layers]
        self._bank = (
            [
                (torch.cat([k, more_k], 1), torch.cat([v, more_v], 1))
                for (k, v), (more_k, more_v) in zip(self._bank, parts, strict=True)
            ]
            if self._bank
            else parts
        )
        ends = run.states[torch.tensor([own[-1] for own in places], device=key.device)]
        first_state = 0 if self.states is None else len(self.states)
        self.states = ends if self.states is None else torch.cat([self.states, ends])
        at = self._used
        for i, (prompt, had, own) in enumerate(zip(prompts, before, places, strict=True)):
            mine = np.arange(at, at + len(own))
            at += len(own)
            self._known[prompt] = CachedPrompt(np.concatenate([had, mine]), first_state + i)
            self._sorted.insert(bisect_left(self._sorted, prompt), prompt)
        self._used = at

    def past(self, places: Sequence[NDArray[np.int64]]) -> Layers | None:
        """Keys and values [groups, n, past, d] at some places, filled up at the end."""
        import torch

        longest = max(map(len, places))
        if not longest:
            return None
        filled = np.zeros((len(places), longest), dtype=np.int64)
        for row, own in zip(filled, places, strict=True):
            row[: len(own)] = own
        at = torch.from_numpy(filled).to(self._bank[0][0].device)
        return [(k[:, at], v[:, at]) for k, v in self._bank]


def _common_length(a: tuple[int, ...], b: tuple[int, ...]) -> int:
    """How many tokens two sequences have in common at their beginnings."""
    n = 0
    for x, y in zip(a, b, strict=False):
        if x != y:
            break
        n += 1
    return n
