"""A language model chooses among the leaves that retrieval found, where retrieval doubts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cascade.errors import EngineError
from cascade.generation.prompts import PromptTemplate
from cascade.items import Batch
from cascade.retrieval.retriever import Retriever
from cascade.retrieval.similarities import TopLeaves
from cascade.retrieval.subtrees import NodeProbabilities
from cascade.scoring.item_prompts import one_line_text
from cascade.scoring.listed_candidates import CandidateTexts
from cascade.scoring.listwise import ListwiseChooser
from cascade.scoring.methods.retrieval import RetrievalScorer

if TYPE_CHECKING:
    from cascade.scoring.components import Components

Floats = NDArray[np.float32]


class ChooseScorer(RetrievalScorer):
    """Retrieval's probabilities, with the model's choice where the likeliest leaf is in doubt.

    Of an item in doubt the k likeliest leaves are listed, and "none of these". With
    `p(none) = 1 - sum of p(leaf)` over those that are listed,

        log q = log p by retrieval + weight * log p by the model

    over the k + 1 outcomes, normalised; what none of them has goes to the other leaves, in
    proportion to their probability by retrieval. So an answer is a leaf in any case, and less sure
    where the model says none.

    Parameters
    ----------
    retriever, temperature, caution
        As of `RetrievalScorer`.
    chooser
        The language model.
    listed
        Leaves that are listed for an item.
    threshold
        An item is in doubt where its likeliest leaf has a lower probability.
    weight
        Of the model's log-probabilities.
    max_chars
        Characters of each field that the prompt shows.
    """

    name = "choose"

    def __init__(
        self,
        retriever: Retriever,
        temperature: float,
        caution: float,
        chooser: ListwiseChooser,
        *,
        listed: int = 8,
        threshold: float = 1.0,
        weight: float = 1.0,
        max_chars: int = 200,
    ) -> None:
        super().__init__(retriever, temperature, caution)
        self._chooser, self._listed = chooser, listed
        self._threshold, self._weight = threshold, weight
        self._max_chars = max_chars

    def _probabilities(self, batch: Batch) -> NodeProbabilities:
        similarities = self._similarities(batch)
        logits, temperature = self._logits(similarities)
        log_z = similarities.leaf_logsumexp(logits)
        log_p = logits - similarities.broadcast(log_z)
        listed = similarities.top_leaves(self._listed)
        listed = listed.take(self._doubted(batch, listed.rows, log_p[listed.index])[listed.rows])
        own = log_p[listed.index]
        log_p[listed.index] = -np.inf
        shift = self._choose(batch, listed, own, similarities.leaf_logsumexp(log_p))
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

    def _choose(self, batch: Batch, listed: TopLeaves, own: Floats, log_rest: Floats) -> Floats:
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
        shift = np.zeros(len(batch), dtype=np.float32)
        rows, starts = np.unique(listed.rows, return_index=True)
        parts = np.split(np.arange(len(own)), starts[1:]) if len(rows) else []
        items = [one_line_text(batch.items[row], self._max_chars) for row in rows.tolist()]
        session = batch.once((self, "session"), lambda _: object())
        answers = self._chooser(items, [listed.nodes[part] for part in parts], session=session)
        for row, part, answer in zip(rows.tolist(), parts, answers, strict=True):
            if isinstance(answer, EngineError):
                batch.failures.setdefault(row, answer)
                continue
            known = np.append(own[part], log_rest[row])
            fused = _normalised(known + self._weight * answer, np.isfinite(known))
            own[part] = fused[:-1]
            if np.isfinite(log_rest[row]):
                shift[row] = fused[-1] - log_rest[row]
        return shift


def _normalised(
    logits: NDArray[np.floating[Any]], possible: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Log-probabilities of what is possible, -inf of the others."""
    logits = np.where(possible, logits, -np.inf)
    return np.asarray(logits - np.logaddexp.reduce(logits))


def make(components: Components) -> ChooseScorer:
    """Retrieval, with the configured language model where it doubts."""
    config = components.config
    choose, retrieval = config.choose, config.retrieval
    chooser = ListwiseChooser(
        components.engine,
        PromptTemplate.load(choose.prompt),
        CandidateTexts(components.taxonomy, choose.descriptions),
        by=choose.answer,
        generates=config.llm.answer == "generate",
    )
    return ChooseScorer(
        components.retriever,
        retrieval.temperature,
        retrieval.caution,
        chooser,
        listed=choose.candidates,
        threshold=choose.threshold,
        weight=choose.weight,
        max_chars=config.llm.max_chars,
    )
