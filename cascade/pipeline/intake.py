"""What Python callers give: a text, a record, many of them or a table; how each becomes items.

The columns of tables and the keys of records are chosen by the rules of files: those that are
named, else those of the config, else usual names, else the only one that holds text.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from os import PathLike
from typing import Any

from cascade.config import CascadeConfig, Columns
from cascade.errors import UsageError
from cascade.io.tables.frames import table_of
from cascade.io.tables.rows import Table, require_columns
from cascade.items import Item
from cascade.pipeline.runs.columns import (
    guessed_columns,
    item_names,
    no_text_error,
    require_read,
    text_column_names,
)
from cascade.predictions import Prediction
from cascade.values import fault_of, is_missing, plain_of, text_of

EXPECTED = "expected a text, a mapping of column to text, or an Item"


class Intake:
    """Makes items of what callers of a classifier give.

    Parameters
    ----------
    columns
        The columns that the caller named; those of the config stand in for what is not named.

    Raises
    ------
    UsageError
        More text columns are named than a pack was fitted to.
    """

    def __init__(self, config: CascadeConfig, columns: Columns | None = None) -> None:
        named = {} if columns is None else columns.model_dump(exclude_defaults=True)
        self._reads, self._id_is_named = config.reads, "id" in named
        self._columns = config.columns.model_copy(update=named)
        named_so = self._columns.text
        self._names = dict(zip(named_so, item_names(self._reads, named_so), strict=True))

    def one(self, value: Any) -> Item | Prediction:
        """The item that a value is, or why it cannot be answered.

        Raises
        ------
        UsageError
            The value is no item.
        """
        if isinstance(value, Item):
            return value
        if isinstance(value, str):
            return Item({self._reads[0] if self._reads else "text": value})
        if isinstance(value, Mapping):
            return self._record(value)
        if is_missing(value):
            return Prediction.failed(f"there is no text, found {value!r}; nothing to classify")
        if getattr(value, "ndim", None) == 0 or hasattr(value, "as_py"):
            plain = plain_of(value)
            if isinstance(plain, str | Mapping):
                return self.one(plain)
        if (row := _row_of(value)) is not None:
            return self._record(row)
        raise UsageError(f"an item is {_shown(value)}; {EXPECTED}")

    def many(self, values: Any) -> Iterator[Item | Prediction]:
        """The items of a table or of an iterable, in order, as they are asked for.

        What is no item has its place among them, with its reason.

        Raises
        ------
        UsageError, InputError
            `values` is a single item, or a table without a column that is known to hold text.
        """
        if isinstance(values, str):
            raise UsageError("classify_many takes many items; use classify for one text")
        if isinstance(values, Item):
            raise UsageError("classify_many takes many items; use classify for one Item")
        if isinstance(values, Set) and not hasattr(values, "mapping"):
            raise UsageError("a set has no order that answers could follow; give a list")
        dimensions = getattr(values, "ndim", 1)
        if isinstance(dimensions, int) and dimensions == 0:
            raise UsageError("the array has no dimension; use classify for one text")
        if (table := table_of(values)) is not None:
            return self._rows(table, self._settled(table))
        if isinstance(values, bytes | bytearray | PathLike) or not _is_iterable(values):
            raise UsageError(f"classify_many takes many items, found {_shown(values)}")
        if isinstance(dimensions, int) and dimensions > 1:
            raise UsageError(
                f"the array has the shape {getattr(values, 'shape', '')}; give one column of it, "
                "or a mapping of column to array"
            )
        return map(self._kept, values)

    def _settled(self, table: Table) -> Columns:
        """The columns of a table that are read, all of them there."""
        columns = guessed_columns(table, self._columns, self._reads)
        if columns.text:
            require_read(table, columns.text, self._reads)
        if columns.id not in table.columns and not self._id_is_named:
            columns = columns.model_copy(update={"id": None})
        require_columns(table, [*columns.text, *filter(None, [columns.image, columns.id])])
        return columns

    def _rows(self, table: Table, columns: Columns) -> Iterator[Item | Prediction]:
        names = [(self._names.get(column, column), column) for column in columns.text]
        for row in table:
            image = table.value(row, columns.image) if columns.image else None
            id_ = table.value(row, columns.id) if columns.id else None
            yield _item({name: table.value(row, column) for name, column in names}, id_, image)

    def _kept(self, value: Any) -> Item | Prediction:
        try:
            return self.one(value)
        except UsageError as error:
            return Prediction.failed(str(error))

    def _record(self, record: Mapping[Any, Any]) -> Item | Prediction:
        image, id_ = self._columns.image, self._columns.id
        values = {str(key): value for key, value in record.items() if key not in (image, id_)}
        found = [column for column in self._columns.text if column in values]
        if not found and image not in record:
            if self._columns.text:
                return Prediction.failed(
                    f"{'the pack' if self._reads else 'the config'} reads "
                    f"{', '.join(self._columns.text)}; the item has {', '.join(values):.200}"
                )
            found = text_column_names(values, lambda name: isinstance(values[name], str))
            if not found:
                return Prediction.failed(str(no_text_error("the record", list(values), "text=")))
        fields = {self._names.get(column, column): values[column] for column in found}
        return _item(fields, record.get(id_), record.get(image))


def _item(fields: Mapping[str, Any], id_: Any, image: Any) -> Item | Prediction:
    """The item of some values, or why one of them cannot be read."""
    for name, value in fields.items():
        if fault := fault_of(value):
            return Prediction.failed(
                f"{name!r} has {fault}", None if is_missing(id_) else text_of(id_)
            )
    if is_missing(image) or (isinstance(image, str | bytes) and not image):
        image = None
    return Item(fields, None if is_missing(id_) else text_of(id_), image)


def _is_iterable(values: Any) -> bool:
    try:
        iter(values)
    except TypeError:
        return False
    return True


def _row_of(value: Any) -> dict[str, Any] | None:
    """What gives values by its keys, such as a row of a pandas frame or of a database."""
    keys = getattr(value, "keys", None)
    if not callable(keys) or getattr(value, "ndim", 1) != 1:
        return None
    names = list(keys())
    named = bool(names) and all(isinstance(name, str) for name in names)
    return {name: value[name] for name in names} if named else None


def _shown(value: Any) -> str:
    """A value in short, with what to do instead."""
    shown = " ".join(f"{value!r:.200}".split())[:80]
    if isinstance(value, bytes | bytearray):
        return f"{shown} (bytes: decode them first)"
    if isinstance(value, PathLike):
        return f"{shown} (to read a file, use `cascade classify` or a data frame)"
    if isinstance(value, list | tuple):
        return f"{shown} (name its values as a mapping does, or give it to classify_many)"
    if len(getattr(value, "shape", ())) == 2:
        return f"{shown} (a table: give it to classify_many)"
    return shown
