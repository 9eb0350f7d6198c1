"""Whether new rows are like those that a pack was measured on, and what of them has moved.

Its confidences and the risk that they keep are promises about rows like its held-out ones. So a
pack remembers how these were spread over cells: which classes were answered, how surely, how long
their texts were, how many of their words were unknown. New rows are counted into the same cells,
and bets are made that their shares are others (`confidence.betting`). They end in two alarms:

- `Shift.alarm`: the rows seen, taken together, are others. It looks at counts alone, so a file may
  be sorted; looked at once, at the end of a run, it is false for at most `ALARM` of all files.
- `Shift.since`: for streams that do not end. It looks again and again, and is false for at most
  `STREAM` of all streams however long they are (Ville's inequality). It takes rows as they come:
  of a file that is sorted by class the first rows are others indeed.

What is compared is random on both sides, since held-out rows are few; `Stream.rows` says how well
their shares are known, and never better than `TRUSTED`, so that a trifle raises no alarm in a file
of a million rows. Surer answers and more known words than before break no promise, and raise none.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from cascade.confidence.betting import SIZES, Bets, critical_at, log_mean
from cascade.errors import ConfigError
from cascade.io.files import read_tensors, write_tensors

ALARM = 0.02
STREAM = 0.01
LEAST = SIZES[0]  # rows; fewer tell nothing
TRUSTED = 4000.0  # rows that shares are known from at most
RANGES = 8  # of a number
RARE = 0.004  # share of rows below which classes are counted together
MOST_CLASSES = 128
MOST_ROWS = 10**12
OTHERS = ""  # the code of these
OFTEN = 2  # a stream is looked at when it has grown so many times
TOLD = 3  # classes that are named
CLEAR = 3.0  # standard errors by which a class that is named has moved

Kind = Literal["classes", "surer", "text", "unknown"]
WEIGHTS = {"classes": 3.0}  # of a kind among the bets; 1 if not named
ONE_SIDED = {"surer": -1, "unknown": 1}  # which way breaks a promise

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Moved:
    """Something of which new rows have more or less.

    Parameters
    ----------
    stream
        What moved: `answer`, `level 1`, `confidence`, `words`, or a column as `text NAME`.
    what
        In words: a class, or a range.
    before, now
        Share of the reference's rows there, and of the new ones.
    """

    stream: str
    what: str
    before: float
    now: float

    def __str__(self) -> str:
        return f"{self.what}: {self.now:.1%} of these rows, {self.before:.1%} of those before"


@dataclass(frozen=True)
class Shift:
    """What the rows seen so far say.

    Parameters
    ----------
    rows
        How many were seen.
    alarm
        Whether they are, taken together, others than the pack was measured on; see the module.
    moved
        Where they are, the clearest first; empty without `alarm`.
    since
        The row at which a stream of them was first seen to be others; None if it was not.
    """

    rows: int
    alarm: bool
    moved: tuple[Moved, ...] = ()
    since: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """As plain values."""
        return asdict(self)


@dataclass(frozen=True)
class Stream:
    """One thing that is watched, and how the reference's rows are spread over its cells.

    Parameters
    ----------
    classes
        Codes with a cell of their own, all others being in the last one; empty for a number.
    edges
        float64 [n_cells - 1]: where the ranges of a number end, increasing. Each begins with its
        edge; the first has no text, of the kind `text`.
    share
        float64 [n_cells], above 0; they sum to 1.
    rows
        How many rows the shares are known from, in effect.
    limits
        float64 [n_sizes]: see `Bets.critical`.
    names
        Of `classes`, as they are told.
    """

    name: str
    kind: Kind
    share: Floats
    rows: float
    limits: Floats
    classes: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    edges: Floats = field(default_factory=lambda: np.empty(0))

    def __len__(self) -> int:
        return len(self.share)

    @cached_property
    def bets(self) -> Bets:
        """That the shares have moved."""
        if self.kind == "classes":
            return Bets.on_classes(self.share, self.rows)
        return Bets.on_ranges(self.share, self.rows, first_apart=self.kind == "text")

    @cached_property
    def _cell_of(self) -> dict[str, int]:
        return {code: cell for cell, code in enumerate(self.classes)}

    def count(self, values: Sequence[Any] | Floats) -> NDArray[np.int64]:
        """How many values are in each cell, int64 [n_cells]; NaN is in none."""
        if self.kind == "classes":
            known, rest = self._cell_of, len(self) - 1
            own = np.array([known.get(code, rest) for code in values], np.int64)
            return np.bincount(own, minlength=len(self))
        numbers = np.asarray(values, np.float64)
        cells = self.edges.searchsorted(numbers[~np.isnan(numbers)], side="right")
        return np.bincount(cells, minlength=len(self))

    def log_gain(self, counts: NDArray[np.int64]) -> float:
        """The logarithm of what the bets have gained at counts [n_cells].

        Nothing where rows moved the way that breaks no promise; such a bet gains less than its
        martingale, so all bounds hold.
        """
        sign = ONE_SIDED.get(self.kind)
        if sign is not None:
            ahead = (counts - counts.sum() * self.share) @ np.arange(len(self))
            if sign * ahead <= 0:
                return -math.inf
        return float(self.bets.log_gain(counts))

    def beyond(self, counts: NDArray[np.int64]) -> float:
        """By how much the gain exceeds its critical value; it is looked at once."""
        rows = int(counts.sum())
        if rows < LEAST:
            return -math.inf
        return self.log_gain(counts) - critical_at(self.limits.tolist(), rows)

    def told(self, counts: NDArray[np.int64]) -> list[Moved]:
        """What has moved most."""
        now = counts / counts.sum()
        if self.kind == "classes":
            return self._classes_told(now, int(counts.sum()))
        below, were_below = now.cumsum()[:-1], self.share.cumsum()[:-1]
        at = int(np.abs(below - were_below).argmax())
        more, before = float(below[at]), float(were_below[at])
        if more < before:
            return [Moved(self.name, self._above(at), 1 - before, 1 - more)]
        return [Moved(self.name, self._below(at), before, more)]

    def _classes_told(self, now: Floats, rows: int) -> list[Moved]:
        error = np.sqrt(self.share * (1 - self.share) * (1 / rows + 1 / self.rows))
        by = np.abs(now - self.share)
        clear = by > CLEAR * error
        order = np.argsort(-by, kind="stable")
        order = order[clear[order]] if clear.any() else order[:1]
        names = [*self.names, "all other classes"]
        return [
            Moved(self.name, names[at], float(self.share[at]), float(now[at]))
            for at in order[:TOLD].tolist()
        ]

    def _below(self, at: int) -> str:
        """The ranges up to one, in words."""
        edge = float(self.edges[at])
        if self.kind == "text":
            column = self.name.removeprefix("text ")
            return f"{column} is empty" if at == 0 else f"{column} has under {edge:.0f} characters"
        if self.kind == "unknown":
            return f"nearly all words known (under {edge:.0%} of words and pairs of words are new)"
        return f"unsure answers (raw score under {edge:.3g})"

    def _above(self, at: int) -> str:
        """The ranges behind one, in words."""
        edge = float(self.edges[at])
        if self.kind == "text":
            column = self.name.removeprefix("text ")
            what = f"has {edge:.0f} characters or more"
            return f"{column} is not empty" if at == 0 else f"{column} {what}"
        if self.kind == "unknown":
            return f"many new words ({edge:.0%} or more of words and pairs of words)"
        return f"sure answers (raw score of {edge:.3g} or more)"


@dataclass(frozen=True)
class Reference:
    """What a pack remembers of the rows that it was measured on.

    Parameters
    ----------
    rows
        How many these were.
    """

    streams: tuple[Stream, ...]
    rows: int

    @cached_property
    def starts(self) -> list[int]:
        """Where the cells of each stream begin among all, and where the last end."""
        return [0, *np.cumsum([len(stream) for stream in self.streams]).tolist()]

    @cached_property
    def weights(self) -> Floats:
        """float64 [n_streams], what each has of the bets; they sum to 1."""
        return stream_weights([stream.kind for stream in self.streams])

    def count(self, seen: Mapping[str, Sequence[Any] | Floats]) -> NDArray[np.int64]:
        """Rows in each cell of each stream, int64 [n_cells], of values by stream."""
        none: Sequence[Any] = ()
        return np.concatenate([s.count(seen.get(s.name, none)) for s in self.streams])

    def seen(self, counts: NDArray[np.int64]) -> int:
        """How many rows are counted."""
        return int(self.by_stream(counts)[0].sum())

    def by_stream(self, counts: NDArray[np.int64]) -> list[NDArray[np.int64]]:
        """Counts of all cells, stream by stream."""
        return [counts[start:end] for start, end in zip(self.starts, self.starts[1:], strict=False)]

    def log_gain(self, counts: NDArray[np.int64]) -> float:
        """The logarithm of what all bets together have gained at the counts of all cells."""
        parts = zip(self.streams, self.by_stream(counts), strict=True)
        gains = np.array([stream.log_gain(part) for stream, part in parts])
        return float(log_mean(gains, self.weights)) if np.isfinite(gains).any() else -math.inf

    def judged(self, counts: NDArray[np.int64], since: int | None = None) -> Shift:
        """What the counts of all cells say, looked at once."""
        parts = zip(self.streams, self.by_stream(counts), strict=True)
        alarms = [(stream.beyond(own), stream, own) for stream, own in parts]
        clearest = sorted((part for part in alarms if part[0] > 0), key=lambda part: -part[0])
        moved = [one for _, stream, own in clearest for one in stream.told(own)]
        return Shift(self.seen(counts), bool(moved), tuple(moved), since)

    def save(self, path: Path) -> None:
        """Write as safetensors."""
        about, arrays = [], dict[str, NDArray[Any]]()
        for at, stream in enumerate(self.streams):
            plain = ("name", "kind", "rows", "classes", "names")
            about.append({name: getattr(stream, name) for name in plain})
            for name in ("share", "limits", "edges"):
                arrays[f"{at}.{name}"] = getattr(stream, name)
        write_tensors(path, {"streams": about, "rows": self.rows}, arrays)

    @classmethod
    def load(cls, path: Path) -> Reference:
        """What `save` wrote.

        Raises
        ------
        ConfigError
            The file cannot be read, or what it holds does not fit together.
        """
        about, arrays = read_tensors(path)
        try:
            streams = tuple(
                Stream(
                    **{name: arrays[f"{at}.{name}"] for name in ("share", "limits", "edges")},
                    name=plain["name"],
                    kind=plain["kind"],
                    rows=plain["rows"],
                    classes=tuple(plain["classes"]),
                    names=tuple(plain["names"]),
                )
                for at, plain in enumerate(about["streams"])
            )
            found = cls(streams, about["rows"])
        except (KeyError, TypeError, ValueError) as error:
            what = f"has no {error}" if isinstance(error, KeyError) else "holds something else"
            raise ConfigError(
                f"{path}: {what}, so it is no reference of a pack: it is damaged, or was changed "
                "by hand; copy the pack again, or fit it again"
            ) from None
        whole = streams and all(map(_is_whole, streams)) and type(found.rows) is int
        if not whole:
            raise ConfigError(f"{path}: a reference that does not fit together; fit it again")
        return found


def _is_whole(stream: Stream) -> bool:
    """Whether a stream is such as `cascade fit` makes, whatever file it comes from."""
    share, edges = stream.share, stream.edges
    classes = stream.kind == "classes"
    cells = len(stream.classes) + 1 if classes else edges.size + 1
    strings = (stream.name, *stream.classes, *stream.names)
    return (
        stream.kind in get_args(Kind)
        and all(isinstance(text, str) for text in strings)
        and type(stream.rows) in (int, float)
        and 1 <= stream.rows <= TRUSTED
        and share.shape == (cells,)
        and 1 <= cells <= MOST_CLASSES + 1
        and share.dtype == edges.dtype == stream.limits.dtype == np.float64
        and bool((share > 0).all())
        and abs(float(share.sum()) - 1) < 1e-6
        and edges.ndim == 1
        and bool((edges[1:] > edges[:-1]).all())
        and stream.limits.shape == (len(SIZES),)
        and (len(stream.classes) == len(stream.names) if classes else not stream.classes)
    )


def stream_weights(kinds: Sequence[Kind]) -> Floats:
    """float64 [n_streams], what each stream has of the bets; they sum to 1."""
    weights = np.array([WEIGHTS.get(kind, 1.0) for kind in kinds])
    return np.asarray(weights / weights.sum())


class Watch:
    """Counts rows against a reference, and looks at them from time to time.

    Attributes
    ----------
    counts
        int64 [n_cells] of all streams.
    since
        As in `Shift`.
    """

    def __init__(self, reference: Reference) -> None:
        self.reference = reference
        self.counts = np.zeros(reference.starts[-1], np.int64)
        self.since: int | None = None
        self._look_at = LEAST

    def add(self, counts: NDArray[np.int64]) -> None:
        """Count more rows."""
        self.counts += counts
        rows = self.reference.seen(self.counts)
        if self.since is None and rows >= self._look_at:
            self._look_at = math.ceil(rows * OFTEN)
            if self.reference.log_gain(self.counts) >= -math.log(STREAM):
                self.since = rows

    def add_cells(self, counts: Mapping[str, int]) -> None:
        """Count rows by cell, as `cells` tells them; what a journal cannot hold is passed over."""
        more = np.zeros_like(self.counts)
        known = {str(cell): cell for cell in range(len(more))}
        for cell, n in counts.items():
            if cell in known and 0 <= n < MOST_ROWS:
                more[known[cell]] = n
        self.add(more)

    @property
    def shift(self) -> Shift:
        """What the rows say so far."""
        return self.reference.judged(self.counts, self.since)


def cells(counts: NDArray[np.int64]) -> dict[str, int]:
    """Counts that are not 0, by the number of their cell: a journal keeps them so."""
    at = np.flatnonzero(counts)
    return dict(zip(map(str, at.tolist()), counts[at].tolist(), strict=True))
