"""Vectors of texts: of a sentence encoder, or hidden states of a language model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cascade.errors import InputError
from cascade.generation.text_encoding import TextEncoder
from cascade.items import Item
from cascade.models.inspection import reading
from cascade.models.language_models import load_llm, picture_bank
from cascade.models.runtime import padded_batches
from cascade.models.weights import find_weights
from cascade.retrieval.encoder import Encoder

if TYPE_CHECKING:
    import torch


def joined_fields(item: Item, columns: Sequence[str], max_chars: int) -> str:
    """The columns of an item that are not empty, one a line, `max_chars` of each."""
    cut = (item.fields.get(column, "").strip()[:max_chars] for column in columns)
    return "\n".join(text for text in cut if text)


class SentenceFeatures:
    """Unit vectors of a sentence encoder, in half precision where the hardware has it.

    Parameters
    ----------
    columns
        Fields that are read, in this order.
    max_chars
        Characters of each that are read; they are what the time goes into.
    """

    reads_text = True
    reads_pictures = False

    def __init__(self, encoder: Encoder, columns: Sequence[str], max_chars: int) -> None:
        self._encoder = encoder
        self._columns = tuple(columns)
        self._max_chars = max_chars

    @property
    def width(self) -> int:
        """Numbers in a row."""
        return self._encoder.width

    def rows(
        self, items: Sequence[Item], problems: dict[int, str] | None = None
    ) -> NDArray[np.float32]:
        """float32 [n_items, width]"""
        return self._encoder.encode([self.text(item) for item in items], half=True)

    def text(self, item: Item) -> str:
        """What is read of an item."""
        return joined_fields(item, self._columns, self._max_chars)


CUE = "\nThis is a kind of"  # the state after it is about what the item is
BATCH_TOKENS = 4096


class HiddenStates:
    """Unit vectors: the last hidden state of a causal language model, after its final norm.

    Of a vision-language model the picture of an item is read before its text.

    Parameters
    ----------
    model, tokenizer
        As loaded by `models.language_models.load_llm`.
    columns
        Fields that are read, in this order.
    max_chars
        Characters of each that are read.
    """

    reads_text = True

    def __init__(self, model: Any, tokenizer: Any, columns: Sequence[str], max_chars: int) -> None:
        self.model = model
        self._bank = picture_bank(model)
        self.reads_pictures = self._bank is not None
        self._texts = TextEncoder(tokenizer)
        self._columns = tuple(columns)
        self._max_chars = max_chars
        self._cue = self._texts.one(CUE)

    @classmethod
    def load(
        cls,
        name: str,
        columns: Sequence[str],
        max_chars: int,
        *,
        adapter: str | None = None,
        allow_download: bool = False,
    ) -> HiddenStates:
        """The states of the model called `name`, with a LoRA adapter where one is given.

        Raises
        ------
        WeightsError
            The weights or the adapter are not found.
        """
        weights = find_weights(name, allow_download=allow_download)
        model, tokenizer = load_llm(weights, "auto", "auto", adapter=adapter)
        return cls(model, tokenizer, columns, max_chars)

    @property
    def width(self) -> int:
        """Numbers in a row."""
        return int(self.model.config.hidden_size)

    def rows(
        self, items: Sequence[Item], problems: dict[int, str] | None = None
    ) -> NDArray[np.float32]:
        """float32 [n_items, width]"""
        import torch

        if self._bank is not None:
            self._bank.trim()
        tokens: list[list[int]] = []
        for row, item in enumerate(items):
            try:
                tokens.append(self.tokens(item))
            except InputError as error:
                if problems is not None:
                    problems[row] = str(error)
                tokens.append(self.tokens(replace(item, image=None)))
        out = np.empty((len(items), self.width), dtype=np.float32)
        lengths = np.fromiter(map(len, tokens), np.int64, len(tokens))
        with reading("the language model", "cannot read these texts"), torch.inference_mode():
            for batch in padded_batches(lengths, BATCH_TOKENS):
                vectors = self.vectors(self.model.base_model, [tokens[at] for at in batch.tolist()])
                out[batch] = vectors.float().cpu().numpy()
        return out

    def tokens(self, item: Item) -> list[int]:
        """Token ids of an item: of its picture if the model reads them, its text, and the cue.

        Raises
        ------
        InputError
            The picture cannot be read.
        """
        picture: tuple[int, ...] = ()
        if self._bank is not None and item.image is not None:
            (picture,) = self._bank.tokens([item.image])
        text = joined_fields(item, self._columns, self._max_chars)
        with reading("the language model", "cannot read this text"):
            return [*picture, *self._texts.one(text), *self._cue]

    @staticmethod
    def vectors(body: Any, tokens: Sequence[Sequence[int]]) -> torch.Tensor:
        """Unit vectors float32 [n_texts, width] of token lists, by the body of a model."""
        import torch

        device = next(body.parameters()).device
        longest = max(map(len, tokens))
        ids = torch.zeros(len(tokens), longest, dtype=torch.long)
        mask = torch.zeros(len(tokens), longest, dtype=torch.long)
        for at, own in enumerate(tokens):
            ids[at, : len(own)] = torch.tensor(own)
            mask[at, : len(own)] = 1
        # Padding stands behind, where a causal model cannot see it.
        states = body(input_ids=ids.to(device), attention_mask=mask.to(device), use_cache=False)
        last = torch.tensor([len(own) - 1 for own in tokens], device=device)
        ends = states.last_hidden_state[torch.arange(len(tokens), device=device), last].float()
        return torch.nn.functional.normalize(ends, dim=1)
