"""The default's answers, corrected by what rows of `cascade start` taught; needs its pack."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cascade.errors import UsageError
from cascade.items import Batch
from cascade.retrieval.retriever import Retriever
from cascade.retrieval.subtrees import DenseNodeProbabilities, NodeProbabilities
from cascade.scoring.corrections import Corrections, Words, load_corrections
from cascade.scoring.methods import retrieval
from cascade.scoring.methods.retrieval import RetrievalScorer
from cascade.scoring.scorer import SupportScorer

if TYPE_CHECKING:
    from cascade.scoring.components import Components


class TaughtScorer(SupportScorer):
    """`p(leaf) = softmax over all leaves of a log p_retrieval(leaf) + corrections of its path`.

    Parameters
    ----------
    base
        What is corrected.
    retriever
        Has the vectors of items.
    """

    name = "taught"

    def __init__(
        self,
        base: RetrievalScorer,
        retriever: Retriever,
        corrections: Corrections,
        words: Words | None,
    ) -> None:
        self._base, self._retriever = base, retriever
        self._corrections, self._words = corrections, words
        self._taxonomy = retriever.taxonomy

    def _probabilities(self, batch: Batch) -> NodeProbabilities:
        leaves, n = self._taxonomy.leaves, len(batch)
        rows = np.repeat(np.arange(n, dtype=np.int32), len(leaves))
        known = self._base.probabilities(batch).log_prob(rows, np.tile(leaves, n))
        vectors = self._retriever.vectors(batch)
        if self._words is not None:
            vectors = np.hstack([vectors, self._words.of(list(batch.items))])
        logits = self._corrections.of_all(vectors, self._taxonomy)
        logits[leaves] += np.float32(self._corrections.scale) * known.reshape(n, len(leaves)).T
        found = self._retriever.subtrees.log_softmax(logits)
        return DenseNodeProbabilities(self._taxonomy, found)

    def support(self, batch: Batch) -> NDArray[np.float32]:
        """That of retrieval."""
        return self._base.support(batch)


def make(components: Components) -> TaughtScorer:
    """Retrieval as configured, with the corrections of the pack."""
    config = components.config.taught
    if config.file is None:
        raise UsageError(
            "nothing was taught: make a pack with `cascade start`, and name it with -c"
        )
    retriever = components.retriever
    words = None if config.words is None else Path(config.words)
    found = load_corrections(
        Path(config.file), words, components.taxonomy, components.encoder.width
    )
    return TaughtScorer(retrieval.make(components), retriever, *found)
