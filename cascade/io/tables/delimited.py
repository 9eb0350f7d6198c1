"""CSV and TSV in: each record a row, whatever its quotes, bytes and cell counts are."""

from __future__ import annotations

import csv
import json
import re
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from io import StringIO
from typing import BinaryIO

from cascade.errors import InputError
from cascade.io.encodings import Encoding, lines_of, spelled_out
from cascade.io.tables.detection import FIELD_LIMIT, delimiter_of, newline_of
from cascade.io.tables.layout import Answer, Layout, TextFormat
from cascade.io.tables.rows import Kind, Row, Table, text_of

RECORD_LIMIT = 1 << 24
"""Characters of one record; a quote that is still open then is taken for a stray one."""

AHEAD = 64
"""Lines of a file that are read at a time; none is read ahead of what a pipe is asked for."""

AHEAD_SIZE = 1 << 20
"""Characters after which no more lines are read ahead."""


class _RunawayError(Exception):
    """A quote that swallows the rest of the file, or a line without an end."""


class _Lines:
    """Lines of the text, with those of the current record kept so that they can be given back."""

    def __init__(self, source: Iterator[str]) -> None:
        self._source = source
        self._returned: deque[str] = deque()
        self._size = 0
        self.record: list[str] = []
        self.line = 1

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        if self._returned:
            line = self._returned.popleft()
        else:
            found = next(self._source, None)
            if found is None:
                if self.record:
                    raise _RunawayError
                raise StopIteration
            line = found
        self.record.append(line)
        self._size += len(line)
        if self._size >= RECORD_LIMIT:
            raise _RunawayError
        return line

    def ahead(self) -> list[str]:
        """Some of the next lines, none at the end; say by `used` how many were needed."""
        lines: list[str] = []
        size = 0
        while len(lines) < AHEAD and size < AHEAD_SIZE:
            line = self._returned.popleft() if self._returned else next(self._source, None)
            if line is None:
                break
            lines.append(line)
            size += len(line)
        return lines

    def used(self, number: int, rest: Sequence[str]) -> None:
        """Of the lines that `ahead` gave so many are done with; the rest is given back."""
        self.line += number
        self._returned.extendleft(reversed(rest))

    def start(self) -> None:
        """Begin the next record."""
        self.line += len(self.record)
        self.record = []
        self._size = 0

    def keep_first(self) -> str:
        """Give back all lines of the record but the first."""
        self._returned.extendleft(reversed(self.record[1:]))
        del self.record[1:]
        return self.record[0]


class _Splitter:
    """Cuts one line into cells by hand, keeping quotes that are not in pairs as they stand."""

    def __init__(self, delimiter: str) -> None:
        d = re.escape(delimiter)
        self._delimiter = delimiter
        self._quoted = re.compile(rf'"((?:[^"]++|"")*+)"(?={d}|\Z)')

    def __call__(self, line: str) -> tuple[str, ...]:
        text, at, cells = line.rstrip("\r\n"), 0, []
        while True:
            if quoted := self._quoted.match(text, at):
                cells.append(quoted[1].replace('""', '"'))
                at = quoted.end()
            else:
                end = text.find(self._delimiter, at)
                end = len(text) if end < 0 else end
                cells.append(text[at:end])
                at = end
            if at >= len(text):
                return tuple(cells)
            at += 1


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
    newline, delimiter = newline_of(head), delimiter_of(head, whole)
    text = encoding.wrap(stream, newline[-1])
    lines = _Lines(lines_of(text, RECORD_LIMIT, name))
    columns = _header(lines, delimiter, encoding, name)
    return Table(
        name=name,
        kind="tsv" if delimiter == "\t" and len(columns) > 1 else "csv",
        columns=columns,
        rows=_rows(lines, delimiter, columns, encoding, stream.seekable()),
        close=text.close,
        delimiter=delimiter if len(columns) > 1 else ",",
        newline=newline,
        bom=encoding.bom,
        encoding=encoding.name,
    )


def _header(lines: _Lines, delimiter: str, encoding: Encoding, name: str) -> tuple[str, ...]:
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    cells: list[str] | tuple[str, ...] = ()
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
        cells = _Splitter(delimiter)(lines.keep_first())
    if (bad := encoding.fault("".join(cells))) is not None:
        raise InputError(f"the header has {bad}", file=name, line=lines.line)
    return tuple(cell.removeprefix("\ufeff") for cell in cells)


