"""How like texts of items and of nodes are by their characters: for codes, brands and jargon.

An encoder reads a word that it has never seen as pieces without a meaning. The runs of characters
that two texts share tell what it cannot, rare ones most.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cascade.retrieval.words.ngrams import count_characters
from cascade.retrieval.words.run_weights import COLUMNS, RunWeights

Floats = NDArray[np.float32]
Ints = NDArray[np.integer[Any]]

RUN = 4  # characters, words with a space at either end; runs of 3 to 5 are as right, and slower
MAX_CHARS = 1000  # of a text that are read
CHUNK = 4096  # texts that are cut up together
KEPT = 100_000  # texts whose runs stay in memory; of more texts they are counted when asked for
_SHIFT = np.uint32(12)


class SharedCharacters:
    """TF-IDF of runs of characters, with sublinear counts, as in scikit-learn.

    Parameters
    ----------
    texts
        Those of nodes, which tell how rare a run is.
    """

    def __init__(self, texts: Sequence[str]) -> None:
        self._texts = texts
        often = np.zeros(COLUMNS, dtype=np.int64)
        for start in range(0, len(texts), CHUNK):
            _, column, _ = runs(texts[start : start + CHUNK])
            often += np.bincount(column, minlength=COLUMNS)
        self._idf = (np.log((1 + len(texts)) / (1 + often)) + 1).astype(np.float32)
        self._kept = self._weights(texts) if len(texts) <= KEPT else None

    def __len__(self) -> int:
        return len(self._texts)

    def of(self, items: Sequence[str], weight: float) -> ItemCharacters:
        """The characters of items, to be compared with those of texts."""
        return ItemCharacters(self, self._weights(items), np.float32(weight))

    def rows(self, texts: Ints) -> RunWeights:
        """Weights of the runs of some texts; of unit length, or 0 without a run."""
        if self._kept is not None:
            return self._kept.take(texts)
        return self._weights([self._texts[at] for at in texts.tolist()])

    def all_rows(self) -> RunWeights:
        """Weights of the runs of all texts."""
        return self._weights(self._texts) if self._kept is None else self._kept

    def _weights(self, texts: Sequence[str]) -> RunWeights:
        parts = []
        for start in range(0, len(texts), CHUNK):
            chunk = texts[start : start + CHUNK]
            row, column, value = runs(chunk)
            value *= self._idf[column]
            length = np.sqrt(np.bincount(row, value * value, minlength=len(chunk)))
            value /= length[row].astype(np.float32)
            parts.append(RunWeights.of(len(chunk), row, column, value))
        return RunWeights.joined(parts)


@dataclass(frozen=True)
class ItemCharacters:
    """The characters of the items of a batch.

    Parameters
    ----------
    shared
        What they are compared with.
    items
        Of unit length.
    weight
        Cosines are multiplied by this.
    """

    shared: SharedCharacters
    items: RunWeights
    weight: np.float32

    def with_all(self) -> Floats:
        """Weighted cosines of all texts with all items, [n_texts, n_items]."""
        return self.shared.all_rows().products(self.items) * self.weight

    def with_texts(self, texts: Ints, rows: Ints) -> Floats:
        """Weighted cosines of some texts with some items, [n_texts, n_rows]."""
        return self.shared.rows(texts).products(self.items.take(rows)) * self.weight

    def of_pairs(self, texts: Ints, rows: Ints) -> Floats:
        """Weighted cosines of `texts[i]` and item `rows[i]`, [n]."""
        different, at = np.unique(texts, return_inverse=True)
        left = self.shared.rows(different)
        out = np.empty(len(texts), dtype=np.float32)
        for start in range(0, len(texts), CHUNK):
            part = slice(start, start + CHUNK)
            out[part] = left.pair_products(at[part], self.items, rows[part])
        return out * self.weight


def runs(texts: Sequence[str]) -> tuple[Ints, Ints, Floats]:
    """Text, column and sublinear count of each different run of characters of texts."""
    found = count_characters([text[:MAX_CHARS] for text in texts], RUN, RUN)
    value = (1 + np.log(found.count)).astype(np.float32)
    return found.row, (found.gram >> _SHIFT).astype(np.int32), value
