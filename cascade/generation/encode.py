"""Prompts to token ids, in such a way that no text can become a control token."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from cascade.errors import EngineError
from cascade.generation.engine import Message, Prompt
from cascade.generation.sequences import Sequences
from cascade.generation.wordwise import WordwiseEncoder

if TYPE_CHECKING:
    from cascade.models.seeing import PictureBank

TOGETHER = 64  # texts, from which on it pays to encode them in one call
MARK = "\ue000"  # private use; stands for a message's content while the chat form is rendered


class PromptEncoder:
    """Encodes prompts and answers with a transformers tokenizer.

    The chat template is rendered around marks; only what stands between the marks (written by
    the model's makers) is read with control tokens. Message contents are encoded on their own,
    as plain text, even where they spell a control token.

    Parameters
    ----------
    bank
        Of a model that reads pictures.
    """

    def __init__(self, tokenizer: Any, bank: PictureBank | None = None) -> None:
        self._tokenizer = tokenizer
        self._bank = bank
        self._wordwise = WordwiseEncoder(tokenizer)
        self._frame = lru_cache(maxsize=64)(self._chat_frame)
        self.text = lru_cache(maxsize=65_536)(self._encode_text)

    def prompt(self, prompt: Prompt) -> tuple[tuple[int, ...], list[int]]:
        """Token ids before the answer: what prompts of one kind share, and the rest.

        The shared part does not depend on which prompts come together, so that answers do not
        either.

        Raises
        ------
        EngineError
            The prompt is empty, or has messages and the model has no chat template for them.
        """
        shared: list[int] = []
        rest: list[int] = []
        picture: list[int] = []
        if prompt.image is not None:
            if self._bank is None:
                raise EngineError("the model reads no pictures; use one of the LLaVA kind")
            picture = [*self._bank.tokens([prompt.image])[0], *self.text("\n")]
        if prompt.messages:
            frame = self._frame(tuple(message.role for message in prompt.messages))
            pieces = [
                [*before, *self.text(message.content)]
                for before, message in zip(frame, prompt.messages, strict=False)
            ]
            shared = [token for piece in pieces[:-1] for token in piece]
            start = len(frame[-2])  # the picture stands between the frame and the content
            rest = [*pieces[-1][:start], *picture, *pieces[-1][start:], *frame[-1]]
        elif self._tokenizer.bos_token_id is not None and self._adds_bos():
            shared.append(self._tokenizer.bos_token_id)
        if prompt.shared:
            shared += self.text(prompt.shared)
        if not prompt.messages:
            rest += picture
        rest += self.text(prompt.start)
        if not rest:
            raise EngineError("a prompt has no text of its own before the answer")
        return tuple(shared), rest

    def answer(self, answer: str, end: str | None) -> list[int]:
        """Token ids of an answer with its end.

        Raises
        ------
        EngineError
            The end is the model's own end of turn, and the model has none.
        """
        if end is not None:
            return [*self.text(answer), *self.text(end)]
        if self._tokenizer.eos_token_id is None:
            raise EngineError("the model has no end-of-turn token; give the prompt an `end` text")
        return [*self.text(answer), self._tokenizer.eos_token_id]

    def answers(self, answers: Sequence[str], end: str | None) -> Sequences:
        """Token ids of answers with their end.

        Raises
        ------
        EngineError
            As `answer`.
        """
        if len(answers) < TOGETHER:
            return Sequences.of([self.answer(answer, end) for answer in answers])
        return self._wordwise.encode(answers, self.answer("", end))

    def _encode_text(self, text: str) -> tuple[int, ...]:
        encoded = self._tokenizer(text, add_special_tokens=False, split_special_tokens=True)
        return tuple(encoded["input_ids"])

    def _adds_bos(self) -> bool:
        return bool(self._tokenizer("a")["input_ids"][:1] == [self._tokenizer.bos_token_id])

    def _chat_frame(self, roles: tuple[str, ...]) -> list[tuple[int, ...]]:
        """Token ids before, between and after the contents of messages with these roles."""
        if not self._tokenizer.chat_template:
            raise EngineError(
                "the model has no chat template; use a prompt in plain form (see `cascade prompts`)"
            )
        messages = [Message(role, MARK) for role in roles]  # type: ignore[arg-type]
        rendered = self._tokenizer.apply_chat_template(
            [{"role": m.role, "content": m.content} for m in messages],
            add_generation_prompt=True,
            tokenize=False,
        )
        pieces = rendered.split(MARK)
        if len(pieces) != len(roles) + 1:
            raise EngineError(
                f"the model's chat template does not take the roles {', '.join(roles)} as they are"
            )
        return [tuple(self._tokenizer(p, add_special_tokens=False)["input_ids"]) for p in pieces]
