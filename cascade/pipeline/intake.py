"""What Python callers give: a text, a record, many of them or a table; how each becomes items.

The columns of tables and the keys of records are chosen by the rules of files: those that are
named, else those of the config, else usual names, else the only one that holds text.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Set
from itertools import islice
from os import PathLike
from typing import Any, NamedTuple

from cascade.config import CascadeConfig, Columns
from cascade.errors import InputError, UsageError, did_you_mean
from cascade.io.tables.frames import column_length, table_of
from cascade.io.tables.rows import Table, listed, require_columns
from cascade.items import Item
from cascade.pipeline.runs.columns import (
    GUESSED_FROM,
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
    cure
        What to do where no column of a record is known to hold text; by default for who calls
        from Python.

    Raises
    ------
    UsageError
        More text columns are named than a pack was fitted to.
    """

    def __init__(
        self, config: CascadeConfig, columns: Columns | None = None, cure: str = ""
    ) -> None:
        self._cure = cure
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
            The value is no item, or several.
        """
        if isinstance(value, Mapping) and (rows := column_length(value)) > 1:
            raise UsageError(
                f"these are columns of {rows:,} rows, not one item; give them to classify_many, or "
                "join the texts of one item"
            )
        return self._read(value, None)

    def _read(self, value: Any, read: _TextColumns | None) -> Item | Prediction:
        if isinstance(value, Item):
            return value
        if isinstance(value, str):
            return Item({self._reads[0] if self._reads else "text": value})
        if isinstance(value, Mapping):
            return self._record(value, read)
        if is_missing(value):
            return Prediction.failed(f"there is no text, found {value!r}; nothing to classify")
        if getattr(value, "ndim", None) == 0 or hasattr(value, "as_py"):
            plain = plain_of(value)
            if isinstance(plain, str | Mapping):
                return self._read(plain, read)
        if (row := _row_of(value)) is not None:
            return self._record(row, read)
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
            shape = getattr(values, "shape", "?")
            raise UsageError(
                f"it has {dimensions} dimensions, the shape {shape}; give one column of it, or a "
                "mapping of column to array"
            )
        return self._members(values)

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

    def _members(self, values: Iterable[Any]) -> Iterator[Item | Prediction]:
        """The items of values; the text of all records is read from the same columns.

        Those are chosen by the first records of a collection, by the first one of an iterator,
        which is not read ahead.
        """
        first = list(islice(values, GUESSED_FROM)) if isinstance(values, Collection) else []
        self._check_id(first)
        read = None if self._columns.text else self._text_columns(first)
        for number, value in enumerate(values):
            if not number and not first:
                self._check_id([value])
            if read is None and not self._columns.text:
                read = self._text_columns([value])
            try:
                yield self._read(value, read)
            except UsageError as error:
                yield Prediction.failed(str(error))

    def _check_id(self, values: Iterable[Any]) -> None:
        """Raise InputError where none of some records has the key that is named for their id."""
        name = self._columns.id
        records = [record for record in map(_record_of, values) if record]
        if not records or name is None or not self._id_is_named:
            return
        keys = list(dict.fromkeys(str(key) for record in records for key in record))
        if not any(name in record for record in records):
            raise InputError(
                f"no item has {name!r}, which id= names; they have {', '.join(keys):.200}"
                f"{did_you_mean(name, keys)}"
            )

    def _text_columns(self, values: Iterable[Any]) -> _TextColumns | None:
        """The text columns of some records together; None if none of the values is a record."""
        records = [record for record in map(_record_of, values) if record]
        if not records:
            return None
        others = (self._columns.image, self._columns.id)
        names = dict.fromkeys(str(key) for record in records for key in record if key not in others)
        texts = {
            str(key)
            for record in records
            for key, value in record.items()
            if isinstance(value, str)
        }
        return _TextColumns(text_column_names(names, texts.__contains__), list(names))

    def _record(self, record: Mapping[Any, Any], read: _TextColumns | None) -> Item | Prediction:
        image, id_ = self._columns.image, self._columns.id
        values = {str(key): value for key, value in record.items() if key not in (image, id_)}
        found = [column for column in self._columns.text if column in values]
        if not found and image not in record:
            if self._columns.text:
                return Prediction.failed(
                    f"{'the pack' if self._reads else 'the config'} reads "
                    f"{', '.join(self._columns.text)}; the item has {', '.join(values):.200}"
                )
            if read is None:
                read = self._text_columns([record]) or _TextColumns([], [])
            if not read.names:
                if self._cure:
                    has = listed(read.among) or "none"
                    return Prediction.failed(f"{self._cure}; the columns are: {has}")
                return Prediction.failed(str(no_text_error("the record", read.among, "text=")))
            found = [column for column in read.names if column in values]
            if not found:
                return Prediction.failed(
                    f"the text is read from {', '.join(read.names)}, as of the other items; this "
                    f"one has {', '.join(values) or 'nothing':.200}"
                )
        fields = {self._names.get(column, column): values[column] for column in found}
        return _item(fields, record.get(id_), record.get(image))


def names_of(text: Any) -> list[str]:
    """The columns that a caller names with `text=`: one or several, numbers too, as pandas has.

    Raises
    ------
    UsageError
        It is no name.
    """
    if text is None:
        return []
    names = [text] if isinstance(text, str) or not _is_iterable(text) else list(text)
    for name in names:
        if isinstance(name, bool) or not isinstance(name, str | int):
            raise UsageError(f"text={text!r:.60}: expected the name of a column, or a list of them")
    return [str(name) for name in names]


class _TextColumns(NamedTuple):
    """The columns of records that are text, none where that is not known, and all columns."""

    names: list[str]
    among: list[str]


def _record_of(value: Any) -> Mapping[Any, Any] | None:
    """The record that a value is; None where it is a text or anything else."""
    if isinstance(value, str | Item) or is_missing(value):
        return None
    if getattr(value, "ndim", None) == 0 or hasattr(value, "as_py"):
        value = plain_of(value)
    return value if isinstance(value, Mapping) else _row_of(value)


def _item(fields: Mapping[str, Any], id_: Any, image: Any) -> Item | Prediction:
    """The item of some values, or why one of them cannot be read."""
    for name, value in fields.items():
        if fault := fault_of(value):
            return Prediction.failed(
                f"{name!r} has {fault}", None if is_missing(id_) else text_of(id_)
            )
    if is_missing(image) or (isinstance(image, str | bytes) and not image):
        image = None
    try:
        return Item(fields, None if is_missing(id_) else text_of(id_), image)
    except Exception as error:  # of a caller's own class, whose code may raise anything
        why = f"{type(error).__name__}: {error!s:.100}"
        return Prediction.failed(
            f"a value of {', '.join(fields)} cannot be written as text ({why})"
        )


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
    try:
        shown = " ".join(f"{value!r:.200}".split())[:80]
    except Exception:  # of a caller's own class, whose code may raise anything
        shown = f"a {type(value).__name__}"
    if isinstance(value, bytes | bytearray):
        return f"{shown} (bytes: decode them first)"
    if isinstance(value, PathLike):
        return f"{shown} (to read a file, use `cascade classify` or a data frame)"
    if isinstance(value, list | tuple):
        return f"{shown} (name its values as a mapping does, or give it to classify_many)"
    if len(getattr(value, "shape", ())) == 2:
        return f"{shown} (a table: give it to classify_many)"
    return shown
