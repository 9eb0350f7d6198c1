"""What engines have in common that are given token ids and give back tokens and probabilities.

An engine of this kind has two private verbs: `_next_token_logprobs`, how likely some next tokens
are, and `_generate`, what the model writes, perhaps held to a grammar. Without a tree attention
mask a trie of answers is read by asking, at its branchings, how likely each token is that goes on
from there. All of these prompts begin alike, so that with a prefix cache each costs little more
than its last tokens.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cascade.errors import EngineError
from cascade.generation.chat_form import without_thoughts
from cascade.generation.engine import Command, Commands, Prompt, Question, Reading, Usage
from cascade.generation.engines.answer_forms import form_error, json_in
from cascade.generation.engines.trie_queries import NextTokenQuery, TrieQueries
from cascade.generation.grammar import (
    ChoiceConstraint,
    CommandConstraint,
    Constraint,
    ListConstraint,
)
from cascade.generation.prompt_encoding import PromptEncoder
from cascade.generation.records import Record, RecordConstraint, RecordField
from cascade.generation.tree_scoring.trie_cache import TrieCache

if TYPE_CHECKING:
    from cascade.models.vision_language import PictureBank


@dataclass(frozen=True)
class GenerationRequest:
    """What is to be generated greedily.

    Parameters
    ----------
    shared, own
        Token ids that prompts of one kind share, and those after them.
    max_tokens
        Most tokens that are generated.
    end
        Text before which an answer ends, beside the model's own end of turn.
    constraint
        What alone may be generated, its end included; None is anything.
    """

    shared: tuple[int, ...]
    own: tuple[int, ...]
    max_tokens: int
    end: str | None
    constraint: Constraint | None = None

    @property
    def prompt(self) -> tuple[int, ...]:
        """All token ids of the prompt."""
        return self.shared + self.own

    def check(self, text: str) -> None:
        """Raise EngineError where a text is none that may be generated."""
        if isinstance(self.constraint, ChoiceConstraint):
            chosen_answer(self.constraint.answers, self.constraint.end, text)
        elif isinstance(self.constraint, ListConstraint):
            chosen_names(self.constraint.names, text)
        elif isinstance(self.constraint, CommandConstraint):
            command_in(self.constraint, text)
        elif isinstance(self.constraint, RecordConstraint):
            written_record(self.constraint, text)

    @property
    def stop(self) -> str | None:
        """Text before which writing stops; a constraint spells its end out."""
        return None if self.constraint else self.end


@dataclass(frozen=True)
class Generated:
    """What was written, and its log-probability among what was allowed, where that is told."""

    text: str
    logprob: float | None


class TokenEngine(ABC):
    """Scores and generates with a model that takes token ids; see `Engine`.

    Parameters
    ----------
    name
        For messages and traces.
    tokenizer
        The model's, as loaded by transformers.
    widest
        Most tokens whose log-probabilities are given at one place.
    bank
        Of a model that reads pictures.
    """

    def __init__(
        self, name: str, tokenizer: Any, *, widest: int = 1, bank: PictureBank | None = None
    ) -> None:
        self.name = name
        self.tokenizer = tokenizer
        self.reads_pictures = bank is not None
        self._encoder = PromptEncoder(tokenizer, bank)
        self._tries = TrieCache(self._encoder)
        self._widest = widest

    @property
    def usage(self) -> Usage:
        """What it was asked so far; see `Engine.usage`."""
        return self._encoder.usage

    def _next_token_logprobs(
        self, queries: Sequence[NextTokenQuery]
    ) -> Sequence[NDArray[np.float64] | EngineError]:
        """Log-probability of each token of each query, among all tokens of the vocabulary.

        Only `score` asks for it, so an engine that scores in a way of its own needs none.
        """
        raise NotImplementedError

    @abstractmethod
    def _generate(self, requests: Sequence[GenerationRequest]) -> Sequence[Generated | EngineError]:
        """What the model writes after each prompt; prompts come in the order of their tokens."""

    def _begin(self) -> None:  # noqa: B027 - most engines have nothing to do
        """Called before a batch of prompts is encoded."""

    def score(
        self,
        questions: Sequence[Question],
        reading: Reading = "global",
        session: object = None,
    ) -> Sequence[NDArray[np.float64] | EngineError]:
        """Log-probability of each allowed answer; see `Engine.score`."""
        refuse_pictures([question.prompt for question in questions])
        asked = TrieQueries(
            self._encoder, questions, self._tries.of(questions), reading, self._widest
        )
        return asked.scores(self._next_token_logprobs(asked.queries) if asked.queries else [])

    def complete(self, prompts: Sequence[Prompt], max_tokens: int) -> list[str | EngineError]:
        """What the model writes after each prompt; see `Engine.complete`."""
        self._begin()
        requests = [self._request(prompt, max_tokens) for prompt in prompts]
        return [
            found if isinstance(found, EngineError) else before_end(found.text, prompt)
            for found, prompt in zip(self._ordered(requests), prompts, strict=True)
        ]

    def generate(self, questions: Sequence[Question]) -> list[tuple[int, float] | EngineError]:
        """Greedy decoding held to the allowed answers; see `Engine.generate`."""
        self._begin()
        results: dict[int, tuple[int, float] | EngineError] = {}
        # A grammar would spell such a name with the control token; scoring reads it as text.
        controls = self._encoder.controls
        unspellable = [
            i for i, q in enumerate(questions) if any(c in a for a in q.answers for c in controls)
        ]
        scored = self.score([questions[i] for i in unspellable], "local")
        for i, own in zip(unspellable, scored, strict=True):
            if isinstance(own, EngineError):
                results[i] = own
            else:
                results[i] = int(own.argmax()), float(own.max())
        spellable = sorted(set(range(len(questions))) - set(unspellable))
        requests = []
        for question in (questions[i] for i in spellable):
            end = question.prompt.end
            # Constrained decoding may spell a name byte by byte, and writes its end of turn.
            longest = max(len((answer + (end or "")).encode()) for answer in question.answers) + 1
            constraint = ChoiceConstraint(question.answers, end)
            requests.append(self._request(question.prompt, longest, constraint))
        untold: dict[int, int] = {}
        for i, generated in zip(spellable, self._ordered(requests), strict=True):
            try:
                if isinstance(generated, EngineError):
                    raise generated
                question = questions[i]
                index = chosen_answer(question.answers, question.prompt.end, generated.text)
                results[i] = index, generated.logprob or 0.0
                if generated.logprob is None:
                    untold[i] = index
            except EngineError as error:
                results[i] = error
        scored = self.score([questions[i] for i in untold], "local")
        for (i, index), own in zip(untold.items(), scored, strict=True):
            results[i] = own if isinstance(own, EngineError) else (index, float(own[index]))
        return [results[i] for i in range(len(questions))]

    def choose_several(
        self, prompts: Sequence[Prompt], names: Sequence[str], lead: str = " "
    ) -> list[list[int] | EngineError]:
        """Greedy decoding of a list of names; see `Engine.choose_several`."""
        self._begin()
        longest = len((json.dumps(list(names), ensure_ascii=False) + lead).encode()) + 8
        requests = [
            self._request(
                prompt,
                longest + len((prompt.end or "").encode()),
                ListConstraint(tuple(names), lead, prompt.end),
            )
            for prompt in prompts
        ]
        results: list[list[int] | EngineError] = []
        for generated in self._ordered(requests):
            try:
                if isinstance(generated, EngineError):
                    raise generated
                results.append(chosen_names(names, generated.text))
            except EngineError as error:
                results.append(error)
        return results

    def command(self, asked: Sequence[Commands]) -> list[Command | EngineError]:
        """Greedy decoding of a command; see `Engine.command`."""
        self._begin()
        requests, constraints = [], []
        for one in asked:
            constraint = constraint_of(one)
            # Constrained decoding may spell a text byte by byte, four for a character.
            room = max(len(plain.encode()) for plain in (*one.plain, ""))
            if one.quoted:
                room = max(room, 4 * one.longest + max(map(len, one.quoted)) + 3)
            room += len((one.lead + (one.prompt.end or "")).encode()) + 1
            requests.append(self._request(one.prompt, room, constraint))
            constraints.append(constraint)
        results: list[Command | EngineError] = []
        for request, constraint, generated in zip(
            requests, constraints, self._ordered(requests), strict=True
        ):
            try:
                if isinstance(generated, EngineError):
                    raise generated
                text = command_in(constraint, generated.text)
                tokens = len(request.prompt) + len(self._encoder.text(generated.text))
                results.append(Command(text, tokens))
            except EngineError as error:
                results.append(error)
        return results

    def write_records(
        self, prompts: Sequence[Prompt], fields: Sequence[RecordField], lead: str = ""
    ) -> list[Record | EngineError]:
        """Greedy decoding of an object of texts; see `Engine.write_records`."""
        self._begin()
        requests = []
        for prompt in prompts:
            constraint = RecordConstraint(tuple(fields), lead, prompt.end)
            # Most tokens have several characters; an object that is cut short is an error.
            requests.append(self._request(prompt, constraint.longest + 1, constraint))
        results: list[Record | EngineError] = []
        for request, generated in zip(requests, self._ordered(requests), strict=True):
            try:
                if isinstance(generated, EngineError):
                    raise generated
                results.append(written_record(request.constraint, generated.text))
            except EngineError as error:
                results.append(error)
        return results

    def _request(
        self,
        prompt: Prompt,
        max_tokens: int,
        constraint: Constraint | None = None,
    ) -> GenerationRequest:
        if not self.reads_pictures:
            refuse_pictures([prompt])
        shared, own = self._encoder.prompt(prompt)
        return GenerationRequest(shared, tuple(own), max_tokens, prompt.end, constraint)

    def _ordered(self, requests: Sequence[GenerationRequest]) -> list[Generated | EngineError]:
        """What is generated, in such an order that equal beginnings come together."""
        order = sorted(range(len(requests)), key=lambda at: requests[at].prompt)
        generated = self._generate([requests[at] for at in order]) if requests else []
        return [generated[at] for at in np.argsort(order).tolist()]


def refuse_pictures(prompts: Sequence[Prompt]) -> None:
    """Say that there is no way for a picture into this engine.

    Raises
    ------
    EngineError
        A prompt has a picture.
    """
    if any(prompt.image is not None for prompt in prompts):
        raise EngineError("this engine reads no pictures; `llm.engine: transformers` does")


def before_end(text: str, prompt: Prompt) -> str:
    """What a model wrote after its thoughts, if it had any, up to the prompt's end."""
    text = without_thoughts(text) if prompt.messages else text
    return text.split(prompt.end)[0] if prompt.end else text


