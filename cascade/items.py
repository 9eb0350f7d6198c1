"""What the cascade is asked: items, batches of them, and the candidates of each question.

Arrays inside `Batch` and `Choices` are flat and ragged, so that a scorer works on a whole batch
at once.
"""

from __future__ import annotations

import os
import time
from collections import defaultdict, deque
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import repeat
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from cascade.errors import EngineError, UsageError
from cascade.values import is_visible, reading_of

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Item:
    """One thing to classify.

    Parameters
    ----------
    fields
        Text by column name, in the order in which the columns were named. Other values become text
        as cells of files do: 12.0 is `12`, True `true`, lists JSON, and None, NaN, NaT, NA and
        lists of nothing are none. Halves of surrogate pairs become U+FFFD.
    id
        The caller's own identifier, passed through.
    image
        A picture: a file, the bytes of one, an address (fetched only where the config allows it),
        a data URI, or an opened PIL picture.
    """

    fields: Mapping[str, Any]
    id: str | None = None
    image: Any = None

    def __post_init__(self) -> None:
        if not isinstance(self.fields, Mapping):
            raise UsageError(
                f"an Item has fields, a mapping of column to text; found {self.fields!r:.80}: "
                'write Item({"text": "..."})'
            )
        # Most values are plain text, and there are a great many items.
        texts = {
            name: value if type(value) is str and value.isascii() else as_text(value)
            for name, value in self.fields.items()
        }
        object.__setattr__(self, "fields", texts)
        if self.image is not None and isinstance(self.image, str | os.PathLike):
            object.__setattr__(self, "image", _picture(os.fspath(self.image)))

    @classmethod
    def of_texts(cls, fields: Sequence[dict[str, str]], ids: Sequence[str | None]) -> list[Item]:
        """Items without pictures of texts that can be encoded, as readers of tables give them."""
        made = list(map(object.__new__, repeat(cls, len(fields))))
        for put, values in ((_PUT_FIELDS, fields), (_PUT_ID, ids), (_PUT_IMAGE, repeat(None))):
            deque(map(put, made, values), 0)  # a loop that calls no Python
        return made

    @classmethod
    def of(cls, value: Item | str | Mapping[str, Any]) -> Item:
        """An item from plain text or from all columns of a mapping.

        Raises
        ------
        UsageError
            It is none of these.
        """
        if isinstance(value, Item):
            return value
        if isinstance(value, str):
            return cls({"text": value})
        if not isinstance(value, Mapping):
            raise UsageError(
                f"an item is a text, a mapping of column to text, or an Item; found {value!r:.80}"
            )
        return cls(value)

    @property
    def has_text(self) -> bool:
        """Whether a field has a character that can be seen."""
        return any(map(is_visible, self.fields.values()))

    @property
    def text(self) -> str:
        """All fields with a character that can be seen, one per line."""
        return "\n".join(text.strip() for text in self.fields.values() if is_visible(text))


_PUT_FIELDS, _PUT_ID, _PUT_IMAGE = [
    Item.__dict__[name].__set__ for name in ("fields", "id", "image")
]


def _picture(name: str) -> Path | str:
    """A file, or as it is what names none: an address, a data URI."""
    return name if name.lower().startswith(("data:", "http://", "https://")) else Path(name)


def as_text(value: Any) -> str:
    """A value as text that can be encoded: halves of surrogate pairs become U+FFFD."""
    text = reading_of(value)
    return (
        text
        if text.isascii()
        else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    )


