"""The values that everything passes on: items in, predictions out, batches between.

Frozen data classes only. Arrays inside `Batch` and `Choices` are flat and ragged, so that a
scorer works on a whole batch at once.
"""

from __future__ import annotations

import json
import os
import time
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from html import escape
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from cascade.errors import UsageError
from cascade.later import deferring

T = TypeVar("T")

Status = Literal["ok", "review", "partial", "error"]

PATH_SEPARATOR = " > "


@dataclass(frozen=True, slots=True)
class Item:
    """One thing to classify.

    Parameters
    ----------
    fields
        Text by column name, in the order in which the columns were named. Other values are
        written as text, None as none; halves of surrogate pairs become U+FFFD.
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
        # Most values are plain text, and there are a great many items.
        texts = {
            name: value if type(value) is str and value.isascii() else as_text(value)
            for name, value in self.fields.items()
        }
        object.__setattr__(self, "fields", texts)
        if self.image is not None and isinstance(self.image, str | os.PathLike):
            object.__setattr__(self, "image", _picture(os.fspath(self.image)))

    @classmethod
    def of(cls, value: Item | str | Mapping[str, Any]) -> Item:
        """An item from plain text or from a mapping of column to text.

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
        """Whether `text` is not empty."""
        return any(map(str.strip, self.fields.values()))

    @property
    def text(self) -> str:
        """All non-empty fields, one per line."""
        return "\n".join(text for text in map(str.strip, self.fields.values()) if text)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A node that was considered at one level.

    Parameters
    ----------
    probability
        Share of belief among the candidates of this level, given the parent; they sum to 1.
    scores
        Log-probability by scorer, for example `{"retrieval": -0.4, "llm": -2.1}`.
    """

    code: str
    name: str
    path: str
    probability: float
    scores: Mapping[str, float] = field(default_factory=dict)


@deferring("candidates")
@dataclass(frozen=True, slots=True)
class Level:
    """What was decided at one level of a prediction's path.

    Parameters
    ----------
    level
        1 is the top.
    code, name
        The node that the prediction's path takes at this level.
    confidence
        Probability that the item lies at or below this node.
    candidates
        What it was chosen from, best first; a single child has itself alone.
    """

    level: int
    code: str
    name: str
    confidence: float
    candidates: tuple[Candidate, ...] = ()


@dataclass(frozen=True, slots=True)
class FacetChoice:
    """A facet of a prediction's code, or a facet category that was considered.

    Parameters
    ----------
    category, label
        The facet category, such as F28, and what people call it.
    code, name
        The descriptor; the code is None where none could be added.
    confidence
        Probability that the category is told about, and by this descriptor.
    candidates
        Descriptors that it was chosen from, best first.
    message
        Why there is none.
    """

    category: str
    label: str
    code: str | None
    name: str
    confidence: float
    candidates: tuple[Candidate, ...] = ()
    message: str = ""


@dataclass(frozen=True, slots=True)
class Alternative:
    """Another node that the item may belong to, with its confidence."""

    code: str
    path: str
    confidence: float


@deferring("levels", "alternatives")
@dataclass(frozen=True, slots=True, repr=False)
class Prediction:
    """The answer for one item: always a node of the taxonomy, or a status that says why not.

    Parameters
    ----------
    code, path
        The node; None only where `status` is `error`.
    confidence
        Probability that the item lies at or below this node.
    source
        The scorer that answered.
    status
        `ok`, `review` (less sure than was asked for), `partial` (stopped early or answered by
        the fallback) or `error`.
    message
        Why the status is not `ok`.
    levels
        The walk, from the top to `code`.
    alternatives
        Other ends of the walk, best first.
    ranking
        Codes of the likeliest leaves of the whole taxonomy, best first, whatever the walk did;
        empty unless `retrieval.ranking` asks for it.
    facets
        Of a faceted taxonomy: what the code says beyond its base term, and what was considered.
    """

    code: str | None
    path: str | None
    confidence: float
    source: str
    status: Status = "ok"
    message: str = ""
    id: str | None = None
    levels: tuple[Level, ...] = ()
    alternatives: tuple[Alternative, ...] = ()
    ranking: tuple[str, ...] = ()
    facets: tuple[FacetChoice, ...] = ()

    @classmethod
    def failed(cls, message: str, id: str | None = None) -> Prediction:
        """The prediction of an item that could not be read or answered."""
        return cls(None, None, 0.0, "", "error", message, id)

    @property
    def names(self) -> tuple[str, ...]:
        """Names along the path, top first."""
        return tuple(level.name for level in self.levels)

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain dicts, lists, strings and numbers (probabilities to 6 digits)."""
        return {
            "id": self.id,
            "code": self.code,
            "path": self.path,
            "confidence": round(self.confidence, 6),
            "source": self.source,
            "status": self.status,
            "message": self.message,
            "levels": levels_of(self),
            "alternatives": alternatives_of(self),
            "ranking": list(self.ranking),
            "facets": facets_of(self),
        }

    def to_json(self) -> str:
        """`to_dict` as one line of JSON."""
        return json.dumps(self.to_dict(), ensure_ascii=False)

    def __str__(self) -> str:
        if self.status == "error":
            return f"error: {self.message}"
        note = "" if self.status == "ok" else f", {self.status}: {self.message}"
        return f"{self.path}  [{self.code}]  {self.confidence:.0%} by {self.source}{note}"

    def __repr__(self) -> str:
        return f"Prediction({self})"

    def _repr_html_(self) -> str:
        """A small table for notebooks: each level with its runners-up."""
        if self.status == "error":
            return f"<b>error</b>: {escape(self.message)}"
        rows = []
        for level in self.levels:
            others = _others(level.candidates, level.code)
            bar = (
                "<div style='background:#e6e6e6;width:100px;height:.6em;display:inline-block'>"
                "<div style='background:#4c78a8;height:100%;"
                f"width:{level.confidence * 100:.0f}px'></div></div>"
            )
            rows.append(
                f"<tr><td>{level.level}</td><td style='text-align:left'><b>{escape(level.name)}"
                f"</b> <code>{escape(level.code)}</code></td><td>{bar} {level.confidence:.0%}</td>"
                f"<td style='text-align:left;color:#777'>{others}</td></tr>"
            )
        for facet in self.facets:
            others = _others(facet.candidates, facet.code)
            said = escape(facet.message)
            if facet.code:
                said = f"<b>{escape(facet.name)}</b> <code>{escape(facet.code)}</code>"
            rows.append(
                f"<tr><td>{escape(facet.category)}</td><td style='text-align:left'>"
                f"{escape(facet.label)}: {said}</td><td>{facet.confidence:.0%}</td>"
                f"<td style='text-align:left;color:#777'>{others}</td></tr>"
            )
        note = "" if self.status == "ok" else f" &mdash; {self.status}: {escape(self.message)}"
        return (
            f"<div><b>{escape(self.path or '')}</b> by {escape(self.source)}{note}</div><table>"
            "<tr><th>level</th><th>node</th><th>confidence</th><th>also considered</th></tr>"
            f"{''.join(rows)}</table>"
        )


