"""CSV and TSV: each record a row, whatever its quotes, bytes and cell counts are."""

from __future__ import annotations

import csv
import json
import re
from collections import deque
from collections.abc import Iterator, Sequence
from io import StringIO
from itertools import islice
from typing import BinaryIO

from cascade.errors import InputError
from cascade.io.encodings import Encoding, TextLines
from cascade.io.tables.detection import (
    FIELD_LIMIT,
    delimiter_of,
    newline_of,
    note_of,
    refuse_notes,
)
from cascade.io.tables.rows import Row, RowBlock, Rows, Table
from cascade.io.tables.text_shapes import refuse_other_shapes, wider_rows

RECORD_LIMIT = 1 << 24
"""Characters of one record; a quote that is still open then is taken for a stray one."""


class _RunawayError(Exception):
    """A quote that swallows the rest of the file, or a line without an end."""


class _Lines:
    """Lines of the text, with those of the current record kept so that they can be given back."""

    def __init__(self, source: TextLines) -> None:
        self._source = source
        self._returned: deque[str] = deque()
        self._size = 0
        self.record: list[str] = []
        self.line = 1

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._returned.popleft() if self._returned else next(self._source, None)
        if line is None:
            if self.record:
                raise _RunawayError
            raise StopIteration
        self.record.append(line)
        self._size += len(line)
        if self._size >= RECORD_LIMIT:
            raise _RunawayError
        return line

    def start(self) -> None:
        """Begin the next record."""
        self.line += len(self.record)
        self.record = []
        self._size = 0

    def take(self, size: int) -> list[str]:
        """The next lines, at most `size`, and fewer where they are long; between two records."""
        self.start()
        taken = [self._returned.popleft() for _ in range(min(size, len(self._returned)))]
        if len(taken) < size and sum(map(len, taken)) < RECORD_LIMIT:
            taken += self._source.take(size - len(taken))
        return taken

    def give_back(self, lines: Sequence[str]) -> None:
        """Put lines that were taken before those that are left."""
        self._returned.extendleft(reversed(lines))

    def keep_first(self) -> str:
        """Give back all lines of the record but the first."""
        self._returned.extendleft(reversed(self.record[1:]))
        del self.record[1:]
        return self.record[0]


def read_delimited(
    stream: BinaryIO, head: str, whole: bool, encoding: Encoding, name: str
) -> Table:
    """A table over CSV or TSV.

    Parameters
    ----------
    stream
        Stands at the first byte.
    head
        The first text of it, for telling delimiter and line ends.
    whole
        Whether `head` is all there is.
    """
    csv.field_size_limit(FIELD_LIMIT)
    newline, note = newline_of(head), note_of(head)
    delimiter = note or delimiter_of(head, whole)
    if note is None:
        refuse_notes(head, delimiter, name)
        first = next(csv.reader(head.lstrip().splitlines()[:1], delimiter=delimiter), [])
        refuse_other_shapes(head, len(first) == 1, name)
    text = encoding.wrap(stream, newline[-1])
    lines = _Lines(TextLines(text, RECORD_LIMIT, name))
    if note is not None:  # the line is no row
        next(lines)
    columns = _header(lines, delimiter, encoding, name)
    _refuse_unnamed(head, delimiter, columns, name)
    return Table(
        name=name,
        kind="tsv" if delimiter == "\t" and len(columns) > 1 else "csv",
        columns=columns,
        rows=_Records(lines, delimiter, columns, encoding),
        close=text.close,
        delimiter=delimiter if len(columns) > 1 else ",",
        newline=newline,
        bom=encoding.bom,
        encoding=encoding.name,
    )


def _header(lines: _Lines, delimiter: str, encoding: Encoding, name: str) -> tuple[str, ...]:
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    cells: Sequence[str] = ()
    try:
        while not cells:
            lines.start()
            cells = next(reader)
    except StopIteration:
        raise InputError("the file is empty; expected a header line", file=name) from None
    except _RunawayError:
        raise InputError(
            "a quote opens in the header and is never closed; close it, or write a quote inside "
            'a cell twice ("")',
            file=name,
            line=lines.line,
        ) from None
    except csv.Error:
        cells = _split(lines.keep_first(), delimiter)
    if (bad := encoding.fault("".join(cells))) is not None:
        raise InputError(f"the header has {bad}", file=name, line=lines.line)
    return tuple(cell.removeprefix("\ufeff") for cell in cells)


def _refuse_unnamed(head: str, delimiter: str, columns: tuple[str, ...], name: str) -> None:
    """Refuse a table of which all rows have more cells than the header."""
    try:
        rows = list(islice(csv.reader(StringIO(head, newline=""), delimiter=delimiter), 12))
    except csv.Error:
        return
    widths = [len(_filled(tuple(cells), 0)) for cells in rows if cells]
    if wide := wider_rows(columns, widths[1:-1]):
        raise InputError(
            f"the header has {len(columns)} cells ({', '.join(columns):.80}), but all rows have "
            f"{wide}; give each column a name (some programs write none above the names of rows)",
            file=name,
        )


def _filled(cells: tuple[str, ...], width: int) -> tuple[str, ...]:
    """Cells without the blank ones at the end, but at least `width`."""
    end = len(cells)
    while end > width and not cells[end - 1].strip():
        end -= 1
    return cells[:end]


