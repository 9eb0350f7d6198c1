"""Dense features: what a sentence encoder or a language model makes of an item's text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cascade.features.backbone import Backbone
from cascade.items import Item
from cascade.retrieval.encoder import Encoder

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix


def shortened(item: Item, columns: Sequence[str], max_chars: int) -> str:
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
        return shortened(item, self._columns, self._max_chars)


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
