"""Coded descriptions held out in turn, and what is seen of them as if they were new."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cascade.foodex2.code import FoodCode
from cascade.items import Batch, Item
from cascade.pipeline.facets.own.ranking import LearntBaseRanker, LearntExtractor
from cascade.pipeline.facets.own.words import OwnWordsFinder
from cascade.retrieval.encoder import Encoder

FOLDS = 3
BATCH = 64
MOST_ROWS = 4000  # that weights are fitted to; names, neighbours and counts are of all rows


@dataclass(frozen=True)
class Coded:
    """Descriptions with codes, and the vectors float32 [n, width] of their whole texts."""

    texts: Sequence[str]
    codes: Sequence[FoodCode]
    vectors: NDArray[np.float32]

    def part(self, rows: Sequence[int]) -> Coded:
        """Some of the rows."""
        return Coded(
            [self.texts[row] for row in rows],
            [self.codes[row] for row in rows],
            self.vectors[list(rows)],
        )


class RememberingEncoder:
    """An encoder that encodes a text once, since each row is read several times."""

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder
        self._queries: dict[str, NDArray[np.float32]] = {}
        self._documents: dict[str, NDArray[np.float32]] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._encoder, name)

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """See `Encoder.encode`."""
        return _remembered(self._encoder.encode, texts, self._queries)

    def encode_documents(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """See `Encoder.encode_documents`."""
        return _remembered(self._encoder.encode_documents, texts, self._documents)


def _remembered(
    encode: Callable[[Sequence[str]], NDArray[np.float32]],
    texts: Sequence[str],
    known: dict[str, NDArray[np.float32]],
) -> NDArray[np.float32]:
    if new := [text for text in dict.fromkeys(texts) if text not in known]:
        known.update(zip(new, encode(new), strict=True))
    return np.stack([known[text] for text in texts])


@dataclass(frozen=True)
class Fold:
    """Rows that are held out, and the others, which teach about them."""

    by_text: bool
    rows: Sequence[int]
    held: Coded
    others: Coded

    def batches(self) -> Iterator[tuple[int, Batch]]:
        """The rows that are held out in batches, each with the place of its first."""
        for start in range(0, len(self.rows), BATCH):
            texts = self.held.texts[start : start + BATCH]
            yield start, Batch([Item({"text": text}) for text in texts])


def folds_of(coded: Coded, *, by_text: bool, seed: int = 0) -> list[Fold]:
    """Rows held out in turn; equal texts, or rows of a base term, together."""
    keys = [
        text.casefold() if by_text else code.base
        for text, code in zip(coded.texts, coded.codes, strict=True)
    ]
    rng = random.Random(seed)
    groups = sorted(set(keys))
    rng.shuffle(groups)
    fold_of = {key: at % FOLDS for at, key in enumerate(groups)}
    fitted = set(range(len(keys)))
    if len(keys) > MOST_ROWS:
        fitted = set(rng.sample(range(len(keys)), MOST_ROWS))
    found = []
    for fold in range(min(FOLDS, len(groups))):
        rows = [at for at, key in enumerate(keys) if fold_of[key] == fold]
        others = [at for at, key in enumerate(keys) if fold_of[key] != fold]
        held = [at for at in rows if at in fitted]
        if held and others:
            found.append(Fold(by_text, held, coded.part(held), coded.part(others)))
    return found


def held_texts(folds: Sequence[Fold]) -> list[str]:
    """The texts that are held out, fold by fold."""
    return [text for fold in folds for text in fold.held.texts]


def held_codes(folds: Sequence[Fold]) -> list[FoodCode]:
    """The codes that are held out, fold by fold."""
    return [code for fold in folds for code in fold.held.codes]


@dataclass(frozen=True)
class Tools:
    """What reads the rows of a fold, taught by the others."""

    finder: OwnWordsFinder
    ranker: LearntBaseRanker
    extractor: LearntExtractor
