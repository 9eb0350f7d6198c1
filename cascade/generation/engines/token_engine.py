"""What engines have in common that are given token ids and give back tokens and probabilities.

An engine of this kind has two private verbs: `_read`, how likely some next tokens are, and
`_write`, what the model writes, perhaps held to a grammar.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cascade.errors import EngineError
from cascade.generation.engine import Prompt, Question, Reading
from cascade.generation.prompt_encoding import PromptEncoder
from cascade.generation.tree_scoring.trie import Trie


@dataclass(frozen=True)
class Choice:
    """One of the answers, then the end."""

    answers: tuple[str, ...]
    end: str | None


@dataclass(frozen=True)
class Listing:
    """The lead, a JSON list of some of the names in their order, then the end."""

    names: tuple[str, ...]
    lead: str
    end: str | None


@dataclass(frozen=True)
class Writing:
    """What is to be written greedily.

    Parameters
    ----------
    prompt
        Token ids.
    max_tokens
        Most tokens that are written.
    stop
        Text before which writing stops, beside the model's own end of turn.
    allowed
        What alone may be written; None is anything.
    """

    prompt: tuple[int, ...]
    max_tokens: int
    stop: str | None = None
    allowed: Choice | Listing | None = None


@dataclass(frozen=True)
class Written:
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
    """

    reads_pictures = False

    def __init__(self, name: str, tokenizer: Any, *, widest: int) -> None:
        self.name = name
        self.tokenizer = tokenizer
        self._encoder = PromptEncoder(tokenizer)
        self._widest = widest

    @abstractmethod
    def _read(self, steps: Sequence[Step]) -> list[NDArray[np.float64]]:
        """Log-probability of each token of each step, among all tokens of the vocabulary."""

    @abstractmethod
    def _write(self, asked: Sequence[Writing]) -> list[Written]:
        """What the model writes after each prompt; prompts come in the order of their tokens."""

    def score(
        self,
        questions: Sequence[Question],
        reading: Reading = "global",
        session: object = None,
    ) -> list[NDArray[np.float64]]:
        """Log-probability of each allowed answer; see `Engine.score`."""
        refuse_pictures([question.prompt for question in questions])
        walk = TrieWalk(self._encoder, questions, reading, self._widest)
        return walk.scores(self._read(walk.steps) if walk.steps else [])

    def complete(self, prompts: Sequence[Prompt], max_tokens: int) -> list[str]:
        """What the model writes after each prompt; see `Engine.complete`."""
        asked = [Writing(self._tokens(prompt), max_tokens, prompt.end) for prompt in prompts]
        texts = [written.text for written in self._ordered(asked)]
        return [
            text.split(prompt.end)[0] if prompt.end else text
            for text, prompt in zip(texts, prompts, strict=True)
        ]

    def generate(self, questions: Sequence[Question]) -> list[tuple[int, float]]:
        """Greedy decoding held to the allowed answers; see `Engine.generate`."""
        results: list[tuple[int, float]] = [(0, 0.0)] * len(questions)
        # A grammar would spell such a name with the control token; scoring reads it as text.
        controls = self.tokenizer.all_special_tokens
        unspellable = [
            i for i, q in enumerate(questions) if any(c in a for a in q.answers for c in controls)
        ]
        scored = self.score([questions[i] for i in unspellable], "local")
        for i, logprobs in zip(unspellable, scored, strict=True):
            results[i] = int(logprobs.argmax()), float(logprobs.max())
        spellable = sorted(set(range(len(questions))) - set(unspellable))
        asked = [self._choosing(questions[i]) for i in spellable]
        untold: list[int] = []
        for i, written in zip(spellable, self._ordered(asked), strict=True):
            results[i] = chosen_answer(questions[i], written.text), written.logprob or 0.0
            untold += [i] if written.logprob is None else []
        scored = self.score([questions[i] for i in untold], "local")
        for i, logprobs in zip(untold, scored, strict=True):
            results[i] = results[i][0], float(logprobs[results[i][0]])
        return results

    def choose_several(
        self, prompts: Sequence[Prompt], names: Sequence[str], lead: str = " "
    ) -> list[list[int]]:
        """Greedy decoding of a list of names; see `Engine.choose_several`."""
        longest = len((json.dumps(list(names), ensure_ascii=False) + lead).encode()) + 8
        asked = [
            Writing(
                self._tokens(prompt),
                longest + len((prompt.end or "").encode()),
                allowed=Listing(tuple(names), lead, prompt.end),
            )
            for prompt in prompts
        ]
        return [chosen_names(names, written.text) for written in self._ordered(asked)]

    def _choosing(self, question: Question) -> Writing:
        end = question.prompt.end
        # Constrained decoding may spell a name byte by byte, and writes its end of turn.
        longest = max(len((answer + (end or "")).encode()) for answer in question.answers) + 1
        return Writing(
            self._tokens(question.prompt), longest, allowed=Choice(question.answers, end)
        )

    def _tokens(self, prompt: Prompt) -> tuple[int, ...]:
        refuse_pictures([prompt])
        shared, rest = self._encoder.prompt(prompt)
        return (*shared, *rest)

    def _ordered(self, asked: Sequence[Writing]) -> list[Written]:
        """What is written, asked for in such an order that equal beginnings come together."""
        order = sorted(range(len(asked)), key=lambda at: asked[at].prompt)
        written = self._write([asked[at] for at in order]) if asked else []
        return [written[at] for at in np.argsort(order).tolist()]


