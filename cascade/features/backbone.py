"""What heads and neighbours stand on: anything that turns items into rows of numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from cascade.items import Item

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

Rows = "NDArray[np.float32] | csr_matrix"
"""float32 [n_items, width], dense or in compressed sparse rows."""


class Backbone(Protocol):
    """Turns items into rows of numbers; the same item always has the same row."""

    @property
    def width(self) -> int:
        """Numbers in a row."""

    def rows(self, items: Sequence[Item]) -> NDArray[np.float32] | csr_matrix:
        """float32 [n_items, width], dense or in compressed sparse rows."""
