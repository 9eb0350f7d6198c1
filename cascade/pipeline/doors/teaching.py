"""What people say of items while they are asked: it votes at once, as labelled neighbours do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cascade.items import Batch, Item
from cascade.models.runtime import refuse_lost_gpu
from cascade.pipeline.doors.asked import Asked
from cascade.taxonomy.staying import places

if TYPE_CHECKING:
    from cascade.scoring.methods.neighbours import NeighboursScorer


class Teaching(Asked):
    """The part of `Classifier` that learns from single items, in memory alone.

    To keep what was taught, add the rows to the pack: `cascade pack add`, `Pack.with_examples`.
    """

    @property
    def has_neighbours(self) -> bool:
        """Whether labelled neighbours have a say, so that `teach` changes answers."""
        return self._components.config.neighbours.file is not None

    def vectors(self, items: Sequence[Item]) -> NDArray[np.float32]:
        """Vectors by which items can be compared: those of the pack's neighbours, or the encoder's.

        Returns
        -------
        float32 [n_items, width], of unit length; zeros for an item that has nothing to read.
        """
        from cascade.retrieval.encoder import item_vectors
        from cascade.scoring.methods.neighbours import unit

        with self._turn:
            refuse_lost_gpu()
            if self.has_neighbours:
                name = self._components.config.neighbours.backbone
                return unit(self._components.backbone(name).rows(items))
            return item_vectors(self._components.encoder, Batch(items))

    def nearest(self, vector: NDArray[np.float32], k: int = 5) -> list[tuple[int, float]]:
        """The labelled rows of the pack that are most like an item, without those of `teach`.

        Parameters
        ----------
        vector
            float32 [width], see `vectors`.

        Returns
        -------
        Index of the node and cosine, the most similar first; nothing where there are none.
        """
        if not self.has_neighbours:
            return []
        with self._turn:
            refuse_lost_gpu()
            found = self._neighbours.nearest(vector, k)
        codes = self._components.taxonomy.codes
        return [(self.taxonomy.index(codes[node]), similar) for node, similar in found]

    def teach(self, vectors: NDArray[np.float32], nodes: NDArray[np.int32]) -> None:
        """Let these vote beside the pack's own rows; what was taught before is forgotten.

        Parameters
        ----------
        vectors
            float32 [n, width], see `vectors`.
        nodes
            int32 [n], the right node of each.
        """
        if self.has_neighbours:
            with self._turn:
                refuse_lost_gpu()
                self._neighbours.teach(vectors, places(self._components.taxonomy, nodes))

    @property
    def _neighbours(self) -> NeighboursScorer:
        from cascade.scoring.methods.neighbours import NeighboursScorer

        found = self._components.scorer("neighbours")
        assert isinstance(found, NeighboursScorer)
        return found
