"""The upper layers of a packed encoder in training, over what the lower ones make of each text.

The lower layers stay as they are, so what they make of a text is computed once and kept in half
precision while there is room: an epoch costs what the upper layers cost.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cascade.models.runtime import divided

if TYPE_CHECKING:
    import torch

    from cascade.models.sentence_encoder import PackedEncoder

Texts = Sequence[Sequence[int]]

LAYER = "encoder.layer."
ROOM = 1 << 30  # bytes of what is kept
TOKENS = 3200  # of one forward pass without gradients


@dataclass
class Kept:
    """What the lower layers make of texts, bfloat16 [n_tokens, width], by the ids of their tokens.

    Parameters
    ----------
    size
        In bytes.
    """

    states: dict[tuple[int, ...], torch.Tensor] = field(default_factory=dict)
    size: int = 0

    def add(self, made: Mapping[tuple[int, ...], torch.Tensor]) -> None:
        """Keep more while there is room."""
        size = sum(states.nbytes for states in made.values())
        if self.size + size <= ROOM:
            self.states |= made
            self.size += size


class UpperLayers:
    """An encoder of which the upper layers, or all weights, are trained.

    Parameters
    ----------
    layers
        How many of the upper layers; None for all weights, those of tokens too.
    kept
        Filled on the way, also for the next training over the same lower layers.
    """

    def __init__(self, encoder: PackedEncoder, layers: int | None, kept: Kept) -> None:
        import torch

        self._encoder, self._kept = encoder, kept
        n = encoder.transformer.n_layers
        self._first = 0 if layers is None else max(0, n - layers)
        self._layers = range(self._first, n)
        self.trained = {
            name: torch.nn.Parameter(value.clone())
            for name, value in encoder.weights.items()
            if self._is_trained(name)
        }

    @property
    def tensors(self) -> dict[str, torch.Tensor]:
        """The float32 weights as they are now, by name."""
        return {**self._encoder.weights, **self.trained}

    def vectors(self, ids: Texts) -> torch.Tensor:
        """Unit vectors float32 [n_texts, width] of the ids of tokens; gradients flow through."""
        import torch
        from torch.nn.attention import SDPBackend, sdpa_kernel

        transformer, weights = self._encoder.transformer, self.tensors
        ids, lengths, back = _by_length(ids)
        if self._first:
            x = torch.cat(self._below(ids)).float()
        else:
            x = transformer.embedded(weights, [list(own) for own in ids], lengths)
        # The gradient of the fused kernel takes a third of a step where texts are short.
        with sdpa_kernel(SDPBackend.MATH):
            states = transformer.states(weights, x, lengths, self._layers)
        return self._encoder.pooled(states, lengths)[torch.from_numpy(back)]

    def encode(self, ids: Texts, progress: Callable[[int, int], None]) -> NDArray[np.float32]:
        """Unit vectors [n_texts, width] as the trained encoder gives them in half precision."""
        import torch

        out = np.empty((len(ids), self._encoder.width), np.float32)
        lengths = np.fromiter(map(len, ids), np.int64, len(ids))
        transformer, weights, done = (
            self._encoder.transformer,
            self._encoder.halved(self.tensors),
            0,
        )
        dtype = next(iter(weights.values())).dtype
        with torch.no_grad():
            for batch in divided(np.argsort(lengths, kind="stable"), lengths, TOKENS):
                some, own = [ids[at] for at in batch.tolist()], lengths[batch]
                if self._first:
                    x = torch.cat(self._below(some)).to(dtype)
                else:
                    x = transformer.embedded(weights, [list(text) for text in some], own)
                states = transformer.states(weights, x, own, self._layers)
                out[batch] = self._encoder.pooled(states, own).numpy()
                done += len(batch)
                progress(done, len(ids))
        return out

    def _is_trained(self, name: str) -> bool:
        if name.startswith(LAYER):
            return int(name.removeprefix(LAYER).partition(".")[0]) >= self._first
        return not self._first and name.startswith("embeddings.")

    def _below(self, ids: Texts) -> list[torch.Tensor]:
        """What the lower layers make of texts in the order of their lengths."""
        import torch

        texts = [tuple(own) for own in ids]
        new = [own for own in dict.fromkeys(texts) if own not in self._kept.states]
        made: dict[tuple[int, ...], torch.Tensor] = {}
        if new:
            encoder = self._encoder
            lengths = np.fromiter(map(len, new), np.int64, len(new))
            weights = encoder.halved(encoder.weights)
            with torch.no_grad():
                x = encoder.transformer.embedded(weights, [list(own) for own in new], lengths)
                states = encoder.transformer.states(weights, x, lengths, range(self._first))
            parts = states.to(torch.bfloat16).split(lengths.tolist())
            made = {own: part.clone() for own, part in zip(new, parts, strict=True)}
            self._kept.add(made)
        return [made[own] if own in made else self._kept.states[own] for own in texts]


def _by_length(ids: Texts) -> tuple[list[Sequence[int]], NDArray[np.int64], NDArray[Any]]:
    """Texts in the order of their lengths, those lengths, and the way back."""
    lengths = np.fromiter(map(len, ids), np.int64, len(ids))
    order = np.argsort(lengths, kind="stable")
    return [ids[at] for at in order.tolist()], lengths[order], np.argsort(order)
