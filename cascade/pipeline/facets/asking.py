"""Models that read a description beside candidates: a cross-encoder, or a language model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from cascade.generation.engine import Engine, Question
from cascade.generation.prompts import PromptTemplate
from cascade.items import Item
from cascade.scoring.cross_encoder import CrossEncoder
from cascade.scoring.methods.llm import one_line_text
from cascade.taxonomy.names import readable_name


class Asker(Protocol):
    """Judges candidates of items by their names."""

    name: str

    def logprobs(
        self, items: Sequence[Item], names: Sequence[Sequence[str]], about: Sequence[str] = ()
    ) -> NDArray[np.float64]:
        """Log-probability of each candidate, as many for each item.

        Parameters
        ----------
        names
            Candidates of each item.
        about
            What is asked of each item, such as a facet category; empty for the base term.

        Returns
        -------
        float64 [n_items, k]
        """
        ...


class PairAsker:
    """A cross-encoder's relevance of each candidate's name.

    Parameters
    ----------
    temperature
        Relevances are divided by it.
    """

    name = "rerank"

    def __init__(
        self, model: CrossEncoder, *, temperature: float = 1.0, max_chars: int = 1000
    ) -> None:
        self._model = model
        self._temperature = temperature
        self._max_chars = max_chars

    def logprobs(
        self, items: Sequence[Item], names: Sequence[Sequence[str]], about: Sequence[str] = ()
    ) -> NDArray[np.float64]:
        """See `Asker.logprobs`."""
        asked = about or [""] * len(items)
        pairs = [
            (
                self._model.tokens(item.text[: self._max_chars]),
                self._model.tokens(f"{what}: {name}" if what else name),
            )
            for item, own, what in zip(items, names, asked, strict=True)
            for name in own
        ]
        relevance = self._model.logits(pairs)[:, 0].reshape(len(items), -1) / self._temperature
        return _normal(relevance.astype(np.float64))


class LLMAsker:
    """How likely a language model is to write each candidate's name.

    Parameters
    ----------
    template
        A prompt with the variables item and candidates, and perhaps type, path, level and about.
    prior
        Whether the log-probability without an item is taken off; see `LLMScorer`.
    """

    name = "llm"

    def __init__(
        self, engine: Engine, template: PromptTemplate, *, prior: bool = True, max_chars: int = 200
    ) -> None:
        self._engine = engine
        self._template = template
        self._prior = prior
        self._max_chars = max_chars

    def logprobs(
        self, items: Sequence[Item], names: Sequence[Sequence[str]], about: Sequence[str] = ()
    ) -> NDArray[np.float64]:
        """See `Asker.logprobs`."""
        asked = about or [""] * len(items)
        shown = [one_line_text(item, self._max_chars) for item in items]
        said = self._scores(shown, names, asked)
        if self._prior:
            said = said - self._scores(["N/A"] * len(items), names, asked)
        return _normal(said)

    def _scores(
        self, items: Sequence[str], names: Sequence[Sequence[str]], about: Sequence[str]
    ) -> NDArray[np.float64]:
        questions = []
        for item, own, what in zip(items, names, about, strict=True):
            candidates = [readable_name(name) for name in own]
            prompt = self._template.render(
                {"item": item, "candidates": candidates, "about": what or "food"}
            )
            questions.append(Question(prompt, tuple(map(self._template.answer, candidates))))
        return np.stack(self._engine.score(questions, "local"))


def _normal(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(scores - np.logaddexp.reduce(scores, axis=1, keepdims=True))
