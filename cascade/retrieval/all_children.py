"""What narrows nothing: every child is kept, and no encoder is loaded."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cascade.items import Batch, Choices
from cascade.taxonomy import Taxonomy


class AllChildren:
    """Stands in for a `Retriever` where every child is kept: nothing is encoded or searched."""

    reads_pictures = False

    def __init__(self, taxonomy: Taxonomy) -> None:
        self._taxonomy = taxonomy

    def narrow(
        self, batch: Batch, rows: NDArray[np.int32], parents: NDArray[np.int32], k: int
    ) -> Choices:
        """All children of `parents[q]` for item `rows[q]`, in their order; see `Retriever`."""
        return Choices(rows, parents, *self._taxonomy.children_of(parents))


def max_children(taxonomy: Taxonomy) -> int:
    """The most children that a node has, or nodes that the top level has."""
    return int(np.bincount(taxonomy.parent + 1).max())
