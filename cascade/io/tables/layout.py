"""What stands in an output row, whatever format it is written in."""

from __future__ import annotations

import logging
import shutil
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from operator import itemgetter
from pathlib import Path
from typing import Any, Protocol, overload

from cascade.errors import UsageError
from cascade.io.tables.rows import EXTRA, Kind, Row, Table, cells_of
from cascade.values import json_of

log = logging.getLogger(__name__)

Answer = Mapping[str, Any]
ANSWER_KEY = "cascade"
RAW_KEY = "_raw"


class AnswerColumns(Sequence[Answer]):
    """Answers as columns: a list of values [n] for each key."""

    def __init__(self, values: Mapping[str, list[Any]]) -> None:
        self.values = values
        self._rows = len(next(iter(values.values())))

    def column(self, key: str) -> list[Any]:
        """The values of a key, None where there is none."""
        return self.values.get(key) or [None] * self._rows

    def __len__(self) -> int:
        return self._rows

    @overload
    def __getitem__(self, row: int) -> Answer: ...
    @overload
    def __getitem__(self, row: slice) -> list[Answer]: ...
    def __getitem__(self, row: int | slice) -> Answer | list[Answer]:
        if isinstance(row, slice):
            return [self[each] for each in range(self._rows)[row]]
        return {key: column[row] for key, column in self.values.items()}


def column_of(answers: Sequence[Answer], key: str) -> list[Any]:
    """What each answer has under a key; None where it has nothing."""
    if isinstance(answers, AnswerColumns):
        return answers.column(key)
    return [answer.get(key) for answer in answers]


class Format(Protocol):
    """Turns answered rows into the bytes of a part of a file, and parts into the file."""

    kind: Kind
    suffix: str

    def head(self) -> bytes:
        """What comes before the rows of a text file."""

    def encode(self, rows: Sequence[Row], answers: Sequence[Answer]) -> bytes:
        """The bytes of one part; they depend on the rows and answers alone."""

    def assemble(self, parts: Iterable[Path], target: Path) -> None:
        """Write the whole file from its parts, in order."""


class TextFormat:
    """What text files share: their parts in a row are the file."""

    def head(self) -> bytes:
        """Nothing before the rows."""
        return b""

    def assemble(self, parts: Iterable[Path], target: Path) -> None:
        """Write the head and the parts, one after another."""
        with target.open("wb") as out:
            out.write(self.head())
            for part in parts:
                with part.open("rb") as source:
                    shutil.copyfileobj(source, out, 1 << 20)


class Layout:
    """Input columns, the column for what has none, and the columns of the answer.

    Parameters
    ----------
    table
        Where the rows come from.
    extra
        Columns of the answer with their types (`str`, `float`, `int` or `bool`).

    Raises
    ------
    UsageError
        The input already has a column of the answer.
    """

    def __init__(self, table: Table, extra: Mapping[str, type]) -> None:
        refuse_answered(table, extra)
        self.table = table
        self.extra = dict(extra)
        self.input = table.columns + ((table.overflow,) if table.overflow else ())
        self.columns = self.input + tuple(extra)
        self._width = len(table.columns)
        self._known = frozenset(table.columns)

    def values(self, row: Row) -> tuple[Any, ...]:
        """The values of a row in the order of `input`; missing ones None, surplus ones left out."""
        cells = row.cells
        if isinstance(cells, dict):
            values = tuple(map(cells.get, self.table.columns))
            return (*values, self._overflow(row, cells)) if self.table.overflow else values
        if len(cells) == self._width:
            return cells
        return (cells + (None,) * (self._width - len(cells)))[: self._width]

    def all_values(self, rows: Sequence[Row]) -> Sequence[tuple[Any, ...]]:
        """`values` of each row."""
        found = cells_of(rows)
        if {tuple} == {*map(type, found)} and {self._width} == {*map(len, found)}:  # nearly always
            return found
        return list(map(self.values, rows))

    def added(self, answers: Sequence[Answer]) -> list[tuple[Any, ...]]:
        """The values of answers in the order of `extra`; missing ones None."""
        names = tuple(self.extra)
        if isinstance(answers, AnswerColumns):
            return list(zip(*[answers.column(name) for name in names], strict=True))
        if len(names) > 1:
            with suppress(KeyError):
                return list(map(itemgetter(*names), answers))
        return [tuple(map(answer.get, names)) for answer in answers]

    def surplus(self, row: Row) -> tuple[Any, ...]:
        """The cells that have no column."""
        return () if isinstance(row.cells, dict) else row.cells[self._width :]

    def _overflow(self, row: Row, cells: dict[str, Any]) -> str | None:
        if row.problem and not cells:
            return str(row.raw)
        if cells.keys() <= self._known:
            return None
        return json_of({key: value for key, value in cells.items() if key not in self._known})

    def unique(self) -> tuple[str, ...]:
        """Names of `input` for kinds that cannot have one twice: `a`, `a_2`."""
        seen: Counter[str] = Counter()
        names: list[str] = []
        taken = set(self.columns) | {EXTRA, ANSWER_KEY}
        for name in self.input:
            seen[name] += 1
            new = name
            while seen[name] > 1 and new in taken:
                new = f"{name}_{seen[name]}"
                seen[name] += new in taken
            taken.add(new)
            names.append(new)
        renamed = [new for old, new in zip(self.input, names, strict=True) if old != new]
        if renamed:
            log.warning(
                "repeated column names of %s are written as %s", self.table.name, ", ".join(renamed)
            )
        return tuple(names)


def refuse_answered(table: Table, names: Iterable[str]) -> None:
    """Raise UsageError for rows that already have columns, or the key, of the answer."""
    taken = [name for name in names if name in table.columns]
    if taken:
        what = "key" if table.kind == "jsonl" else "column"
        raise UsageError(
            f"{table.name} already has the {what} {', '.join(map(repr, taken))}; it looks like the "
            f"output of an earlier run: give the file that was classified then, or remove or "
            f"rename the {what}"
        )
