"""Predictions made by another program: the columns of a predictions file as nodes."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import count, takewhile, zip_longest
from typing import Any, get_args

from cascade.errors import InputError
from cascade.foodex2.code import CodeError, FoodCode
from cascade.io import Row, Table, require_columns
from cascade.io.tables.opening import TableFile
from cascade.pipeline.labels.finding import LabelFinder
from cascade.pipeline.runs.answer_form import ANSWER_COLUMNS
from cascade.pipeline.runs.written_answers import WrittenAnswers
from cascade.predictions import Status
from cascade.taxonomy import Taxonomy
from cascade.taxonomy.facets import FacetedTaxonomy
from cascade.taxonomy.lookup import code_form
from cascade.taxonomy.names import normalize_code

USUAL = ("cascade_code", "predicted", "prediction", "predicted_label", "code", "path")
USUAL_CONFIDENCE = ("cascade_confidence", "confidence", "probability")
RANKING = "cascade_ranking"
WHOLE_FLOAT = re.compile(r"^([0-9]+)\.0+$")
SHOWN = 3  # ids that a message names

Values = Callable[[str], str]


@dataclass(frozen=True)
class PredictionColumns:
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
class ExternalPrediction:
    """One row of a predictions file.

    Parameters
    ----------
    nodes
        A node for each predicted column, -1 where it has none that is known.
    ranking
        JSON list of codes, best first; empty where none is given.
    code
        The code of a faceted taxonomy with its facets; empty for other predictions.
    """

    nodes: tuple[int, ...] = ()
    confidence: float | None = None
    source: str = ""
    status: str = "error"
    message: str = ""
    ranking: str = ""
    code: str = ""

    @property
    def node(self) -> int:
        """The deepest node that is predicted, -1 if none."""
        return next((node for node in reversed(self.nodes) if node >= 0), -1)

    def columns(self, taxonomy: Taxonomy) -> dict[str, Any]:
        """The prediction by column, as `cascade classify` writes it."""
        node = self.node
        known = node >= 0
        columns = {
            "cascade_code": (self.code or taxonomy.codes[node]) if known else None,
            "cascade_path": taxonomy.path(node) if known else None,
            "cascade_confidence": self.confidence if known else None,
            "cascade_source": self.source,
            "cascade_status": self.status,
            "cascade_message": self.message,
            RANKING: self.ranking or None,
        }
        if len(self.nodes) > 1:
            for level, each in enumerate(self.nodes, 1):
                columns[level_column(level)] = taxonomy.codes[each] if each >= 0 else None
        return columns


def level_column(level: int) -> str:
    """Column of the code that was predicted for a level on its own."""
    return f"cascade_code_l{level}"


class ExternalPredictionReader:
    """Reads the rows of a predictions file, and counts values that are not in the taxonomy.

    Raises
    ------
    InputError
        A named column is not there, or none can be guessed.
    """

    def __init__(self, table: Table, taxonomy: Taxonomy, wanted: PredictionColumns) -> None:
        self.table = table
        self.answered = self.unknown = 0
        self.first_unknown = ""
        self._taxonomy, self._finder = taxonomy, LabelFinder(taxonomy)
        self._written = WrittenAnswers(table)
        self._nested = not wanted.predicted and self._written.nested
        self._codes = wanted.predicted or _guess(table, self._nested)
        self._confidence = wanted.confidence
        if self._confidence is None:
            usual = USUAL_CONFIDENCE[:1] if self._nested else USUAL_CONFIDENCE
            self._confidence = next((n for n in usual if self._nested or n in table.columns), None)
        elif self._nested:
            require_columns(table, [self._confidence])
        if not self._nested:
            require_columns(table, [*self._codes, *filter(None, [self._confidence])])

    @property
    def columns(self) -> dict[str, type]:
        """Columns of `ExternalPrediction.columns` with their types."""
        levels = len(self._codes) if len(self._codes) > 1 else 0
        more = [level_column(level) for level in range(1, levels + 1)]
        return {**ANSWER_COLUMNS, RANKING: str, **dict.fromkeys(more, str)}

    def read(self, row: Row) -> ExternalPrediction:
        """The prediction in one row.

        Raises
        ------
        InputError
            A confidence is no probability.
        """
        if row.problem is not None:
            return ExternalPrediction(message=row.problem)
        values = self._values(row)
        texts = [values(column) for column in self._codes]
        nodes = tuple(map(self._find, texts, [row] * len(texts)))
        self.answered += any(texts)
        message = values("cascade_message")
        if max(nodes) < 0:
            found = next(filter(None, texts), None)
            reason = f"{found!r} is not in the taxonomy" if found else "no prediction is given"
            return ExternalPrediction(nodes, message=message or reason)
        status = values("cascade_status")
        return ExternalPrediction(
            nodes,
            self._probability(row, values),
            values("cascade_source") or "given",
            status if status in get_args(Status) else "ok",
            message,
            values(RANKING),
            self._with_facets(texts),
        )

    def _values(self, row: Row) -> Values:
        if not self._nested:
            return lambda name: self.table.text(row, name)
        return lambda name: self._written.text(row, name.removeprefix("cascade_"))

    def _find(self, text: str, row: Row) -> int:
        found = self._finder.find(text)
        if text and found < 0:
            self.unknown += 1
            self.first_unknown = self.first_unknown or f"line {row.line}, {text[:80]!r}"
        return found

    def _with_facets(self, texts: Sequence[str]) -> str:
        """The code of a row where it may have facets, empty for other predictions."""
        if not isinstance(self._taxonomy, FacetedTaxonomy) or len(texts) > 1:
            return ""
        try:
            return str(FoodCode.parse(texts[0]))
        except CodeError:  # a path
            return ""

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


@dataclass
class ExternalPredictions:
    """The prediction of a file for each labelled row; make one with `match`.

    Parameters
    ----------
    name, sha256
        The predictions file.
    columns
        Columns of the predictions with their types.
    id
        Column that rows are matched by, None if by their order.
    missing, unused
        Labelled rows without a prediction, which count as wrong; predictions without a row.
    unknown, first_unknown
        Predictions that are no node of the taxonomy, and the first of them.
    """

    name: str
    sha256: str
    columns: dict[str, type]
    id: str | None
    missing: int = 0
    unused: int = 0
    unknown: int = 0
    first_unknown: str = ""
    _by_key: dict[str | int, ExternalPrediction] = field(default_factory=dict, repr=False)

    def of(self, table: Table, row: Row) -> ExternalPrediction:
        """The prediction for a labelled row of `table`."""
        key = row.number if self.id is None else _same_id(table.text(row, self.id))
        return self._by_key.get(key) or ExternalPrediction(
            message="there is no prediction for this row"
        )

    @classmethod
    def match(
        cls,
        source: TableFile,
        predictions: TableFile,
        taxonomy: Taxonomy,
        wanted: PredictionColumns,
        *,
        id: str | None = None,
        allow_missing: bool = False,
    ) -> ExternalPredictions:
        """Read a predictions file and match it with the labelled rows.

        Parameters
        ----------
        id
            Column of both files by which rows are matched; by their order if None.
        allow_missing
            Rows without a prediction count as wrong; otherwise they are an error.

        Raises
        ------
        InputError
            A column is missing, rows cannot be matched, or no prediction is in the taxonomy.
        """
        with predictions.open() as table:
            reader = ExternalPredictionReader(table, taxonomy, wanted)
            found = cls(predictions.file, predictions.sha256, reader.columns, id)
            if id is None:
                found._by_order(reader, source)
            else:
                found._by_id(reader, source, id, allow_missing)
        if reader.unknown and not any(answer.node >= 0 for answer in found._by_key.values()):
            raise InputError(
                f"none of its {reader.answered:,} predictions is a node of taxonomy "
                f"{taxonomy.name!r} (first: {reader.first_unknown}); name the columns of codes or "
                "paths with --predicted, or the taxonomy that they are from with -t",
                file=predictions.file,
            )
        found.unknown, found.first_unknown = reader.unknown, reader.first_unknown
        return found

    def _by_id(
        self, reader: ExternalPredictionReader, source: TableFile, id: str, allow_missing: bool
    ) -> None:
        require_columns(reader.table, [id])
        lines: dict[str, int] = {}
        for row in reader.table:
            key = _key(reader.table, row, id, lines)
            self._by_key[key] = reader.read(row)
        asked: dict[str, int] = {}
        missing: list[str] = []
        with source.open() as table:
            require_columns(table, [id])
            for row in table:
                key = _key(table, row, id, asked)
                if key not in lines:
                    missing.append(f"{key!r} (line {row.line} of {table.name})")
        self.missing = len(missing)
        self.unused = len(lines.keys() - asked.keys()) if source.limit is None else 0
        if not missing or (allow_missing and len(missing) < len(asked)):
            return
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

    def _by_order(self, reader: ExternalPredictionReader, source: TableFile) -> None:
        with source.open() as table:
            shared = _shared(table, reader.table)
            cure = (
                f"match them by a column with --id (both have: {', '.join(shared)})"
                if shared
                else "give both a column of ids, and name it with --id"
            )
            for count, (row, other) in enumerate(zip_longest(table, reader.table)):
                if row is None and source.limit is not None:
                    break
                if row is None or other is None:
                    raise _lengths(count, row, table, reader.table, cure)
                _check_same(table, row, reader.table, other, shared, cure)
                self._by_key[row.number] = reader.read(other)


def _same_id(text: str) -> str:
    """An id without blanks, and whole again where a program wrote it as a float."""
    text = normalize_code(text)
    return WHOLE_FLOAT.sub(r"\1", text)


def _key(table: Table, row: Row, id: str, seen: dict[str, int]) -> str:
    """The id of a row, which no row before may have."""
    key = _same_id(table.text(row, id))
    if not key and row.problem is None:
        raise InputError(
            "a row without an id cannot be matched; fill it in, or match by order without --id",
            file=table.name,
            line=row.line,
            column=id,
        )
    if key in seen and row.problem is None:
        raise InputError(
            f"{key!r} is there twice, in lines {seen[key]} and {row.line}; ids that rows are "
            "matched by must differ",
            file=table.name,
            column=id,
        )
    seen[key] = row.line
    return key


def _shared(ours: Table, theirs: Table) -> list[str]:
    """Columns of the input that both files have once."""
    return [
        name
        for name in ours.columns
        if not name.startswith("cascade")
        and ours.columns.count(name) == theirs.columns.count(name) == 1
    ]


def _lengths(count: int, row: Row | None, table: Table, others: Table, cure: str) -> InputError:
    """The error of two files of which one ends after `count` rows."""
    shorter, longer = (table, others) if row is None else (others, table)
    more = count + 1 + sum(1 for _ in longer)
    return InputError(f"{longer.name} has {more:,} rows and {shorter.name} has {count:,}; {cure}")


def _check_same(
    table: Table, row: Row, others: Table, other: Row, shared: Sequence[str], cure: str
) -> None:
    """Raise where two rows that should be the same differ in a column that both have."""
    if row.problem is not None or other.problem is not None:
        return
    for name in shared:
        ours, theirs = table.text(row, name), others.text(other, name)
        if ours != theirs and code_form(ours) != code_form(theirs):
            raise InputError(
                f"found {theirs[:60]!r} where {table.name} has {ours[:60]!r} in line {row.line}, "
                f"so these are other rows or another order; {cure}",
                file=others.name,
                line=other.line,
                column=name,
            )
