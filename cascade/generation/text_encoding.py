r"""Texts to token ids, in such a way that no text can become a control token.

Many texts at a time are encoded word by word, each word once: the names of a taxonomy are made of
far fewer words than there are names. Where no token of a byte-level BPE tokenizer has a blank after
something else, no merge crosses the blank before a word (Sennrich et al. 2016, arXiv 1508.07909),
so that a text's ids are those of its words, one after another.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, compress, count, repeat
from operator import not_
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cascade.models.language_models import (
    is_control,
    plain_text_tokenizer,
    put_no_blank,
    puts_blank,
)

CUT = "\ue001"  # private use; where a text is cut that would be a control token
# A token with a blank in its middle, in the letters that stand for bytes: Ġ is a blank, and Ċ, ĉ
# and č are newline, tab and return.
BLANK_INSIDE = re.compile("[^\nĠĊĉč]Ġ")
BLANK = "\u0120"
MOST_WORDS = 65_536  # that are known
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


class TextEncoder:
    """Encodes texts that go on after others, without control tokens, even where they spell one.

    Where a tokenizer has an alphabet of its own for control tokens, they are never looked for. In
    others, such as those of SentencePiece, `<s>` is a piece like any other, and the pieces `<` and
    `s>` merge into it; a text that would have such a token is cut inside of it.

    Parameters
    ----------
    tokenizer
        Of transformers.
    """

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer

    def one(self, text: str) -> list[int]:
        """Token ids of a text."""
        return self.many([text])[0]

    def many(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of each text."""
        found = self._spelled(texts)
        controls = self.controls
        for at, ids in enumerate(found):
            if not controls.isdisjoint(ids):
                found[at] = self._cut(texts[at], controls.intersection(ids))
        return found

    def frame(self, text: str, *, first: bool) -> list[int]:
        """Token ids of what a model's makers wrote around messages, control tokens among them.

        Parameters
        ----------
        first
            Whether nothing stands before it.
        """
        if first or not self.puts_blank:
            ids: list[int] = self._tokenizer(text, add_special_tokens=False)["input_ids"]
            return ids
        self.backend.encode_special_tokens = False
        try:
            return list(self.backend.encode(text, add_special_tokens=False).ids)
        finally:
            self.backend.encode_special_tokens = True

    def decode(self, tokens: Sequence[int]) -> str:
        """The text of tokens that go on after others, without control tokens."""
        options = {"skip_special_tokens": True, "clean_up_tokenization_spaces": False}
        whole: str = self._tokenizer.decode([*self._before, *tokens], **options)
        return whole[len("a") :] if self._before else whole

    @cached_property
    def backend(self) -> Any:
        """What encodes in a fast tokenizer; None of a slow one."""
        backend = plain_text_tokenizer(self._tokenizer)
        if backend is not None:
            put_no_blank(backend)
        return backend

    @cached_property
    def puts_blank(self) -> bool:
        """Whether the tokenizer puts a blank before a text, which nothing has that goes on."""
        return self.backend is not None and puts_blank(self._tokenizer.backend_tokenizer)

    @cached_property
    def controls(self) -> frozenset[int]:
        """Ids of all tokens that no text may become."""
        tokenizer = self._tokenizer
        named = set(getattr(tokenizer, "all_special_ids", ()))
        unknown = getattr(tokenizer, "unk_token_id", None)
        if "unk" in str(getattr(tokenizer, "unk_token", "")).lower():
            named.discard(unknown)  # it stands for what no other token spells
        added = getattr(tokenizer, "added_tokens_decoder", {})
        named |= {at for at, token in added.items() if is_control(token) and at != unknown}
        return frozenset(named)

    @cached_property
    def _before(self) -> list[int]:
        """A token to decode others after, where a blank at the beginning would be lost."""
        text = self._tokenizer.decode(self.one(" a"), clean_up_tokenization_spaces=False)
        return [] if text.startswith(" ") else self.one("a")

    def _spelled(self, texts: Sequence[str]) -> list[list[int]]:
        if self.backend is None:
            encoded = self._tokenizer(
                list(texts), add_special_tokens=False, split_special_tokens=True
            )
            return [list(ids) for ids in encoded["input_ids"]]
        # Without what transformers makes of each text, which takes as long again.
        rows = self.backend.encode_batch_fast(list(texts), add_special_tokens=False)
        return [list(row.ids) for row in rows]

    def _cut(self, text: str, found: frozenset[int]) -> list[int]:
        """Token ids of a text, cut inside of the control tokens that it would have."""
        cut = text
        for token in sorted(self._tokenizer.convert_ids_to_tokens(sorted(found)), key=len):
            cut = cut.replace(token, f"{token[:1]}{CUT}{token[1:]}")
        ids = [one for part in self._spelled(cut.split(CUT)) for one in part]
        if not self.controls.isdisjoint(ids):  # another spelling that is normalised to one
            ids = [one for part in self._spelled(list(text)) for one in part]
        return [one for one in ids if one not in self.controls]


