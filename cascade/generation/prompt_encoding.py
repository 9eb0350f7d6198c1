"""Prompts and answers to token ids, in such a way that no text can become a control token.

Many answers at a time are encoded word by word, each word once: the names of a taxonomy are made of
far fewer words than there are names. Where no token of a byte-level BPE tokenizer has a blank after
something else, no merge crosses the blank before a word (Sennrich et al. 2016, arXiv 1508.07909),
so that a text's ids are those of its words, one after another.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import chain
from typing import TYPE_CHECKING, Any

import jinja2
import numpy as np
from numpy.typing import NDArray

from cascade.errors import EngineError
from cascade.generation.bounded_templates import render_chat
from cascade.generation.engine import Message, Prompt, Usage
from cascade.models.inspection import reading
from cascade.models.language_models import plain_text_tokenizer

if TYPE_CHECKING:
    from cascade.models.vision_language import PictureBank

TOGETHER = 64  # texts, from which on it pays to encode them in one call
MARK = "\ue000"  # private use; stands for a message's content while the chat form is rendered
# A token with a blank in its middle, in the letters that stand for bytes: Ġ is a blank, and Ċ, ĉ
# and č are newline, tab and return.
BLANK_INSIDE = re.compile("[^\nĠĊĉč]Ġ")
STEPS = ("ByteLevel", "Split", "Digits")  # of pre-tokenizers, that look no further back


@dataclass(frozen=True)
class TokenSequences:
    """Token sequences, one after another.

    Parameters
    ----------
    tokens
        int64 [n_tokens].
    lengths
        int64 [n_sequences].
    """

    tokens: NDArray[np.int64]
    lengths: NDArray[np.int64]

    @classmethod
    def of(cls, sequences: Sequence[Sequence[int]]) -> TokenSequences:
        """TokenSequences that are lists or tuples."""
        lengths = np.fromiter(map(len, sequences), np.int64, len(sequences))
        n_tokens = int(lengths.sum())
        return cls(np.fromiter(chain.from_iterable(sequences), np.int64, n_tokens), lengths)

    def __len__(self) -> int:
        return len(self.lengths)

    @property
    def starts(self) -> NDArray[np.int64]:
        """int64 [n_sequences], where each begins."""
        return np.cumsum(self.lengths) - self.lengths

    def take(self, which: NDArray[np.int64]) -> TokenSequences:
        """Some of them, in that order; one may come more than once."""
        lengths = self.lengths[which]
        ends = np.cumsum(lengths)
        shift = np.repeat(self.starts[which] - (ends - lengths), lengths)
        return TokenSequences(self.tokens[shift + np.arange(len(shift))], lengths)

    def joined(self, counts: NDArray[np.int64]) -> TokenSequences:
        """As many of them as `counts` [n] says, at least one, made into each of n sequences."""
        first = np.cumsum(counts) - counts
        lengths = np.add.reduceat(self.lengths, first) if len(counts) else counts
        return TokenSequences(self.tokens, lengths)


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
        if len(answers) < TOGETHER:
            return TokenSequences.of([self.answer(answer, end) for answer in answers])
        return self._wordwise.encode(answers, self.answer("", end))

    def _encode_text(self, text: str) -> tuple[int, ...]:
        with reading("the tokenizer", "cannot read this text", EngineError):
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
        try:
            rendered = render_chat(
                self._tokenizer.get_chat_template(),
                [{"role": m.role, "content": m.content} for m in messages],
                self._tokenizer.special_tokens_map,
            )
        except (jinja2.TemplateError, TypeError, ValueError, ArithmeticError, LookupError) as error:
            problem = " ".join(str(error).split())
            raise EngineError(
                f"the model's chat template cannot be used ({problem:.200}); use a prompt in plain "
                "form (see `cascade prompts`)"
            ) from error
        pieces = rendered.split(MARK)
        if len(pieces) != len(roles) + 1:
            raise EngineError(
                f"the model's chat template does not take the roles {', '.join(roles)} as they are"
            )
        return [tuple(self._tokenizer(p, add_special_tokens=False)["input_ids"]) for p in pieces]


class WordwiseEncoder:
    """Encodes many texts at once, without special tokens, even where they spell one.

    Parameters
    ----------
    tokenizer
        Of transformers.
    """

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer

    def encode(self, texts: Sequence[str], tail: Sequence[int]) -> TokenSequences:
        """Token ids of each text, followed by those of `tail`."""
        words = " ".join(texts).split(" ")
        counts = 1 + np.array([text.count(" ") for text in texts], dtype=np.int64)
        ends = np.cumsum(counts)
        firsts = [words[start] for start in (ends - counts).tolist()]
        after = set(words)
        # An empty word that comes first is a text's own blank; another one is two blanks in a row.
        doubled = words.count("") > firsts.count("")
        if doubled or any(w.split() != [w] for w in after if w) or not self._words_stand_alone:
            return TokenSequences.of([[*ids, *tail] for ids in self._encode(texts)])
        pieces = {word: i for i, word in enumerate(after)}
        initial = {word: len(after) + i for i, word in enumerate(set(firsts))}
        which = np.fromiter(map(pieces.__getitem__, words), np.int64, len(words))
        which[ends - counts] = [initial[word] for word in firsts]
        which = np.insert(which, ends, len(pieces) + len(initial))
        spelled = self._encode([*(f" {word}" for word in pieces), *initial])
        return TokenSequences.of([*spelled, tail]).take(which).joined(counts + 1)

    def _encode(self, texts: Sequence[str]) -> list[list[int]]:
        if self._backend is None:
            encoded = self._tokenizer(
                list(texts), add_special_tokens=False, split_special_tokens=True
            )
            ids: list[list[int]] = encoded["input_ids"]
            return ids
        # As above, without what transformers makes of each text, which takes as long again.
        return [row.ids for row in self._backend.encode_batch_fast(texts, add_special_tokens=False)]

    @cached_property
    def _backend(self) -> Any:
        return plain_text_tokenizer(self._tokenizer)

    @cached_property
    def _words_stand_alone(self) -> bool:
        """Whether each word has the same ids in all texts."""
        from tokenizers import models, normalizers

        backend = self._backend
        return (
            backend is not None
            and isinstance(backend.normalizer, normalizers.NFC | None)
            and _divides_before_blanks(backend.pre_tokenizer)
            and isinstance(backend.model, models.BPE)
            and not backend.model.dropout
            and not any(
                token.lstrip or token.rstrip or " " in token.content
                for token in backend.get_added_tokens_decoder().values()
                if not token.special
            )
            and not BLANK_INSIDE.search("\n".join(backend.get_vocab(with_added_tokens=False)))
        )


def _divides_before_blanks(pre_tokenizer: Any) -> bool:
    """Whether texts are divided into bytes, and the same before each blank wherever it stands."""
    if pre_tokenizer is None:
        return False
    spec = json.loads(pre_tokenizer.__getstate__())
    steps = spec["pretokenizers"] if spec["type"] == "Sequence" else [spec]
    return steps[-1]["type"] == "ByteLevel" and all(
        step["type"] in STEPS and not step.get("add_prefix_space") and "(?<" not in str(step)
        for step in steps
    )
