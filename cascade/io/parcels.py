"""Rows on their way to another process, as a few large values: thousands of small ones are slow."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from cascade.io.tables.rows import Row, RowBlock, cells_of

if TYPE_CHECKING:
    from cascade.io.tables.parquet import ArrowRows

Parcel = tuple[Any, ...]


def packed(rows: Sequence[Row]) -> Parcel:
    """Rows as values that another process can take; see `unpacked`.

    Rows of Parquet go as Arrow, so that the types of their columns arrive.
    """
    if type(rows) is RowBlock:
        return rows.numbers, rows.lines, None, rows.cells, rows.texts
    if isinstance(rows, RowBlock):
        return rows.numbers, rows.lines, {}, None, _streams(rows)
    numbers, lines = [row.number for row in rows], [row.line for row in rows]
    problems = {at: row.problem for at, row in enumerate(rows) if row.problem is not None}
    if rows and isinstance(rows[0].raw, tuple):
        return numbers, lines, problems, None, _streams(rows)
    raws = [row.raw for row in rows]
    told = raws if any(raw is not None for raw in raws) else None
    return numbers, lines, problems, cells_of(rows), told


def unpacked(parcel: Parcel) -> Sequence[Row]:
    """The rows of a parcel."""
    numbers, lines, problems, cells, raws = parcel
    if problems is None:
        return RowBlock(numbers, lines, cells, raws)
    if cells is None:
        block = _read(numbers, raws)
        if not problems:
            return block
        cells, raws = block.cells, block.raws
    return [
        Row(number, line, values, problems.get(at), raw)
        for at, (number, line, values, raw) in enumerate(
            zip(numbers, lines, cells, raws or [None] * len(cells), strict=True)
        )
    ]


def _streams(rows: Sequence[Row]) -> list[bytes]:
    """The parts of record batches that rows are, each as an Arrow stream."""
    import pyarrow as pa

    from cascade.io.tables.parquet import pieces_of

    found = []
    for piece in pieces_of(rows):
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, piece.schema) as writer:
            writer.write_batch(piece)
        found.append(bytes(sink.getvalue()))
    return found


def _read(numbers: Sequence[int], streams: Sequence[bytes]) -> ArrowRows:
    """The rows of streams."""
    import pyarrow as pa

    from cascade.io.tables.parquet import ArrowRows, columns_of

    pieces = [batch for stream in streams for batch in pa.ipc.open_stream(stream)]
    columns = [columns_of(piece)[0] for piece in pieces]
    joined = [[value for own in each for value in own] for each in zip(*columns, strict=True)]
    return ArrowRows(numbers, [(piece, range(piece.num_rows)) for piece in pieces], joined)
