"""Parquet in: record batch by record batch, with the Arrow types kept for the way out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, BinaryIO

from cascade.errors import InputError
from cascade.io.rows import Row, Table

BATCH_BYTES = 1 << 24
BATCH_ROWS = 2048


def read_parquet(file: BinaryIO, name: str) -> Table:
    """A table over a Parquet file, which must be seekable."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        parquet = pq.ParquetFile(file, buffer_size=1 << 20, pre_buffer=False)
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
        rows=_rows(parquet, name),
        close=file.close,
        schema=schema,
    )


def _rows(parquet: Any, name: str) -> Iterator[Row]:
    import pyarrow as pa

    number = 0
    try:
        # Threads would cost memory each, and there is little to share in a batch of this size.
        size = _batch_size(parquet.metadata)
        for batch in parquet.iter_batches(batch_size=size, use_threads=False):
            columns: list[list[Any]] = []
            faults: dict[int, int] = {}
            for at, column in enumerate(batch.columns):
                values, bad = _values(column)
                columns.append(values)
                for index in bad:
                    faults.setdefault(index, at)
            cells = zip(*columns, strict=True) if columns else iter([()] * batch.num_rows)
            for index, row in enumerate(cells):
                number += 1
                problem = None
                if index in faults:
                    column_name = batch.schema.names[faults[index]]
                    problem = (
                        f"row {number}, column {column_name!r} has bytes that are not UTF-8; "
                        "write the column again as UTF-8 text"
                    )
                yield Row(number, number, row, problem, (batch, index))
    except (pa.ArrowException, OSError) as error:
        raise InputError(
            f"this Parquet file is damaged after row {number} ({_first_line(error)}); write or "
            "copy it again",
            file=name,
        ) from None


def _batch_size(metadata: Any) -> int:
    """Rows whose values take about 16 MiB, judged by the heaviest row group."""
    heaviest = 1
    for at in range(metadata.num_row_groups):
        group = metadata.row_group(at)
        heaviest = max(heaviest, group.total_byte_size // max(1, group.num_rows))
    return max(1, min(BATCH_ROWS, BATCH_BYTES // heaviest))


def _values(column: Any) -> tuple[list[Any], list[int]]:
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
        texts: list[str | None] = []
        bad: list[int] = []
        for index, value in enumerate(column):
            if not value.is_valid:
                texts.append(None)
                continue
            try:
                texts.append(value.as_py())
            except UnicodeDecodeError:
                bad.append(index)
                texts.append(_lenient(value))
        return texts, bad
    except (ValueError, OverflowError, LookupError):
        return column.cast(pa.string()).to_pylist(), []


def _lenient(value: Any) -> str:
    buffer = value.as_buffer() if hasattr(value, "as_buffer") else None
    return buffer.to_pybytes().decode("utf-8", "surrogateescape") if buffer else str(value)


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0].rstrip(". ")
