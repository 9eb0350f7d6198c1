"""Answers that were made elsewhere: the columns of a predictions file as nodes."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import count, takewhile
from typing import Any, get_args

from cascade.errors import InputError
from cascade.io import ANSWER_KEY, Row, Table, require_columns
from cascade.pipeline.run import ANSWER_COLUMNS
from cascade.predictions import Status
from cascade.taxonomy import Taxonomy

USUAL = ("cascade_code", "predicted", "prediction", "predicted_label", "code", "path")
USUAL_CONFIDENCE = ("cascade_confidence", "confidence", "probability")
RANKING = "cascade_ranking"

Values = Callable[[str], str]


@dataclass(frozen=True)
class Wanted:
    """Which columns of a predictions file are what.

    Parameters
    ----------
    predicted
        One column of codes or paths, or one for each level from the top; guessed if empty.
    confidence
        Column of probabilities; guessed if None.
    """

    predicted: tuple[str, ...] = ()
    confidence: str | None = None


@dataclass(frozen=True, slots=True)
class Given:
    """One answer of a predictions file.

    Parameters
    ----------
    nodes
        A node for each predicted column, -1 where it has none that is known.
    confidence
        Probability, None where none is given.
    ranking
        JSON list of codes, best first; empty where none is given.
    """

    nodes: tuple[int, ...] = ()
    confidence: float | None = None
    source: str = ""
    status: str = "error"
    message: str = ""
    ranking: str = ""

    @property
    def node(self) -> int:
        """The deepest node that is given, -1 if none."""
        return next((node for node in reversed(self.nodes) if node >= 0), -1)

    def columns(self, taxonomy: Taxonomy) -> dict[str, Any]:
        """The answer by column, as `cascade classify` writes it; see `GivenReader.columns`."""
        node = self.node
        codes = [taxonomy.codes[n] if n >= 0 else None for n in self.nodes]
        known = node >= 0
        return {
            "cascade_code": taxonomy.codes[node] if known else None,
            "cascade_path": taxonomy.path(node) if known else None,
            "cascade_confidence": self.confidence if known else None,
            "cascade_source": self.source,
            "cascade_status": self.status,
            "cascade_message": self.message,
            RANKING: self.ranking or None,
            **(
                {level_column(n): code for n, code in enumerate(codes, 1)} if len(codes) > 1 else {}
            ),
        }


def level_column(level: int) -> str:
    """Column of the code that was predicted for a level on its own."""
    return f"cascade_code_l{level}"


class GivenReader:
    """Reads the answers of a predictions file, and counts those that are not in the taxonomy.

    Attributes
    ----------
    answered, unknown
        Rows with an answer, and values that are no node of the taxonomy.
    first_unknown
        Where the first of these is and what it says; empty if there is none.

    Raises
    ------
    InputError
        A named column is not there, or none can be guessed.
    """

    def __init__(self, table: Table, taxonomy: Taxonomy, wanted: Wanted) -> None:
        self.table = table
        self.answered = self.unknown = 0
        self.first_unknown = ""
        self._taxonomy = taxonomy
        self._nested = not wanted.predicted and ANSWER_KEY in table.columns
        self._codes = wanted.predicted or _guess(table, self._nested)
        self._confidence = wanted.confidence
        if self._confidence is None:
            usual = USUAL_CONFIDENCE[:1] if self._nested else USUAL_CONFIDENCE
            self._confidence = next((n for n in usual if self._nested or n in table.columns), None)
        elif self._nested:
            require_columns(table, [self._confidence])
        if not self._nested:
            require_columns(table, [*self._codes, *filter(None, [self._confidence])])
        self._columns = frozenset(table.columns)

    @property
    def levels(self) -> int:
        """Columns that are predicted for a level each; 0 where there is one for all."""
        return len(self._codes) if len(self._codes) > 1 else 0

    @property
    def columns(self) -> dict[str, type]:
        """Columns of the answers with their types."""
        more = [level_column(level) for level in range(1, self.levels + 1)]
        return {**ANSWER_COLUMNS, RANKING: str, **dict.fromkeys(more, str)}

    def read(self, row: Row) -> Given:
        """The answer in one row.

        Raises
        ------
        InputError
            A confidence is no probability.
        """
        if row.problem is not None:
            return Given(message=row.problem)
        values = self._values(row)
        texts = [values(column) for column in self._codes]
        nodes = tuple(map(self._find, texts, [row] * len(texts)))
        self.answered += any(texts)
        message = values("cascade_message")
        if max(nodes) < 0:
            found = next(filter(None, texts), None)
            reason = f"{found!r} is not in the taxonomy" if found else "no prediction is given"
            return Given(nodes, message=message or reason)
        status = values("cascade_status")
        return Given(
            nodes,
            self._probability(row, values),
            values("cascade_source") or "given",
            status if status in get_args(Status) else "ok",
            message,
            values(RANKING),
        )

    def _values(self, row: Row) -> Values:
        if not self._nested:
            return lambda name: self.table.text(row, name) if name in self._columns else ""
        inner = row.cells.get(ANSWER_KEY) if isinstance(row.cells, dict) else None
        inner = inner if isinstance(inner, Mapping) else {}

        def value(column: str) -> str:
            found = inner.get(column.removeprefix("cascade_"))
            if isinstance(found, list):
                return json.dumps(found, ensure_ascii=False)
            return "" if found is None or isinstance(found, dict) else str(found)

        return value

    def _find(self, text: str, row: Row) -> int:
        found = self._taxonomy.find(text) if text else None
        if text and found is None:
            self.unknown += 1
            self.first_unknown = self.first_unknown or f"line {row.line}, {text[:80]!r}"
        return -1 if found is None else found

    def _probability(self, row: Row, values: Values) -> float | None:
        text = values(self._confidence) if self._confidence else ""
        if not text:
            return None
        try:
            number = float(text)
        except ValueError:
            number = -1.0
        if not 0 <= number <= 1:
            raise InputError(
                f"found {text[:40]!r}; expected a probability from 0 to 1 (name another column "
                "with --confidence)",
                file=self.table.name,
                line=row.line,
                column=self._confidence,
            )
        return number


def _guess(table: Table, nested: bool) -> tuple[str, ...]:
    usual = USUAL[:1] if nested else [name for name in USUAL if name in table.columns][:1]
    by_level = takewhile(lambda name: name in table.columns, map(level_column, count(1)))
    usual = list(by_level) or usual
    if usual:
        return tuple(usual)
    has = ", ".join(table.columns[:30])
    raise InputError(
        f"say which column holds the predictions with --predicted; it has: {has}", file=table.name
    )
