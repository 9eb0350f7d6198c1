"""Answers of cascade that stand beside the rows of a file, in any form that they are written in."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from cascade.io import ANSWER_KEY, Row, Table
from cascade.pipeline.runs.answer_form import (
    LISTS,
    is_answer_column,
    listed_alternatives,
)


class WrittenAnswers:
    """Reads the values of answers by key (`code`, `confidence`, ...; see `AnswerForm.keys`).

    Columns, columns of JSON and one JSON object a row are read alike. What is not there, or cannot
    be read, is empty: files are made by other programs, too.

    Parameters
    ----------
    table
        Whose rows are read.
    """

    def __init__(self, table: Table) -> None:
        self.nested = ANSWER_KEY in table.columns and "cascade_code" not in table.columns
        """Whether an answer is one JSON object in a column of its own."""
        self._table = table
        self._columns = frozenset(table.columns)
        self._flat = [name for name in table.columns if is_answer_column(name)]
        self._top = max((int(end) - 1 for end in map(_place, self._flat) if end), default=0)

    @property
    def own_columns(self) -> list[str]:
        """The columns of the table that are no answers."""
        key = {ANSWER_KEY} if self.nested else set()
        return [name for name in self._table.columns if name not in key | set(self._flat)]

    def value(self, row: Row, key: str) -> Any:
        """A value of the answer: as JSON has it, in columns a text or, of `LISTS`, a list."""
        if (whole := self._whole(row)) is not None:
            return whole.get(key)
        return self.listed(row, key) if key in LISTS else self._table.text(row, f"cascade_{key}")

    def text(self, row: Row, key: str) -> str:
        """A value as text, lists as JSON."""
        if (whole := self._whole(row)) is None:
            return self._table.text(row, f"cascade_{key}")
        found = whole.get(key)
        if isinstance(found, list):
            return json.dumps(found, ensure_ascii=False)
        return "" if found is None or isinstance(found, dict) else str(found)

    def listed(self, row: Row, key: str) -> list[Any]:
        """A value that is a list, as `alternatives` and `trace` are."""
        if (whole := self._whole(row)) is not None:
            found = whole.get(key)
        elif key == "alternatives" and "cascade_alternatives" not in self._columns:
            flat = {name: self._table.text(row, name) for name in self._flat}
            found = listed_alternatives(flat, self._top)
        else:
            try:
                found = json.loads(self._table.text(row, f"cascade_{key}") or "[]")
            except (ValueError, RecursionError):
                found = []
        return list(found) if isinstance(found, list) else []

    def probability(self, row: Row, key: str = "confidence") -> float | None:
        """A value that is a probability; None where it is none."""
        return probability(self.value(row, key))

    def _whole(self, row: Row) -> Mapping[str, Any] | None:
        if not self.nested:
            return None
        found = self._table.value(row, ANSWER_KEY)
        return found if isinstance(found, Mapping) else {}


def probability(value: object) -> float | None:
    """A value of a file as a probability; None where it is none."""
    try:
        number = float(str(value))
    except ValueError:
        return None
    return number if 0 <= number <= 1 else None


def _place(column: str) -> str:
    """The place of an alternative by the name of its column; empty for other columns."""
    end = column.rpartition("_")[2]
    return end if end.isdigit() else ""