def chosen_answer(answers: Sequence[str], end: str | None, text: str) -> int:
    """Index of the answer that was written.

    Raises
    ------
    EngineError
        It is none of those that are allowed.
    """
    for generated in (text, text.removesuffix(end or "")):
        if generated in answers:
            return answers.index(generated)
    raise form_error(f"the model answered {text!r:.100}, which is none of the allowed answers")


def chosen_names(names: Sequence[str], text: str) -> list[int]:
    """Indices of the names in a JSON list that was written, in their order.

    Raises
    ------
    EngineError
        It is no list, or one of other names.
    """
    listed = json_in(text)
    if not isinstance(listed, list) or not all(name in names for name in listed):
        raise form_error(f"the model answered {text!r:.100}, which is no list of names")
    return sorted({names.index(name) for name in listed})


def constraint_of(asked: Commands) -> CommandConstraint:
    """What alone may follow a prompt."""
    return CommandConstraint(asked.plain, asked.quoted, asked.lead, asked.prompt.end, asked.longest)


def command_in(constraint: CommandConstraint, text: str) -> str:
    """The command that was written.

    Raises
    ------
    EngineError
        It is none of those that are allowed.
    """
    try:
        return constraint.read(text)
    except ValueError as error:
        raise form_error(f"the model answered {error}") from None


def written_record(constraint: Constraint | None, text: str) -> Record:
    """The object of texts that was written.

    Raises
    ------
    EngineError
        It is none.
    """
    assert isinstance(constraint, RecordConstraint)
    try:
        return constraint.read(text)
    except ValueError as error:
        raise form_error(f"the model answered {error}") from None
