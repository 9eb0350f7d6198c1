"""Rows to a file: the format of each kind, and a writer that copies rows as they came."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from cascade.errors import InputError
from cascade.io.tables.delimited.writing import CsvFormat
from cascade.io.tables.detection import kind_of
from cascade.io.tables.jsonlines import JsonLinesFormat
from cascade.io.tables.layout import Answer, Format, Layout
from cascade.io.tables.rows import Kind, Row, Table
from cascade.values import json_of


class TableWriter:
    """A file that takes rows of a table as they are read; whole after `finish`.

    CSV keeps what `CsvFormat` keeps, JSON lines every character, Parquet the Arrow types. Failures
    of the disk are those of Python (OSError).

    Parameters
    ----------
    path
        Its ending tells the kind; replaced if it is there.
    extra
        Columns beside those of the table, with their types; not for JSON lines.
    """

    def __init__(self, path: Path, table: Table, extra: Mapping[str, type] | None = None) -> None:
        self.path = path
        self.rows = 0
        kind = kind_of(path)
        self._format = _ObjectLines() if kind == "jsonl" else format_of(kind, table, extra or {})
        self._part = path.with_name(f"{path.name}{self._format.suffix}.part")
        self._whole = path.with_name(f".{path.name}.partial")
        self._file = self._part.open("wb")

    def write(self, rows: Sequence[Row], answers: Sequence[Answer] | None = None) -> None:
        """Take the next rows, with the values of the extra columns."""
        if not rows:
            return
        # Excel cells are named by row, so rows are numbered anew.
        placed = [
            Row(number, row.line, row.cells, row.problem, row.raw)
            for number, row in enumerate(rows, self.rows + 1)
        ]
        data = self._format.encode(placed, answers or [{}] * len(rows))
        self.rows += len(rows)
        self._file.write(data)

    def finish(self) -> None:
        """Put the whole file in its place."""
        self._file.close()
        self._format.assemble([self._part], self._whole)
        self._whole.replace(self.path)

    def close(self) -> None:
        """Let go of the file, whether whole or not."""
        self._file.close()
        self._part.unlink(missing_ok=True)
        self._whole.unlink(missing_ok=True)

    def __enter__(self) -> TableWriter:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def with_text(table: Table, row: Row, column: str, text: str) -> Row:
    """The row with a text in place of one of its cells; a cell of a list gets that of JSON text.

    Raises
    ------
    InputError
        The column of a Parquet file has a type that cannot hold the text.
    """
    if isinstance(row.cells, dict):
        value = _like(row.cells[column], text) if column in row.cells else text
        fields = {**row.cells, column: value}
        return row._replace(cells=fields, raw=json_of(fields))
    at = table.columns.index(column)
    cells = (*row.cells[:at], text, *row.cells[at + 1 :])
    raw = row.raw if table.schema is None else _changed(table, row, at, text)
    return row._replace(cells=cells, raw=raw)


def _changed(table: Table, row: Row, at: int, text: str) -> tuple[Any, int]:
    """A record batch of this one row, with another value in one column."""
    import pyarrow as pa

    batch, index = row.raw
    columns = batch.slice(index, 1).columns
    kind = batch.schema.field(at).type
    try:
        listed = pa.types.is_list(kind) or pa.types.is_large_list(kind)
        values = pa.array([_like([], text)]) if listed else pa.array([text], pa.string())
        columns[at] = values.cast(kind)
    except pa.ArrowException:
        raise InputError(
            f"found a column of {kind}, which cannot hold {text!r}; write the column as text",
            file=table.name,
            column=table.columns[at],
        ) from None
    return pa.RecordBatch.from_arrays(columns, schema=batch.schema), 0


def _like(value: Any, text: str) -> Any:
    """The text, or the list that it is as JSON where the value is a list."""
    if not isinstance(value, list):
        return text
    try:
        found = json.loads(text)
    except ValueError:
        return text
    return found if isinstance(found, list) else text


class _ObjectLines:
    """JSON lines with nothing beside them: each line as it was."""

    kind: Kind = "jsonl"
    suffix = ".jsonl"

    def head(self) -> bytes:
        return b""

    def encode(self, rows: Sequence[Row], answers: Sequence[Answer]) -> bytes:
        return "".join([f"{row.raw}\n" for row in rows]).encode()

    def assemble(self, parts: Iterable[Path], target: Path) -> None:
        [part] = parts
        part.replace(target)


def format_of(kind: Kind, table: Table, extra: Mapping[str, type]) -> Format:
    """How rows of a table, with the columns of an answer, are written as a kind of file."""
    if kind == "jsonl":
        return JsonLinesFormat(Layout(table, {}))
    layout = Layout(table, extra)
    if kind == "parquet":
        from cascade.io.tables.parquet import ParquetFormat

        return ParquetFormat(layout)
    if kind == "xlsx":
        from cascade.io.tables.excel.writing import ExcelFormat

        return ExcelFormat(layout)
    return CsvFormat(layout, kind)
