"""Parquet, batch by batch, with its Arrow types kept where it is written again."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from itertools import groupby, islice
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from cascade.errors import InputError
from cascade.io.encodings import escape_surrogates, replace_surrogates
from cascade.io.tables.layout import Answer, Layout, column_of
from cascade.io.tables.rows import Kind, Row, RowBlock, Rows, Table
from cascade.values import text_of

BATCH_BYTES, BATCH_ROWS = 1 << 24, 2048  # that are read at a time
GROUP_BYTES, GROUP_ROWS = 1 << 23, 1 << 16  # of a row group that is written
LARGEST = (1 << 31) - 1  # bytes of an array of texts


def read_parquet(file: BinaryIO, name: str) -> Table:
    """A table over a Parquet file, which must be seekable."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        parquet = pq.ParquetFile(file, buffer_size=1 << 16, pre_buffer=False)
        schema = parquet.schema_arrow
    except (pa.ArrowException, OSError) as error:
        raise InputError(
            f"this Parquet file cannot be read ({_first_line(error)}); it may be cut short: "
            "write or copy it again",
            file=name,
        ) from None
    return Table(
        name=name,
        kind="parquet",
        columns=tuple(schema.names),
        rows=_Batches(parquet, name),
        close=file.close,
        schema=schema,
    )


class ArrowRows(RowBlock):
    """Good rows of record batches; cells are put together where somebody asks for those of a row.

    Parameters
    ----------
    numbers
        Of each row.
    pieces
        Record batches, and which of their rows these are.
    columns
        The values of each column, of all rows.
    """

    def __init__(
        self, numbers: Sequence[int], pieces: Sequence[tuple[Any, range]], columns: list[list[Any]]
    ) -> None:
        super().__init__(numbers, numbers, ())
        self.pieces, self._columns = pieces, columns

    @cached_property
    def cells(self) -> Sequence[Any]:  # type: ignore[override]
        """The cells of each row."""
        return list(zip(*self._columns, strict=True)) if self._columns else [()] * len(self)

    @cached_property
    def raws(self) -> Sequence[Any]:  # type: ignore[override]
        """The record batch of each row, and its place in it."""
        return [(batch, at) for batch, places in self.pieces for at in places]

    def column(self, at: int) -> list[Any]:
        """See `RowBlock`."""
        return self._columns[at]

    def columns(self) -> list[list[Any]]:
        """See `RowBlock`."""
        return self._columns


class _Batches(Rows):
    """The rows of a file."""

    def __init__(self, parquet: Any, name: str) -> None:
        # Threads would cost memory each, and there is little to share in a batch of this size.
        size = _batch_size(parquet.metadata)
        self._source = parquet.iter_batches(batch_size=size, use_threads=False)
        self._name = name
        self._number = 0  # the last row
        self._batch: Any = None
        self._at = self._end = 0  # rows of the batch that were given, and all
        self._columns: list[list[Any]] = []
        self._faults: dict[int, int] = {}  # column by row of the batch

    def __next__(self) -> Row:
        if not self._has_more():
            raise StopIteration
        at = self._at
        self._at += 1
        self._number += 1
        problem = None
        if at in self._faults:
            problem = (
                f"row {self._number}, column {self._batch.schema.names[self._faults[at]]!r} has "
                "bytes that are not UTF-8; write the column again as UTF-8 text"
            )
        cells = tuple([column[at] for column in self._columns])
        return Row(self._number, self._number, cells, problem, (self._batch, at))

    def take(self, size: int) -> Sequence[Row]:
        """See `Rows`: columns of rows of which each is good are not taken apart."""
        pieces: list[tuple[Any, range]] = []
        columns: list[list[Any]] = []
        first = self._number + 1
        while (left := first + size - 1 - self._number) and self._has_more():
            if self._faults:
                before = ArrowRows(range(first, self._number + 1), pieces, columns)
                return [*before, *islice(self, left)]
            places = range(self._at, min(self._at + left, self._end))
            pieces.append((self._batch, places))
            own = [column[places.start : places.stop] for column in self._columns]
            columns = [a + b for a, b in zip(columns, own, strict=True)] if columns else own
            self._at = places.stop
            self._number += len(places)
        return ArrowRows(range(first, self._number + 1), pieces, columns) if pieces else []

    def _has_more(self) -> bool:
        """Whether there is a row behind the last one; if need be the next batch is read."""
        import pyarrow as pa

        try:
            while self._at == self._end:
                if self._batch is not None:
                    self._batch, self._columns = None, []
                    pa.default_memory_pool().release_unused()  # it keeps what large pages took
                self._batch = next(self._source, None)
                if self._batch is None:
                    return False
                self._at, self._end = 0, self._batch.num_rows
                self._columns, self._faults = columns_of(self._batch)
        except (pa.ArrowException, OSError) as error:
            raise InputError(
                f"this Parquet file is damaged after row {self._number} ({_first_line(error)}); "
                "write or copy it again",
                file=self._name,
            ) from None
        return True