def _others(candidates: Sequence[Candidate], chosen: str | None) -> str:
    """Runners-up in HTML."""
    return ", ".join(
        f"{escape(c.name)} {c.probability:.0%}"
        for c in candidates[:4]
        if c.code != chosen and c.probability >= 0.005
    )


def _picture(name: str) -> Path | str:
    """A file, or as it is what names none: an address, a data URI."""
    return name if name.lower().startswith(("data:", "http://", "https://")) else Path(name)


def as_text(value: Any) -> str:
    """A value as text that can be encoded: halves of surrogate pairs become U+FFFD."""
    if value is None:
        return ""
    text = value if isinstance(value, str) else str(value)
    return (
        text
        if text.isascii()
        else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    )


def trace_of(prediction: Prediction) -> list[dict[str, Any]]:
    """The walk of a prediction as plain values: each level, then each facet category."""
    return levels_of(prediction) + facets_of(prediction)


def levels_of(prediction: Prediction) -> list[dict[str, Any]]:
    """The levels of a prediction as plain values, with their candidates and scores."""
    return [
        {
            "level": level.level,
            "code": level.code,
            "name": level.name,
            "confidence": round(level.confidence, 6),
            "candidates": _plain(level.candidates),
        }
        for level in prediction.levels
    ]


def facets_of(prediction: Prediction) -> list[dict[str, Any]]:
    """The facets of a prediction as plain values, with their candidates and scores."""
    return [
        {
            "category": facet.category,
            "label": facet.label,
            "code": facet.code,
            "name": facet.name,
            "confidence": round(facet.confidence, 6),
            "message": facet.message,
            "candidates": _plain(facet.candidates),
        }
        for facet in prediction.facets
    ]


def _plain(candidates: Sequence[Candidate]) -> list[dict[str, Any]]:
    return [
        {
            "code": c.code,
            "name": c.name,
            "probability": round(c.probability, 6),
            "scores": {k: round(v, 4) for k, v in c.scores.items()},
        }
        for c in candidates
    ]


def alternatives_of(prediction: Prediction) -> list[dict[str, Any]]:
    """The alternatives of a prediction as plain values, best first."""
    return [
        {"code": a.code, "path": a.path, "confidence": round(a.confidence, 6)}
        for a in prediction.alternatives
    ]


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
    """

    def __init__(self, items: Sequence[Item]) -> None:
        self.items = items
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self.problems: dict[int, str] = {}
        self._features: dict[Hashable, Any] = {}
        self._inner = 0.0

    def __len__(self) -> int:
        return len(self.items)

    def once(self, key: Hashable, compute: Callable[[Sequence[Item]], T]) -> T:
        """The feature called `key`, computed from the items at its first use.

        Whoever computes it is part of the key, as in `(self, "mass")`.
        """
        if key not in self._features:
            self._features[key] = compute(self.items)
        value: T = self._features[key]
        return value

    def subset(self, rows: Sequence[int]) -> Batch:
        """The items of some rows as a batch of their own; see `take_back`."""
        return Batch([self.items[row] for row in rows])

    def take_back(self, part: Batch, rows: Sequence[int]) -> None:
        """Add what became of `subset(rows)` to this batch: its time, and its problems."""
        for stage, seconds in part.seconds.items():
            self.seconds[stage] += seconds
        self.problems.update({rows[row]: problem for row, problem in part.problems.items()})

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
