"""Decisions as labelled neighbours: what was said of rows like this one, from the next row on."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from cascade.errors import InputError
from cascade.items import Item
from cascade.review.database import Database
from cascade.review.decisions import node_of
from cascade.taxonomy import Taxonomy

LIKE = 0.6  # cosine from which a row votes for another
SHOWN = 0.4  # and from which it is shown beside it
TEMPERATURE = 0.05  # as of a pack's neighbours
VOTERS = 20
AT_ONCE = 32  # rows that are encoded while a reviewer waits
WIDTH = 1024  # of vectors of words, where no model is there


class Comparer(Protocol):
    """Makes unit vectors of items; `cascade.pipeline.doors.teaching.Teaching` is one."""

    def vectors(self, items: Sequence[Item]) -> NDArray[np.float32]:
        """float32 [n_items, width]"""

    def teach(self, vectors: NDArray[np.float32], nodes: NDArray[np.int32]) -> None:
        """Let these vote."""


class Words:
    """Compares items by the parts of their words, where no model is there to do it."""

    def vectors(self, items: Sequence[Item]) -> NDArray[np.float32]:
        """float32 [n_items, WIDTH]"""
        from sklearn.feature_extraction.text import HashingVectorizer

        made = HashingVectorizer(n_features=WIDTH, analyzer="char_wb", ngram_range=(3, 5))
        return np.asarray(made.transform([item.text for item in items]).toarray(), np.float32)

    def teach(self, vectors: NDArray[np.float32], nodes: NDArray[np.int32]) -> None:
        """There is nothing to teach."""


@dataclass(frozen=True)
class Neighbour:
    """A row that was decided, and how like another it is: the cosine."""

    row: int
    node: int
    similarity: float


class Corrections:
    """The rows of a session that were decided, as they are searched.

    Other processes may decide too: what is new is read from the file whenever votes are asked for.

    Parameters
    ----------
    item
        What is compared of a row.
    """

    def __init__(self, db: Database, taxonomy: Taxonomy, comparer: Comparer, item: ItemOf) -> None:
        self._db, self._taxonomy = db, taxonomy
        self.comparer, self._item = comparer, item
        self._turn = threading.Lock()
        self._read, self._waiting = 0, False
        self._silent: set[int] = set()  # rows with nothing to compare
        self._vectors: dict[int, NDArray[np.float32]] = {}
        self._nodes: dict[int, int] = {}
        self._rows: list[int] = []
        self._matrix = np.zeros((0, 1), np.float32)

    def near(
        self, vector: NDArray[np.float32], besides: int | None = None, k: int = VOTERS
    ) -> list[Neighbour]:
        """The decided rows most like an item, the most similar first.

        Parameters
        ----------
        vector
            float32 [width], of the item.
        besides
            A row that does not count: that of the item itself.
        """
        with self._turn:
            self._catch_up()
            if not self._rows:
                return []
            similar = self._matrix @ vector
            best = np.argsort(-similar, kind="stable")[: k + 1].tolist()
            found = [
                Neighbour(self._rows[at], self._nodes[self._rows[at]], float(similar[at]))
                for at in best
                if similar[at] >= SHOWN and self._rows[at] != besides
            ]
            return found[:k]

    def vector(self, item: Item) -> NDArray[np.float32]:
        """float32 [width], of an item."""
        found: NDArray[np.float32] = self.comparer.vectors([item])[0]
        return found

    def advance(self) -> bool:
        """Encode some decided rows, the last ones first; whether more are left."""
        with self._turn:
            return self._catch_up()

    def _catch_up(self) -> bool:
        """Read what was decided or taken back since the last time, and encode some of it.

        Of a session that goes on these may be thousands, for which nobody should wait.
        """
        last = self._db.value("SELECT max(id) FROM decisions") or 0
        if last == self._read and not self._waiting:
            return False
        if last != self._read:
            self._look_up()
            self._read = last
        new = [row for row in self._nodes if row not in self._vectors and row not in self._silent]
        taken = new[-AT_ONCE:]
        items = {row: self._readable(row) for row in taken}
        self._silent.update(row for row, item in items.items() if item is None)
        known = {row: item for row, item in items.items() if item is not None}
        if known:
            vectors = self.comparer.vectors(list(known.values()))
            self._vectors.update(zip(known, vectors, strict=True))
        self._rows = [row for row in self._nodes if row in self._vectors]
        if self._rows:
            self._matrix = np.stack([self._vectors[row] for row in self._rows])
            nodes = np.array([self._nodes[row] for row in self._rows], np.int32)
            self.comparer.teach(self._matrix, nodes)
        elif self._vectors:
            width = len(next(iter(self._vectors.values())))
            self.comparer.teach(np.zeros((0, width), np.float32), np.zeros(0, np.int32))
        self._waiting = len(new) > len(taken)
        return self._waiting

    def _look_up(self) -> None:
        """The nodes of rows that were decided or taken back, the last ones at the end."""
        changed = self._db.all(
            "SELECT row, decided, final_code FROM rows WHERE row IN "
            "(SELECT row FROM decisions WHERE id > ?)",
            (self._read,),
        )
        for row in changed:
            code = row["final_code"] if row["decided"] else None
            node = None if code is None else node_of(self._taxonomy, code)
            self._nodes.pop(row["row"], None)
            if node is not None:
                self._nodes[row["row"]] = node

    def _readable(self, row: int) -> Item | None:
        """The item of a row; None also where its picture cannot be read, which stops no other."""
        try:
            return self._item(row)
        except InputError:
            return None


class ItemOf(Protocol):
    """Gives the item of a row; None where there is nothing to compare."""

    def __call__(self, row: int) -> Item | None:
        """The item of row number `row`."""


def votes(neighbours: Sequence[Neighbour]) -> dict[int, float]:
    """The share of each node in the votes of those that are `LIKE`, the greatest first.

    Each votes with exp(cos / temperature), as the labelled rows of a pack do.
    """
    neighbours = [n for n in neighbours if n.similarity >= LIKE]
    most = max((n.similarity for n in neighbours), default=0.0)
    found: dict[int, float] = {}
    for neighbour in neighbours:
        weight = float(np.exp((neighbour.similarity - most) / TEMPERATURE))
        found[neighbour.node] = found.get(neighbour.node, 0.0) + weight
    total = sum(found.values()) or 1.0
    return dict(sorted(((n, w / total) for n, w in found.items()), key=lambda pair: -pair[1]))


def trust(neighbours: Sequence[Neighbour]) -> float:
    """How much votes count beside the answer, from 0 (nothing is like the item) to 0.9 (a twin)."""
    most = max((n.similarity for n in neighbours), default=0.0)
    return float(np.clip((most - LIKE) / (1 - LIKE), 0, 0.9))
