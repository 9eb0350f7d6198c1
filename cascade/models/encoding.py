"""Texts to unit vectors by a sentence encoder, the fastest way that its kind and device allow."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cascade.models.dividing import divided
from cascade.models.load import precision_dtype
from cascade.models.packed import PackedEncoder

if TYPE_CHECKING:
    import torch
    from sentence_transformers import SentenceTransformer

Encode = Callable[[Sequence[str]], NDArray[np.float32]]
"""Unit vectors float32 [n_texts, width] of texts."""

CHARACTERS = 6000  # that a CPU encodes together in half precision; a token has about four
CHARACTERS_ON_GPU = 64_000


def encoding(model: SentenceTransformer, *, half: bool) -> Encode:
    """A way to encode texts with a model of sentence-transformers.

    Parameters
    ----------
    half
        With weights in half precision where the hardware multiplies it.
    """
    import torch

    dtype = precision_dtype("auto", model.device.type) if half else torch.float32
    if (packed := PackedEncoder.of(model, dtype)) is not None:
        return packed.encode
    padded = model if dtype is torch.float32 else halved(model, dtype)
    return lambda texts: _padded(padded, texts, half)


def halved(model: SentenceTransformer, dtype: torch.dtype) -> SentenceTransformer:
    """A copy with weights of another number type, whose tokens are averaged in float32."""
    model = deepcopy(model)
    model[0].to(dtype).register_forward_hook(_widen)
    return model


def _padded(model: SentenceTransformer, texts: Sequence[str], half: bool) -> NDArray[np.float32]:
    """Vectors of texts, those of nearly one length padded together."""
    most = CHARACTERS if model.device.type == "cpu" else CHARACTERS_ON_GPU
    longest = 4 * model.max_seq_length if model.max_seq_length else None
    lengths = np.fromiter(map(len, texts), np.int64, len(texts)).clip(1, longest)
    order = np.argsort(-lengths, kind="stable")
    out = np.empty((len(texts), model.get_embedding_dimension() or 0), dtype=np.float32)
    for batch in divided(order, lengths, most if half else most // 2):
        out[batch] = model.encode(
            [texts[at] for at in batch],
            batch_size=len(batch),
            normalize_embeddings=True,
            show_progress_bar=False,
        )
    return out


def _widen(module: Any, inputs: Any, output: dict[str, Any]) -> dict[str, Any]:
    """What a model gives, its numbers in float32, in which they are averaged."""
    import torch

    floats = {
        name: value.float()
        for name, value in output.items()
        if isinstance(value, torch.Tensor) and value.is_floating_point()
    }
    return output | floats