class _Records(Rows):
    """The rows of the lines."""

    def __init__(
        self, lines: _Lines, delimiter: str, columns: tuple[str, ...], encoding: Encoding
    ) -> None:
        self._lines, self._delimiter = lines, delimiter
        self._columns, self._encoding = columns, encoding
        self._number = self._blank = 0  # the last row, and blank lines behind it
        self._rows = self._one_by_one()

    def __next__(self) -> Row:
        return next(self._rows)

    def take(self, size: int) -> Sequence[Row]:
        """See `Rows`: lines of which each is a plain record are read together."""
        rows = self._plain(size) if self._blank == 0 else None
        return list(islice(self._rows, size)) if rows is None else rows

    def _plain(self, size: int) -> Sequence[Row] | None:
        """The rows of the next lines; None, and nothing is read, where one needs a closer look."""
        lines, width = self._lines.take(size), len(self._columns)
        text = "".join(lines)
        try:
            records = list(csv.reader(lines, delimiter=self._delimiter, strict=True))
        except csv.Error:
            records = []
        if (
            len(records) != len(lines)
            or len(text) >= RECORD_LIMIT
            or set(map(len, records)) != {width}
            or list(self._columns) in records
            or self._encoding.fault(text) is not None
        ):
            self._lines.give_back(lines)
            return None
        number, line = self._number + 1, self._lines.line
        self._number += len(lines)
        self._lines.line += len(lines)
        places = range(number, number + len(lines)), range(line, line + len(lines))
        return RowBlock(*places, list(map(tuple, records)))

    def _one_by_one(self) -> Iterator[Row]:
        lines, columns, width = self._lines, self._columns, len(self._columns)
        for cells, problem in _records(lines, self._delimiter):
            if not cells:
                self._blank += width == 1
                continue
            for gone in range(self._blank, 0, -1):
                self._number += 1
                yield Row(self._number, lines.line - gone, ("",))
            self._blank = 0
            self._number += 1
            number = self._number
            if problem is None:
                if len(cells) > width:
                    cells = _filled(cells, width)  # a delimiter at the end of each line
                if cells == columns and width > 1:
                    problem = (
                        f"row {number} is the header again, as where files were joined; remove it"
                    )
                if len(cells) != width:
                    problem = _miscounted(cells, columns, self._delimiter, number)
                for text in lines.record:
                    if "\0" in text or not text.isascii():
                        problem = _located(cells, columns, self._encoding, number) or problem
            yield Row(number, lines.line, cells, problem)


def _records(lines: _Lines, delimiter: str) -> Iterator[tuple[tuple[str, ...], str | None]]:
    """The cells of each record, and what is wrong with it; `lines` stands at its first line."""
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    while True:
        lines.start()
        problem = None
        try:
            cells = tuple(next(reader))
        except StopIteration:
            return
        except _RunawayError:
            cells = _unescaped(lines.record[0], delimiter)
            if cells:
                lines.keep_first()
            else:
                cells, problem = _runaway(lines, delimiter)
        except csv.Error:
            cells = _unescaped(lines.record[0], delimiter)
            if cells or len(lines.record) == 1:
                cells = cells or _split(lines.record[0], delimiter)
                lines.keep_first()
            else:
                cells, problem = _runaway(lines, delimiter)
        yield cells, problem


def _unescaped(line: str, delimiter: str) -> tuple[str, ...]:
    r"""The cells of a line whose quotes are written `\"`, as databases do; none if it has none."""
    if '\\"' not in line:
        return ()
    try:
        rows = list(csv.reader([line], delimiter=delimiter, escapechar="\\", strict=True))
    except csv.Error:
        return ()
    return tuple(rows[0]) if len(rows) == 1 else ()


def _split(line: str, delimiter: str) -> tuple[str, ...]:
    """Cut one line into cells, keeping quotes that are not in pairs as they stand."""
    quoted_cell = re.compile(rf'"((?:[^"]++|"")*+)"(?={re.escape(delimiter)}|\Z)')
    text, at, cells = line.rstrip("\r\n"), 0, []
    while True:
        if quoted := quoted_cell.match(text, at):
            cells.append(quoted[1].replace('""', '"'))
            at = quoted.end()
        else:
            end = text.find(delimiter, at)
            end = len(text) if end < 0 else end
            cells.append(text[at:end])
            at = end
        if at >= len(text):
            return tuple(cells)
        at += 1


def _runaway(lines: _Lines, delimiter: str) -> tuple[tuple[str, ...], str]:
    """The first line of a record that cannot be ended, and what is wrong with it."""
    first = lines.keep_first()
    if len(first) >= RECORD_LIMIT:
        return (first,), (
            f"line {lines.line} is longer than {RECORD_LIMIT >> 20} Mi characters; "
            "check that the file is a table with one row on each line"
        )
    return _split(first, delimiter), (
        f"a quote opens in line {lines.line} and is not closed where a cell ends; close it, or "
        'write a quote inside a cell twice ("")'
    )


def _miscounted(
    cells: tuple[str, ...], columns: tuple[str, ...], delimiter: str, number: int
) -> str:
    width, shown = len(columns), {"\t": "tab"}.get(delimiter, f"'{delimiter}'")
    if len(cells) < width:
        return (
            f"row {number} has {len(cells)} of {width} cells, the first one missing is column "
            f"{columns[len(cells)]!r}; add the missing cells, empty ones too"
        )
    surplus = json.dumps(cells[width:], ensure_ascii=False)
    return (
        f"row {number} has {len(cells)} cells, the header has {width}; put quotes around a cell "
        f"that holds a {shown}; after column {columns[-1]!r} came {surplus}"
    )


def _located(
    cells: tuple[str, ...], columns: tuple[str, ...], encoding: Encoding, number: int
) -> str | None:
    """What is wrong with the characters of a row, with the column; None if nothing is."""
    for at, cell in enumerate(cells):
        if (bad := encoding.fault(cell)) is not None:
            where = repr(columns[at]) if at < len(columns) else str(at + 1)
            return f"row {number}, column {where} has {bad}"
    return None