def _rows(
    lines: _Lines, delimiter: str, columns: tuple[str, ...], encoding: Encoding, ahead: bool
) -> Iterator[Row]:
    width, number, blank = len(columns), 0, 0
    for line, cells, record, problem in _records(lines, delimiter, ahead):
        if not cells:
            blank += width == 1
            continue
        if blank:
            for gone in range(blank, 0, -1):
                number += 1
                yield Row(number, line - gone, ("",))
            blank = 0
        number += 1
        if problem is None:
            if len(cells) != width:
                problem = _miscounted(cells, columns, delimiter, number)
            for text in record:
                if "\0" in text or not text.isascii():
                    problem = _located(cells, columns, encoding, number) or problem
        yield Row(number, line, cells, problem)


Record = tuple[int, tuple[str, ...], Sequence[str], str | None]
"""Its first line, cells, the lines to look for bad characters in, and what is wrong with it."""


def _records(lines: _Lines, delimiter: str, ahead: bool) -> Iterator[Record]:
    """Records as they come: many at a time while nothing is wrong, else by careful steps."""
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    split = _Splitter(delimiter)
    while True:
        if ahead:
            yield from _plain_records(lines, delimiter)
        lines.start()
        problem = None
        try:
            cells = tuple(next(reader))
        except StopIteration:
            return
        except _RunawayError:
            cells, problem = _runaway(lines, split)
        except csv.Error:
            cells = split(lines.keep_first()) if len(lines.record) == 1 else ()
            if not cells:
                cells, problem = _runaway(lines, split)
        yield lines.line, cells, lines.record, problem


def _plain_records(lines: _Lines, delimiter: str) -> Iterator[Record]:
    """Records up to one that is not as it should be, or that lines read ahead do not end."""
    lines.start()
    while block := lines.ahead():
        text = "".join(block)
        plain = text.isascii() and "\0" not in text
        reader = csv.reader(block, delimiter=delimiter, strict=True)
        first, used = lines.line, 0
        try:
            for cells in reader:
                record = () if plain else block[used : reader.line_num]
                yield first + used, tuple(cells), record, None
                used = reader.line_num
        except csv.Error:
            pass
        lines.used(used, block[used:])
        if used < len(block):
            return


def _runaway(lines: _Lines, split: _Splitter) -> tuple[tuple[str, ...], str]:
    """The first line of a record that cannot be ended, and what is wrong with it."""
    first = lines.keep_first()
    if len(first) >= RECORD_LIMIT:
        return (first,), (
            f"line {lines.line} is longer than {RECORD_LIMIT >> 20} Mi characters; "
            "check that the file is a table with one row on each line"
        )
    return split(first), (
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


class CsvFormat(TextFormat):
    """CSV or TSV in UTF-8; quotes, where needed, in the way of the `csv` module.

    From CSV to CSV, the delimiter, the line ends and the byte order mark of the input stay, and
    so do bytes that were not UTF-8.
    """

    def __init__(self, layout: Layout, kind: Kind) -> None:
        table = layout.table
        self.kind: Kind = kind
        self.suffix = f".{kind}"
        self._layout = layout
        kept = table.delimiter if table.kind == "csv" else None
        self._delimiter = "\t" if kind == "tsv" else kept or ","
        self._newline = "\r\n" if table.newline == "\r\n" else "\n"
        self._bom = table.bom
        self._text_cells = table.kind in ("csv", "tsv")
        self._utf8 = self._text_cells and table.encoding.startswith("utf-8")

    def head(self) -> bytes:
        """The header line."""
        mark = b"\xef\xbb\xbf" if self._bom else b""
        return mark + self._bytes([self._layout.columns])

    def encode(self, rows: Sequence[Row], answers: Sequence[Answer]) -> bytes:
        """Records, with the answer after the cells of the row."""
        told = self._layout.told(answers)
        cells: Iterable[Iterable[object]] = map(self._layout.values, rows)
        if not self._text_cells:
            cells = [map(text_of, values) for values in cells]
        records = [(*values, *more) for values, more in zip(cells, told, strict=True)]
        return self._bytes(records)

    def _bytes(self, records: Sequence[Sequence[object]]) -> bytes:
        text = self._records(records)
        if self._utf8:
            return text.encode("utf-8", "surrogateescape")
        return spelled_out(text).encode()

    def _records(self, records: Sequence[Sequence[object]]) -> str:
        sink = StringIO(newline="")
        csv.writer(sink, delimiter=self._delimiter, lineterminator=self._newline).writerows(records)
        text = sink.getvalue()
        if self._newline == "\n" and "\r" in text:
            # csv quotes only the characters of the line end that it is given (before Python 3.13)
            lines = _WrittenLines()
            csv.writer(lines, delimiter=self._delimiter, lineterminator="\r\n").writerows(records)
            return "".join(lines)
        return text


class _WrittenLines(list[str]):
    def write(self, line: str) -> None:
        self.append(line[:-2] + "\n")
