"""A prompt tried on one item: everything that the model is asked on the way to the answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from cascade.config import CascadeConfig
from cascade.generation.engine import Prompt
from cascade.generation.heard_engine import Heard
from cascade.items import Item
from cascade.pipeline.classifier import Classifier
from cascade.predictions import Prediction
from cascade.retrieval.text_vectors import Progress
from cascade.scoring.item_prompts import one_line_text
from cascade.taxonomy import Taxonomy


@dataclass(frozen=True)
class TriedAnswer:
    """An answer that was allowed.

    Parameters
    ----------
    score
        Its log-probability; None where it was not scored.
    without_item
        The mean of that without the item, where the model was asked.
    """

    text: str
    score: float | None
    without_item: float | None = None

    @property
    def gain(self) -> float | None:
        """What the item adds to the score, else the score itself."""
        if self.score is None or self.without_item is None:
            return self.score
        return self.score - self.without_item


@dataclass(frozen=True)
class TriedQuestion:
    """One thing that the model was asked, its answers the best first."""

    prompt: Prompt
    answers: tuple[TriedAnswer, ...]
    written: str | None
    failed: str

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain values."""
        prompt = self.prompt
        return {
            "messages": [{"role": m.role, "content": m.content} for m in prompt.messages],
            "shared": prompt.shared,
            "start": prompt.start,
            "end": prompt.end,
            "answers": [
                {"text": a.text, "score": a.score, "without_item": a.without_item}
                for a in self.answers
            ],
            "written": self.written,
            "failed": self.failed or None,
        }


@dataclass(frozen=True)
class Trial:
    """What was asked about an item, in order, and the answer in the end."""

    questions: tuple[TriedQuestion, ...]
    prediction: Prediction
    prompts: int
    tokens: int


def try_prompt(
    taxonomy: Taxonomy, config: CascadeConfig, item: Item, *, progress: Progress | None = None
) -> Trial:
    """Classify one item, and note what the language model is asked for it.

    Raises
    ------
    CascadeError
        The model cannot be loaded, or the item cannot be read.
    """
    heard: list[Heard] = []
    classifier = Classifier(taxonomy, config, progress=progress, listener=heard.append)
    prediction = classifier.classify(item)
    shown = one_line_text(item, config.llm.max_chars)
    # Of a noisy channel the item's text is the answer, after a prompt that names a candidate.
    own, others = list[Heard](), list[Heard]()
    for each in heard:
        about = any(shown in text for text in (_text(each.prompt), *each.answers))
        (own if about else others).append(each)
    used = classifier.asked
    return Trial(
        tuple(_question(each, others) for each in own),
        prediction,
        used.get("prompts", 0),
        used.get("tokens", 0),
    )


def _question(heard: Heard, others: list[Heard]) -> TriedQuestion:
    prior = _prior(heard, others)
    scores = [None] * len(heard.answers) if heard.scores is None else heard.scores.tolist()
    answers = [
        TriedAnswer(answer + (heard.prompt.end or ""), score, prior.get(answer))
        for answer, score in zip(heard.answers, scores, strict=True)
    ]
    answers.sort(key=lambda answer: -(answer.gain if answer.gain is not None else 0.0))
    return TriedQuestion(heard.prompt, tuple(answers), heard.written, heard.failed)


def _prior(heard: Heard, others: list[Heard]) -> dict[str, float]:
    """Mean log-probability of each answer in questions without the item that allow all of them."""
    wanted = set(heard.answers)
    same = [o for o in others if o.scores is not None and wanted and wanted <= set(o.answers)]
    if not same:
        return {}
    table = [dict(zip(o.answers, o.scores, strict=True)) for o in same if o.scores is not None]
    return {answer: float(np.mean([row[answer] for row in table])) for answer in heard.answers}


def _text(prompt: Prompt) -> str:
    return "\n".join([*(m.content for m in prompt.messages), prompt.start])
