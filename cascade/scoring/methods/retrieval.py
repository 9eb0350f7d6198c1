"""A sentence encoder: similarity to names, descriptions and synonyms; the fastest."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cascade.items import Batch
from cascade.retrieval.retriever import Retriever
from cascade.retrieval.similarities import Similarities
from cascade.retrieval.subtrees import NodeProbabilities
from cascade.scoring.scorer import NodeProbabilityScorer

if TYPE_CHECKING:
    from cascade.scoring.components import Components


class RetrievalScorer(NodeProbabilityScorer):
    """`p(leaf) = softmax over all leaves of cos(item, leaf) / temperature`.

    A candidate has the sum over its leaves. The maximum in place of the sum would ignore how many
    leaves agree, and a product of softmaxes, one for each level, would favour small families.

    Parameters
    ----------
    retriever
        Compares items with nodes.
    temperature
        Cosine similarities are divided by this.
    """

    name = "retrieval"

    def __init__(self, retriever: Retriever, temperature: float) -> None:
        self.reads_pictures = retriever.reads_pictures
        self._retriever = retriever
        self._temperature = np.float32(temperature)

    def _probabilities(self, batch: Batch) -> NodeProbabilities:
        similarities = self._similarities(batch)
        logits = similarities.values / self._temperature
        return similarities.softmax(logits, self._temperature)

    def _similarities(self, batch: Batch) -> Similarities:
        return self._retriever.compare(batch)


def make(components: Components) -> RetrievalScorer:
    """Retrieval over the configured texts of nodes."""
    return RetrievalScorer(components.retriever, components.config.retrieval.temperature)
