"""Answers that were made elsewhere: a file of predictions, matched with the labelled rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice, zip_longest
from typing import Any, get_args

from cascade.errors import InputError, UsageError
from cascade.io import Row, Table, open_table, require_columns
from cascade.items import Status
from cascade.pipeline.run import ANSWER_COLUMNS
from cascade.taxonomy import Taxonomy

ANSWER = "cascade"
"""Key of an answer in JSON lines; its columns begin with it elsewhere."""

SHOWN = 3


@dataclass(frozen=True)
class Source:
    """A file of rows, which can be read more than once.

    Parameters
    ----------
    limit
        Rows to read, from the start.
    encoding, sheet
        As for `open_table`.
    """

    file: str
    limit: int | None = None
    encoding: str | None = None
    sheet: str | None = None

    def open(self) -> Table:
        """The whole table; see `limited`."""
        return open_table(self.file, encoding=self.encoding, sheet=self.sheet)

    def limited(self, table: Table) -> Table:
        """The table with no more rows than the limit."""
        return table if self.limit is None else replace_rows(table, islice(table.rows, self.limit))


def replace_rows(table: Table, rows: Iterator[Row]) -> Table:
    """The same table with other rows."""
    table.rows = rows
    return table


@dataclass(frozen=True)
class Wanted:
    """Which columns of a predictions file are what.

    Parameters
    ----------
    predicted
        One column of codes or paths, or one for each level from the top; guessed if empty.
    confidence
        Probabilities; guessed if None.
    id
        Column by which rows are matched, in both files; by order if None.
    allow_missing
        Rows without a prediction count as wrong; otherwise they are an error.
    """

    predicted: tuple[str, ...] = ()
    confidence: str | None = None
    id: str | None = None
    allow_missing: bool = False


@dataclass
class GivenAnswers:
    """The answers of a predictions file for each labelled row; make one with `read`."""

    name: str
    levels: int
    by_key: dict[Any, Mapping[str, Any]] = field(repr=False)
    id_at: int | None = None
    unknown: int = 0
    first_unknown: str = ""

    @property
    def columns(self) -> dict[str, type]:
        """Columns of the answers with their types."""
        more = [f"cascade_code_l{level}" for level in range(1, self.levels + 1)]
        return {**ANSWER_COLUMNS, "cascade_alternatives": str, **dict.fromkeys(more, str)}

    def answer(self, row: Row) -> Mapping[str, Any]:
        """The answer for a labelled row, by column."""
        key = row.number if self.id_at is None else row.cells[self.id_at]
        return self.by_key.get(key, _nothing("there is no prediction for this row"))

    @classmethod
    def read(
        cls, source: Source, predictions: Source, taxonomy: Taxonomy, wanted: Wanted
    ) -> GivenAnswers:
        """Read a predictions file and match it with the labelled rows.

        Raises
        ------
        InputError
            A column is missing, rows cannot be matched, or no prediction is in the taxonomy; the
            message says how many, which first, and what to do.
        """
        with predictions.open() as table:
            reader = _Reader(table, taxonomy, wanted)
            given = cls(predictions.file, len(reader.codes) if len(reader.codes) > 1 else 0, {})
            if wanted.id:
                require_columns(table, [wanted.id])
                _match_by_id(given, reader, source, wanted)
            else:
                _match_by_order(given, reader, source, predictions)
        if reader.unknown and reader.unknown == reader.answered:
            raise InputError(
                f"none of its {reader.answered:,} predictions is a node of taxonomy "
                f"{taxonomy.name!r} (first: {reader.first_unknown}); name the columns of codes or "
                "paths with --predicted, or the taxonomy that they are from with -t",
                file=predictions.file,
            )
        given.unknown, given.first_unknown = reader.unknown, reader.first_unknown
        return given


class _Reader:
    """Rows of a predictions file as answers."""

    def __init__(self, table: Table, taxonomy: Taxonomy, wanted: Wanted) -> None:
        self.table = table
        self.unknown = self.answered = 0
        self.first_unknown = ""
        self._taxonomy = taxonomy
        self._nested = not wanted.predicted and ANSWER in table.columns
        self.codes = list(wanted.predicted) or _guess(table, self._nested)
        confidence = wanted.confidence
        if confidence is None and not self._nested and "cascade_confidence" in table.columns:
            confidence = "cascade_confidence"
        self.confidence = confidence
        if not self._nested:
            require_columns(table, [*self.codes, *filter(None, [confidence])])

    def answer(self, row: Row) -> Mapping[str, Any]:
        """The answer of one row, by column."""
        if row.problem is not None:
            return _nothing(row.problem)
        values = self._values(row)
        texts = [values(column) for column in self.codes]
        nodes = [self._find(row, column, text) for column, text in zip(self.codes, texts)]  # noqa: B905
        told = next((node for node in reversed(nodes) if node is not None), None)
        self.answered += any(texts)
        message = values("cascade_message")
        if told is None:
            found = next(filter(None, texts), None)
            reason = f"{found!r} is not in the taxonomy" if found else "no prediction is given"
            return _nothing(message or reason)
        status = values("cascade_status")
        answer = {
            "cascade_code": self._taxonomy.codes[told],
            "cascade_path": self._taxonomy.path(told),
            "cascade_confidence": self._probability(row, values),
            "cascade_source": values("cascade_source") or "given",
            "cascade_status": status if status in get_args(Status) else "ok",
            "cascade_message": message,
            "cascade_alternatives": values("cascade_alternatives") or None,
        }
        if len(self.codes) > 1:
            for level, node in enumerate(nodes, 1):
                code = None if node is None else self._taxonomy.codes[node]
                answer[f"cascade_code_l{level}"] = code
        return answer

    def _values(self, row: Row) -> Any:
        if not self._nested:
            known = set(self.table.columns)
            return lambda column: self.table.text(row, column) if column in known else ""
        inner = row.cells.get(ANSWER) if isinstance(row.cells, dict) else None
        inner = inner if isinstance(inner, dict) else {}

        def value(column: str) -> str:
            found = inner.get(column.removeprefix("cascade_"))
            return "" if found is None or isinstance(found, list | dict) else str(found)

        return value

    def _find(self, row: Row, column: str, text: str) -> int | None:
        found = self._taxonomy.find(text) if text else None
        if text and found is None:
            self.unknown += 1
            self.first_unknown = self.first_unknown or f"line {row.line}, {text[:80]!r}"
        return found

    def _probability(self, row: Row, values: Any) -> float | None:
        text = values(self.confidence or "cascade_confidence")
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
                column=self.confidence,
            )
        return number


def _guess(table: Table, nested: bool) -> list[str]:
    if nested or "cascade_code" in table.columns:
        return ["cascade_code"]
    usual = [n for n in ("predicted", "prediction", "code", "label_predicted") if n in table.columns]
    if usual:
        return usual[:1]
    has = ", ".join(table.columns[:30])
    raise InputError(
        f"say which column holds the predictions with --predicted; it has: {has}", file=table.name
    )


def _nothing(message: str) -> dict[str, Any]:
    return {
        "cascade_code": None,
        "cascade_path": None,
        "cascade_confidence": None,
        "cascade_source": "",
        "cascade_status": "error",
        "cascade_message": message,
    }


def _match_by_id(given: GivenAnswers, reader: _Reader, source: Source, wanted: Wanted) -> None:
    assert wanted.id is not None
    lines: dict[str, int] = {}
    for row in reader.table:
        key = reader.table.text(row, wanted.id)
        if key in lines:
            raise _repeated(reader.table.name, wanted.id, key, lines[key], row.line)
        lines[key] = row.line
        given.by_key[key] = reader.answer(row)
    missing: list[str] = []
    asked: dict[str, int] = {}
    with source.open() as table:
        require_columns(table, [wanted.id])
        for row in source.limited(table):
            key = table.text(row, wanted.id)
            if key in asked:
                raise _repeated(table.name, wanted.id, key, asked[key], row.line)
            asked[key] = row.line
            if key not in given.by_key:
                missing.append(f"{key!r} (line {row.line} of {table.name})")
    if missing and not (wanted.allow_missing and len(missing) < len(asked)):
        cure = (
            "the two columns seem to hold other things; name one that both share with --id"
            if len(missing) == len(asked)
            else "add them, or count them as wrong with --allow-missing"
        )
        raise InputError(
            f"{len(missing):,} of {len(asked):,} ids have no prediction, the first are "
            f"{', '.join(missing[:SHOWN])}; {cure}",
            file=reader.table.name,
        )
    given.id_at = 0  # the id is the first of the columns that are used


def _match_by_order(
    given: GivenAnswers, reader: _Reader, source: Source, predictions: Source
) -> None:
    with source.open() as table:
        shared = [
            name
            for name in table.columns
            if not name.startswith("cascade") and reader.table.columns.count(name) == 1
        ]
        cure = f"match them by a column with --id (both have: {', '.join(shared)})"
        if not shared:
            cure = "give both a column of ids, and name it with --id"
        theirs = source.limited(reader.table)
        count = 0
        for row, other in zip_longest(source.limited(table), theirs):
            if row is None or other is None:
                more = sum(1 for _ in (theirs if row is None else table)) + 1
                sizes = {table.name: count + more * (other is None)}
                sizes[reader.table.name] = count + more * (row is None)
                told = " and ".join(f"{name} has {n:,} rows" for name, n in sizes.items())
                raise InputError(f"{told}; {cure}")
            count += 1
            _same_row(table, row, reader.table, other, shared, cure)
            given.by_key[row.number] = reader.answer(other)


def _same_row(
    table: Table, row: Row, others: Table, other: Row, shared: Sequence[str], cure: str
) -> None:
    for name in shared:
        ours, theirs = table.text(row, name), others.text(other, name)
        if ours != theirs and row.problem is None and other.problem is None:
            raise InputError(
                f"found {theirs[:60]!r} where {table.name} has {ours[:60]!r} in line {row.line}, "
                f"so these are other rows or another order; {cure}",
                file=others.name,
                line=other.line,
                column=name,
            )


def _repeated(file: str, column: str, key: str, first: int, second: int) -> InputError:
    return InputError(
        f"{key!r} is there twice, in lines {first} and {second}; ids that rows are matched by "
        "must differ",
        file=file,
        column=column,
    )


def check_standard_input(*sources: Source) -> None:
    """Raise UsageError where a file that is read more than once is standard input."""
    if any(source.file == "-" for source in sources):
        raise UsageError("standard input can be read only once; save it to a file and name that")


__all__ = ["GivenAnswers", "Source", "Wanted", "check_standard_input", "replace"]
