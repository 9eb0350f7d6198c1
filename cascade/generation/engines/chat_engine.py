"""Any other OpenAI-compatible server as an engine, asked in chat form.

Such a server makes tokens of texts itself, and tells no log-probabilities of answers that it is
given. So it generates only, under a JSON schema, and its texts are spelled in such a way that they
hold no control token; see `harmless`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from cascade.errors import ConfigError, EngineError
from cascade.generation.engine import Command, Commands, Prompt, Question, Reading, Usage
from cascade.generation.engines.answer_forms import ChatAnswer, form_error, json_in
from cascade.generation.engines.http_client import Client
from cascade.generation.engines.token_engine import (
    before_end,
    command_in,
    constraint_of,
    refuse_pictures,
    written_record,
)
from cascade.generation.records import Record, RecordConstraint, RecordField

P = TypeVar("P")
T = TypeVar("T")

_OPENING = re.compile(r"([<\[＜﹤［])(?![ \n])")


def harmless(text: str) -> str:
    """The text with a blank after each `<` and `[`.

    Control tokens of chat models begin with one of these and go on without a blank
    (`<|im_end|>`, `</s>`, `<start_of_turn>`, `[INST]`); the full-width forms become these where a
    tokenizer normalises its text. Any other character but a line break could be one that a
    tokenizer drops.
    """
    return _OPENING.sub(r"\1 ", text)


class ChatEngine:
    """Generates with a server that is asked in chat form; see `Engine`.

    Parameters
    ----------
    client
        Reaches it.
    name
        What it calls the model.
    """

    reads_pictures = False

    def __init__(self, client: Client, name: str) -> None:
        self.name = name
        self.usage = Usage()
        self._client = client

    def score(
        self,
        questions: Sequence[Question],
        reading: Reading = "global",
        session: object = None,
    ) -> list[NDArray[np.float64]]:
        """Not to be had; see `Engine.score`.

        Raises
        ------
        ConfigError
            Always.
        """
        raise ConfigError(
            f"the server at {self._client.url} tells no log-probabilities of given answers; set "
            "llm.answer to generate, or use a vLLM or llama.cpp server"
        )

    def complete(self, prompts: Sequence[Prompt], max_tokens: int) -> list[str | EngineError]:
        """What the model writes after each prompt; see `Engine.complete`."""

        def payload(prompt: Prompt) -> dict[str, Any]:
            return self._asked(prompt, max_tokens) | ({"stop": [prompt.end]} if prompt.end else {})

        refuse_pictures(prompts)
        return self._ask(prompts, payload, lambda prompt, found: before_end(found.text, prompt))

    def generate(self, questions: Sequence[Question]) -> list[tuple[int, float] | EngineError]:
        """The answer that the model writes under a schema; see `Engine.generate`.

        The log-probability is that of all the tokens of the JSON, as the server tells it. A server
        that tells none is taken at its word, with a log-probability of 0.
        """

        def payload(question: Question) -> dict[str, Any]:
            shown = _shown(question.answers)
            return (
                self._asked(question.prompt, _room(shown))
                | {"logprobs": True}
                | _schema({"answer": {"type": "string", "enum": list(dict.fromkeys(shown))}})
            )

        def read(question: Question, found: ChatAnswer) -> tuple[int, float]:
            chosen = _chosen(_shown(question.answers), _field(found.text, "answer"))
            return chosen, found.logprob

        refuse_pictures([question.prompt for question in questions])
        return self._ask(questions, payload, read)

    def choose_several(
        self, prompts: Sequence[Prompt], names: Sequence[str], lead: str = " "
    ) -> list[list[int] | EngineError]:
        """The names that the model lists under a schema; see `Engine.choose_several`."""
        shown = [harmless(name) for name in names]
        items = {"type": "string", "enum": list(dict.fromkeys(shown))}
        schema = _schema({"answers": {"type": "array", "items": items, "maxItems": len(names)}})
        room = len(names) * _room(shown)

        def read(_: Prompt, found: ChatAnswer) -> list[int]:
            listed = _field(found.text, "answers")
            if not isinstance(listed, list):
                raise form_error(f"the model answered {found.text!r:.100}, no list of names")
            return sorted({_chosen(shown, name) for name in listed})

        refuse_pictures(prompts)
        return self._ask(prompts, lambda prompt: self._asked(prompt, room) | schema, read)

    def command(self, asked: Sequence[Commands]) -> list[Command | EngineError]:
        """The command that the model writes under a schema; see `Engine.command`.

        A command with a text is two fields, the text empty for the others.
        """

        def payload(one: Commands) -> dict[str, Any]:
            words = [*one.plain, *one.quoted]
            action = {"type": "string", "enum": words}
            text = {"type": "string", "description": f"at most {one.longest} characters"}
            room = _room(words) + (2 * one.longest if one.quoted else 0)
            fields = {"action": action} | ({"text": text} if one.quoted else {})
            return self._asked(one.prompt, room) | _schema(fields)

        def read(one: Commands, found: ChatAnswer) -> Command:
            written = str(_field(found.text, "action"))
            if written in one.quoted:
                text = str(_field(found.text, "text"))
                kept = "".join(c if c.isalnum() or c in " -'.,?&/%" else " " for c in text)
                written = f'{written} "{" ".join(kept.split())[: one.longest]}"'
            return Command(command_in(constraint_of(one), written), found.tokens)

        refuse_pictures([one.prompt for one in asked])
        return self._ask(asked, payload, read)

    def write_records(
        self, prompts: Sequence[Prompt], fields: Sequence[RecordField], lead: str = ""
    ) -> list[Record | EngineError]:
        """The object that the model writes under a schema; see `Engine.write_records`."""
        constraint = RecordConstraint(tuple(fields), "", None)
        schema = _schema(constraint.schema)

        def read(_: Prompt, found: ChatAnswer) -> Record:
            return written_record(constraint, json.dumps(json_in(found.text)))

        refuse_pictures(prompts)
        room = constraint.longest
        return self._ask(prompts, lambda prompt: self._asked(prompt, room) | schema, read)

    def _asked(self, prompt: Prompt, max_tokens: int) -> dict[str, Any]:
        return {
            "model": self.name,
            "messages": messages(prompt),
            "max_tokens": max_tokens,
            "temperature": 0,
            "seed": 0,
        }

    def _ask(
        self,
        asked: Sequence[P],
        payload: Callable[[P], dict[str, Any]],
        read: Callable[[P, ChatAnswer], T],
    ) -> list[T | EngineError]:
        """What is read from the answer to each prompt or question; a request for each."""

        def counted(group: Sequence[P], answer: ChatAnswer) -> list[T]:
            found = read(group[0], answer)
            self.usage.add(answer.tokens)
            return [found]

        return self._client.ask(
            f"{self._client.url}/chat/completions",
            [[one] for one in asked],
            lambda group: payload(group[0]),
            ChatAnswer,
            counted,
        )


def messages(prompt: Prompt) -> list[dict[str, str]]:
    """The prompt in chat form.

    Servers do not all let a client begin the answer's turn, so that what the answer continues
    stands at the end of the last message.

    Raises
    ------
    EngineError
        The prompt has a picture.
    """
    refuse_pictures([prompt])
    turns = [{"role": m.role, "content": m.content} for m in prompt.messages]
    text = prompt.shared + prompt.start
    if not turns:
        turns = [{"role": "user", "content": text}]
    elif text.strip():
        turns[-1]["content"] += f"\n\n{text}"
    return [{**turn, "content": harmless(turn["content"])} for turn in turns]


def _room(answers: Sequence[str]) -> int:
    """Tokens that are enough for any of the answers in JSON."""
    return max(len(json.dumps(answer)) for answer in answers) + 32


def _schema(properties: dict[str, Any]) -> dict[str, Any]:
    schema = {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }
    return {
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "answer", "strict": True, "schema": schema},
        }
    }


def _shown(answers: Sequence[str]) -> list[str]:
    """Allowed answers as the server sees them."""
    return [harmless(answer.strip()) for answer in answers]


def _field(text: str, name: str) -> Any:
    found = json_in(text)
    if not isinstance(found, dict) or name not in found:
        raise form_error(
            f"the model answered {text!r:.100}; expected JSON with the field {name!r}. Does the "
            "server hold answers to `response_format` schemas?"
        )
    return found[name]


def _chosen(shown: Sequence[str], answer: Any) -> int:
    if answer not in shown:
        raise form_error(f"the model answered {answer!r:.100}, none of the allowed answers")
    return shown.index(answer)