def refuse_pictures(prompts: Sequence[Prompt]) -> None:
    """Say that there is no way for a picture into this engine.

    Raises
    ------
    EngineError
        A prompt has a picture.
    """
    if any(prompt.image is not None for prompt in prompts):
        raise EngineError("this engine reads no pictures; `llm.engine: transformers` does")


def chosen_answer(question: Question, text: str) -> int:
    """Index of the answer that was written.

    Raises
    ------
    EngineError
        It is none of those that are allowed.
    """
    for written in (text, text.removesuffix(question.prompt.end or "")):
        if written in question.answers:
            return question.answers.index(written)
    raise EngineError(f"the model answered {text!r:.100}, which is none of the allowed answers")


def chosen_names(names: Sequence[str], text: str) -> list[int]:
    """Indices of the names in a JSON list that was written, in their order.

    Raises
    ------
    EngineError
        It is no list, or one of other names.
    """
    try:
        return sorted({names.index(name) for name in json.loads(text)})
    except (ValueError, TypeError):
        raise EngineError(f"the model answered {text!r:.100}, which is no list of names") from None


@dataclass(frozen=True)
class Step:
    """Where one next token is asked for.

    Parameters
    ----------
    question
        Index of the question.
    prompt
        Token ids of the question's prompt and of the answers' common beginning.
    edges
        int64 [k], nodes of the question's trie.
    tokens
        Token ids on the edges into these nodes [k], all different.
    """

    question: int
    prompt: tuple[int, ...]
    edges: NDArray[np.int64]
    tokens: list[int]


class TrieWalk:
    """All next tokens that must be known to score the answers to some questions.

    Parameters
    ----------
    widest
        Most tokens of a step; a branching of more becomes several steps.

    Attributes
    ----------
    steps
        In the order of their token ids, so that equal beginnings come together.
    """

    def __init__(
        self, encoder: PromptEncoder, questions: Sequence[Question], reading: Reading, widest: int
    ) -> None:
        self._reading = reading
        self._tries: list[Trie] = []
        steps: list[Step] = []
        for index, question in enumerate(questions):
            shared, rest = encoder.prompt(question.prompt)
            end = question.prompt.end
            trie = Trie.build(encoder.answers(question.answers, end))
            self._tries.append(trie)
            steps += _steps(index, (*shared, *rest), trie, reading, widest)
        self.steps = sorted(steps, key=lambda step: step.prompt)

    def scores(self, logprobs: Iterable[NDArray[np.float64]]) -> list[NDArray[np.float64]]:
        """Log-probability of each answer to each question; see `Engine.score`.

        Parameters
        ----------
        logprobs
            For each step the log-probability of each of its tokens.

        Raises
        ------
        EngineError
            A log-probability is none.
        """
        edges = [np.zeros(len(trie)) for trie in self._tries]
        for step, own in zip(self.steps, logprobs, strict=True):
            if not np.all(own <= 1e-3):  # NaN too
                raise EngineError(f"the model gave {own.max()} as a log-probability")
            edges[step.question][step.edges] = own
        if self._reading == "local":
            edges = [_renormalised(t, e) for t, e in zip(self._tries, edges, strict=True)]
        return [trie.totals(own) for trie, own in zip(self._tries, edges, strict=True)]


def _steps(
    index: int, prompt: tuple[int, ...], trie: Trie, reading: Reading, widest: int
) -> Iterable[Step]:
    order = np.argsort(trie.parent[1:], kind="stable") + 1
    children = np.split(order, np.cumsum(trie.n_children)[:-1])
    reached: list[tuple[int, ...]] = [prompt]
    for node in range(1, len(trie)):
        reached.append((*reached[trie.parent[node]], int(trie.token[node])))
    for node, own in enumerate(children):
        if len(own) >= (2 if reading == "local" else 1):
            for start in range(0, len(own), widest):
                part = own[start : start + widest]
                yield Step(index, reached[node], part, trie.token[part].tolist())


def _renormalised(trie: Trie, edges: NDArray[np.float64]) -> NDArray[np.float64]:
    """Edges as shares among their siblings; a lone edge has probability one."""
    total = np.full(len(trie), -np.inf)
    np.logaddexp.at(total, trie.parent[1:], edges[1:])
    shares = edges.copy()
    shares[1:] -= total[trie.parent[1:]]
    return shares
