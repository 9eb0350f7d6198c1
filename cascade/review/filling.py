"""Rows with their answers, from a file or from memory, into the SQLite file of a session."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from cascade.errors import InputError, UsageError
from cascade.evaluation.external_predictions import ExternalPredictionReader, PredictionColumns
from cascade.io import Row, Table
from cascade.io.tables.layout import ANSWER_KEY
from cascade.io.tables.opening import TableFile
from cascade.io.tables.rows import listed, require_columns
from cascade.pipeline.runs.written_answers import WrittenAnswers, probability
from cascade.predictions import Prediction, levels_as_dicts
from cascade.review.database import Database
from cascade.review.worth import worth
from cascade.taxonomy import Taxonomy

INDEXED = 2_000  # characters of a row that are searched by words
CANDIDATES = 8  # of a level, that are kept
SURE_TO_FAIL, UNKNOWN, LAST = 1.0, 0.5, -1.0  # doubts of rows without a confidence
_COLUMNS = (
    "row, key, cells, image, code, node, confidence, source, status, message, more, doubt, value, "
    "chance, wanted, waiting"
)


@dataclass(frozen=True)
class Layout:
    """What the columns of the rows are.

    Parameters
    ----------
    columns
        All that are the user's own, in their order.
    text
        Those that the answers were made of, which are shown large.
    image, id
        Column of pictures, and of the rows' own identifiers.
    """

    columns: tuple[str, ...]
    text: tuple[str, ...] = ()
    image: str | None = None
    id: str | None = None

    @property
    def kept(self) -> list[str]:
        """The columns whose texts are kept; a picture is kept beside them."""
        return [name for name in self.columns if name != self.image]

    def to_json(self) -> str:
        """The layout as `from_json` reads it."""
        return json.dumps(
            {"columns": self.columns, "text": self.text, "image": self.image, "id": self.id}
        )

    @classmethod
    def from_json(cls, text: str) -> Layout:
        """The layout that `to_json` wrote."""
        found = json.loads(text)
        return cls(tuple(found["columns"]), tuple(found["text"]), found["image"], found["id"])


def layout_of(
    table: Table, text: Sequence[str], image: str | None, id: str | None, guess: Sequence[str]
) -> Layout:
    """The layout of a table; what answers were written to is none of the user's columns.

    Parameters
    ----------
    guess
        Text columns where none are named, as far as they are there.

    Raises
    ------
    InputError
        A column is not there, or more than once.
    """
    own = list(dict.fromkeys(filter(None, WrittenAnswers(table).own_columns)))
    image = image or table.pictures
    require_columns(table, [*text, *filter(None, [image, id])])
    shown = list(text) or [name for name in guess if name in own]
    return Layout(tuple(own), tuple(shown), image, id)


@dataclass(frozen=True)
class Filling:
    """The rows of a source with their answers.

    Parameters
    ----------
    source
        The rows, which are read once.
    answers
        Their answers, in order; None where the rows hold them.
    wanted
        Columns of answers, where they are not those of `cascade classify`.
    unanswered
        Whether rows may be without any answer.
    double
        Share of rows that two reviewers shall look at.
    seed
        Of the random order.
    """

    source: TableFile
    taxonomy: Taxonomy
    layout: Layout
    answers: Iterable[Prediction] | None = None
    wanted: PredictionColumns = field(default_factory=PredictionColumns)
    unanswered: bool = False
    double: float = 0.0
    seed: int = 0

    def fill(self, db: Database, progress: Callable[[int], None] | None = None) -> int:
        """Write all rows, within a transaction; how many there are.

        Raises
        ------
        InputError
            There are no rows or no answers, ids are there twice, or a confidence is none.
        """
        rows: list[list[Any]] = []
        texts: list[str] = []
        with self.source.open() as table:
            for found, text in self._read(table):
                rows.append(found)
                texts.append(text)
                if progress is not None and len(rows) % 1000 == 0:
                    progress(len(rows))
        if not rows:
            raise InputError("there are no rows to look at", file=self.source.file)
        doubt = np.array([row[11] for row in rows])
        nodes = np.array([-1 if row[5] is None else row[5] for row in rows])
        rng = np.random.default_rng(self.seed)
        chance = rng.permutation(len(rows)).tolist()
        double = (rng.random(len(rows)) < self.double).tolist()
        for row, value, place, twice in zip(
            rows, worth(texts, doubt, nodes).tolist(), chance, double, strict=True
        ):
            row += [value, place, 1 + twice, 1 + twice]
        marks = ", ".join("?" * len(rows[0]))
        db.run_many(f"INSERT INTO rows ({_COLUMNS}) VALUES ({marks})", rows)
        db.run_many(
            "INSERT INTO texts (rowid, text) VALUES (?, ?)",
            [(row[0], text[:INDEXED]) for row, text in zip(rows, texts, strict=True)],
        )
        return len(rows)

    def _read(self, table: Table) -> Iterator[tuple[list[Any], str]]:
        """Values of `rows` up to the doubt, and all texts as one."""
        layout, seen = self.layout, Counter[str]()
        answer_of = self._answers(table)
        for row in table:
            cells = [table.text(row, name) for name in layout.kept]
            image = None if layout.image is None else table.value(row, layout.image)
            if isinstance(image, Mapping):  # as Parquet files of pictures have it
                image = image.get("bytes") or image.get("path")
            image = image if isinstance(image, str | bytes) and image else None
            key = self._key(table, row, cells, image, seen)
            answer = answer_of(row)
            own = [row.number, key, json.dumps(cells, ensure_ascii=False), image]
            yield own + answer, "\n".join(cells)

    def _key(
        self, table: Table, row: Row, cells: Sequence[str], image: Any, seen: Counter[str]
    ) -> str:
        """The row's own id; without such a column what stands in it, and how often before."""
        if self.layout.id is not None and row.problem is None:
            key = table.text(row, self.layout.id)
            seen[key] += 1
            if key and seen[key] > 1:
                raise InputError(
                    f"{key!r} is there twice; ids must differ, or leave out --id",
                    file=table.name,
                    line=row.line,
                    column=self.layout.id,
                )
            if key:
                return key
        digest = hashlib.sha256(json.dumps([*cells, repr(image)]).encode()).hexdigest()[:24]
        seen[digest] += 1
        return f"#{digest}.{seen[digest]}"

    def _answers(self, table: Table) -> Callable[[Row], list[Any]]:
        """What gives the answer of a row as values: code, node, ..., more, doubt."""
        named = [*self.wanted.predicted, *filter(None, [self.wanted.confidence])]
        if self.answers is not None:
            if named:
                raise UsageError(
                    f"answers are given, so that the columns {listed(named)} would not be read; "
                    "leave out one of the two"
                )
            given = iter(self.answers)

            def next_answer(row: Row) -> list[Any]:
                prediction = next(given, None)
                if prediction is None:
                    raise UsageError(
                        f"there are fewer answers than rows: none for row {row.number}"
                    )
                return self._of_prediction(prediction)

            return next_answer
        require_columns(table, named)
        if self.unanswered and not _has_answers(table, self.wanted):
            return lambda row: _values(None, None, None, "", "", row.problem or "", {})
        try:
            reader = ExternalPredictionReader(table, self.taxonomy, self.wanted)
        except InputError as error:
            if self.wanted.predicted or _has_answers(table, self.wanted):
                raise
            raise InputError(
                "holds no answers; write them first: cascade classify FILE -t TAXONOMY -o OUT, and "
                "name OUT here (or the column of answers with --predicted)",
                file=table.name,
            ) from error

        written = WrittenAnswers(table)

        def read(row: Row) -> list[Any]:
            found = reader.read(row)
            code = None if found.node < 0 else found.code or self.taxonomy.codes[found.node]
            status = written.text(row, "status") or found.status
            status = found.status if code is not None and status in ("error", "nowhere") else status
            node = None if found.node < 0 else found.node
            more = self._more(written, row)
            source, message = found.source, found.message
            return _values(code, node, found.confidence, source, status, message, more)

        return read

    def _of_prediction(self, prediction: Prediction) -> list[Any]:
        code = prediction.code
        node = None if code is None else self.taxonomy.find(code)
        if node is None and code is not None and prediction.levels:  # a code with facets
            node = self.taxonomy.find(prediction.levels[-1].code)
        more = {
            "alternatives": [[a.code, round(a.confidence, 6)] for a in prediction.alternatives],
            "levels": _levels(levels_as_dicts(prediction)),
        }
        return _values(
            code,
            node,
            prediction.confidence if code is not None else None,
            prediction.source,
            prediction.status,
            prediction.message,
            more,
        )

    def _more(self, written: WrittenAnswers, row: Row) -> dict[str, Any]:
        """Alternatives and levels as the file has them, in any of its forms."""
        pairs = [
            [a["code"], probability(a.get("confidence"))]
            for a in written.listed(row, "alternatives")
            if isinstance(a, Mapping) and isinstance(a.get("code"), str)
        ]
        return {
            "alternatives": [p for p in pairs if self.taxonomy.find(p[0]) is not None],
            "levels": _levels(written.listed(row, "trace")),
        }


