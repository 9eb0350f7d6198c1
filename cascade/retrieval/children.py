"""Choices without narrowing: all children, for methods that judge every one of them at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cascade.items import Batch, Choices
from cascade.taxonomy import Taxonomy


class AllChildren:
    """Narrows to nothing less than all children; stands where a `Retriever` would.

    Where every child is kept there is nothing to search, and no item needs to be encoded for it.
    """

    reads_pictures = False

    def __init__(self, taxonomy: Taxonomy) -> None:
        self._taxonomy = taxonomy

    def narrow(
        self, batch: Batch, rows: NDArray[np.int32], parents: NDArray[np.int32], k: int
    ) -> Choices:
        """All children of `parents[q]` for item `rows[q]`, in their order; see `Retriever`."""
        return Choices(rows, parents, *self._taxonomy.children_of(parents))


def widest(taxonomy: Taxonomy) -> int:
    """The most children that a node has, or the top level has nodes."""
    parents = taxonomy.parent
    return int(np.bincount(parents + 1).max())
