"""A language model's choice among candidates that a prompt lists, whatever their order.

Models prefer places: the first, the last, a letter. So each list is shown in two orders, one the
reverse of the other, and the mean of the two log-probabilities counts (Zheng et al., arXiv
2309.03882, average over permutations; a pair of opposite ones takes away what grows evenly).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from cascade.errors import EngineError
from cascade.generation.engine import Engine, Question
from cascade.generation.prompts import PromptTemplate
from cascade.scoring.item_prompts import chosen_log_probs
from cascade.scoring.listed.candidates import NONE, CandidateTexts, letters

AnswerBy = Literal["letter", "name"]
HOW: dict[AnswerBy, str] = {"letter": "its letter", "name": "its words as they are listed"}


def listed_question(
    template: PromptTemplate, item: str, texts: Sequence[str], by: AnswerBy = "letter"
) -> Question:
    """The prompt that lists candidates in the order of their texts, and what answers each.

    Parameters
    ----------
    item
        On one line.
    """
    marks = letters(len(texts)) if by == "letter" else ["-"] * len(texts)
    prompt = template.render(
        {
            "item": item,
            "candidates": [
                {"mark": f"{mark}." if by == "letter" else mark, "text": text}
                for mark, text in zip(marks, texts, strict=True)
            ],
            "how": HOW[by],
        }
    )
    answers = marks if by == "letter" else texts
    return Question(prompt, tuple(map(template.answer, answers)))


class ListwiseChooser:
    """Log-probabilities of candidates, and of none of them, by a language model.

    Parameters
    ----------
    engine, template, texts
        The model, the prompt, and how candidates are written.
    by
        Whether the model answers with a letter or with a candidate's text.
    generates
        Whether it writes its answer under a grammar, for engines that cannot score: then the
        answer has the probability of what was written, and the others share the rest.
    """

    def __init__(
        self,
        engine: Engine,
        template: PromptTemplate,
        texts: CandidateTexts,
        *,
        by: AnswerBy = "letter",
        generates: bool = False,
    ) -> None:
        self._engine, self._template, self._texts = engine, template, texts
        self._by: AnswerBy = by
        self._generates = generates

    def __call__(
        self,
        items: Sequence[str],
        candidates: Sequence[NDArray[np.int32]],
        *,
        session: object = None,
    ) -> list[NDArray[np.float64] | EngineError]:
        """How likely each candidate of each item is, and at the end none of them.

        What is found does not depend on the order of the candidates: they are listed in that of
        the taxonomy, where siblings stand together, and in its reverse.

        Parameters
        ----------
        items
            Texts on one line.
        candidates
            For each item different nodes.
        session
            As of `Engine.score`.

        Returns
        -------
        list of float64 [n_candidates + 1]
            Each sums to one after exp; or why the model gave no answer.
        """
        questions, order = [], []
        for item, nodes in zip(items, candidates, strict=True):
            places = np.argsort(nodes, kind="stable")
            texts = [*self._texts(nodes[places].tolist()), NONE]
            for shown in (texts, texts[::-1]):
                questions.append(listed_question(self._template, item, shown, self._by))
            order.append(np.append(places, len(nodes)))
        found = self._answers(questions, session)
        return [_mean(found[2 * at], found[2 * at + 1], places) for at, places in enumerate(order)]

    def _answers(
        self, questions: Sequence[Question], session: object
    ) -> Sequence[NDArray[np.float64] | EngineError]:
        """Log-probability of each answer, which sum to one after exp."""
        if not questions:
            return []
        if not self._generates:
            return self._engine.score(questions, "local", session)
        return [
            own if isinstance(own, EngineError) else chosen_log_probs(*own, len(question.answers))
            for question, own in zip(questions, self._engine.generate(questions), strict=True)
        ]


def _mean(
    forward: NDArray[np.float64] | EngineError,
    reverse: NDArray[np.float64] | EngineError,
    places: NDArray[np.int64],
) -> NDArray[np.float64] | EngineError:
    """The mean of two orders, normalised, at the places of the candidates as they were given."""
    for own in (forward, reverse):
        if isinstance(own, EngineError):
            return own
    assert not isinstance(forward, EngineError) and not isinstance(reverse, EngineError)
    mean = (forward + reverse[::-1]) / 2
    out = np.empty_like(mean)
    out[places] = mean - np.logaddexp.reduce(mean)
    return out
