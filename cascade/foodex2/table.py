"""Rows with codes in, the same rows with what the business rules say out."""

from __future__ import annotations

from collections import Counter

from cascade.errors import UsageError
from cascade.foodex2.checking import Checker, worst
from cascade.foodex2.rules import Message, Mode
from cascade.io import open_output, open_table, require_columns

CHUNK = 1024
COLUMNS: dict[str, type] = {"foodex2_severity": str, "foodex2_rules": str, "foodex2_messages": str}


def check_file(
    file: str,
    checker: Checker,
    mode: Mode,
    column: str,
    output: str,
    *,
    overwrite: bool = False,
    encoding: str | None = None,
    sheet: str | None = None,
) -> dict[str, int]:
    """Check the codes of a column, and write the rows with severity, rules and messages.

    A text that EFSA's tool crashes on, and a row that cannot be read, get the severity ERROR and
    the problem as their message.

    Returns
    -------
    How many rows are `clean`, `LOW`, `HIGH` and `ERROR`.

    Raises
    ------
    InputError, OutputError
        The file or the column cannot be read, or the output not be written.
    """
    counts: Counter[str] = Counter({"clean": 0, "LOW": 0, "HIGH": 0, "ERROR": 0})
    with open_table(file, encoding=encoding, sheet=sheet) as table:
        require_columns(table, [column])
        with open_output(output, table, COLUMNS, source=file, overwrite=overwrite) as sink:
            for index, rows in enumerate(table.chunks(CHUNK)):
                answers = []
                for row in rows:
                    if row.problem is not None:
                        messages = [Message("", "ERROR", row.problem)]
                    else:
                        messages = _checked(checker, table.text(row, column), mode)
                    severity = worst(messages) or ""
                    counts[severity or "clean"] += 1
                    answers.append(
                        {
                            "foodex2_severity": severity,
                            "foodex2_rules": " ".join(m.rule for m in messages if m.rule),
                            "foodex2_messages": "; ".join(m.text for m in messages),
                        }
                    )
                sink.write(index, rows, answers, {})
            sink.finish()
    return dict(counts)


def _checked(checker: Checker, code: str, mode: Mode) -> list[Message]:
    try:
        return checker.check(code, mode)
    except UsageError as error:
        return [Message("", "ERROR", str(error))]