def _has_answers(table: Table, wanted: PredictionColumns) -> bool:
    names = {*wanted.predicted, ANSWER_KEY, "cascade_code", "cascade_code_l1"}
    return bool(names & set(table.columns))


def _levels(trace: Sequence[Any]) -> list[dict[str, Any]]:
    """The levels of a trace with the best of their candidates; nothing else of it."""
    found = []
    for level in trace:
        if not isinstance(level, Mapping) or not isinstance(level.get("code"), str):
            continue
        if "level" not in level:  # a facet
            continue
        candidates = [
            [c["code"], probability(c.get("confidence"))]
            for c in level.get("candidates") or ()
            if isinstance(c, Mapping) and isinstance(c.get("code"), str)
        ]
        found.append(
            {
                "code": level["code"],
                "confidence": probability(level.get("confidence")),
                "candidates": candidates[:CANDIDATES],
            }
        )
    return found


def _values(
    code: str | None,
    node: int | None,
    confidence: float | None,
    source: str,
    status: str,
    message: str,
    more: Mapping[str, Any],
) -> list[Any]:
    """What `rows` holds of an answer, with its doubt."""
    if code is not None:
        doubt = UNKNOWN if confidence is None else 1 - confidence
    else:
        doubt = {"nowhere": UNKNOWN, "error": LAST}.get(status, SURE_TO_FAIL)
    written = json.dumps(more, ensure_ascii=False)
    return [code, node, confidence, source, status, message, written, doubt]
