"""Items to the vectors that they are searched with."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cascade.errors import InputError
from cascade.io.pictures import open_picture
from cascade.items import Batch
from cascade.retrieval.encoder import Encoder

BLOCK = 32  # pictures that are in memory together


def query_vectors(encoder: Encoder, batch: Batch) -> NDArray[np.float32]:
    """Unit vectors of the items of a batch: of their text, of their picture, or of both, halfway.

    Pictures are passed over by an encoder that reads none.

    An item whose picture cannot be read is noted in `batch.problems`; its vector is zero.

    Returns
    -------
    float32 [n_items, width]
    """
    seen = [row for row, item in enumerate(batch.items) if item.image is not None]
    if not seen or not encoder.reads_pictures:
        return encoder.encode([item.text for item in batch.items])
    vectors = np.zeros((len(batch), encoder.width), dtype=np.float32)
    read = [row for row, item in enumerate(batch.items) if item.text]
    vectors[read] = encoder.encode([batch.items[row].text for row in read])
    for start in range(0, len(seen), BLOCK):
        _add_pictures(vectors, encoder, batch, seen[start : start + BLOCK])
    vectors[list(batch.problems)] = 0
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, np.finfo(np.float32).tiny))


def _add_pictures(
    vectors: NDArray[np.float32], encoder: Encoder, batch: Batch, rows: list[int]
) -> None:
    """Add the vectors of these items' pictures to those of their texts."""
    pictures = {}
    for row in rows:
        image = batch.items[row].image
        assert image is not None
        try:
            pictures[row] = open_picture(image)
        except InputError as error:
            batch.problems[row] = str(error)
    vectors[list(pictures)] += encoder.encode_pictures(list(pictures.values()))