def _batch_size(metadata: Any) -> int:
    """Rows whose values take about 16 MiB, judged by the heaviest row group."""
    heaviest = 1
    for at in range(metadata.num_row_groups):
        group = metadata.row_group(at)
        heaviest = max(heaviest, group.total_byte_size // max(1, group.num_rows))
    return max(1, min(BATCH_ROWS, BATCH_BYTES // heaviest))


def columns_of(batch: Any) -> tuple[list[list[Any]], dict[int, int]]:
    """Python values of each column, and by row the first column whose text is not valid."""
    columns: list[list[Any]] = []
    faults: dict[int, int] = {}
    for at, column in enumerate(batch.columns):
        values, bad = python_values(column)
        columns.append(values)
        for index in bad:
            faults.setdefault(index, at)
    return columns, faults


def python_values(column: Any) -> tuple[list[Any], list[int]]:
    """Python values of a column, and the indices of those that are not valid text.

    Nanoseconds are cut to microseconds, the finest that Python has; what Python has no value
    for (years above 9999, unknown time zones) comes as text.
    """
    import pyarrow as pa

    kind = column.type
    if pa.types.is_timestamp(kind) and kind.unit == "ns":
        column = column.cast(pa.timestamp("us", tz=kind.tz), safe=False)
    elif pa.types.is_time64(kind) and kind.unit == "ns":
        column = column.cast(pa.time64("us"), safe=False)
    elif pa.types.is_duration(kind) and kind.unit == "ns":
        column = column.cast(pa.duration("us"), safe=False)
    try:
        return column.to_pylist(), []
    except UnicodeDecodeError:
        values: list[Any] = []
        bad: list[int] = []
        for index, value in enumerate(column):
            try:
                values.append(value.as_py())
            except UnicodeDecodeError:
                bad.append(index)
                values.append(_lenient(value))
        return values, bad
    except (ValueError, OverflowError, LookupError):
        return column.cast(pa.string()).to_pylist(), []


def _lenient(value: Any) -> str:
    buffer = value.as_buffer() if hasattr(value, "as_buffer") else None
    return buffer.to_pybytes().decode("utf-8", "surrogateescape") if buffer else str(value)


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0].rstrip(". ")


class ParquetFormat:
    """Parquet from parts in the Arrow stream format.

    Columns of another kind of file become text columns; what is missing is null. Row groups have
    65,536 rows, or fewer where those take 8 MiB, however the parts were cut.
    """

    kind: Kind = "parquet"
    suffix = ".arrow"

    def __init__(self, layout: Layout) -> None:
        import pyarrow as pa

        self._layout = layout
        types = {str: pa.string(), float: pa.float64(), int: pa.int64(), bool: pa.bool_()}
        extra = [pa.field(name, types[kind]) for name, kind in layout.extra.items()]
        self._source = layout.table.schema
        if self._source is not None:
            self._schema = pa.schema([*self._source, *extra], metadata=self._source.metadata)
        else:
            texts = [pa.field(replace_surrogates(name), pa.string()) for name in layout.unique()]
            self._schema = pa.schema([*texts, *extra])

    def head(self) -> bytes:
        """Nothing; the header is made with the file."""
        return b""

    def encode(self, rows: Sequence[Row], answers: Sequence[Answer]) -> bytes:
        """The rows as an Arrow stream."""
        import pyarrow as pa

        columns = self._kept(rows) if self._source is not None else self._texts(rows)
        for at, name in enumerate(self._layout.extra, start=len(columns)):
            columns.append(_array(column_of(answers, name), self._schema[at].type))
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, self._schema) as writer:
            if any(isinstance(column, pa.ChunkedArray) for column in columns):
                table = pa.Table.from_arrays(columns, schema=self._schema)
                writer.write_table(table.combine_chunks())
            elif rows:
                writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=self._schema))
        return bytes(sink.getvalue())

    def _kept(self, rows: Sequence[Row]) -> list[Any]:
        """Columns cut from the record batches that the rows came from."""
        import pyarrow as pa

        pieces = pieces_of(rows)
        if len(pieces) == 1:
            return list(pieces[0].columns)
        return [
            pa.chunked_array([piece.column(at) for piece in pieces], type=field.type)
            for at, field in enumerate(self._source)
        ]

    def _texts(self, rows: Sequence[Row]) -> list[Any]:
        import pyarrow as pa

        columns = zip(*self._layout.all_values(rows), strict=True)
        return [
            _array([None if v is None else text_of(v) for v in column], pa.string())
            for column in columns
        ]

    def assemble(self, parts: Iterable[Path], target: Path) -> None:
        """Write row groups of a fixed size from the parts."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        with (
            target.open("wb") as file,  # pyarrow takes no path whose bytes are no text
            pq.ParquetWriter(file, self._schema, compression="zstd") as writer,
        ):
            for group in _groups(_batches(parts), self._schema):
                writer.write_table(group, row_group_size=GROUP_ROWS)
                pa.default_memory_pool().release_unused()


def pieces_of(rows: Sequence[Row]) -> list[Any]:
    """The parts of record batches that rows are."""
    if isinstance(rows, ArrowRows):
        return [batch.slice(places.start, len(places)) for batch, places in rows.pieces]
    pieces = []
    for _, group in groupby([row.raw for row in rows], key=lambda raw: id(raw[0])):
        found = list(group)
        pieces += _cut(found[0][0], [index for _, index in found])
    return pieces


def _cut(batch: Any, indices: list[int]) -> list[Any]:
    """Some rows of a batch; `take` does not know all types, which a slice need not."""
    import pyarrow as pa

    first, count = indices[0], len(indices)
    if indices == list(range(first, first + count)):
        return [batch.slice(first, count)]
    try:
        return [batch.take(pa.array(indices))]
    except pa.ArrowNotImplementedError:
        return [batch.slice(index, 1) for index in indices]


def _array(values: list[Any], kind: Any) -> Any:
    """An array of texts or numbers, which may be missing; `pa.array` would import pandas."""
    import pyarrow as pa

    there = [value is not None for value in values]
    missing = None if all(there) else pa.py_buffer(np.packbits(there, bitorder="little"))
    if kind == pa.float64():
        numbers = np.array([0.0 if value is None else value for value in values], np.float64)
        return pa.Array.from_buffers(kind, len(values), [missing, pa.py_buffer(numbers)])
    if kind != pa.string():
        return pa.array(values, kind)
    texts = values if missing is None else [value or "" for value in values]
    try:
        data = "".join(texts).encode()
    except UnicodeEncodeError:
        texts = list(map(escape_surrogates, texts))
        data = "".join(texts).encode()
    if len(data) > LARGEST:
        return pa.array(texts, kind)
    ascii_ = len(data) == sum(map(len, texts))
    lengths = map(len, texts if ascii_ else [text.encode() for text in texts])
    ends = np.zeros(len(values) + 1, np.int32)
    np.cumsum(np.fromiter(lengths, np.int32, len(values)), out=ends[1:])
    buffers = [missing, pa.py_buffer(ends), pa.py_buffer(data)]
    return pa.Array.from_buffers(kind, len(values), buffers)


def _batches(parts: Iterable[Path]) -> Iterator[Any]:
    import pyarrow as pa

    for part in parts:
        with pa.OSFile(os.fsencode(part)) as file:
            while file.tell() < file.size():
                yield from pa.ipc.open_stream(file)


def _groups(batches: Iterable[Any], schema: Any) -> Iterator[Any]:
    import pyarrow as pa

    held: list[Any] = []
    rows = size = 0
    for batch in batches:
        while batch.num_rows:
            piece = batch.slice(0, GROUP_ROWS - rows)
            batch = batch.slice(piece.num_rows)
            held.append(piece)
            rows += piece.num_rows
            size += piece.nbytes
            if rows >= GROUP_ROWS or size >= GROUP_BYTES:
                yield pa.Table.from_batches(held, schema)
                held, rows, size = [], 0, 0
    if held:
        yield pa.Table.from_batches(held, schema)
