"""The retrieval scorer: a softmax over all leaves, read at every level."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cascade.items import Batch, Choices
from cascade.retrieval.narrow import Retriever, best_first
from cascade.scoring.item_type import ItemTyper
from cascade.scoring.scorer import Scorer


class RetrievalScorer(Scorer):
    """Each leaf has its similarity to the item, each inner node the mass of its leaves.

    `p(leaf) = softmax over all leaves of cos(item, leaf) / temperature`; a candidate has the
    sum over its leaves. A maximum in place of the sum would ignore how many leaves agree, and
    a product of level-wise softmaxes would favour small families.

    Parameters
    ----------
    retriever
        What is searched.
    temperature
        Cosine similarities are divided by this before the softmax.
    """

    name = "retrieval"

    def __init__(self, retriever: Retriever, temperature: float) -> None:
        self._retriever = retriever
        self._temperature = temperature

    def score(self, batch: Batch, choices: Choices) -> NDArray[np.float64]:
        """Log-probability of each candidate; see `Scorer.score`."""
        mass = batch.once((self, "mass"), lambda _: self._mass(batch))
        return choices.log_softmax(mass[choices.nodes, choices.rows[choices.question]])

    def rank(self, batch: Batch, k: int) -> NDArray[np.int32]:
        """The k likeliest leaves of each item; see `Scorer.rank`."""
        mass = batch.once((self, "mass"), lambda _: self._mass(batch))
        leaves = self._retriever.taxonomy.leaves
        return np.asarray(leaves[best_first(mass[leaves].T, k)])

    def _mass(self, batch: Batch) -> NDArray[np.float32]:
        similarity = self._similarity(batch)
        return self._retriever.subtrees.log_mass(similarity / np.float32(self._temperature))

    def _similarity(self, batch: Batch) -> NDArray[np.float32]:
        return self._retriever.nearest(batch)


class RewriteScorer(RetrievalScorer):
    """Retrieval that searches with the language model's words for the item too.

    `cos(item, leaf) + weight * cos(type, name of the leaf)` in place of the first term alone.
    They are added before the masses are taken, so that both must find the same leaf.

    Parameters
    ----------
    typer
        Says what kind of thing an item is.
    weight
        Of the type's similarity, where that of the item has 1.
    """

    name = "rewrite"

    def __init__(
        self, retriever: Retriever, temperature: float, typer: ItemTyper, weight: float
    ) -> None:
        super().__init__(retriever, temperature)
        self._typer = typer
        self._weight = np.float32(weight)

    def _similarity(self, batch: Batch) -> NDArray[np.float32]:
        types = self._typer.types(batch)
        nearest = self._retriever.nearest(batch)
        return nearest + self._weight * self._retriever.head_similarity(types)
