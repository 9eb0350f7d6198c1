"""Rows on their way to another process, as a few large values: thousands of small ones are slow."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Any

from cascade.io.tables.rows import Row

Parcel = tuple[Any, ...]


def packed(rows: Sequence[Row]) -> Parcel:
    """Rows as values that another process can take; see `unpacked`.

    Rows of Parquet go as Arrow, so that the types of their columns arrive.
    """
    numbers, lines = [row.number for row in rows], [row.line for row in rows]
    problems = {at: row.problem for at, row in enumerate(rows) if row.problem is not None}
    if rows and isinstance(rows[0].raw, tuple):
        return numbers, lines, problems, None, _streams(rows)
    raws = [row.raw for row in rows]
    told = raws if any(raw is not None for raw in raws) else None
    return numbers, lines, problems, [row.cells for row in rows], told


def unpacked(parcel: Parcel) -> list[Row]:
    """The rows of a parcel."""
    numbers, lines, problems, cells, raws = parcel
    if cells is None:
        cells, raws = _read(raws)
    return [
        Row(number, line, values, problems.get(at), raw)
        for at, (number, line, values, raw) in enumerate(
            zip(numbers, lines, cells, raws or [None] * len(cells), strict=True)
        )
    ]


def _streams(rows: Sequence[Row]) -> list[bytes]:
    """The rows of each record batch that they came from, as an Arrow stream."""
    import pyarrow as pa

    from cascade.io.tables.parquet import cut

    found = []
    for _, group in groupby(rows, key=lambda row: id(row.raw[0])):
        raws = [row.raw for row in group]
        batch = raws[0][0]
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, batch.schema) as writer:
            for piece in cut(batch, [index for _, index in raws]):
                writer.write_batch(piece)
        found.append(bytes(sink.getvalue()))
    return found


def _read(streams: Sequence[bytes]) -> tuple[list[tuple[Any, ...]], list[tuple[Any, int]]]:
    """Cells of rows, and where each stands: a record batch and an index in it."""
    import pyarrow as pa

    from cascade.io.tables.parquet import python_values

    cells: list[tuple[Any, ...]] = []
    raws: list[tuple[Any, int]] = []
    for stream in streams:
        for batch in pa.ipc.open_stream(stream):
            columns = [python_values(column)[0] for column in batch.columns]
            rows = zip(*columns, strict=True) if columns else iter([()] * batch.num_rows)
            cells += rows
            raws += [(batch, at) for at in range(batch.num_rows)]
    return cells, raws
