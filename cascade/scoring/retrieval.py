"""The retrieval scorers: how similar each leaf is to the item, or also to words for it."""

from __future__ import annotations

import numpy as np

from cascade.items import Batch
from cascade.retrieval.comparison import Comparison, Mass
from cascade.retrieval.narrow import Retriever
from cascade.scoring.item_type import ItemTyper
from cascade.scoring.leaves import LeafScorer


class RetrievalScorer(LeafScorer):
    """The logit of a leaf is its similarity to the item, `cos(item, leaf) / temperature`.

    Parameters
    ----------
    retriever
        What is searched.
    temperature
        Cosine similarities are divided by this before the softmax.
    """

    name = "retrieval"

    def __init__(self, retriever: Retriever, temperature: float) -> None:
        super().__init__(retriever)
        self.reads_pictures = retriever.reads_pictures
        self._temperature = np.float32(temperature)

    def _mass(self, batch: Batch) -> Mass:
        found = self._compare(batch)
        return found.log_mass(found.values / self._temperature, self._temperature)

    def _compare(self, batch: Batch) -> Comparison:
        return self._retriever.compare(batch)


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
        self.reads_pictures = False
        self._typer = typer
        self._weight = np.float32(weight)

    def _compare(self, batch: Batch) -> Comparison:
        types = self._typer.types(batch)
        return self._retriever.compare(batch).plus(self._weight, types)
