"""A cross-encoder: a sequence classifier that reads two texts together, for many pairs.

Rerankers and models of natural language inference are both of this kind. (The `CrossEncoder` of
sentence-transformers computes the same, but it takes `[SEP]` in a text for a control token, bounds
the pairs of a batch and not its tokens, and cuts both texts.)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cascade.errors import EngineError
from cascade.items import as_text
from cascade.models.classifiers import load_sequence_classifier
from cascade.models.inspection import reading
from cascade.models.language_models import plain_text_tokenizer
from cascade.models.runtime import Precision, padded_batches
from cascade.models.weights import find_weights

Tokens = NDArray[np.int32]
"""Token ids of one text, without control tokens."""


class CrossEncoder:
    """A sequence classifier over pairs of plain texts.

    Parameters
    ----------
    model, tokenizer
        As loaded by transformers; the tokenizer is a fast one.
    name
        For messages.
    batch_tokens
        Most tokens in one forward pass, padding included; bounds memory.

    Attributes
    ----------
    labels
        Names of the model's outputs, in their order.
    """

    def __init__(
        self, model: Any, tokenizer: Any, *, name: str = "pairs", batch_tokens: int = 4096
    ) -> None:
        self.name = name
        self.labels = tuple(model.config.id2label[i] for i in range(model.config.num_labels))
        self._model = model
        self._batch_tokens = batch_tokens
        self._tokenizer = plain_text_tokenizer(tokenizer)
        self._template = _PairTemplate(self._tokenizer)
        self._pad = tokenizer.pad_token_id or 0  # hidden by the mask
        self._typed = "token_type_ids" in tokenizer.model_input_names
        limit = min(_max_positions(model), tokenizer.model_max_length, batch_tokens)
        self._max_tokens = limit - self._template.size

    @classmethod
    def load(
        cls,
        name: str,
        *,
        device: str = "auto",
        precision: Precision = "float32",
        batch_tokens: int = 4096,
        allow_download: bool = False,
    ) -> CrossEncoder:
        """The model over the weights called `name`.

        Raises
        ------
        WeightsError
            The weights are not found, or are no sequence classifier.
        """
        weights = find_weights(name, allow_download=allow_download)
        model, tokenizer = load_sequence_classifier(weights, device, precision)
        return cls(model, tokenizer, name=name, batch_tokens=batch_tokens)

    def tokens(self, text: str) -> Tokens:
        """The token ids of a text, as many as can be read."""
        with reading(self.name, "cannot read this text", EngineError):
            encoded = self._tokenizer.encode(as_text(text), add_special_tokens=False)
        return np.array(encoded.ids[: self._max_tokens], dtype=np.int32)

    def logits(self, pairs: Sequence[tuple[Tokens, Tokens]]) -> NDArray[np.float32]:
        """The model's outputs for each pair.

        Where a pair is too long the end of its first text is left out, and of a second text what
        is beyond half of the model's length.

        Returns
        -------
        float32 [n_pairs, n_labels]

        Raises
        ------
        EngineError
            The model ran out of memory, or gave no numbers.
        """
        import torch

        out = np.empty((len(pairs), len(self.labels)), dtype=np.float32)
        lengths = np.array([len(first) + len(second) for first, second in pairs], dtype=np.int64)
        lengths = np.minimum(lengths, self._max_tokens) + self._template.size
        try:
            with torch.inference_mode():
                for rows in padded_batches(lengths, self._batch_tokens):
                    out[rows] = self._forward([pairs[row] for row in rows.tolist()])
        except (RuntimeError, IndexError) as error:
            problem = str(error).strip().splitlines()[0]
            raise EngineError(
                f"{self.name} failed: {problem}; lower its batch_tokens ({self._batch_tokens})"
            ) from error
        if not np.isfinite(out).all():
            raise EngineError(
                f"{self.name} answered with numbers beyond its precision; set it to float32"
            )
        return out

    def _forward(self, pairs: list[tuple[Tokens, Tokens]]) -> NDArray[np.float32]:
        import torch

        encoded = [self._encode_pair(first, second) for first, second in pairs]
        width = max(len(ids) for ids, _ in encoded)
        ids = np.full((len(pairs), width), self._pad, dtype=np.int64)
        types, mask = np.zeros_like(ids), np.zeros_like(ids)
        for row, (own, own_types) in enumerate(encoded):
            ids[row, : len(own)] = own
            types[row, : len(own)] = own_types
            mask[row, : len(own)] = 1
        inputs = {"input_ids": ids, "attention_mask": mask}
        if self._typed:
            inputs["token_type_ids"] = types
        device = self._model.device
        out = self._model(**{k: torch.from_numpy(v).to(device) for k, v in inputs.items()})
        logits: NDArray[np.float32] = out.logits.float().cpu().numpy()
        return logits

    def _encode_pair(self, first: Tokens, second: Tokens) -> tuple[Tokens, Tokens]:
        """A pair as the model reads it, and the type of each of its tokens."""
        second = second[: max(self._max_tokens // 2, self._max_tokens - len(first))]
        return self._template.around(first[: self._max_tokens - len(second)], second)


class _PairTemplate:
    """The control tokens around two texts, as the tokenizer of the model sets them."""

    def __init__(self, tokenizer: Any) -> None:
        pair = tokenizer.encode("a", "a")
        ids, types = np.array(pair.ids, np.int32), np.array(pair.type_ids, np.int32)
        text = np.array([-1 if text is None else text for text in pair.sequence_ids])
        first, second = np.flatnonzero(text == 0), np.flatnonzero(text == 1)
        parts = [first[0], first[-1] + 1, second[0], second[-1] + 1]
        self._ids = np.split(ids, parts)[::2]
        self._types = np.split(types, parts)
        self.size = sum(map(len, self._ids))

    def around(self, first: Tokens, second: Tokens) -> tuple[Tokens, Tokens]:
        """Token ids of the pair, and their types."""
        before, between, after = self._ids
        ids = np.concatenate([before, first, between, second, after])
        sizes = map(len, (before, first, between, second, after))
        types = [np.resize(types, size) for types, size in zip(self._types, sizes, strict=True)]
        return ids, np.concatenate(types)


def _max_positions(model: Any) -> int:
    """Tokens that the model has positions for."""
    positions: int = getattr(model.config, "max_position_embeddings", 1 << 30)
    for name, module in model.named_modules():
        # RoBERTa counts from behind the position of its padding.
        if name.endswith("position_embeddings") and getattr(module, "padding_idx", None):
            positions -= module.padding_idx + 1
    return positions
