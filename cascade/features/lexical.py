"""Sparse lexical features: TF-IDF of words and characters, each column of text with its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from cascade.config import Section
from cascade.errors import ConfigError
from cascade.features.sparse_rows import SparseRows
from cascade.io.files import read_tensors, write_tensors
from cascade.items import Item
from cascade.retrieval.array_ops import run_starts
from cascade.retrieval.words.ngrams import NgramCounts, count_characters, count_words

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

CHUNK = 4096  # texts that are cut up together
_PLACE = np.uint16  # of a text among them
SPARSE = "sparse rows"  # of a batch, what `sparse_rows` made of it


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
        2,
        ge=1,
        le=10**9,
        description="Rows that a gram of any but the first column's words must be in.",
    )
    max_chars: int = Field(
        2000, ge=1, le=10**7, description="Characters of a column that are read."
    )


@dataclass(frozen=True)
class Block:
    """N-grams of one kind in one column, each with its weight.

    Parameters
    ----------
    column
        Name of the field.
    kind
        `words` or `characters`.
    longest
        Longest n-gram.
    weight
        Length of the block's part of a row.
    grams
        uint32 [n_grams], increasing hashes of the n-grams that are kept.
    idf
        float32 [n_grams], `log((1 + n) / (1 + df)) + 1` as in scikit-learn.
    """

    column: str
    kind: str
    longest: int
    weight: float
    grams: NDArray[np.uint32]
    idf: NDArray[np.float32]

    @classmethod
    def fit(
        cls,
        items: Sequence[Item],
        column: str,
        kind: str,
        longest: int,
        weight: float,
        *,
        min_items: int,
        max_chars: int,
    ) -> Block:
        """The block of the n-grams that are in at least `min_items` items."""
        grams, df = np.empty(0, np.uint32), np.empty(0, np.int64)
        for start in range(0, len(items), CHUNK):
            texts = _texts(items[start : start + CHUNK], column, max_chars)
            # Each text has each of its n-grams once.
            new, n = np.unique(_COUNT[kind](texts, longest).gram, return_counts=True)
            grams, at = np.unique(np.concatenate([grams, new]), return_inverse=True)
            df = np.bincount(at, np.concatenate([df, n]), minlength=len(grams)).astype(np.int64)
        kept = df >= min_items
        idf = np.log((1 + len(items)) / (1 + df[kept])) + 1
        return cls(column, kind, longest, weight, grams[kept], idf.astype(np.float32))

    def entries(
        self, texts: Sequence[str]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32], NDArray[np.int64]]:
        """TF-IDF of texts: text, gram and value of what is not 0, [n_entries], sorted by gram.

        The values of a text have the length `weight`.

        Beside them int64 [n_texts]: how many different grams each text has, known or not.
        """
        found = _COUNT[self.kind](texts, self.longest)
        starts = run_starts(found.gram)  # each gram is looked up once, in order: much the quickest
        sizes = np.diff(np.append(starts, len(found.gram)))
        gram = found.gram[starts]
        at = np.searchsorted(self.grams, gram)
        at[at == len(self.grams)] = 0
        there = self.grams[at] == gram if len(self.grams) else np.zeros(len(at), bool)
        known = np.repeat(there, sizes)
        row, at = found.row[known], np.repeat(at[there], sizes[there])
        value = (1 + np.log(found.count[known])) * self.idf[at]
        length = np.sqrt(np.bincount(row, value * value, minlength=len(texts)))
        value = (self.weight * value / length[row]).astype(np.float32)
        return row, at, value, np.bincount(found.row, minlength=len(texts))


_COUNT: dict[str, Callable[[Sequence[str], int], NgramCounts]] = {
    "words": lambda texts, longest: count_words(texts, longest, by_gram=True),
    "characters": lambda texts, longest: count_characters(texts, 2, longest, by_gram=True),
}


class LexicalFeatures:
    """TF-IDF with sublinear counts, a block of unit length for each column and kind of n-gram.

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

    @classmethod
    def fit(
        cls, items: Sequence[Item], columns: Sequence[str], recipe: LexicalRecipe
    ) -> LexicalFeatures:
        """Features of the n-grams that are in `items`; the first of `columns` is the main one."""
        blocks = []
        for at, column in enumerate(columns):
            main = at == 0
            kinds = {"words": recipe.words}
            if main and recipe.characters > 1:
                kinds["characters"] = recipe.characters
            for kind, longest in kinds.items():
                blocks.append(
                    Block.fit(
                        items,
                        column,
                        kind,
                        longest,
                        weight=recipe.first_weight if main else 1.0,
                        min_items=1 if main and kind == "words" else recipe.rare,
                        max_chars=recipe.max_chars,
                    )
                )
        return cls(blocks, recipe.max_chars)

    @property
    def width(self) -> int:
        """Numbers in a row, nearly all of them zero."""
        return sum(len(block.grams) for block in self.blocks)

    def rows(self, items: Sequence[Item], problems: dict[int, str] | None = None) -> csr_matrix:
        """The features of items.

        Returns
        -------
        float32 [n_items, width], in compressed sparse rows
        """
        return self.sparse_rows(items).matrix

    def sparse_rows(self, items: Sequence[Item]) -> SparseRows:
        """As `rows`, without SciPy, and with the share of unknown words."""
        starts, columns, values, unknown = [np.zeros(1, np.int64)], [], [], []
        for start in range(0, len(items), CHUNK):
            part = self._sparse_rows(items[start : start + CHUNK])
            starts.append(part.starts[1:] + starts[-1][-1])
            columns.append(part.columns)
            values.append(part.values)
            unknown.append(part.unknown)
        return SparseRows(
            np.concatenate(starts),
            np.concatenate([np.empty(0, np.int32), *columns]),
            np.concatenate([np.empty(0, np.float32), *values]),
            self.width,
            np.concatenate([np.empty(0), *unknown]),
        )

    def _sparse_rows(self, items: Sequence[Item]) -> SparseRows:
        row, column, value = [], [], []
        before = 0
        words, known = np.zeros(len(items), np.int64), np.zeros(len(items), np.int64)
        for block in self.blocks:
            own, at, weight, grams = block.entries(_texts(items, block.column, self.max_chars))
            if block.kind == "words":
                words += grams
                known += np.bincount(own, minlength=len(items))
            row.append(own)
            column.append(at + before)
            value.append(weight)
            before += len(block.grams)
        rows = np.concatenate([np.empty(0, np.int64), *row])
        order = np.argsort(rows.astype(_PLACE), kind="stable")  # of 16 bits by a radix sort
        starts = np.searchsorted(rows[order], np.arange(len(items) + 1))
        columns = np.concatenate([np.empty(0, np.int64), *column])[order].astype(np.int32)
        values = np.concatenate([np.empty(0, np.float32), *value])[order]
        with np.errstate(invalid="ignore"):
            unknown = 1 - known / words
        return SparseRows(starts, columns, values, self.width, unknown)

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
            found = cls(blocks, about["max_chars"])
        except (KeyError, TypeError, ValueError) as error:
            raise ConfigError(f"{path}: no lexical features, {error} is missing") from None
        if not _is_count(found.max_chars, 10**9) or not all(map(_fits, blocks)):
            raise ConfigError(f"{path}: lexical features that do not fit together; fit again")
        return found


def _fits(block: Block) -> bool:
    """Whether what was read of a block can be used."""
    weight: Any = block.weight
    return (
        isinstance(block.column, str)
        and block.kind in _COUNT
        and _is_count(block.longest, 8)
        and isinstance(weight, int | float)
        and 0 < weight <= 1e6
        and block.grams.ndim == 1
        and block.grams.dtype == np.uint32
        and block.grams.shape == block.idf.shape
        and bool((block.grams[1:] > block.grams[:-1]).all())
    )


def _is_count(value: Any, most: int) -> bool:
    return type(value) is int and 1 <= value <= most


def _texts(items: Sequence[Item], column: str, max_chars: int) -> list[str]:
    return [item.fields.get(column, "")[:max_chars] for item in items]
