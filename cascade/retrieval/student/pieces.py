"""Vectors of pieces of words, by the encoder itself: what a word means that no text has shown yet.

The static table of Model2Vec (Tulkens and van Dongen 2024): each piece that the tokenizer knows is
read as a text of its own, once for an encoder, and a word is the mean of its pieces.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cascade.io.files import cache_folder
from cascade.models.sentence_encoder import PackedEncoder
from cascade.retrieval.encoder import Encoder
from cascade.retrieval.text_vectors import Progress, read_vectors, write_vectors

Floats = NDArray[np.float32]

BLOCK = 512  # pieces that are read together: always the same ones, so that vectors are the same
MOST = 65_536  # pieces; a tokenizer of a hundred languages has more, and takes minutes
FORMAT = 1  # raised when the vectors change

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class PieceVectors:
    """The vectors of all pieces.

    Parameters
    ----------
    table
        float32 [n_pieces, width], of unit length.
    """

    encoder: PackedEncoder
    table: Floats

    @classmethod
    def open(cls, encoder: Encoder, progress: Progress | None = None) -> PieceVectors | None:
        """Those of an encoder, from disk or made once; None where it is of another kind.

        Parameters
        ----------
        progress
            Called with (done, all) while they are made.
        """
        model = encoder.piecewise
        if model is None or model.n_pieces > MOST:
            return None
        key = hashlib.sha256(f"{FORMAT}:{encoder.identity}".encode()).hexdigest()[:32]
        path = cache_folder() / "models" / f"pieces-{key}.npy"
        shape = model.n_pieces, model.width
        table = read_vectors(path, shape)
        if table is None:
            blocks = _blocks(model, progress)
            try:
                table = write_vectors(path, shape, iter(blocks))
            except OSError as error:
                logger.warning("vectors of pieces are not kept for next time: %s", error)
                table = np.concatenate(blocks)
        return cls(model, table)

    def of_words(self, words: Sequence[str]) -> list[list[int]]:
        """The pieces of each word."""
        return self.encoder.pieces(words)


def _blocks(model: PackedEncoder, progress: Progress | None) -> list[Floats]:
    found, n = [], model.n_pieces
    for first in range(0, n, BLOCK):
        if progress is not None:
            progress(first, n)
        found.append(model.piece_vectors(first, min(first + BLOCK, n)))
    return found
