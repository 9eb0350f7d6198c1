"""CSV, TSV and JSON lines out."""

from __future__ import annotations

import csv
import re
import shutil
from collections.abc import Iterable, Sequence
from io import StringIO
from pathlib import Path

from cascade.io.encodings import spelled_out
from cascade.io.layout import ANSWER_KEY, RAW_KEY, Answer, Layout, refuse_answered
from cascade.io.rows import EXTRA, Kind, Row, json_of, text_of

_SURROGATE = re.compile("[\ud800-\udfff]")


class _TextEncoder:
    """Text files: the parts in a row are the file."""

    def head(self) -> bytes:
        return b""

    def assemble(self, parts: Iterable[Path], target: Path) -> None:
        with target.open("wb") as out:
            out.write(self.head())
            for part in parts:
                with part.open("rb") as source:
                    shutil.copyfileobj(source, out, 1 << 20)


class CsvEncoder(_TextEncoder):
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
            lines = _Lines()
            csv.writer(lines, delimiter=self._delimiter, lineterminator="\r\n").writerows(records)
            return "".join(lines)
        return text


class _Lines(list[str]):
    def write(self, line: str) -> None:
        self.append(line[:-2] + "\n")


class JsonEncoder(_TextEncoder):
    """JSON lines: the object as it was, character by character, and the answer as one more key.

    A line that was no object becomes `{"_raw": "the line", "cascade": ...}`; cells beyond the
    header become a list under `_extra`.
    """

    kind: Kind = "jsonl"
    suffix = ".jsonl"

    def __init__(self, layout: Layout) -> None:
        refuse_answered(layout.table)
        self._layout = layout
        self._keys = () if layout.table.kind == "jsonl" else layout.unique()

    def encode(self, rows: Sequence[Row], answers: Sequence[Answer]) -> bytes:
        """Lines, with the answer under the key `cascade`."""
        text = "".join(map(self._line, rows, answers))
        try:
            return text.encode()
        except UnicodeEncodeError:
            return _SURROGATE.sub(lambda found: f"\\u{ord(found[0]):04x}", text).encode()

    def _line(self, row: Row, answer: Answer) -> str:
        cells = row.cells
        if not isinstance(cells, dict):
            fields = dict(zip(self._keys, self._layout.values(row), strict=True))
            if surplus := self._layout.surplus(row):
                fields[EXTRA] = list(surplus)
            text = json_of(fields)
        elif row.problem and not cells:
            text = json_of({RAW_KEY: row.raw})
        elif ANSWER_KEY in cells:
            text = json_of({f"_{k}" if k == ANSWER_KEY else k: v for k, v in cells.items()})
        else:
            text = row.raw
        comma = "" if text[1:-1].isspace() or text == "{}" else ", "
        return f'{text[:-1].rstrip()}{comma}"{ANSWER_KEY}": {json_of(dict(answer))}}}\n'
