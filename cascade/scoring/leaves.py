"""Scorers that compare an item with all leaves: a softmax over them, read at every level."""

from __future__ import annotations

from abc import abstractmethod

import numpy as np
from numpy.typing import NDArray

from cascade.items import Batch
from cascade.retrieval.narrow import Retriever
from cascade.scoring.mass import MassScorer


class LeafScorer(MassScorer):
    """Each leaf has a logit for the item, each inner node the mass of its leaves.

    `p(leaf) = softmax over all leaves of its logit`; a candidate has the sum over its leaves. A
    maximum in place of the sum would ignore how many leaves agree, and a product of level-wise
    softmaxes would favour small families.

    Parameters
    ----------
    retriever
        What is searched.
    """

    def __init__(self, retriever: Retriever) -> None:
        super().__init__(retriever.taxonomy)
        self._retriever = retriever

    def _mass(self, batch: Batch) -> NDArray[np.float32]:
        return self._retriever.subtrees.log_mass(self._logits(batch))

    @abstractmethod
    def _logits(self, batch: Batch) -> NDArray[np.float32]:
        """Float32 [n_nodes, n_items]; those of inner nodes do not count."""
