"""Data frames and mappings of columns as tables, so that they are read by the rules of files.

Frames are recognised by narwhals, which imports no library that the caller has not imported.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sized
from itertools import chain
from types import GeneratorType
from typing import Any

from cascade.errors import UsageError
from cascade.io.tables.parquet import python_values
from cascade.io.tables.rows import Row, Table
from cascade.values import is_missing

BATCH_ROWS = 1024  # that are taken out of a frame at a time
_PLAIN = (str, bytes, bytearray, list, tuple, range, GeneratorType)


def table_of(value: Any) -> Table | None:
    """A table over a data frame or a mapping of columns; None where a value is neither.

    A data frame is one of pandas, Polars, PyArrow and what else narwhals knows, anything that gives
    an Arrow stream, or a structured NumPy array. The columns of a mapping are lists, arrays or
    series of the same length.

    Raises
    ------
    UsageError
        It is a table that cannot be read as rows, or a single record.
    """
    if isinstance(value, Mapping):
        return _of_columns(value)
    if isinstance(value, _PLAIN):
        return None
    names = getattr(getattr(value, "dtype", None), "names", None)
    if names:
        return _table(
            "the array", names, zip(*(value[name].tolist() for name in names), strict=True)
        )
    return _of_frame(value)


def _of_columns(columns: Mapping[Any, Any]) -> Table:
    if not columns:
        raise UsageError("an empty mapping has no columns; expected {'text': [...], ...}")
    for name, column in columns.items():
        if isinstance(column, Mapping) or _is_frame(column):
            raise UsageError(
                f"{name!r} is a {type(column).__name__} inside a mapping; give one table, such as "
                "a mapping of column to list (of pandas: df.to_dict('list')), or records "
                "(df.to_dict('records'))"
            )
    single = [name for name, column in columns.items() if not _is_column(column)]
    if single:
        raise UsageError(
            f"{single[0]!r} holds {columns[single[0]]!r:.60}: a mapping of single values is one "
            "record; use classify for it, or give a list of records or a mapping of column to list"
        )
    lengths = {str(name): len(column) for name, column in columns.items()}
    if len(set(lengths.values())) > 1:
        raise UsageError(
            "the columns differ in length: "
            + ", ".join(f"{name!r} has {length:,}" for name, length in [*lengths.items()][:10])
        )
    _refuse_other_order(columns)
    values = (c.to_pylist() if hasattr(c, "to_pylist") else c for c in columns.values())
    return _table("the mapping of columns", columns, zip(*values, strict=True))


def column_length(columns: Mapping[Any, Any]) -> int:
    """How many rows a mapping of columns has; 0 where its values are not columns of one length."""
    if not all(map(_is_column, columns.values())) or any(
        isinstance(column, Mapping) for column in columns.values()
    ):
        return 0
    lengths = {len(column) for column in columns.values()}
    return lengths.pop() if len(lengths) == 1 else 0


def _refuse_other_order(columns: Mapping[Any, Any]) -> None:
    """Refuse series whose indexes differ: pandas would join their rows otherwise."""
    series = {
        name: column.index
        for name, column in columns.items()
        if hasattr(column, "index") and hasattr(column.index, "equals")
    }
    names = list(series)
    for name in names[1:]:
        if not series[name].equals(series[names[0]]):
            raise UsageError(
                f"the series {names[0]!r} and {name!r} have different indexes, so that it is not "
                "clear which values are of one row; give a data frame, or reset_index(drop=True)"
            )


def _is_column(value: Any) -> bool:
    """Whether a value is one of many: sized and in order, and no text."""
    if isinstance(value, str | bytes | bytearray | set | frozenset) or is_missing(value):
        return False
    return isinstance(value, Sized) and isinstance(value, Iterable) and _dimensions(value) == 1


def _dimensions(value: Any) -> int:
    found = getattr(value, "ndim", 1)
    return found if isinstance(found, int) else 1


def _is_frame(value: Any) -> bool:
    return hasattr(value, "column_names") or (
        hasattr(value, "__arrow_c_stream__") and hasattr(value, "columns")
    )


def _of_frame(value: Any) -> Table | None:
    kind = f"the {type(value).__name__}"
    if hasattr(value, "__arrow_c_stream__") and hasattr(value, "schema"):
        import pyarrow as pa

        reader = pa.RecordBatchReader.from_stream(value)
        return _table(kind, reader.schema.names, chain.from_iterable(map(_cells, reader)))
    import narwhals.stable.v2 as nw
    from narwhals.exceptions import NarwhalsError

    try:
        frame = nw.from_native(value, pass_through=True)
        if isinstance(frame, nw.LazyFrame):
            raise UsageError(f"{kind} is lazy: it has no rows yet; give those, as of its collect()")
        if isinstance(frame, nw.DataFrame):
            return _table(kind, frame.columns, frame.iter_rows(buffer_size=BATCH_ROWS))
    except NarwhalsError as error:
        problem = " ".join(str(error).split())
        raise UsageError(f"{kind} cannot be read: {problem:.300}") from None
    return None


def _cells(batch: Any) -> Iterator[tuple[Any, ...]]:
    columns = []
    for values, bad in map(python_values, batch.columns):
        for at in bad:  # so that the row is told to have no UTF-8
            values[at] = values[at].encode("utf-8", "surrogateescape")
        columns.append(values)
    return zip(*columns, strict=True)


def _table(name: str, columns: Iterable[Any], rows: Iterable[tuple[Any, ...]]) -> Table:
    return Table(
        name=name,
        kind="frame",
        columns=tuple(map(str, columns)),
        rows=(Row(at, at, tuple(cells)) for at, cells in enumerate(rows, start=1)),
        close=lambda: None,
    )
