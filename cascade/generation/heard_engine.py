"""An engine that tells what it is asked and answers, for people who want to see it."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cascade.errors import EngineError
from cascade.generation.engine import (
    Command,
    Commands,
    Engine,
    Prompt,
    Question,
    Reading,
    Usage,
)
from cascade.generation.records import Record, RecordField


@dataclass(frozen=True)
class Heard:
    """One thing that a model was asked, and its answer.

    Parameters
    ----------
    answers
        What was allowed; empty where anything was.
    scores
        float64 [n_answers], their log-probabilities, where they were scored.
    written
        What was written, where that was asked for.
    failed
        Why there is no answer.
    """

    prompt: Prompt
    answers: tuple[str, ...] = ()
    scores: NDArray[np.float64] | None = field(default=None, compare=False)
    written: str | None = None
    failed: str = ""


Listener = Callable[[Heard], None]


class HeardEngine:
    """Passes everything on to an engine, and tells a listener.

    Parameters
    ----------
    engine
        Does the work.
    listener
        Called with each thing that was asked.
    """

    def __init__(self, engine: Engine, listener: Listener) -> None:
        self._engine, self._listener = engine, listener
        self.name, self.reads_pictures = engine.name, engine.reads_pictures

    @property
    def usage(self) -> Usage:
        """What it was asked so far."""
        return self._engine.usage

    def score(
        self,
        questions: Sequence[Question],
        reading: Reading = "global",
        session: object = None,
    ) -> Sequence[NDArray[np.float64] | EngineError]:
        """Log-probability of each allowed answer; see `Engine.score`."""
        found = self._engine.score(questions, reading, session)
        for question, own in zip(questions, found, strict=True):
            self._tell(question.prompt, question.answers, own, lambda own: {"scores": own})
        return found

    def complete(self, prompts: Sequence[Prompt], max_tokens: int) -> Sequence[str | EngineError]:
        """What the model writes after each prompt; see `Engine.complete`."""
        found = self._engine.complete(prompts, max_tokens)
        for prompt, own in zip(prompts, found, strict=True):
            self._tell(prompt, (), own, lambda own: {"written": own})
        return found

    def generate(self, questions: Sequence[Question]) -> Sequence[tuple[int, float] | EngineError]:
        """The answer that it writes under a grammar; see `Engine.generate`."""
        found = self._engine.generate(questions)
        for question, own in zip(questions, found, strict=True):
            answers = question.answers
            self._tell(
                *(question.prompt, answers, own),
                lambda own, answers=answers: {"written": answers[own[0]]},
            )
        return found

    def choose_several(
        self, prompts: Sequence[Prompt], names: Sequence[str], lead: str = " "
    ) -> Sequence[list[int] | EngineError]:
        """The list of names that it writes; see `Engine.choose_several`."""
        found = self._engine.choose_several(prompts, names, lead)
        for prompt, own in zip(prompts, found, strict=True):
            self._tell(
                *(prompt, tuple(names), own),
                lambda own: {"written": ", ".join(names[at] for at in own)},
            )
        return found

    def command(self, asked: Sequence[Commands]) -> Sequence[Command | EngineError]:
        """The command that it writes; see `Engine.command`."""
        found = self._engine.command(asked)
        for one, own in zip(asked, found, strict=True):
            allowed = (*one.plain, *(f'{word} "..."' for word in one.quoted))
            self._tell(one.prompt, allowed, own, lambda own: {"written": own.text})
        return found

    def write_records(
        self, prompts: Sequence[Prompt], fields: Sequence[RecordField], lead: str = ""
    ) -> Sequence[Record | EngineError]:
        """The objects that it writes; see `Engine.write_records`."""
        found = self._engine.write_records(prompts, fields, lead)
        for prompt, own in zip(prompts, found, strict=True):
            self._tell(
                *(prompt, (), own),
                lambda own: {"written": json.dumps(own, ensure_ascii=False)},
            )
        return found

    def _tell(
        self,
        prompt: Prompt,
        answers: tuple[str, ...],
        found: Any,
        told: Callable[..., dict[str, Any]],
    ) -> None:
        failed = isinstance(found, EngineError)
        self._listener(
            Heard(prompt, answers, **({"failed": str(found)} if failed else told(found)))
        )
