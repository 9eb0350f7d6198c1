"""Rerankers: a cross-encoder or a language model that judges candidates anew."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cascade.errors import EngineError
from cascade.generation.engine import Engine
from cascade.generation.prompts import PromptTemplate
from cascade.items import Batch, Item
from cascade.pipeline.facets.questions import ShownTerm, term_question
from cascade.scoring.cross_encoder import CrossEncoder
from cascade.scoring.item_prompts import one_line_text

if TYPE_CHECKING:
    from cascade.scoring.components import Components


class Reranker(NamedTuple):
    """Judges candidates of items by what is shown of them.

    Parameters
    ----------
    name
        Of its scores in a trace.
    logprobs
        From items, as many candidates for each, and the facet category of each (empty where
        candidates are base terms), the log-probabilities float64 [n_candidates] of each, or
        how the model failed on it.
    """

    name: str
    logprobs: Callable[
        [Sequence[Item], Sequence[Sequence[ShownTerm]], Sequence[str]],
        Sequence[NDArray[np.float64] | EngineError],
    ]

    def judge(
        self,
        batch: Batch,
        rows: Sequence[int],
        candidates: Sequence[Sequence[ShownTerm]],
        categories: Sequence[str],
    ) -> NDArray[np.float64]:
        """float64 [n_rows, n_candidates] for some items of a batch; see `logprobs`.

        Where the model failed all are equally likely, so that evidence decides, and that is noted
        in `batch.failures`.
        """
        items = [batch.items[row] for row in rows]
        try:
            judged = self.logprobs(items, candidates, categories)
        except EngineError as error:
            judged = [error] * len(rows)
        out = np.full((len(rows), len(candidates[0])), -np.log(len(candidates[0])))
        for at, (row, own) in enumerate(zip(rows, judged, strict=True)):
            if isinstance(own, EngineError):
                batch.failures.setdefault(row, own)
            else:
                out[at] = own
        return out


def cross_encoder_reranker(
    model: CrossEncoder, *, temperature: float = 1.0, max_chars: int = 1000
) -> Reranker:
    """By a cross-encoder's relevance of each name, divided by a temperature."""

    def logprobs(
        items: Sequence[Item], candidates: Sequence[Sequence[ShownTerm]], categories: Sequence[str]
    ) -> Sequence[NDArray[np.float64]]:
        pairs = [
            (
                model.tokens(item.text[:max_chars]),
                model.tokens(f"{category}: {term.name}" if category else term.name),
            )
            for item, terms, category in zip(items, candidates, categories, strict=True)
            for term in terms
        ]
        relevance = model.logits(pairs)[:, 0].reshape(len(items), -1) / temperature
        return list(log_softmax(relevance.astype(np.float64)))

    return Reranker("rerank", logprobs)


def llm_reranker(
    engine: Engine, template: PromptTemplate, *, prior: bool = True, max_chars: int = 200
) -> Reranker:
    """By how likely a language model is to write each name.

    Parameters
    ----------
    template
        A prompt with the variables item and candidates or terms, and perhaps about; see
        `term_question`.
    prior
        Whether the log-probability without an item is subtracted; see `LLMScorer`.
    """

    def scores(
        texts: Sequence[str], candidates: Sequence[Sequence[ShownTerm]], categories: Sequence[str]
    ) -> Sequence[NDArray[np.float64] | EngineError]:
        questions = [
            term_question(template, text, category, own)
            for text, own, category in zip(texts, candidates, categories, strict=True)
        ]
        return engine.score(questions, "local")

    def logprobs(
        items: Sequence[Item], candidates: Sequence[Sequence[ShownTerm]], categories: Sequence[str]
    ) -> Sequence[NDArray[np.float64] | EngineError]:
        texts = [one_line_text(item, max_chars) for item in items]
        found = scores(texts, candidates, categories)
        if prior:
            without = scores(["N/A"] * len(items), candidates, categories)
            found = list(map(_difference, found, without))
        return [own if isinstance(own, EngineError) else log_softmax(own[None])[0] for own in found]

    return Reranker("llm", logprobs)


def _difference(
    one: NDArray[np.float64] | EngineError, other: NDArray[np.float64] | EngineError
) -> NDArray[np.float64] | EngineError:
    """One less the other, where the model failed on neither."""
    if isinstance(one, EngineError):
        return one
    return other if isinstance(other, EngineError) else one - other


def reranker_of(method: str, prompt: str, components: Components) -> Reranker | None:
    """The reranker that a method of a stage names; None where it has none."""
    if method == "rerank":
        config = components.config.rerank
        return cross_encoder_reranker(
            components.cross_encoder(config),
            temperature=config.temperature,
            max_chars=config.max_chars,
        )
    if method == "llm":
        llm = components.config.llm
        template = PromptTemplate.load(prompt)
        return llm_reranker(components.engine, template, prior=llm.prior, max_chars=llm.max_chars)
    return None


def log_softmax(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Log-probabilities [n, k] of scores."""
    return np.asarray(scores - np.logaddexp.reduce(scores, axis=1, keepdims=True))
