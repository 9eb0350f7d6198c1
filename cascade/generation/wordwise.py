"""Many texts to token ids, each word once.

The names of a taxonomy are made of far fewer words than there are names. Where no token of a
byte-level BPE tokenizer has a blank after something else, no merge crosses the blank before a word
(Sennrich et al. 2016, arXiv 1508.07909), so that a text's ids are those of its words, one after
another.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np

from cascade.generation.sequences import Sequences
from cascade.models.load import plain_backend

# A token with a blank in its middle, in the letters that stand for bytes: Ġ is a blank, and Ċ, ĉ
# and č are newline, tab and return.
BLANK_INSIDE = re.compile("[^\nĠĊĉč]Ġ")
STEPS = ("ByteLevel", "Split", "Digits")  # of pre-tokenizers, that look no further back


class WordwiseEncoder:
    """Encodes many texts at once, without special tokens, even where they spell one.

    Parameters
    ----------
    tokenizer
        Of transformers.
    """

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer

    def encode(self, texts: Sequence[str], tail: Sequence[int]) -> Sequences:
        """Token ids of each text, followed by those of `tail`."""
        words = " ".join(texts).split(" ")
        counts = 1 + np.array([text.count(" ") for text in texts], dtype=np.int64)
        ends = np.cumsum(counts)
        firsts = [words[start] for start in (ends - counts).tolist()]
        after = set(words)
        # An empty word that comes first is a text's own blank; another one is two blanks in a row.
        doubled = words.count("") > firsts.count("")
        if doubled or any(w.split() != [w] for w in after if w) or not self._words_stand_alone:
            return Sequences.of([[*ids, *tail] for ids in self._encode(texts)])
        pieces = {word: i for i, word in enumerate(after)}
        initial = {word: len(after) + i for i, word in enumerate(set(firsts))}
        which = np.fromiter(map(pieces.__getitem__, words), np.int64, len(words))
        which[ends - counts] = [initial[word] for word in firsts]
        which = np.insert(which, ends, len(pieces) + len(initial))
        spelled = self._encode([*(f" {word}" for word in pieces), *initial])
        return Sequences.of([*spelled, tail]).take(which).joined(counts + 1)

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
        return plain_backend(self._tokenizer)

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
