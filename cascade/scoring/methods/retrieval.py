"""The default: a sentence encoder, similarity to names, descriptions and synonyms; the fastest."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cascade.items import Batch
from cascade.retrieval.retriever import Retriever
from cascade.retrieval.similarities import Similarities
from cascade.retrieval.subtrees import NodeProbabilities
from cascade.scoring.scorer import NodeProbabilityScorer

if TYPE_CHECKING:
    from cascade.scoring.components import Components


class RetrievalScorer(NodeProbabilityScorer):
    """`p(leaf) = softmax over all leaves of similarity / (temperature * exp(caution * lead))`.

    A node has the sum over its leaves. The maximum in place of the sum would ignore how many leaves
    agree, and a product of softmaxes, one for each level, would favour small families. What is
    known of the file (`prior`) is added to the logits of leaves.

    Parameters
    ----------
    retriever
        Compares items with nodes.
    temperature
        Similarities are divided by this.
    caution
        How much higher the temperature is where the best leaf has a lead over the next.
    """

    name = "retrieval"

    def __init__(self, retriever: Retriever, temperature: float, caution: float = 0.0) -> None:
        self.reads_pictures = retriever.reads_pictures
        self._retriever = retriever
        self._temperature = np.float32(temperature)
        self._caution = np.float32(caution)

    def _probabilities(self, batch: Batch) -> NodeProbabilities:
        similarities = self._similarities(batch)
        return similarities.softmax(*self._logits(similarities))

    def _logits(
        self, similarities: Similarities
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Logits, shaped as the similarities are, and the temperature of each item [n_items]."""
        temperature = self._temperature * np.exp(self._caution * similarities.lead())
        logits = similarities.values / similarities.broadcast(temperature)
        if self.prior is not None:
            logits = logits + similarities.of_nodes(self.prior)
        return logits, temperature

    def _similarities(self, batch: Batch) -> Similarities:
        return self._retriever.compare(batch)


def make(components: Components) -> RetrievalScorer:
    """Retrieval over the configured texts of nodes."""
    config = components.config.retrieval
    return RetrievalScorer(components.retriever, config.temperature, config.caution)
