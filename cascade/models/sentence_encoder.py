"""Sentence encoders of the BERT kind over texts that lie one after another, without padding.

Texts of a batch padded to its longest waste much of the work where lengths differ. Here all linear
layers run over the tokens of all texts as one row, and attention over texts of one length at a time
(as the "unpadding" of ModernBERT, arXiv 2412.13663, for processors without a kernel for it).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from copy import deepcopy
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cascade.models.runtime import autocast, best_device, divided, precision_dtype, quiet_libraries
from cascade.models.weights import Weights

if TYPE_CHECKING:
    import torch
    from sentence_transformers import SentenceTransformer

ATTENTION = "cascade_packed"
KINDS = ("bert", "roberta", "xlm-roberta")
POOLING = ("mean", "cls")
TOKENS = 3200  # of one forward pass; as many as are fastest in half precision
UNLIKE = 1e-5  # of a cosine to the vectors of sentence-transformers, at the most
UNLIKE_IN_HALF = 2e-3  # half precision costs 1e-4
SAMPLE = ("straw hat", "a wide straw hat with a ribbon, for the summer", "", "oak table " * 600)

Encode = Callable[[Sequence[str]], NDArray[np.float32]]
"""Unit vectors float32 [n_texts, width] of texts."""

CHARACTERS = 6000  # that a CPU encodes together in half precision; a token has about four
CHARACTERS_ON_GPU = 64_000

_groups: ContextVar[Sequence[tuple[int, int]] | None] = ContextVar("groups", default=None)


def load_encoder(weights: Weights, device: str = "auto") -> SentenceTransformer:
    """A sentence-transformers model, in float32, in evaluation mode."""
    from sentence_transformers import SentenceTransformer

    with quiet_libraries():
        model = SentenceTransformer(
            str(weights.path), device=best_device(device), local_files_only=True
        )
    reader: Any = model[0]
    config = getattr(reader, "config", None)
    if config is not None and config.model_type.startswith("siglip"):
        # It reads the vector of a text off the last place, so all texts must be as long as those
        # that it was trained on.
        length = config.text_config.max_position_embeddings
        reader.processing_kwargs = {"text": {"padding": "max_length", "max_length": length}}
    return model


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


class PackedEncoder:
    """A transformer and the pooling after it, over packed texts.

    Parameters
    ----------
    model
        Of the kinds that `of` takes.
    dtype
        Number type of the weights; pooling is in float32 in any case.
    """

    def __init__(self, model: SentenceTransformer, dtype: torch.dtype) -> None:
        from transformers import AttentionInterface, AttentionMaskInterface
        from transformers.masking_utils import sdpa_mask

        AttentionInterface.register(ATTENTION, _attention)
        AttentionMaskInterface.register(ATTENTION, sdpa_mask)
        reader: Any = model[0]
        original = reader.auto_model
        # A module of its own, so that the original keeps its attention; with the same weights,
        # unless they are converted, which changes them in place.
        shared = chain(original.parameters(), original.buffers()) if dtype == original.dtype else ()
        self._transformer = deepcopy(original, {id(p): p for p in shared}).to(dtype)
        self._transformer.set_attn_implementation(ATTENTION)
        self._tokenizer = model.tokenizer
        self._longest = model.max_seq_length
        self._pooling = model[1].pooling_mode
        kind = original.config.model_type
        self._first_position = 0 if kind == "bert" else original.config.pad_token_id + 1

    @classmethod
    def of(cls, model: SentenceTransformer, dtype: torch.dtype) -> PackedEncoder | None:
        """A packed encoder whose vectors are those of the model; None where it cannot be had."""
        kinds = [type(module).__name__ for module in model]
        config = getattr(model[0], "config", None)
        if (
            kinds not in (["Transformer", "Pooling"], ["Transformer", "Pooling", "Normalize"])
            or model.device.type != "cpu"
            or model.default_prompt_name is not None
            or model.max_seq_length is None
            or getattr(model, "truncate_dim", None) is not None
            or getattr(model[0], "processing_kwargs", None)
            or getattr(config, "model_type", None) not in KINDS
            or getattr(config, "position_embedding_type", "absolute") != "absolute"
            or getattr(config, "is_decoder", False)
            or getattr(model[1], "pooling_mode", None) not in POOLING
        ):
            return None
        found = cls(model, dtype)
        expected = model.encode(list(SAMPLE), normalize_embeddings=True, show_progress_bar=False)
        unlike = 1 - (found.encode(SAMPLE) * expected).sum(axis=1).min()
        most = UNLIKE if dtype == model[0].auto_model.dtype else UNLIKE_IN_HALF
        return found if unlike <= most else None

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Unit vectors of texts.

        Returns
        -------
        float32 [n_texts, width]
        """
        import torch

        width = self._transformer.config.hidden_size
        out = np.empty((len(texts), width), dtype=np.float32)
        if not len(texts):
            return out
        ids = self._tokenizer(
            list(texts),
            truncation=True,
            max_length=self._longest,
            return_attention_mask=False,
            return_token_type_ids=False,
        )["input_ids"]
        lengths = np.fromiter(map(len, ids), np.int64, len(ids))
        order = np.argsort(lengths, kind="stable")
        most = TOKENS if next(self._transformer.parameters()).dtype.itemsize < 4 else TOKENS // 2
        with torch.inference_mode():
            for batch in divided(order, lengths, most):
                out[batch] = self._vectors([ids[at] for at in batch], lengths[batch]).numpy()
        return out

    def _vectors(self, ids: list[list[int]], lengths: NDArray[np.int64]) -> torch.Tensor:
        import torch

        values, counts = np.unique(lengths, return_counts=True)
        tokens = torch.tensor(list(chain.from_iterable(ids)))[None]
        starts = np.cumsum(lengths) - lengths
        places = np.arange(tokens.shape[1]) - np.repeat(starts, lengths) + self._first_position
        with _packed(list(zip(counts.tolist(), values.tolist(), strict=True))):
            states = self._transformer(
                input_ids=tokens,
                position_ids=torch.from_numpy(places)[None],
                token_type_ids=torch.zeros_like(tokens),
                # Four dimensions pass through transformers as they are; nobody reads it.
                attention_mask=torch.ones((1, 1, 1, 1), dtype=torch.bool),
            ).last_hidden_state[0]
        if self._pooling == "cls":
            pooled = states[torch.from_numpy(starts)].float()
        else:
            pooled = torch.segment_reduce(
                states.float(), "mean", lengths=torch.from_numpy(lengths), axis=0
            )
        return torch.nn.functional.normalize(pooled, dim=1)


@contextmanager
def _packed(groups: Sequence[tuple[int, int]]) -> Iterator[None]:
    """Inside, a forward pass sees texts: of each group, how many and of how many tokens."""
    token = _groups.set(groups)
    try:
        yield
    finally:
        _groups.reset(token)


def _attention(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    **_: Any,
) -> tuple[torch.Tensor, None]:
    """Attention as transformers calls it, of each text by itself.

    Parameters
    ----------
    query, key, value
        [1, heads, n_tokens, d]

    Returns
    -------
    [1, n_tokens, heads, d], None
    """
    import torch

    outputs, end = [], 0
    for n, length in _groups.get() or ():
        start, end = end, end + n * length
        own = (x[0, :, start:end].unflatten(1, (n, length)) for x in (query, key, value))
        q, k, v = (x.transpose(0, 1) for x in own)
        output = torch.nn.functional.scaled_dot_product_attention(q, k, v, scale=scaling)
        outputs.append(output.transpose(1, 2).flatten(0, 1))
    return torch.cat(outputs)[None], None
