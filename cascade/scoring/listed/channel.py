"""A language model's view of candidates by the item's own text: how likely is it under each?

What a category is called says little of how often models write the name: `Other` is a likely
answer to anything. Turned around, each candidate has to explain the same words, so names do not
compete by how usual they are, and there is no order in which candidates are shown (noisy channel
models for classification: Min et al. 2022, arXiv 2108.04106).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from cascade.errors import EngineError
from cascade.generation.engine import Engine, Question
from cascade.generation.prompts import PromptTemplate
from cascade.scoring.listed.candidates import CandidateTexts


def channel_questions(
    template: PromptTemplate, item: str, texts: Sequence[str]
) -> tuple[Question, ...]:
    """For the text of each candidate the prompt that the item's text follows.

    Parameters
    ----------
    item
        On one line.
    """
    answer = (template.answer(item),)
    return tuple(Question(template.render({"candidate": text}), answer) for text in texts)


class ChannelChooser:
    """Log-likelihood of an item's text under each candidate, by a language model that scores.

    Parameters
    ----------
    engine, template, texts
        The model, the prompt, and how candidates are written.
    """

    def __init__(self, engine: Engine, template: PromptTemplate, texts: CandidateTexts) -> None:
        self._engine, self._template, self._texts = engine, template, texts

    def __call__(
        self,
        items: Sequence[str],
        candidates: Sequence[NDArray[np.int32]],
        *,
        session: object = None,
    ) -> list[NDArray[np.float64] | EngineError]:
        """For each item how likely its text is under each candidate.

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
        list of float64 [n_candidates]
            In nats, the mean over the candidates being 0; or why the model gave no answer.
        """
        questions: list[Question] = []
        for item, nodes in zip(items, candidates, strict=True):
            questions += channel_questions(self._template, item, self._texts(nodes.tolist()))
        found = self._engine.score(questions, "global", session) if questions else []
        out: list[NDArray[np.float64] | EngineError] = []
        start = 0
        for nodes in candidates:
            own = found[start : start + len(nodes)]
            start += len(nodes)
            failed = [each for each in own if isinstance(each, EngineError)]
            if failed:
                out.append(failed[0])
                continue
            values = np.array([each[0] for each in own if not isinstance(each, EngineError)])
            out.append(values - values.mean())
        return out
