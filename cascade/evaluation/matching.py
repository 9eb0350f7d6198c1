"""Labelled rows and the rows of a predictions file, matched by an id or by their order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import zip_longest

from cascade.errors import InputError
from cascade.evaluation.given import Given, GivenReader, Wanted
from cascade.io import Row, Table, require_columns
from cascade.io.source import Source
from cascade.taxonomy import Taxonomy

SHOWN = 3  # ids that a message names


@dataclass
class GivenAnswers:
    """The answer of a predictions file for each labelled row; make one with `match`.

    Parameters
    ----------
    name, sha256
        The predictions file.
    columns
        Columns of the answers with their types.
    id
        Column that rows are matched by, None if by their order.
    missing
        Labelled rows without an answer; they count as wrong.
    unused
        Predictions whose id is that of no labelled row.
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
    _by_key: dict[str | int, Given] = field(default_factory=dict, repr=False)

    def answer(self, table: Table, row: Row) -> Given:
        """The answer for a labelled row of `table`."""
        key = row.number if self.id is None else table.text(row, self.id)
        return self._by_key.get(key) or Given(message="there is no prediction for this row")

    @classmethod
    def match(
        cls,
        source: Source,
        predictions: Source,
        taxonomy: Taxonomy,
        wanted: Wanted,
        *,
        id: str | None = None,
        allow_missing: bool = False,
    ) -> GivenAnswers:
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
            A column is missing, rows cannot be matched, or no prediction is in the taxonomy; the
            message says how many, which first, and what to do.
        """
        with predictions.open() as table:
            reader = GivenReader(table, taxonomy, wanted)
            given = cls(predictions.file, predictions.sha256, reader.columns, id)
            if id is None:
                given._by_order(reader, source)
            else:
                given._by_id(reader, source, id, allow_missing)
        if reader.unknown and not any(answer.node >= 0 for answer in given._by_key.values()):
            raise InputError(
                f"none of its {reader.answered:,} predictions is a node of taxonomy "
                f"{taxonomy.name!r} (first: {reader.first_unknown}); name the columns of codes or "
                "paths with --predicted, or the taxonomy that they are from with -t",
                file=predictions.file,
            )
        given.unknown, given.first_unknown = reader.unknown, reader.first_unknown
        return given

    def _by_id(self, reader: GivenReader, source: Source, id: str, allow_missing: bool) -> None:
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

    def _by_order(self, reader: GivenReader, source: Source) -> None:
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


def _key(table: Table, row: Row, id: str, seen: dict[str, int]) -> str:
    """The id of a row, which no row before may have."""
    key = table.text(row, id)
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
        if ours != theirs:
            raise InputError(
                f"found {theirs[:60]!r} where {table.name} has {ours[:60]!r} in line {row.line}, "
                f"so these are other rows or another order; {cure}",
                file=others.name,
                line=other.line,
                column=name,
            )
