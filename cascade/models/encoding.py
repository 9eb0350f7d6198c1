"""Texts to unit vectors by a sentence encoder, the fastest way that its kind and device allow."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cascade.models.dividing import divided
from cascade.models.load import autocast, precision_dtype
from cascade.models.packed import PackedEncoder

if TYPE_CHECKING:
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
    return partial(_padded, model, half)


def _padded(model: SentenceTransformer, half: bool, texts: Sequence[str]) -> NDArray[np.float32]:
    """Vectors of texts, those of nearly one length padded together."""
    device = model.device.type
    most, many = (CHARACTERS, 64) if device == "cpu" else (CHARACTERS_ON_GPU, 256)
    most = most if half else most // 2
    lengths = np.fromiter(map(len, texts), np.int64, len(texts))
    if model.max_seq_length:
        lengths = lengths.clip(max=4 * model.max_seq_length)
    order = np.argsort(-lengths, kind="stable")
    out = np.empty((len(texts), model.get_embedding_dimension() or 0), dtype=np.float32)
    with autocast(device) if half else nullcontext():
        for batch in divided(order, lengths.clip(min=most // many), most):
            out[batch] = model.encode(
                [texts[at] for at in batch],
                batch_size=len(batch),
                normalize_embeddings=True,
                show_progress_bar=False,
            )
    return out
