"""Scorers that compare an item with all leaves: a softmax over them, read at every level."""

from __future__ import annotations

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
