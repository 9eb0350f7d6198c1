"""The interface of features, several of them side by side, and features by their config."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from cascade.config import FITTED_ENCODER, BackboneConfig
from cascade.errors import ConfigError
from cascade.items import Batch, Item

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

DEFAULT_VISION = "efficientnet-lite0"  # where a backbone of pictures names no model


class Backbone(Protocol):
    """Turns items into rows of numbers; the same item always has the same row.

    Attributes
    ----------
    reads_text, reads_pictures
        What of an item is read.
    """

    reads_text: bool
    reads_pictures: bool

    @property
    def width(self) -> int:
        """Numbers in a row."""

    def rows(
        self, items: Sequence[Item], problems: dict[int, str] | None = None
    ) -> NDArray[np.float32] | csr_matrix:
        """float32 [n_items, width], dense or in compressed sparse rows.

        Parameters
        ----------
        problems
            Takes why an item could not be read, by its place.
        """


def batch_rows(backbone: Backbone, batch: Batch) -> NDArray[np.float32] | csr_matrix:
    """The rows of a batch, made once; what could not be read is noted in the batch."""
    return batch.once(
        (backbone, "rows"), lambda items: backbone.rows(items, problems=batch.problems)
    )


class JoinedFeatures:
    """Several features side by side; sparse where one of them is.

    Beside pictures, what reads text has zeros for an item that has none.
    """

    def __init__(self, parts: Sequence[Backbone]) -> None:
        self._parts = list(parts)
        self.reads_text = any(part.reads_text for part in parts)
        self.reads_pictures = any(part.reads_pictures for part in parts)

    @property
    def width(self) -> int:
        """Numbers in a row."""
        return sum(part.width for part in self._parts)

    def rows(
        self, items: Sequence[Item], problems: dict[int, str] | None = None
    ) -> NDArray[np.float32] | csr_matrix:
        """float32 [n_items, width]"""
        import scipy.sparse

        made = [self._rows(part, items, problems) for part in self._parts]
        if any(scipy.sparse.issparse(rows) for rows in made):
            return scipy.sparse.hstack(made, format="csr", dtype=np.float32)
        return np.hstack(made)

    def _rows(self, part: Backbone, items: Sequence[Item], problems: dict[int, str] | None) -> Any:
        found = part.rows(items, problems)
        if self.reads_pictures and not part.reads_pictures and isinstance(found, np.ndarray):
            found = found * np.array([[bool(item.text)] for item in items], dtype=np.float32)
        return found


def make_backbone(config: BackboneConfig, *, allow_download: bool = False) -> Backbone:
    """The features that a config describes, of one kind.

    Raises
    ------
    ConfigError
        A file that they need is not named.
    WeightsError
        Weights that they need are not found.
    """
    if config.kind == "lexical":
        from cascade.features.lexical import LexicalFeatures

        if config.file is None:
            raise ConfigError("a backbone of kind lexical needs its file")
        return LexicalFeatures.load(Path(config.file))
    if config.kind == "picture":
        from cascade.features.pictures import PictureFeatures

        return PictureFeatures.load(config.model or DEFAULT_VISION, allow_download=allow_download)
    if config.kind == "sentence":
        from cascade.features.text_embeddings import SentenceFeatures
        from cascade.retrieval.encoder import Encoder

        encoder = Encoder.load(
            config.model or FITTED_ENCODER,
            allow_download=allow_download,
            query_prompt=config.prompt,
        )
        return SentenceFeatures(encoder, config.columns, config.max_chars)
    from cascade.features.text_embeddings import HiddenStates

    return HiddenStates.load(
        config.model or "smollm2-135m",
        config.columns,
        config.max_chars,
        adapter=config.adapter,
        allow_download=allow_download,
    )
