"""A row, and the table that it belongs to."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, fields
from functools import partial
from itertools import islice, repeat
from pathlib import Path
from typing import Any, Literal, NamedTuple, overload

from cascade.errors import InputError, did_you_mean
from cascade.io.encodings import replace_surrogates
from cascade.values import fault_of, reading_of

Kind = Literal["csv", "tsv", "jsonl", "parquet", "xlsx", "frame"]

EXTRA = "_extra"


class Row(NamedTuple):
    """One row as it was read, good or bad.

    Parameters
    ----------
    number
        Counts data rows from 1.
    line
        Line of the file on which the row begins, the header included; where a file has no lines
        (Parquet), the row number.
    cells
        Values in column order, for JSON lines the object. A bad row has what could be read:
        fewer or more cells than there are columns, an empty object.
    problem
        Why the row cannot be used and what to do; None for a good row. It belongs into the answer
        of the row.
    raw
        What keeps the row as it was on the way out: the line of a JSON lines file, the record
        batch and position of a Parquet row.
    """

    number: int
    line: int
    cells: tuple[Any, ...] | dict[str, Any]
    problem: str | None = None
    raw: Any = None


# As `Row(...)` of an iterable of values, which calls no Python.
made_row: Callable[[Iterable[Any]], Row] = partial(tuple.__new__, Row)


class RowBlock(Sequence[Row]):
    """Good rows that were read together, as columns; a `Row` is made where one is asked for.

    Parameters
    ----------
    numbers, lines, cells
        Of each row, as in `Row`: cells are all objects, or tuples of one length.
    texts
        The line of each row of a JSON lines file, which is what its `raw` is.
    """

    def __init__(
        self,
        numbers: Sequence[int],
        lines: Sequence[int],
        cells: Sequence[tuple[Any, ...]] | Sequence[dict[str, Any]],
        texts: Sequence[str] | None = None,
    ) -> None:
        self.numbers, self.lines, self.texts = numbers, lines, texts
        self._cells: Sequence[Any] = cells

    @property
    def cells(self) -> Sequence[Any]:
        """The cells of each row."""
        return self._cells

    @property
    def raws(self) -> Sequence[Any] | None:
        """What keeps each row as it was; None where there is nothing of this kind."""
        return self.texts

    def column(self, at: int) -> list[Any]:
        """The cells at a place of each row, where they are tuples."""
        return [own[at] for own in self.cells]

    def columns(self) -> list[list[Any]]:
        """All cells, column by column, where they are tuples."""
        return list(map(list, zip(*self.cells, strict=True)))

    def __len__(self) -> int:
        return len(self.numbers)

    def __iter__(self) -> Iterator[Row]:
        raws = self.raws or repeat(None)
        fields = zip(self.numbers, self.lines, self.cells, repeat(None), raws, strict=False)
        return map(made_row, fields)

    @overload
    def __getitem__(self, row: int) -> Row: ...
    @overload
    def __getitem__(self, row: slice) -> list[Row]: ...
    def __getitem__(self, row: int | slice) -> Row | list[Row]:
        if isinstance(row, slice):
            return [self[each] for each in range(len(self))[row]]
        raws = self.raws
        raw = None if raws is None else raws[row]
        return Row(self.numbers[row], self.lines[row], self.cells[row], None, raw)


def cells_of(rows: Sequence[Row]) -> Sequence[Any]:
    """The cells of each row."""
    return rows.cells if isinstance(rows, RowBlock) else [row.cells for row in rows]


def lines_of(rows: Sequence[Row]) -> Sequence[int]:
    """The line of each row."""
    return rows.lines if isinstance(rows, RowBlock) else [row.line for row in rows]


class Rows(Iterator[Row]):
    """Rows that can be taken many at once, which is quicker than one by one."""

    def take(self, size: int) -> Sequence[Row]:
        """The next rows, at most `size`, fewer at the end; no row behind them is read."""
        return list(islice(self, size))


def take(rows: Iterator[Row], size: int) -> Sequence[Row]:
    """The next rows, at most `size`."""
    return rows.take(size) if isinstance(rows, Rows) else list(islice(rows, size))


class RowsAfter(Rows):
    """Some rows that were read ahead, then the others."""

    def __init__(self, ahead: Iterable[Row], rows: Iterator[Row]) -> None:
        self._ahead, self._rows = deque(ahead), rows

    def __next__(self) -> Row:
        return self._ahead.popleft() if self._ahead else next(self._rows)

    def take(self, size: int) -> Sequence[Row]:
        """See `Rows`."""
        found = [self._ahead.popleft() for _ in range(min(size, len(self._ahead)))]
        return [*found, *take(self._rows, size - len(found))] if found else take(self._rows, size)


class FirstRows(Rows):
    """At most so many rows."""

    def __init__(self, rows: Iterator[Row], limit: int) -> None:
        self._rows, self._left = rows, limit

    def __next__(self) -> Row:
        if self._left <= 0:
            raise StopIteration
        self._left -= 1
        return next(self._rows)

    def take(self, size: int) -> Sequence[Row]:
        """See `Rows`."""
        found: Sequence[Row] = []
        if self._left > 0:
            found = take(self._rows, min(size, self._left))
        self._left -= len(found)
        return found


@dataclass(slots=True)
class Table:
    """Rows of one file, read once and in order.

    Parameters
    ----------
    name
        How messages call the file.
    kind
        Format of the file; `frame` for what is a table in memory.
    columns
        Names as they stand in the file, repeated and empty ones too; for JSON lines the keys of
        the first objects.
    rows
        The rows that are left to read.
    close
        Lets go of the file.
    delimiter, newline, bom, encoding
        How a CSV or TSV file was written.
    schema
        The `pyarrow.Schema` of a Parquet file.
    overflow
        Column that takes, in tabular output, what has no column of its own: the keys that later
        objects bring, the text of lines that are no objects. None where all is known to fit.
    base
        Folder that paths in the rows start from; that of the file if None.
    pictures
        Column of pictures of a table that was made of a folder.
    """

    name: str
    kind: Kind
    columns: tuple[str, ...]
    rows: Iterator[Row]
    close: Callable[[], None]
    delimiter: str | None = None
    newline: str = "\n"
    bom: bool = False
    encoding: str = "utf-8"
    schema: Any = None
    overflow: str | None = None
    base: Path | None = None
    pictures: str | None = None
    _at: dict[str, int] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._at = {name: at for at, name in reversed(list(enumerate(self.columns)))}

    def __reduce__(self) -> tuple[Any, ...]:
        """Other processes get all that is known of it, but no rows."""
        kept = [f.name for f in fields(self) if f.init and f.name not in ("rows", "close")]
        return _without_rows, ({name: getattr(self, name) for name in kept},)

    @property
    def folder(self) -> Path:
        """Where paths in the rows start from."""
        return Path(self.name).parent if self.base is None else self.base

    def __iter__(self) -> Iterator[Row]:
        return self.rows

    def __enter__(self) -> Table:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def chunks(self, size: int) -> Iterator[Sequence[Row]]:
        """The rows in parts of `size`, the last one shorter."""
        while chunk := take(self.rows, size):
            yield chunk

    def limit(self, rows: int) -> None:
        """Leave at most so many rows to read."""
        self.rows = FirstRows(self.rows, rows)

    def peek(self, size: int) -> Sequence[Row]:
        """The next rows, at most `size`, which are not taken."""
        ahead = take(self.rows, size)
        self.rows = RowsAfter(ahead, self.rows)
        return ahead

    def text(self, row: Row, column: str) -> str:
        """A cell as text that can be encoded; empty where the row has none.

        Halves of surrogate pairs, which JSON may hold, become U+FFFD.
        """
        value = self.value(row, column)
        text = reading_of(value)
        return text if text.isascii() else replace_surrogates(text)

    def text_column(self, rows: Sequence[Row], column: str) -> list[str]:
        """`text` of a cell of each row."""
        values = self._value_column(rows, column)
        if set(map(type, values)) <= {str} and "".join(values).isascii():  # nearly always
            return values
        return [
            value
            if type(value) is str and value.isascii()
            else replace_surrogates(reading_of(value))
            for value in values
        ]

    def _value_column(self, rows: Sequence[Row], column: str) -> list[Any]:
        """`value` of a cell of each row."""
        try:  # every row of a run passes here
            if self.kind == "jsonl":
                return [own.get(column) for own in cells_of(rows)]
            at = self._at[column]
            if isinstance(rows, RowBlock):
                return rows.column(at)
            return [own[at] for own in cells_of(rows)]
        except (AttributeError, LookupError):
            return [self.value(row, column) for row in rows]

    def is_nested(self, row: Row, column: str) -> bool:
        """Whether a cell holds a list or an object, which `text` gives as JSON."""
        return isinstance(self.value(row, column), list | dict)

    def value(self, row: Row, column: str) -> Any:
        """A cell as it was read; None where the row has none."""
        cells = row.cells
        if isinstance(cells, dict):
            return cells.get(column)
        at = self._at.get(column, len(cells))
        return cells[at] if at < len(cells) else None

    def problem(self, row: Row, columns: Iterable[str]) -> str | None:
        """Why a row cannot be used, or one of some cells cannot be read as text; else None."""
        if row.problem is not None:
            return row.problem
        for column in columns:
            if why := fault_of(self.value(row, column)):
                return f"row {row.number}, column {column!r} has {why}"
        return None

    def problems(self, rows: Sequence[Row], columns: Iterable[str]) -> list[str | None]:
        """`problem` of each row."""
        names = list(columns)
        found: list[str | None]
        good = isinstance(rows, RowBlock)
        found = [None] * len(rows) if good else [row.problem for row in rows]
        for column in names:
            values = self._value_column(rows, column)
            if set(map(type, values)) <= {str} and "#" not in "".join(values):  # nearly always
                continue
            for at, value in enumerate(values):
                if found[at] is None and (type(value) is not str or value[:1] == "#"):
                    found[at] = self.problem(rows[at], names)
        return found

    def texts(self, row: Row, columns: Iterable[str]) -> dict[str, str]:
        """Several cells as text, by column name."""
        return {column: self.text(row, column) for column in columns}


def _without_rows(known: dict[str, Any]) -> Table:
    return Table(rows=iter(()), close=_nothing, **known)


def _nothing() -> None:
    """Close what holds no file."""


def listed(names: Sequence[str]) -> str:
    """Names of columns for messages; those with blanks or signs that nobody sees as literals."""
    shown = [n if n.isprintable() and n == n.strip() else ascii(n) for n in names[:30]]
    return ", ".join(shown) + (", ..." if len(names) > 30 else "")


def require_columns(table: Table, names: Iterable[str]) -> None:
    """Check that every name is one column of the table.

    Raises
    ------
    InputError
        There is no such column, or more than one.
    """
    for name in names:
        found = table.columns.count(name)
        if found == 1:
            continue
        if found:
            raise InputError(
                f"column {name!r} is there {found} times in {table.name}; "
                "give the columns different names in the header"
            )
        first = next(iter(table.peek(1)), None)
        if not table.columns and first is not None and first.problem is not None:
            raise InputError(first.problem, file=table.name)
        outer = next((c for c in table.columns if name.startswith(f"{c}.") and c), None)
        inside = (
            f"; what is inside of {outer!r} is no column: make one of it, or name {outer!r}"
            if outer is not None
            else did_you_mean(name, table.columns)
        )
        raise InputError(
            f"column {name!r} is not in {table.name}; it has: {listed(table.columns)}{inside}"
        )
