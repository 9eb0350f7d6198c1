"""CSV and TSV out: rows as they came, each with its answer."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from functools import lru_cache
from io import StringIO
from itertools import repeat
from operator import add
from typing import Any

from cascade.io.encodings import escape_surrogates
from cascade.io.tables.layout import Answer, Layout, TextFormat, column_of
from cascade.io.tables.rows import Kind, Row
from cascade.values import text_of

SHORT = 256  # characters of a text that is remembered with its quotes


class CsvFormat(TextFormat):
    """CSV or TSV in UTF-8, with quotes where the `csv` module puts them.

    From CSV to CSV, the delimiter, the line ends and the byte order mark of the input stay, and
    so do bytes that were not UTF-8. A NUL of another kind of file, which would make its row
    unreadable, becomes a blank.
    """

    def __init__(self, layout: Layout, kind: Kind) -> None:
        table = layout.table
        self.kind: Kind = kind
        self.suffix = f".{kind}"
        self._layout = layout
        kept = table.delimiter if table.kind == "csv" else None
        self._delimiter = "\t" if kind == "tsv" else kept or ","
        self._newline = "\r\n" if table.newline == "\r\n" else "\n"
        self._mark = b"\xef\xbb\xbf" if table.bom else b""
        self._text_cells = table.kind in ("csv", "tsv")
        self._utf8 = self._text_cells and table.encoding.startswith("utf-8")

    def head(self) -> bytes:
        """The header line."""
        return self._mark + self._encoded(self._text([self._layout.columns]))

    def encode(self, rows: Sequence[Row], answers: Sequence[Answer]) -> bytes:
        """Records, with the answer after the cells of the row."""
        cells = self._layout.all_values(rows)
        if not self._text_cells:
            cells = [tuple(map(text_of, values)) for values in cells]
        text = self._joined(cells, answers)
        if text is None:
            text = self._text(list(map(add, cells, self._layout.added(answers))))
        return self._encoded(text)

    def _joined(self, rows: Sequence[tuple[Any, ...]], answers: Sequence[Answer]) -> str | None:
        """What `_text` is for cells without signs that need quotes, in a third of the time.

        None where there are some, or values other than texts and numbers with a fraction.
        """
        sign, columns = self._delimiter, []
        try:
            lines = list(map(sign.join, rows))
        except TypeError:
            return None
        if not lines or not self._layout.extra or not rows[0]:
            return None
        text = "".join(lines)
        if _NEEDS_QUOTES.search(text) or text.count(sign) != len(rows) * (len(rows[0]) - 1):
            return None
        for name in self._layout.extra:
            column = _cells(column_of(answers, name), sign)
            if column is None:
                return None
            columns.append(column)
        joined = map(sign.join, zip(lines, *columns, strict=True))
        return self._newline.join([*joined, ""])

    def _encoded(self, text: str) -> bytes:
        if not self._text_cells:
            text = text.replace("\0", " ")
        if self._utf8:
            return text.encode("utf-8", "surrogateescape")
        return escape_surrogates(text).encode()

    def _text(self, records: Sequence[Sequence[object]]) -> str:
        sink = StringIO(newline="")
        csv.writer(sink, delimiter=self._delimiter, lineterminator=self._newline).writerows(records)
        text = sink.getvalue()
        if self._newline == "\n" and "\r" in text:
            # csv quotes only the characters of the line end that it is given (before Python 3.13)
            lines = _WrittenLines()
            csv.writer(lines, delimiter=self._delimiter, lineterminator="\r\n").writerows(records)
            return "".join(lines)
        return text


_NEEDS_QUOTES = re.compile('["\r\n]')


def _cells(values: list[Any], delimiter: str) -> list[str] | None:
    """Values as the `csv` module writes them; None where that is left to it."""
    kinds = {*map(type, values)}
    if not kinds <= {str, float, type(None)}:
        return None
    if kinds - {str}:
        values = [repr(own) if type(own) is float else own or "" for own in values]
    text = "".join(values)
    if delimiter not in text and not _NEEDS_QUOTES.search(text):
        return values
    if max(map(len, values)) > SHORT:
        return [_quoted.__wrapped__(value, delimiter) for value in values]
    return list(map(_quoted, values, repeat(delimiter)))


@lru_cache(1 << 12)
def _quoted(text: str, delimiter: str) -> str:
    """A text in quotes where it needs them; answers repeat codes, paths and messages."""
    if delimiter not in text and not _NEEDS_QUOTES.search(text):
        return text
    return '"' + text.replace('"', '""') + '"'


class _WrittenLines(list[str]):
    def write(self, line: str) -> None:
        self.append(line[:-2] + "\n")
