"""Whether a finished output is one of the rows that a run would answer."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from pathlib import Path

from cascade.errors import OutputError
from cascade.io.tables.detection import kind_of
from cascade.io.tables.layout import ANSWER_KEY
from cascade.io.tables.opening import open_table
from cascade.io.tables.rows import Row, Table

LONG = 16_000  # characters of a cell, beyond which Excel may have cut it


def check_finished(
    out: str, table: Table, answer_columns: Iterable[str], limit: int | None = None
) -> None:
    """Compare a finished output with the rows of its input: how many they are, and their texts.

    With which settings the rows were answered is not known any more.

    Parameters
    ----------
    table
        The input; its rows are read.
    answer_columns
        What stands beside each row in tabular output.
    limit
        Rows to compare, from the start; more of them in the output are a difference.

    Raises
    ------
    OutputError
        They differ; says where.
    """
    _check_end(out)
    encoding = "utf-8" if kind_of(out) in ("csv", "tsv") else None
    with open_table(out, encoding=encoding) as found:
        nested = found.kind == "jsonl"
        wanted = [ANSWER_KEY] if nested else [*filter(None, table.columns), *answer_columns]
        if missing := [name for name in wanted if name not in found.columns]:
            raise _differs(out, f"it has no column {missing[0]!r}")
        more = [name for name in found.columns if name.startswith("cascade_")]
        if not nested and (unasked := sorted({*more} - {*wanted})):
            raise _differs(out, f"it has the column {unasked[0]!r}, which is not asked for now")
        shared = [
            name
            for name in table.columns
            if table.columns.count(name) == 1 and found.columns.count(name) == 1
        ]
        rows, count = islice(table.rows, limit), 0
        for old in found.rows:
            row = next(rows, None)
            if row is None:
                raise _differs(
                    out, f"it has {count + 1 + sum(1 for _ in found.rows):,} rows, not {count:,}"
                )
            count += 1
            for name in shared:
                now, then = _comparable(table, row, name), found.text(old, name).strip()
                if now is not None and now != then:
                    raise _differs(
                        out,
                        f"its row {count:,} is of another input: column {name!r} has "
                        f"{then[:60]!r}, not {now[:60]!r}",
                    )
        if left := sum(1 for _ in rows):
            raise _differs(out, f"it has {count:,} rows, not {count + left:,}")


def _comparable(table: Table, row: Row, column: str) -> str | None:
    """A text that every kind of file keeps; None for what some write in their own way."""
    value = table.value(row, column)
    if row.problem is not None or not isinstance(value, str | int) or isinstance(value, bool):
        return None
    text = table.text(row, column)
    if len(text) >= LONG or not text.isprintable() or "\ufffd" in text:  # half of a pair
        return None
    return text.strip()


def _check_end(out: str) -> None:
    """A text file ends with a line end; without it, something was cut off."""
    path = Path(out)
    if kind_of(out) in ("csv", "tsv", "jsonl"):
        with path.open("rb") as file:
            file.seek(max(path.stat().st_size - 1, 0))
            if file.read() != b"\n":
                raise _differs(out, "its end is missing")


def _differs(out: str, why: str) -> OutputError:
    return OutputError(
        f"{out} is there already, but it is not the output of these rows: {why}; make it anew "
        "with --overwrite, or name another --out"
    )
