"""A language model chooses among the leaves that retrieval found, where retrieval doubts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from cascade.errors import EngineError
from cascade.generation.prompts import PromptTemplate
from cascade.items import Batch
from cascade.retrieval.retriever import Retriever
from cascade.retrieval.similarities import TopLeaves
from cascade.scoring.item_prompts import one_line_text
from cascade.scoring.listed.candidates import CandidateTexts
from cascade.scoring.listed.choosers import Chooser, choice_by, make_chooser
from cascade.scoring.second_look import SecondLookScorer

if TYPE_CHECKING:
    from cascade.scoring.components import Components

Floats = NDArray[np.float32]


class ChooseScorer(SecondLookScorer):
    """Retrieval's probabilities, with the model's choice where the likeliest leaf is in doubt.

    Of an item in doubt the k likeliest leaves are listed, and "none of these". With
    `p(none) = 1 - sum of p(leaf)` over those that are listed,

        log q = log p by retrieval + weight * log p by the model

    over the k + 1 outcomes, normalised; what none of them has goes to the other leaves, in
    proportion to their probability by retrieval. So an answer is a leaf in any case, and less sure
    where the model says none. A model that reads the item's text under each candidate says nothing
    of none: the listed leaves share what they had together.

    Parameters
    ----------
    retriever, temperature, caution, listed, threshold
        As of `SecondLookScorer`.
    chooser
        The language model.
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
        chooser: Chooser,
        *,
        listed: int = 8,
        threshold: float = 1.0,
        weight: float = 1.0,
        max_chars: int = 200,
    ) -> None:
        super().__init__(retriever, temperature, caution, listed=listed, threshold=threshold)
        self._chooser, self._weight = chooser, weight
        self._max_chars = max_chars

    def _look(self, batch: Batch, listed: TopLeaves, own: Floats, log_rest: Floats) -> Floats:
        """Ask the model, and put its part into `own`; see `SecondLookScorer`."""
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
            if len(answer) == len(part):  # says nothing of other leaves, which keep their share
                share = np.logaddexp.reduce(own[part])
                own[part] = share + _normalised(own[part] + self._weight * answer)
                continue
            known = np.append(own[part], log_rest[row])
            fused = _normalised(known + self._weight * answer, np.isfinite(known))
            own[part] = fused[:-1]
            if np.isfinite(log_rest[row]):
                shift[row] = fused[-1] - log_rest[row]
        return shift


def _normalised(
    logits: NDArray[np.floating[Any]], possible: NDArray[np.bool_] | Literal[True] = True
) -> NDArray[np.float64]:
    """Log-probabilities of what is possible, -inf of the others."""
    logits = np.where(possible, logits, -np.inf)
    return np.asarray(logits - np.logaddexp.reduce(logits))


def make(components: Components) -> ChooseScorer:
    """Retrieval, with the configured language model where it doubts."""
    config = components.config
    choose, retrieval = config.choose, config.retrieval
    template = PromptTemplate.load(choose.prompt_name).given(kind=config.item_kind)
    by = choice_by(choose, template)
    chooser = make_chooser(
        components.engine,
        template,
        CandidateTexts(components.taxonomy, choose.descriptions),
        by,
        generates=config.llm.answer == "generate",
    )
    return ChooseScorer(
        components.retriever,
        retrieval.temperature,
        retrieval.caution,
        chooser,
        listed=choose.candidates_for(by),
        threshold=choose.threshold,
        weight=choose.weight_for(by),
        max_chars=config.llm.max_chars,
    )