class WordwiseEncoder:
    """Encodes many texts at once, without special tokens, even where they spell one.

    Parameters
    ----------
    tokenizer
        Of transformers.
    text
        Encodes one text with it.
    """

    def __init__(self, tokenizer: Any, text: TextEncoder | None = None) -> None:
        self._tokenizer = tokenizer
        self._text = text or TextEncoder(tokenizer)
        self._known: dict[str, list[int]] = {}  # after a blank

    def encode(self, texts: Sequence[str], tail: Sequence[int]) -> TokenSequences:
        """Token ids of each text, followed by those of `tail`."""
        if not self._words_stand_alone:
            return self._each(texts, tail)
        firsts: list[str] = []  # what stands before the first blank
        later = texts
        if not all(map(str.startswith, texts, repeat(" "))):
            firsts = [text.partition(" ")[0] for text in texts]
            later = [text[len(first) :] for text, first in zip(texts, firsts, strict=True)]
        words = "".join(later).split(" ")[1:]
        pieces = dict.fromkeys(words)
        if "" in pieces or not _are_words([*pieces, *firsts]):  # two blanks in a row, or other ones
            return self._each(texts, tail)
        counts = np.fromiter(map(str.count, later, repeat(" ")), np.int64, len(texts))
        spelled = self._after_blank([*pieces])
        number = dict(zip(pieces, count()))
        which = np.fromiter(map(number.__getitem__, words), np.int64, len(words))
        ends = np.cumsum(counts)
        which = np.insert(which, ends, len(spelled))  # the tail
        spelled.append(tail)
        if firsts:
            alone = dict.fromkeys(firsts)
            number = dict(zip(alone, count(len(spelled))))
            spelled += self._encode([*alone])
            own = np.fromiter(map(number.__getitem__, firsts), np.int64, len(firsts))
            which = np.insert(which, ends + np.arange(len(ends)) - counts, own)
        return TokenSequences.of(spelled).take(which).joined(counts + 1 + bool(firsts))

    def few(self, texts: Sequence[str], tail: Sequence[int]) -> TokenSequences:
        """As `encode`, without NumPy's calls, which cost more than some texts do."""
        if not self._words_stand_alone:
            return self._each(texts, tail)
        divided = [text.split(" ") for text in texts]
        after = list(dict.fromkeys(chain.from_iterable(words[1:] for words in divided)))
        spelled = dict(zip(after, self._after_blank(after), strict=True))
        alone = {word for word in after if word and _are_words([word])}
        found: list[list[int]] = []
        for text, (first, *words) in zip(texts, divided, strict=True):
            if alone.issuperset(words):
                ids = list(self._text.one(first)) if first else []
                for word in words:
                    ids += spelled[word]
            else:
                ids = self._text.one(text)
            found.append([*ids, *tail])
        return TokenSequences.of(found)

    def clear(self) -> None:
        """Forget all words."""
        self._known.clear()

    def _after_blank(self, words: Sequence[str]) -> list[Sequence[int]]:
        """Token ids of each word after a blank."""
        known = self._known
        if len(known) > MOST_WORDS:
            known.clear()
        if new := [word for word in words if word not in known]:
            known.update(zip(new, self._spelled_after_blank(new), strict=True))
        return [known[word] for word in words]

    def _spelled_after_blank(self, words: Sequence[str]) -> list[list[int]]:
        """As `_after_blank`.

        A word of plain letters is divided no further before the merges, which are a quarter of the
        work.
        """
        if not self._letters_stay_together:
            return self._encode([f" {word}" for word in words])
        merge = self._text.backend.model.tokenize
        plain = [word.isascii() and word.isalpha() for word in words]
        others = iter(self._encode([f" {word}" for word in compress(words, map(not_, plain))]))
        return [
            [token.id for token in merge(BLANK + word)] if is_plain else next(others)
            for word, is_plain in zip(words, plain, strict=True)
        ]

    def _each(self, texts: Sequence[str], tail: Sequence[int]) -> TokenSequences:
        return TokenSequences.of([[*ids, *tail] for ids in self._encode(texts)])

    def _encode(self, texts: Sequence[str]) -> list[list[int]]:
        return self._text.many(texts) if texts else []

    @cached_property
    def _letters_stay_together(self) -> bool:
        """Whether letters after a blank are one piece, of which nothing but merges makes tokens."""
        backend = self._text.backend
        steps = _steps(backend.pre_tokenizer)
        # Other patterns may divide a word where capitals follow small letters.
        return (
            all(step["type"] in ("ByteLevel", "Digits") for step in steps)
            and any(step.get("use_regex") for step in steps)
            and not any(
                token.content.strip().isalpha()
                for token in backend.get_added_tokens_decoder().values()
            )
        )

    @cached_property
    def _words_stand_alone(self) -> bool:
        """Whether each word has the same ids in all texts."""
        from tokenizers import models, normalizers

        backend = self._text.backend
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


def _are_words(texts: Sequence[str]) -> bool:
    """Whether none of some texts has blanks of any kind; each may be nothing at all."""
    return "".join(texts).isalnum() or all(not t or t.split() == [t] for t in texts)


def _divides_before_blanks(pre_tokenizer: Any) -> bool:
    """Whether texts are divided into bytes, and the same before each blank wherever it stands."""
    steps = _steps(pre_tokenizer)
    return (
        bool(steps)
        and steps[-1]["type"] == "ByteLevel"
        and all(
            step["type"] in STEPS and not step.get("add_prefix_space") and "(?<" not in str(step)
            for step in steps
        )
    )


def _steps(pre_tokenizer: Any) -> list[dict[str, Any]]:
    """The steps of a pre-tokenizer, as `tokenizer.json` tells them."""
    if pre_tokenizer is None:
        return []
    spec: dict[str, Any] = json.loads(pre_tokenizer.__getstate__())
    return spec["pretokenizers"] if spec["type"] == "Sequence" else [spec]
