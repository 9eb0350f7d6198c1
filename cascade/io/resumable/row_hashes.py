"""Hashes of what was read, by which a run that is resumed notices that its input changed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Any

from cascade.io.tables.rows import Row, RowBlock

BY_COLUMN = "c:"  # before a hash that was not taken row by row, as those of older journals are
UNIT = "\x1f"  # between columns


def digest(rows: Sequence[Row]) -> str:
    """Hash of what was read for some rows."""
    return BY_COLUMN + _hash(_text_by_column(rows))


def _text_by_column(rows: Sequence[Row]) -> str:
    """What was read for rows: lines of JSON as they are, cells column by column."""
    texts = rows.texts if isinstance(rows, RowBlock) else [row.raw for row in rows]
    if texts is not None and {*map(type, texts)} == {str}:
        return "\n".join(texts)
    if isinstance(rows, RowBlock):
        columns = rows.columns()
    else:
        cells = [row.cells for row in rows]
        if {*map(type, cells)} != {tuple} or len({*map(len, cells)}) != 1:
            return _text_by_row(rows)
        columns = list(map(list, zip(*cells, strict=True)))
    return UNIT.join([str(len(rows)), *map(_text_of_column, columns)])


def _text_by_row(rows: Sequence[Row]) -> str:
    return repr([row.raw if isinstance(row.raw, str) else row.cells for row in rows])


def _text_of_column(cells: list[Any]) -> str:
    try:
        text = "\n".join(cells)
    except TypeError:
        return repr(cells)
    return repr(cells) if UNIT in text or text.count("\n") != len(cells) - 1 else text


def digest_of(rows: Sequence[Row], like: str) -> str:
    """`digest` in the form of another one: older journals have theirs row by row."""
    if like.startswith(BY_COLUMN):
        return digest(rows)
    return _hash(_text_by_row(rows))


def digest_of_all(chunks: Iterable[str]) -> str:
    """Hash of the rows of which the hashes of all chunks, in their order, are given."""
    known = list(chunks)
    form = BY_COLUMN if known and all(one.startswith(BY_COLUMN) for one in known) else ""
    return form + _hash("\n".join(known))


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
