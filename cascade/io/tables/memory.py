"""Rows that a caller of Python holds, read again and again as a file is."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from os import PathLike, fspath
from typing import Any

from cascade.errors import UsageError
from cascade.io.tables.frames import table_of
from cascade.io.tables.opening import TableFile
from cascade.io.tables.rows import Row, Table
from cascade.values import is_missing, reading_of

EXPECTED = "expected a data frame, a list of records, a mapping of column to list, or a file"


@dataclass(frozen=True)
class RowsInMemory(TableFile):
    """A data frame, records or columns in the place of a file.

    Parameters
    ----------
    file
        How messages call them.
    held
        What can be read more than once.
    """

    held: Any = field(default=None, repr=False, compare=False)

    def open(self) -> Table:
        """The table, with no more rows than the limit."""
        table = _table(self.held)
        if self.limit is not None:
            table.limit(self.limit)
        return table

    @cached_property
    def sha256(self) -> str:
        """SHA-256 of the names of columns and of all cells, read as text."""
        table = _table(self.held)
        digest = hashlib.sha256(repr(table.columns).encode("utf-8", "surrogatepass"))
        for row in table:
            digest.update(b"\n")
            for value in row.cells:
                known = (
                    value
                    if isinstance(value, bytes)
                    else reading_of(value).encode("utf-8", "surrogatepass")
                )
                digest.update(b"%d:" % len(known) + known)
        return digest.hexdigest()


def rows_of(
    value: Any, limit: int | None = None, encoding: str | None = None, sheet: str | None = None
) -> TableFile:
    """The rows that a caller gives: a file by its name, or what is in memory.

    Parameters
    ----------
    value
        The path of a file or a folder of pictures; a data frame (pandas, Polars, PyArrow, ...);
        records, each a mapping of column to value; or a mapping of column to list. An iterator is
        read to its end.
    limit, encoding, sheet
        As of `TableFile`; the latter two are of files.

    Raises
    ------
    UsageError
        It is none of these, or holds no rows.
    """
    if isinstance(value, TableFile):
        return value
    if isinstance(value, str | PathLike):
        return TableFile(str(fspath(value)), limit, encoding, sheet)
    if isinstance(value, bytes | bytearray) or is_missing(value):
        raise UsageError(f"rows are {value!r:.60}; {EXPECTED}")
    if isinstance(value, Iterator):
        value = list(value)
    table = _table(value)
    if not table.columns or next(iter(table.rows), None) is None:
        raise UsageError(f"{table.name} holds no rows; {EXPECTED}")
    return RowsInMemory("rows", limit, held=value)


def _table(value: Any) -> Table:
    table = table_of(value)
    if table is not None:
        return table
    if isinstance(value, Iterable):
        return _of_records(list(value))
    raise UsageError(f"rows are a {type(value).__name__}; {EXPECTED}")


def _of_records(values: list[Any]) -> Table:
    """A table of records; its columns are all their keys, in the order in which they come."""
    columns: dict[str, None] = {}
    for value in values:
        if isinstance(value, Mapping):
            columns.update(dict.fromkeys(map(str, value)))
    if values and not columns:
        raise UsageError(
            f"the first row is {values[0]!r:.60}, a {type(values[0]).__name__}; rows "
            "are records, each a mapping of column to value"
        )
    names = tuple(columns)

    def rows() -> Iterator[Row]:
        for at, value in enumerate(values, start=1):
            if isinstance(value, Mapping):
                cells = {str(key): cell for key, cell in value.items()}
                yield Row(at, at, tuple(map(cells.get, names)))
            else:
                why = f"row {at} is {value!r:.60}; expected a mapping of column to value"
                yield Row(at, at, (), why)

    return Table("the records", "frame", names, rows(), lambda: None)
