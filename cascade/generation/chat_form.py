"""The form of a conversation that a model was trained on: what stands around messages.

The chat template that lies beside a model's weights is rendered around marks; only what stands
between the marks (written by the model's makers) is read with control tokens. Templates differ in
what they take: some know no system role, some want turns to alternate. Then messages are joined
into one turn, their contents as they are. Models that think aloud are given an empty thought, since
the answer comes at once; what they would think is never among the allowed answers.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import jinja2

from cascade.errors import EngineError
from cascade.generation.bounded_templates import render_chat
from cascade.generation.engine import Message
from cascade.generation.text_encoding import TextEncoder

MARK = "\ue000"  # private use; stands around a number in the place of a message's content
BETWEEN = "\n\n"  # contents that are joined
THOUGHTS = (
    ("<think>", "</think>"),
    ("<thinking>", "</thinking>"),
    ("<thought>", "</thought>"),
    ("<seed:think>", "</seed:think>"),
    ("[THINK]", "[/THINK]"),
    ("<|START_THINKING|>", "<|END_THINKING|>"),
    ("<|begin_of_thought|>", "<|end_of_thought|>"),
)
"""What stands around the thoughts of models."""
HARMONY = ("<|start|>assistant", "<|channel|>final<|message|>")
"""How a turn of gpt-oss begins, and the channel of answers, as against that of thoughts."""

Piece = str | tuple[int, ...]
"""A content, or token ids of what stands between contents."""
Turns = tuple[tuple[int, ...], ...]
"""Which messages are in each turn."""


class ChatForm:
    """What stands around the contents of messages.

    Parameters
    ----------
    tokenizer
        Of transformers, with the chat template; without one messages become plain paragraphs.
    texts
        Encodes with it.
    """

    def __init__(self, tokenizer: Any, texts: TextEncoder) -> None:
        self._tokenizer = tokenizer
        self._texts = texts
        self._frame = lru_cache(maxsize=64)(self._framed)

    def around(self, messages: Sequence[Message]) -> tuple[list[Piece], str, tuple[int, ...]]:
        """What stands before the content of the last message, that content, and what follows it.

        Raises
        ------
        EngineError
            The model's chat template cannot be used with messages of these roles.
        """
        turns, frame, blanks = self._frame(tuple(message.role for message in messages))
        pieces: list[Piece] = []
        for turn, before, blank in zip(turns, frame, blanks, strict=False):
            pieces.append(before)
            for place, at in enumerate(turn):
                pieces.append((BETWEEN if place else blank) + messages[at].content)
        last = pieces.pop()
        assert isinstance(last, str)
        if len(turns[-1]) > 1:  # the blank line belongs to what prompts of a kind share
            pieces.append(BETWEEN)
            last = last.removeprefix(BETWEEN)
        return pieces, last, frame[-1]

    def _framed(self, roles: tuple[str, ...]) -> tuple[Turns, list[tuple[int, ...]], list[str]]:
        """Turns, token ids before, between and after their contents, and blanks before contents.

        A blank before a content is encoded with it, as in the texts that a model was trained on.
        """
        template = self._tokenizer.chat_template
        if not template:
            alone = tuple((at,) for at in range(len(roles)))
            between = tuple(self._texts.one(BETWEEN))
            first = self._first()
            return alone, [first, *[between] * len(roles)], ["" for _ in roles]
        problem = None
        for turns in _joinings(roles):
            try:
                pieces = self._pieces([roles[turn[-1]] for turn in turns])
            except (
                *(jinja2.TemplateError, TypeError, ValueError),
                *(ArithmeticError, LookupError),
            ) as error:
                problem = problem or error
                continue
            if pieces is not None:
                bare = [piece.rstrip(" ") for piece in pieces[:-1]]
                blanks = [piece[len(own) :] for piece, own in zip(pieces, bare, strict=False)]
                frame = [
                    tuple(self._texts.frame(piece, first=not at)) if piece else ()
                    for at, piece in enumerate([*bare, _without_thought(pieces[-1])])
                ]
                return turns, frame, blanks
        if problem is not None:
            told = " ".join(str(problem).split())
            raise EngineError(
                f"the model's chat template cannot be used ({told:.200}); use a prompt in plain "
                "form (see `cascade prompts`)"
            ) from problem
        raise EngineError(
            f"the model's chat template does not take the roles {', '.join(roles)}; use a "
            "prompt in plain form (see `cascade prompts`)"
        )

    def _pieces(self, roles: Sequence[str]) -> list[str] | None:
        """What the template writes around the contents of turns; None where it leaves one out."""
        marks = [f"{MARK}{at}{MARK}" for at in range(len(roles))]
        rendered = render_chat(
            self._tokenizer.get_chat_template(),
            [{"role": r, "content": mark} for r, mark in zip(roles, marks, strict=True)],
            self._tokenizer.special_tokens_map,
        )
        pieces = []
        for mark in marks:
            before, found, rendered = rendered.partition(mark)
            if not found:
                return None
            pieces.append(before)
        return None if any(MARK in piece for piece in (*pieces, rendered)) else [*pieces, rendered]

    def _first(self) -> tuple[int, ...]:
        """The token that begins all texts, where a model has one."""
        first = self._tokenizer("a")["input_ids"][:1]
        return tuple(first) if first == [self._tokenizer.bos_token_id] else ()


def _joinings(roles: Sequence[str]) -> list[Turns]:
    """Ways to make turns of messages: each by itself; then fewer, each with what follows it."""
    alone: list[tuple[int, ...]] = [(at,) for at in range(len(roles))]
    systemless: list[tuple[int, ...]] = []
    waiting: tuple[int, ...] = ()
    for at, role in enumerate(roles):
        if role == "system" and at + 1 < len(roles):
            waiting = (*waiting, at)
        else:
            systemless.append((*waiting, at))
            waiting = ()
    fewest: list[tuple[int, ...]] = []
    for turn in systemless:
        if fewest and roles[fewest[-1][-1]] == roles[turn[-1]]:
            fewest[-1] = (*fewest[-1], *turn)
        else:
            fewest.append(turn)
    return list(dict.fromkeys(tuple(turns) for turns in (alone, systemless, fewest)))


def _without_thought(tail: str) -> str:
    """What begins an answer, with a thought that it opens closed at once."""
    for opened, closed in THOUGHTS:
        if tail.rfind(opened) > tail.rfind(closed):
            return f"{tail.rstrip()}\n\n{closed}\n\n"
    beginning, channel = HARMONY
    return tail + channel if tail.endswith(beginning) else tail


def without_thoughts(text: str) -> str:
    """What a model wrote, after the thoughts that it wrote first."""
    for opened, closed in THOUGHTS:
        if closed in text:
            text = text.rsplit(closed, 1)[1].lstrip()
        elif opened in text:  # it was cut short while it thought
            text = text.split(opened, 1)[0]
    return text
