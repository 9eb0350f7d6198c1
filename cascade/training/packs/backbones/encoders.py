"""Sentence encoders that can be trained, packed or by sentence-transformers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cascade.features.text_embeddings import joined_fields
from cascade.items import Item, as_text
from cascade.models.packed.saving import save_like
from cascade.models.packed.upper import Kept, UpperLayers
from cascade.models.runtime import quiet_libraries
from cascade.models.sentence_encoder import (
    PackedEncoder,
    load_sentence_encoder,
    load_sentence_transformer,
    remember_packed,
)
from cascade.models.weights import Weights, find_weights
from cascade.training.packs.backbones.tensors import padded, with_plain_attention
from cascade.training.packs.recipe import TunedStage

if TYPE_CHECKING:
    import torch

LONGEST = 1 << 20  # tokens; the tokenizer cuts earlier


def trainable_encoder(
    model: str,
    columns: Sequence[str],
    stage: TunedStage,
    *,
    prompt: str = "",
    allow_download: bool = False,
    kept: Kept | None = None,
) -> TrainableEncoder | TrainablePackedEncoder:
    """A sentence encoder to train, in the quickest form that its kind and the device allow.

    Parameters
    ----------
    prompt
        What is read before each item.
    kept
        What lower layers made of texts in an earlier training.
    """
    weights = find_weights(model, allow_download=allow_download)
    encoder = load_sentence_encoder(weights)
    if isinstance(encoder, PackedEncoder):
        return TrainablePackedEncoder(encoder, weights, columns, stage, prompt, kept or Kept())
    return TrainableEncoder(weights, columns, stage, prompt=prompt)


class TrainablePackedEncoder:
    """A packed encoder of which the upper layers are trained, or all.

    What the layers below make of an item never changes, so it is computed once; see
    `models.packed.upper`. Its own dropout stays off: drawing the masks takes long on CPUs, and
    vectors that heads see have theirs.
    """

    def __init__(
        self,
        encoder: PackedEncoder,
        weights: Weights,
        columns: Sequence[str],
        stage: TunedStage,
        prompt: str,
        kept: Kept,
    ) -> None:
        self._encoder, self._weights, self._prompt = encoder, weights, prompt
        self._columns, self._max_chars = tuple(columns), stage.max_chars
        self._upper = UpperLayers(encoder, stage.layers, kept)

    @property
    def width(self) -> int:
        """Numbers in a vector."""
        return self._encoder.width

    def inputs(self, item: Item) -> list[int]:
        """What is read of an item, as plain text between the encoder's own marks."""
        text = self._prompt + as_text(joined_fields(item, self._columns, self._max_chars))
        return self._encoder.tokens([text], LONGEST)[0]

    def vectors(self, inputs: Sequence[list[int]]) -> torch.Tensor:
        """Unit vectors of token lists, with gradients."""
        return self._upper.vectors(inputs)

    def encode(
        self, items: Sequence[Item], progress: Callable[[int, int], None]
    ) -> NDArray[np.float32]:
        """Unit vectors [n_items, width] as they are in use."""
        return self._upper.encode([self.inputs(item) for item in items], progress)

    def parameters(self) -> dict[str, torch.nn.Parameter]:
        """What is trained, by name."""
        return self._upper.trained

    def save(self, folder: Path) -> None:
        """Write a sentence-transformers folder."""
        save_like(self._weights, self._upper.tensors, folder)
        remember_packed(find_weights(str(folder)))


class TrainableEncoder:
    """A sentence encoder of another kind, or on a GPU, of which all weights are trained.

    Its own dropout stays off: drawing the masks takes long on CPUs, and vectors that
    heads see have theirs.

    Parameters
    ----------
    prompt
        What is read before each item.
    """

    def __init__(
        self,
        weights: Weights,
        columns: Sequence[str],
        stage: TunedStage,
        *,
        prompt: str = "",
    ) -> None:
        self._model = load_sentence_transformer(weights).eval()
        self._model.set_pooling_include_prompt(True)  # as here, in use too
        self._prompt = prompt
        self._model.tokenizer.split_special_tokens = True
        with_plain_attention(getattr(self._model[0], "auto_model", None))
        self._columns, self._max_chars = tuple(columns), stage.max_chars
        self._pad = self._model.tokenizer.pad_token_id or 0

    @property
    def width(self) -> int:
        """Numbers in a vector."""
        return int(self._model.get_embedding_dimension() or 0)

    def inputs(self, item: Item) -> list[int]:
        """What is read of an item, as plain text between the encoder's own marks."""
        text = self._prompt + joined_fields(item, self._columns, self._max_chars)
        longest = self._model.max_seq_length
        encoded = self._model.tokenizer(text, truncation=True, max_length=longest)
        return list(encoded["input_ids"])

    def vectors(self, inputs: Sequence[list[int]]) -> torch.Tensor:
        """Unit vectors of token lists, with gradients."""
        import torch

        device = self._model.device
        ids = padded([torch.tensor(own) for own in inputs], self._pad).to(device)
        mask = padded([torch.ones(len(own), dtype=torch.long) for own in inputs]).to(device)
        made = self._model({"input_ids": ids, "attention_mask": mask})
        return torch.nn.functional.normalize(made["sentence_embedding"].float(), dim=1)

    def parameters(self) -> dict[str, torch.nn.Parameter]:
        """All weights."""
        return dict(self._model.named_parameters())

    def save(self, folder: Path) -> None:
        """Write a sentence-transformers folder."""
        with quiet_libraries():
            self._model.save(str(folder), create_model_card=False)
