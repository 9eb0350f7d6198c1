"""Scorers that compare an item with all leaves: a softmax over them, read at every level."""

from __future__ import annotations

from abc import abstractmethod

import numpy as np
from numpy.typing import NDArray

from cascade.items import Batch, Choices
from cascade.retrieval.narrow import Retriever, best_first
from cascade.scoring.scorer import Scorer


class LeafScorer(Scorer):
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
        self._retriever = retriever

    def score(self, batch: Batch, choices: Choices) -> NDArray[np.float64]:
        """Log-probability of each candidate; see `Scorer.score`."""
        mass = self._mass(batch)
        return choices.log_softmax(mass[choices.nodes, choices.rows[choices.question]])

    def rank(self, batch: Batch, k: int) -> NDArray[np.int32]:
        """The k likeliest leaves of each item; see `Scorer.rank`."""
        leaves = self._retriever.taxonomy.leaves
        return np.asarray(leaves[best_first(self._mass(batch)[leaves].T, k)])

    def _mass(self, batch: Batch) -> NDArray[np.float32]:
        """Log of the share of each subtree, float32 [n_nodes, n_items]."""
        return batch.once(
            (self, "mass"), lambda _: self._retriever.subtrees.log_mass(self._logits(batch))
        )

    @abstractmethod
    def _logits(self, batch: Batch) -> NDArray[np.float32]:
        """Float32 [n_nodes, n_items]; those of inner nodes do not count."""
