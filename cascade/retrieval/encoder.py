"""Texts, and pictures where the model can, to unit vectors with a sentence-transformers model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cascade.errors import InputError
from cascade.io.pictures import open_picture
from cascade.items import Batch, as_text
from cascade.models.sentence_encoder import Encode, encoding, load_encoder
from cascade.models.weights import find_weights

if TYPE_CHECKING:
    from PIL.Image import Image
    from sentence_transformers import SentenceTransformer

Progress = Callable[[int, int], None]
"""Called with how many are done and how many there are."""

BLOCK = 2048  # texts between two calls of a progress function
PICTURE_BLOCK = 32  # opened pictures that are in memory together


class Encoder:
    """A sentence encoder whose inputs are plain text, even where they spell `[SEP]`.

    Parameters
    ----------
    model
        A loaded sentence-transformers model.
    identity
        Names the weights; part of the key of an index on disk.
    max_chars
        Characters of a text that are read; far beyond what encoders of 256 or 512 tokens see.
    """

    def __init__(self, model: SentenceTransformer, identity: str, *, max_chars: int = 4000) -> None:
        self.identity = identity
        self._model = model
        self._max_chars = max_chars
        model.tokenizer.split_special_tokens = True

    @classmethod
    def load(
        cls, name: str = "minilm", *, device: str = "auto", allow_download: bool = False
    ) -> Encoder:
        """The encoder over the weights called `name`.

        Raises
        ------
        WeightsError
            The weights are not found, or are not what they were pinned to be.
        """
        weights = find_weights(name, allow_download=allow_download)
        return cls(load_encoder(weights, device), f"{Path(name).name}:{weights.identity}")

    @property
    def width(self) -> int:
        """Numbers in a vector."""
        width = self._model.get_embedding_dimension()
        assert width is not None
        return int(width)

    @property
    def reads_pictures(self) -> bool:
        """Whether pictures have vectors that can be compared with those of texts."""
        return "image" in getattr(self._model, "modalities", ())

    def encode(
        self, texts: Sequence[str], *, half: bool = False, progress: Progress | None = None
    ) -> NDArray[np.float32]:
        """Unit vectors of texts.

        Parameters
        ----------
        half
            Compute in half precision where the hardware does: on a CPU that has bfloat16 two to
            three times as fast, and vectors differ by a cosine of about 1e-4.

        Returns
        -------
        float32 [n_texts, width]
        """
        out = np.empty((len(texts), self.width), dtype=np.float32)
        encode = self._half if half else self._full
        for start in range(0, len(texts), BLOCK):
            block = [as_text(text[: self._max_chars]) for text in texts[start : start + BLOCK]]
            out[start : start + len(block)] = encode(block)
            if progress is not None:
                progress(start + len(block), len(texts))
        return out

    def __getstate__(self) -> dict[str, Any]:
        """What is pickled: how texts are encoded is found out again where it is used."""
        made = ("_full", "_half")
        return {name: value for name, value in vars(self).items() if name not in made}

    @cached_property
    def _full(self) -> Encode:
        return encoding(self._model, half=False)

    @cached_property
    def _half(self) -> Encode:
        return encoding(self._model, half=True)

    def encode_pictures(self, pictures: Sequence[Image]) -> NDArray[np.float32]:
        """Unit vectors of pictures, as opened by `cascade.io.pictures`.

        Returns
        -------
        float32 [n_pictures, width]
        """
        if not pictures:
            return np.empty((0, self.width), dtype=np.float32)
        vectors: NDArray[np.float32] = self._model.encode(
            list(pictures), batch_size=32, normalize_embeddings=True, show_progress_bar=False
        )
        return vectors


def item_vectors(encoder: Encoder, batch: Batch) -> NDArray[np.float32]:
    """Unit vectors of the items of a batch: of their text, of their picture, or of both, halfway.

    Pictures are left out where the encoder reads none. An item whose picture cannot be read is noted
    in `batch.problems`; its vector is zero.

    Returns
    -------
    float32 [n_items, width]
    """
    with_picture = [row for row, item in enumerate(batch.items) if item.image is not None]
    if not with_picture or not encoder.reads_pictures:
        return encoder.encode([item.text for item in batch.items])
    vectors = np.zeros((len(batch), encoder.width), dtype=np.float32)
    with_text = [row for row, item in enumerate(batch.items) if item.text]
    vectors[with_text] = encoder.encode([batch.items[row].text for row in with_text])
    for start in range(0, len(with_picture), PICTURE_BLOCK):
        pictures = {}
        for row in with_picture[start : start + PICTURE_BLOCK]:
            try:
                pictures[row] = open_picture(batch.items[row].image)
            except InputError as error:
                batch.problems[row] = str(error)
        vectors[list(pictures)] += encoder.encode_pictures(list(pictures.values()))
    vectors[list(batch.problems)] = 0
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, np.finfo(np.float32).tiny))
