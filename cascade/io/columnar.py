"""Parquet out: the columns of the input with their Arrow types, the answer beside them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from cascade.io.encodings import spelled_out, well_formed
from cascade.io.layout import Answer, Layout
from cascade.io.rows import Kind, Row, text_of

GROUP_ROWS = 1 << 16
GROUP_BYTES = 1 << 26


class ParquetEncoder:
    """Parquet from parts in the Arrow stream format.

    Columns of another kind of file become text columns; what is missing is null. Row groups have
    65,536 rows, or fewer where those take 64 MiB, however the parts were cut.
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
            texts = [pa.field(well_formed(name), pa.string()) for name in layout.unique()]
            self._schema = pa.schema([*texts, *extra])

    def head(self) -> bytes:
        """Nothing; the header is made with the file."""
        return b""

    def encode(self, rows: Sequence[Row], answers: Sequence[Answer]) -> bytes:
        """The rows as an Arrow stream."""
        import pyarrow as pa

        columns = self._kept(rows) if self._source is not None else self._texts(rows)
        for at, name in enumerate(self._layout.extra, start=len(columns)):
            columns.append(_array([answer.get(name) for answer in answers], self._schema[at].type))
        table = pa.Table.from_arrays(columns, schema=self._schema)
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, self._schema) as writer:
            writer.write_table(table.combine_chunks())
        return bytes(sink.getvalue())

    def _kept(self, rows: Sequence[Row]) -> list[Any]:
        """Columns cut from the record batches that the rows came from."""
        import pyarrow as pa

        pieces: list[Any] = []
        start = 0
        for at in range(1, len(rows) + 1):
            batch, first = rows[start].raw
            if (
                at < len(rows)
                and rows[at].raw[0] is batch
                and rows[at].raw[1] == first + at - start
            ):
                continue
            pieces.append(batch.slice(first, at - start))
            start = at
        return [
            pa.chunked_array([piece.column(at) for piece in pieces], type=field.type)
            for at, field in enumerate(self._source)
        ]

    def _texts(self, rows: Sequence[Row]) -> list[Any]:
        import pyarrow as pa

        columns = zip(*map(self._layout.values, rows), strict=True)
        return [
            _array([None if v is None else text_of(v) for v in column], pa.string())
            for column in columns
        ]

    def assemble(self, parts: Iterable[Path], target: Path) -> None:
        """Write row groups of a fixed size from the parts."""
        import pyarrow.parquet as pq

        with pq.ParquetWriter(target, self._schema, compression="zstd") as writer:
            for group in _groups(_batches(parts), self._schema):
                writer.write_table(group, row_group_size=GROUP_ROWS)


def _array(values: list[Any], kind: Any) -> Any:
    import pyarrow as pa

    try:
        return pa.array(values, kind)
    except UnicodeEncodeError:
        return pa.array([v if v is None else spelled_out(v) for v in values], kind)


def _batches(parts: Iterable[Path]) -> Iterator[Any]:
    import pyarrow as pa

    for part in parts:
        with pa.OSFile(str(part)) as file:
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
