"""Sparse lexical features: TF-IDF of words and characters, each column of text with its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from cascade.config import Section
from cascade.errors import ConfigError
from cascade.features.ngrams import GramCounts, count_characters, count_words
from cascade.io.files import read_tensors, write_tensors
from cascade.items import Item

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

CHUNK = 4096  # texts that are cut up together


class LexicalRecipe(Section):
    """Which words and characters of an item are looked at."""

    words: int = Field(2, ge=1, le=4, description="Longest run of words.")
    characters: int = Field(
        5,
        ge=0,
        le=8,
        description="Longest run of characters inside the words of the first column; 0 for none.",
    )
    first_weight: float = Field(
        1.5,
        gt=0,
        le=100,
        description="Weight of the first column, the item's name, where each other has 1.",
    )
    rare: int = Field(
        2, ge=1, description="Rows that a gram of any but the first column's words must be in."
    )
    max_chars: int = Field(2000, ge=1, description="Characters of a column that are read.")


@dataclass(frozen=True)
class Block:
    """Grams of one kind in one column, each with its weight.

    Parameters
    ----------
    column
        Name of the field.
    kind
        `words` or `characters`.
    longest
        Longest run.
    weight
        Length of the block's part of a row.
    grams
        uint32 [n_grams], increasing hashes of those that are kept.
    idf
        float32 [n_grams], `log((1 + n) / (1 + df)) + 1` as in scikit-learn.
    """

    column: str
    kind: str
    longest: int
    weight: float
    grams: NDArray[np.uint32]
    idf: NDArray[np.float32]

    def counts(self, texts: Sequence[str]) -> GramCounts:
        """The grams of this block's kind in texts."""
        return _COUNT[self.kind](texts, self.longest)

    def entries(
        self, texts: Sequence[str]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]:
        """Row, column and value of what is not zero; values of a row have the length `weight`."""
        found = self.counts(texts)
        at = np.searchsorted(self.grams, found.gram)
        at[at == len(self.grams)] = 0
        known = self.grams[at] == found.gram if len(self.grams) else np.zeros(len(at), bool)
        row, at = found.row[known], at[known]
        value = (1 + np.log(found.count[known])) * self.idf[at]
        length = np.sqrt(np.bincount(row, value * value, minlength=len(texts)))
        return row, at, (self.weight * value / length[row]).astype(np.float32)


_COUNT: dict[str, Callable[[Sequence[str], int], GramCounts]] = {
    "words": count_words,
    "characters": lambda texts, longest: count_characters(texts, 2, longest),
}


class LexicalFeatures:
    """TF-IDF with sublinear counts, a block of unit length for each column and kind of gram.

    Parameters
    ----------
    blocks
        In the order in which their columns stand in a row of features.
    max_chars
        Characters of a column that are read.
    """

    reads_text = True
    reads_pictures = False

    def __init__(self, blocks: Sequence[Block], max_chars: int) -> None:
        self.blocks = tuple(blocks)
        self.max_chars = max_chars
        self._starts = np.cumsum([0, *(len(block.grams) for block in self.blocks)])

    @classmethod
    def fit(
        cls, items: Sequence[Item], columns: Sequence[str], recipe: LexicalRecipe
    ) -> LexicalFeatures:
        """Features of the grams that are in `items`; the first of `columns` is the main one."""
        blocks = []
        for at, column in enumerate(columns):
            main = at == 0
            kinds = {"words": recipe.words}
            if main and recipe.characters > 1:
                kinds["characters"] = recipe.characters
            for kind, longest in kinds.items():
                rare = 1 if main and kind == "words" else recipe.rare
                weight = recipe.first_weight if main else 1.0
                blocks.append(_fitted(items, column, kind, longest, weight, rare, recipe.max_chars))
        return cls(blocks, recipe.max_chars)

    @property
    def width(self) -> int:
        """Numbers in a row, nearly all of them zero."""
        return int(self._starts[-1])

    def rows(self, items: Sequence[Item], problems: dict[int, str] | None = None) -> csr_matrix:
        """The features of items.

        Returns
        -------
        float32 [n_items, width], in compressed sparse rows
        """
        from scipy.sparse import coo_matrix, csr_matrix, vstack

        made = []
        for start in range(0, len(items), CHUNK):
            some = items[start : start + CHUNK]
            parts = [b.entries(_texts(some, b.column, self.max_chars)) for b in self.blocks]
            rows, columns, values = (
                [part[at] for part in parts] if parts else [np.empty(0)] for at in range(3)
            )
            shifted = [c + start for c, start in zip(columns, self._starts, strict=False)]
            made.append(
                coo_matrix(
                    (np.concatenate(values), (np.concatenate(rows), np.concatenate(shifted))),
                    shape=(len(some), self.width),
                    dtype=np.float32,
                ).tocsr()
            )
        if not made:
            return csr_matrix((0, self.width), dtype=np.float32)
        return made[0] if len(made) == 1 else vstack(made, format="csr")

    def save(self, path: Path) -> None:
        """Write to `path`, whole or not at all."""
        arrays: dict[str, NDArray[np.generic]] = {}
        about: list[dict[str, object]] = []
        for at, block in enumerate(self.blocks):
            arrays[f"grams.{at}"], arrays[f"idf.{at}"] = block.grams, block.idf
            plain = ("column", "kind", "longest", "weight")
            about.append({name: getattr(block, name) for name in plain})
        write_tensors(path, {"blocks": about, "max_chars": self.max_chars}, arrays)

    @classmethod
    def load(cls, path: Path) -> LexicalFeatures:
        """What `save` wrote.

        Raises
        ------
        ConfigError
            The file cannot be read, or its arrays do not fit each other.
        """
        about, arrays = read_tensors(path)
        try:
            blocks = [
                Block(**plain, grams=arrays[f"grams.{at}"], idf=arrays[f"idf.{at}"])
                for at, plain in enumerate(about["blocks"])
            ]
            fits = all(b.kind in _COUNT and b.grams.shape == b.idf.shape for b in blocks)
            found = cls(blocks, about["max_chars"])
        except (KeyError, TypeError) as error:
            raise ConfigError(f"{path}: no lexical features, {error} is missing") from None
        if not fits:
            raise ConfigError(f"{path}: lexical features that do not fit together; fit again")
        return found


def _texts(items: Sequence[Item], column: str, max_chars: int) -> list[str]:
    return [item.fields.get(column, "")[:max_chars] for item in items]


def _fitted(
    items: Sequence[Item],
    column: str,
    kind: str,
    longest: int,
    weight: float,
    rare: int,
    max_chars: int,
) -> Block:
    """A block of the grams that are in at least `rare` items."""
    grams, df = np.empty(0, np.uint32), np.empty(0, np.int64)
    for found in _chunks(items, column, kind, longest, max_chars):
        new, n = np.unique(found, return_counts=True)
        grams, at = np.unique(np.concatenate([grams, new]), return_inverse=True)
        df = np.bincount(at, np.concatenate([df, n]), minlength=len(grams)).astype(np.int64)
    kept = df >= rare
    idf = np.log((1 + len(items)) / (1 + df[kept])) + 1
    return Block(column, kind, longest, weight, grams[kept], idf.astype(np.float32))


def _chunks(
    items: Sequence[Item], column: str, kind: str, longest: int, max_chars: int
) -> Iterator[NDArray[np.uint32]]:
    """The grams of each text, once for each text that has it, some texts at a time."""
    for start in range(0, len(items), CHUNK):
        texts = _texts(items[start : start + CHUNK], column, max_chars)
        yield _COUNT[kind](texts, longest).gram
