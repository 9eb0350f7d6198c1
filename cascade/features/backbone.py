"""What heads and neighbours stand on: anything that turns items into rows of numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from cascade.items import Batch, Item

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

Rows = "NDArray[np.float32] | csr_matrix"
"""float32 [n_items, width], dense or in compressed sparse rows."""


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
