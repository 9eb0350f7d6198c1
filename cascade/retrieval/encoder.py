"""Texts, and pictures where the model can, to unit vectors."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from cascade.config import shown
from cascade.errors import ConfigError, InputError, WeightsError
from cascade.io.pictures import open_picture
from cascade.items import Batch, as_text
from cascade.models.inspection import reading
from cascade.models.sentence_encoder import (
    PackedEncoder,
    SentenceEncoder,
    load_sentence_encoder,
)
from cascade.models.weights import Weights, find_weights
from cascade.retrieval.encoder_prompts import Prompts, prompts_of

if TYPE_CHECKING:
    from PIL.Image import Image

BLOCK = 2048  # texts that are tokenized together
PICTURE_BLOCK = 32  # opened pictures that are in memory together
NO_PROMPTS = Prompts()
WORDS_WEIGHT = 0.1  # of what a picture shows in words, beside the text of an item


class PictureWords(Protocol):
    """What pictures show, in words: `texts`, and how likely a picture shows each."""

    texts: Sequence[str]

    def probabilities(self, pictures: Sequence[Image]) -> NDArray[np.float32]:
        """float32 [n_pictures, n_texts], of which those of a picture sum to 1."""
        ...


class Encoder:
    """A sentence encoder whose inputs are plain text, even where they spell `[SEP]`.

    Parameters
    ----------
    model
        The loaded encoder.
    identity
        Names the weights; part of the key of an index on disk.
    prompts
        What is read before items, and before texts of nodes.
    words
        What pictures show, where the model itself reads none.
    max_chars
        Characters of a text that are read; far beyond what encoders of 256 or 512 tokens see.

    Raises
    ------
    ConfigError
        A prompt is so long that nothing of a text behind it is read.
    """

    def __init__(
        self,
        model: SentenceEncoder,
        identity: str,
        *,
        prompts: Prompts = NO_PROMPTS,
        words: PictureWords | None = None,
        max_chars: int = 4000,
    ) -> None:
        self.identity = identity
        self.prompts = prompts
        self._words = None if model.reads_pictures else words
        self._model = model
        self._max_chars = max_chars
        for prompt in {prompts.query, prompts.document} - {""}:
            one, other = self._encode(["rake", "straw hat"], prompt)
            if np.array_equal(one, other):
                raise ConfigError(
                    f"the prompt {shown(prompt)} is as long as all that the encoder "
                    f"{self._name!r} reads, and leaves no room for a text; shorten "
                    "retrieval.query_prompt or retrieval.document_prompt"
                )

    @classmethod
    def load(
        cls,
        name: str,
        *,
        device: str = "auto",
        allow_download: bool = False,
        query_prompt: str | None = None,
        document_prompt: str | None = None,
        words: PictureWords | None = None,
    ) -> Encoder:
        """The encoder over the weights called `name`; prompts that are None are the model's own.

        Raises
        ------
        WeightsError
            The weights are not found, or are not what they were pinned to be.
        """
        weights = find_weights(name, allow_download=allow_download)
        prompts = prompts_of(weights).settled(query_prompt, document_prompt)
        return cls.of(weights, device, prompts, words)

    @classmethod
    def of(
        cls,
        weights: Weights,
        device: str = "auto",
        prompts: Prompts | None = None,
        words: PictureWords | None = None,
    ) -> Encoder:
        """The encoder over weights that were found, by default with the prompts that it wants."""
        identity = f"{Path(weights.name).name}:{weights.identity}"
        wanted = prompts_of(weights) if prompts is None else prompts
        return cls(load_sentence_encoder(weights, device), identity, prompts=wanted, words=words)

    @property
    def width(self) -> int:
        """Numbers in a vector."""
        return self._model.width

    @property
    def reads_pictures(self) -> bool:
        """Whether pictures have vectors that can be compared with those of texts."""
        return self._model.reads_pictures or self._words is not None

    @property
    def picture_weight(self) -> float:
        """Weight of a picture beside a text, which has 1."""
        return WORDS_WEIGHT if self._words is not None else 1.0

    def encode(self, texts: Sequence[str], *, half: bool = False) -> NDArray[np.float32]:
        """Unit vectors of texts of items.

        Parameters
        ----------
        half
            Compute in half precision where the hardware does: on a CPU that has bfloat16 two to
            three times as fast, and vectors differ by a cosine of about 1e-4.

        Returns
        -------
        float32 [n_texts, width]
        """
        return self._encode(texts, self.prompts.query, half)

    def encode_documents(self, texts: Sequence[str], *, half: bool = False) -> NDArray[np.float32]:
        """Unit vectors of texts of nodes; `half` as in `encode`.

        Returns
        -------
        float32 [n_texts, width]
        """
        return self._encode(texts, self.prompts.document, half)

    @property
    def _name(self) -> str:
        """Of the weights, for messages."""
        return self.identity.partition(":")[0]

    def _encode(self, texts: Sequence[str], prompt: str, half: bool = False) -> NDArray[np.float32]:
        out = np.empty((len(texts), self.width), dtype=np.float32)
        for start in range(0, len(texts), BLOCK):
            block = [as_text(text[: self._max_chars]) for text in texts[start : start + BLOCK]]
            number = {text: at for at, text in enumerate(dict.fromkeys(block))}
            with reading(f"the encoder {self._name!r}", "cannot read these texts"):
                vectors = self._model.encode(list(number), half=half, prompt=prompt)
            out[start : start + len(block)] = vectors[[number[text] for text in block]]
        if not np.isfinite(out).all():
            raise WeightsError(
                f"the encoder {self._name!r} answers with NaN: its weights are damaged; copy them "
                "again, or use others"
            )
        return out

    @property
    def piecewise(self) -> PackedEncoder | None:
        """The encoder as one whose pieces of words can be read; None where it is another kind."""
        return self._model if isinstance(self._model, PackedEncoder) else None

    def encode_pictures(self, pictures: Sequence[Image]) -> NDArray[np.float32]:
        """Unit vectors of pictures, as opened by `cascade.io.pictures`.

        Returns
        -------
        float32 [n_pictures, width]
        """
        if self._words is None:
            return self._model.encode_pictures(pictures)
        # The convex combination of what is likely (ConSE, arXiv 1312.5650, equation 3).
        mixed = self._words.probabilities(pictures) @ self._word_vectors
        lengths = np.linalg.norm(mixed, axis=1, keepdims=True)
        return np.asarray(mixed / np.maximum(lengths, np.finfo(np.float32).tiny))

    @cached_property
    def _word_vectors(self) -> NDArray[np.float32]:
        """float32 [n_texts, width], of what pictures may show, less their mean.

        The mean is what all classes share, most of it that they are definitions; with it every
        picture is like the same nodes.
        """
        vectors = self.encode([] if self._words is None else self._words.texts)
        return np.asarray(vectors - vectors.mean(axis=0))


def item_vectors(encoder: Encoder, batch: Batch) -> NDArray[np.float32]:
    """Unit vectors of the items of a batch: of their text, of their picture, or of both, halfway.

    Pictures are left out where the encoder reads none. An item whose picture cannot be read is
    noted in `batch.problems`; its vector is zero.

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
        found = encoder.encode_pictures(list(pictures.values()))
        vectors[list(pictures)] += np.float32(encoder.picture_weight) * found
    vectors[list(batch.problems)] = 0
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, np.finfo(np.float32).tiny))
