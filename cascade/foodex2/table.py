"""Rows with codes in, the same rows with what is said of each code out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from cascade.errors import InputError
from cascade.foodex2.catalogue import Catalogue
from cascade.foodex2.check import Checker, worst
from cascade.foodex2.explaining import explained
from cascade.foodex2.migrating import Migration
from cascade.foodex2.rules import Message, Mode
from cascade.io import open_output, open_table, require_columns

CHUNK = 1024


class Said(NamedTuple):
    """What is written beside a row, and what the row is counted as."""

    counted: str
    values: dict[str, Any]


class Sayer(NamedTuple):
    """Something that can be said of a column of codes.

    Parameters
    ----------
    columns
        What is added; texts.
    counts
        What rows are counted as, in the order of a summary.
    say
        From a code, and the problem of a row that cannot be read.
    """

    columns: Sequence[str]
    counts: Sequence[str]
    say: Callable[[str, str | None], Said]


def checking(checker: Checker, mode: Mode) -> Sayer:
    """Severity, rules and messages; a text that EFSA's tool crashes on has the severity ERROR."""

    def say(code: str, problem: str | None) -> Said:
        messages = [Message("", "ERROR", problem)] if problem else checker.messages(code, mode)
        severity = worst(messages) or ""
        return Said(
            severity or "clean",
            {
                "foodex2_severity": severity,
                "foodex2_rules": " ".join(m.rule for m in messages if m.rule),
                "foodex2_messages": "; ".join(m.text for m in messages),
            },
        )

    columns = ("foodex2_severity", "foodex2_rules", "foodex2_messages")
    return Sayer(columns, ("clean", "LOW", "HIGH", "ERROR"), say)


def explaining(catalogue: Catalogue) -> Sayer:
    """The code in order, and its parts in words."""

    def say(code: str, problem: str | None) -> Said:
        try:
            if problem:
                raise InputError(problem)
            own = explained(code, catalogue)
        except InputError as error:
            return Said("error", _explained(message=str(error)))
        facets = "; ".join(own.explicit), "; ".join(own.implied)
        return Said("explained", _explained(own.code, own.base, *facets))

    columns = ("code", "base", "explicit", "implied", "message")
    return Sayer([f"foodex2_{name}" for name in columns], ("explained", "error"), say)


def _explained(
    code: str | None = None,
    base: str = "",
    explicit: str = "",
    implied: str = "",
    message: str = "",
) -> dict[str, Any]:
    return {
        "foodex2_code": code,
        "foodex2_base": base,
        "foodex2_explicit": explicit,
        "foodex2_implied": implied,
        "foodex2_message": message,
    }


def migrating(migration: Migration) -> Sayer:
    """The code in another release, whether a part of it needs review, and what changed."""

    def say(code: str, problem: str | None) -> Said:
        if problem:
            return Said("error", _migrated(None, "error", problem))
        found = migration.migrated(code)
        return Said(found.outcome, _migrated(found.code, found.outcome, "; ".join(found.notes)))

    columns = ("foodex2_code", "foodex2_outcome", "foodex2_notes")
    return Sayer(columns, ("same", "changed", "review", "error"), say)


def _migrated(code: str | None, outcome: str, notes: str) -> dict[str, Any]:
    return {"foodex2_code": code, "foodex2_outcome": outcome, "foodex2_notes": notes}


def say_of_file(
    file: str,
    sayer: Sayer,
    column: str,
    output: str,
    *,
    overwrite: bool = False,
    encoding: str | None = None,
    sheet: str | None = None,
) -> dict[str, int]:
    """Write the rows of a file with what is said of the codes of a column.

    Returns
    -------
    How many rows were counted as what.

    Raises
    ------
    InputError, OutputError
        The file or the column cannot be read, or the output not be written.
    """
    counts = Counter(dict.fromkeys(sayer.counts, 0))
    columns: dict[str, type] = dict.fromkeys(sayer.columns, str)
    with open_table(file, encoding=encoding, sheet=sheet) as table:
        require_columns(table, [column])
        with open_output(output, table, columns, source=file, overwrite=overwrite) as sink:
            for index, rows in enumerate(table.chunks(CHUNK)):
                said = [
                    sayer.say("" if row.problem else table.text(row, column), row.problem)
                    for row in rows
                ]
                counts.update(one.counted for one in said)
                sink.write(index, rows, [one.values for one in said], {})
            sink.finish()
    return dict(counts)
