"""Prompts and answers to token ids, in such a way that no text can become a control token."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any

from cascade.errors import EngineError
from cascade.generation.chat_form import ChatForm
from cascade.generation.engine import Prompt, Usage
from cascade.generation.text_encoding import TextEncoder, TokenSequences, WordwiseEncoder
from cascade.models.inspection import reading

if TYPE_CHECKING:
    from cascade.models.vision_language import PictureBank

TOGETHER = 64  # texts, from which on NumPy's calls pay


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
        self.usage = Usage()  # of the prompts that were encoded
        self._tokenizer = tokenizer
        self._bank = bank
        self._texts = TextEncoder(tokenizer)
        self._wordwise = WordwiseEncoder(tokenizer, self._texts)
        self._form = ChatForm(tokenizer, self._texts)
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
            before, content, after = self._form.around(prompt.messages)
            shared = [one for piece in before for one in self._piece(piece)]
            rest = [*picture, *self.text(content), *after]
        elif self._tokenizer.bos_token_id is not None and self._adds_bos:
            shared.append(self._tokenizer.bos_token_id)
        blank = " " if not prompt.messages and self._texts.puts_blank else ""
        if prompt.shared:
            shared += self.text(blank + prompt.shared)
            blank = ""
        if not prompt.messages:
            rest += picture
        if prompt.start:
            rest += self.text(blank + prompt.start)
        if not rest:
            raise EngineError("a prompt has no text of its own before the answer")
        self.usage.add(len(shared) + len(rest))
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

    def answers(self, answers: Sequence[str], end: str | None) -> TokenSequences:
        """Token ids of answers with their end.

        Raises
        ------
        EngineError
            As `answer`.
        """
        encode = self._wordwise.few if len(answers) < TOGETHER else self._wordwise.encode
        with reading("the tokenizer", "cannot read this text", EngineError):
            return encode(answers, self.answer("", end))

    def forget(self) -> None:
        """Forget all texts and words that were encoded."""
        self.text.cache_clear()
        self._wordwise.clear()

    def decode(self, tokens: Sequence[int]) -> str:
        """The text of tokens that a model wrote after a prompt."""
        return self._texts.decode(tokens)

    @property
    def controls(self) -> list[str]:
        """All control tokens, as they are written."""
        tokens: list[str] = self._tokenizer.convert_ids_to_tokens(sorted(self._texts.controls))
        return tokens

    def _piece(self, piece: str | tuple[int, ...]) -> Sequence[int]:
        return self.text(piece) if isinstance(piece, str) else piece

    def _encode_text(self, text: str) -> tuple[int, ...]:
        with reading("the tokenizer", "cannot read this text", EngineError):
            return tuple(self._texts.one(text))

    @cached_property
    def _adds_bos(self) -> bool:
        """Whether the tokenizer begins each text with a token."""
        return bool(self._tokenizer("a")["input_ids"][:1] == [self._tokenizer.bos_token_id])