class Batch:
    """Items that are classified together, with what has been computed about them.

    Scorers and the retriever share per-item features (embeddings, prompt prefixes) through
    `once`, so that each is computed a single time for all levels.

    Attributes
    ----------
    seconds
        What the time went into, by the names that `timed` was given.
    problems
        Why an item cannot be answered, by its place, as found while its features were computed.
    failures
        How a model failed on an item, by its place: what it said of others holds, and for this one
        something else must answer.
    spreads
        How the probability of items is spread over nodes, each item in one of them, where sets are
        asked for.
    evidence
        float32 [n_items], how much speaks for the nearest node of each item, NaN where that is not
        known; None where nobody asks.
    """

    def __init__(self, items: Sequence[Item]) -> None:
        self.items = items
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self.problems: dict[int, str] = {}
        self.failures: dict[int, EngineError] = {}
        self.spreads: list[Spread] = []
        self.evidence: NDArray[np.float32] | None = None
        self._features: dict[Hashable, Any] = {}
        self._parts: list[tuple[Sequence[int], Batch]] = []
        self._inner = 0.0

    def __len__(self) -> int:
        return len(self.items)

    def once(self, key: Hashable, compute: Callable[[Sequence[Item]], T]) -> T:
        """The feature called `key`, computed from the items at its first use.

        The object that computes it is part of the key, as in `(self, "probabilities")`.
        """
        if key not in self._features:
            self._features[key] = compute(self.items)
        value: T = self._features[key]
        return value

    def made(self, key: Hashable) -> Iterator[tuple[Sequence[int], Any]]:
        """What `once` has computed so far under a key, with the rows of the items it is of."""
        if key in self._features:
            yield range(len(self)), self._features[key]
        for rows, part in self._parts:
            for inner, value in part.made(key):
                yield [rows[row] for row in inner], value

    def subset(self, rows: Sequence[int]) -> Batch:
        """The items of some rows as a batch of their own; see `take_back`."""
        return Batch([self.items[row] for row in rows])

    def take_back(self, part: Batch, rows: Sequence[int]) -> None:
        """Add what became of `subset(rows)` to this batch: time, failures, features, ..."""
        self._parts.append((rows, part))
        for stage, seconds in part.seconds.items():
            self.seconds[stage] += seconds
        self.problems.update({rows[row]: problem for row, problem in part.problems.items()})
        self.failures.update({rows[row]: error for row, error in part.failures.items()})
        self.spreads += [spread.of(rows) for spread in part.spreads]

    def raise_failure(self) -> None:
        """Raise the first of `failures`, where nothing else can answer."""
        if self.failures:
            raise self.failures[min(self.failures)]

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Count the time of a block under `stage`, less that of timed blocks inside it."""
        outer, self._inner = self._inner, 0.0
        started = time.perf_counter()
        try:
            yield
        finally:
            took = time.perf_counter() - started
            self.seconds[stage] += took - self._inner
            self._inner = outer + took


@dataclass(frozen=True)
class Choices:
    """Which nodes each question of a batch may choose among; ragged.

    A question is an item standing at a parent node: a beam asks several for the same item.

    Parameters
    ----------
    rows
        int32 [n_questions], index of the item in the batch.
    parents
        int32 [n_questions], the node whose children are the candidates; -1 above the top.
    offsets
        int64 [n_questions + 1]; question q has `nodes[offsets[q]:offsets[q + 1]]`, at least one.
    nodes
        int32 [n_candidates], node indices, in any order inside a question.
    """

    rows: NDArray[np.int32]
    parents: NDArray[np.int32]
    offsets: NDArray[np.int64]
    nodes: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.rows)

    @cached_property
    def question(self) -> NDArray[np.int64]:
        """int64 [n_candidates], the question that each candidate belongs to."""
        return np.repeat(np.arange(len(self)), self.sizes)

    @cached_property
    def sizes(self) -> NDArray[np.int64]:
        """int64 [n_questions], how many candidates each has."""
        return self.offsets[1:] - self.offsets[:-1]

    def subset(self, wanted: NDArray[np.bool_]) -> tuple[Choices, NDArray[np.bool_]]:
        """The questions where `wanted` [n_questions] is true, and which candidates are theirs.

        Returns
        -------
        choices
            The wanted questions, in order.
        member
            bool [n_candidates], so that `nodes[member]` are the candidates of `choices`.
        """
        member = wanted[self.question]
        offsets = np.zeros(np.count_nonzero(wanted) + 1, np.int64)
        np.cumsum(self.sizes[wanted], out=offsets[1:])
        return Choices(self.rows[wanted], self.parents[wanted], offsets, self.nodes[member]), member

    def first_best(self, scores: NDArray[np.floating[Any]]) -> NDArray[np.int64]:
        """int64 [n_questions], position of the greatest score [n_candidates] of each question.

        The first of several that are as great.
        """
        known = np.where(np.isnan(scores), -np.inf, scores)
        width = int(self.offsets[1]) if len(self) else 0
        if width and (self.sizes == width).all():  # always so at the top
            found = known.reshape(-1, width).argmax(axis=1)
            return np.asarray(self.offsets[:-1] + found)
        best = np.maximum.reduceat(known, self.offsets[:-1])
        greatest = np.flatnonzero(known == best[self.question])
        of = self.question[greatest]
        first = np.ones(len(of), bool)
        first[1:] = of[1:] != of[:-1]
        return greatest[first]

    def log_softmax(self, scores: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
        """Scores [n_candidates] to log-probabilities that sum to one inside each question."""
        scores = np.asarray(scores, dtype=np.float64)
        starts, question = self.offsets[:-1], self.question
        shifted = scores - np.maximum.reduceat(scores, starts)[question]
        total = np.log(np.add.reduceat(np.exp(shifted), starts))
        return np.asarray(shifted - total[question])


@dataclass(frozen=True)
class Spread:
    """How the probability of items is spread over nodes, from the top down; ragged.

    Of an opened node all children that were considered are here; what is below others is not.

    Parameters
    ----------
    rows, nodes
        int32 [n], item of the batch and node, level after level.
    parents
        int64 [n], the place here of the node above; -1 at the top.
    probability
        float64 [n], that the item lies at or below the node.
    levels
        Where each level begins, and at last n.
    """

    rows: NDArray[np.int32]
    nodes: NDArray[np.int32]
    parents: NDArray[np.int64]
    probability: NDArray[np.float64]
    levels: Sequence[int]

    def of(self, rows: Sequence[int]) -> Spread:
        """The same of the batch of which the items were `rows`."""
        renamed = np.asarray(rows, dtype=np.int32)[self.rows]
        return replace(self, rows=renamed)
