"""Retrieval that also searches with a language model's words for the item."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cascade.items import Batch
from cascade.retrieval.retriever import Retriever
from cascade.retrieval.similarities import Similarities
from cascade.scoring.item_prompts import QueryRewriter
from cascade.scoring.methods.retrieval import RetrievalScorer

if TYPE_CHECKING:
    from cascade.scoring.components import Components


class RewriteScorer(RetrievalScorer):
    """As `RetrievalScorer`, with `cos(item, leaf) + weight * cos(type, name of the leaf)`.

    The similarities are added before the softmax, so that both must find the same leaf.

    Parameters
    ----------
    rewriter
        Writes the types of items.
    weight
        Of the type's similarity, where that of the item has 1.
    """

    name = "rewrite"

    def __init__(
        self, retriever: Retriever, temperature: float, rewriter: QueryRewriter, weight: float
    ) -> None:
        super().__init__(retriever, temperature)
        self.reads_pictures = False
        self._rewriter = rewriter
        self._weight = np.float32(weight)

    def _similarities(self, batch: Batch) -> Similarities:
        types = self._rewriter.types(batch)
        return self._retriever.compare(batch).plus_names(self._weight, types)


def make(components: Components) -> RewriteScorer:
    """Retrieval with the rewriting of the configured prompt."""
    config = components.config.retrieval
    return RewriteScorer(
        components.retriever, config.temperature, components.rewriter, config.rewrite_weight
    )
