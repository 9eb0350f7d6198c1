"""The retrieval scorer: a softmax over the similarities that narrowing has computed."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cascade.items import Batch, Choices
from cascade.retrieval.narrow import Retriever
from cascade.scoring.scorer import Scorer


class RetrievalScorer(Scorer):
    """Similarity of the best text in each candidate's subtree, divided by a temperature."""

    name = "retrieval"

    def __init__(self, retriever: Retriever, temperature: float = 0.05) -> None:
        self._retriever = retriever
        self._temperature = temperature

    def score(self, batch: Batch, choices: Choices) -> NDArray[np.float64]:
        """Log-probability of each candidate; see `Scorer.score`."""
        similarity = self._retriever.similarity(batch)
        rows = choices.rows[choices.question]
        return choices.log_softmax(similarity[choices.nodes, rows] / self._temperature)
