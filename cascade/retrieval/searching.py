"""Nodes that are near vectors, by a search of their texts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cascade.retrieval.hits import Pairs
from cascade.retrieval.index import NodeIndex
from cascade.taxonomy import Taxonomy


@dataclass(frozen=True)
class NodeSearch:
    """What is searched, and how.

    Parameters
    ----------
    taxonomy, index
        Nodes, and the vectors of their texts.
    encode
        Texts to unit vectors.
    hits
        Texts that are found for each vector.
    """

    taxonomy: Taxonomy
    index: NodeIndex
    encode: Callable[[Sequence[str]], NDArray[np.float32]]
    hits: int

    def find(self, vectors: NDArray[np.float32]) -> Pairs:
        """The nodes of the most similar texts of each vector, with the best's similarity."""
        similar, text = self.index.searcher.search(vectors, self.hits)
        there = text >= 0
        rows = np.repeat(np.arange(len(vectors)), there.sum(axis=1))
        return Pairs.best(len(self.taxonomy), rows, self.index.node[text[there]], similar[there])
