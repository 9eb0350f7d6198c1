"""Retrieval, with the judgement of a slower model on the likeliest leaves where it doubts."""

from __future__ import annotations

from abc import abstractmethod

import numpy as np
from numpy.typing import NDArray

from cascade.items import Batch
from cascade.retrieval.retriever import Retriever
from cascade.retrieval.similarities import TopLeaves
from cascade.retrieval.subtrees import NodeProbabilities
from cascade.scoring.methods.retrieval import RetrievalScorer

Floats = NDArray[np.float32]


class SecondLookScorer(RetrievalScorer):
    """Retrieval's probabilities, changed by a subclass for items in doubt.

    Parameters
    ----------
    retriever, temperature, caution
        As of `RetrievalScorer`.
    listed
        Leaves of an item that are looked at: the likeliest.
    threshold
        An item is in doubt where its likeliest leaf has a lower probability.
    """

    def __init__(
        self,
        retriever: Retriever,
        temperature: float,
        caution: float,
        *,
        listed: int,
        threshold: float,
    ) -> None:
        super().__init__(retriever, temperature, caution)
        self._listed, self._threshold = listed, threshold

    @abstractmethod
    def _look(self, batch: Batch, listed: TopLeaves, own: Floats, log_rest: Floats) -> Floats:
        """Ask the model, and put its part into `own`.

        Parameters
        ----------
        own
            float32 [n], log-probability of each leaf that is listed; changed in place.
        log_rest
            float32 [n_items], log-probability of all leaves that are not listed; -inf of none.

        Returns
        -------
        float32 [n_items], what is added to the log-probability of leaves that are not listed.
        """

    def _probabilities(self, batch: Batch) -> NodeProbabilities:
        similarities = self._similarities(batch)
        logits, temperature = self._logits(similarities)
        log_z = similarities.leaf_logsumexp(logits)
        log_p = logits - similarities.broadcast(log_z)
        listed = similarities.top_leaves(self._listed)
        listed = listed.take(self._doubted(batch, listed.rows, log_p[listed.index])[listed.rows])
        own = log_p[listed.index]
        log_p[listed.index] = -np.inf
        shift = self._look(batch, listed, own, similarities.leaf_logsumexp(log_p))
        log_p += similarities.broadcast(shift)
        log_p[listed.index] = own
        return similarities.softmax(log_p, temperature, shift - log_z)

    def _doubted(self, batch: Batch, rows: NDArray[np.int32], log_p: Floats) -> NDArray[np.bool_]:
        """bool [n_items], which items the model is asked about.

        Parameters
        ----------
        rows, log_p
            For each leaf that may be listed its item and its log-probability, [n].
        """
        count = np.bincount(rows, minlength=len(batch))
        best = np.full(len(batch), -np.inf)
        np.maximum.at(best, rows, log_p)
        readable = np.array([item.has_text for item in batch.items], bool)
        # With one leaf alone there is nothing to choose.
        return np.asarray(readable & (count > 1) & (np.exp(best) < self._threshold))
