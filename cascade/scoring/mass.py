"""Scorers that know a share of belief for every node at once, and are read at every level."""

from __future__ import annotations

from abc import abstractmethod

import numpy as np
from numpy.typing import NDArray

from cascade.items import Batch, Choices
from cascade.retrieval.comparison import Mass
from cascade.scoring.scorer import Scorer
from cascade.taxonomy import Taxonomy


class MassScorer(Scorer):
    """Each node has a log-probability for the item; candidates share what they have together.

    Parameters
    ----------
    taxonomy
        What is classified under.
    """

    def __init__(self, taxonomy: Taxonomy) -> None:
        self._taxonomy = taxonomy

    def score(self, batch: Batch, choices: Choices) -> NDArray[np.float64]:
        """Log-probability of each candidate; see `Scorer.score`."""
        mass = self.mass(batch)
        return choices.log_softmax(mass.of(choices.rows[choices.question], choices.nodes))

    def rank(self, batch: Batch, k: int) -> NDArray[np.int32]:
        """The k likeliest leaves of each item; see `Scorer.rank`."""
        return self.mass(batch).best_leaves(k)

    def mass(self, batch: Batch) -> Mass:
        """The share of each node and what is below it."""
        return batch.once((self, "mass"), lambda _: self._mass(batch))

    @abstractmethod
    def _mass(self, batch: Batch) -> Mass:
        """What `mass` remembers."""
