"""The answers of an earlier run, so that only those are made again that a failure spoilt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any

from cascade.config import Columns
from cascade.errors import InputError
from cascade.io import ANSWER_KEY, Answer, Row, Table
from cascade.pipeline.fallback import is_by_fallback
from cascade.pipeline.runs.answer_form import AnswerForm, columns_of_alternatives
from cascade.pipeline.runs.written_answers import WrittenAnswers
from cascade.predictions import Level, Prediction
from cascade.taxonomy import Taxonomy


class EarlierAnswers:
    """What an earlier output says of rows, read beside its input, in order.

    A row is answered again where it is in error, where the fallback answered it, and where the
    earlier output ends before it.

    Parameters
    ----------
    earlier
        The output, opened as a table.
    columns
        Those of the input that are read; they must be the same in both.
    form
        What stands beside each row, which the earlier output must have.

    Raises
    ------
    InputError
        The output has no answers, or not all that is asked for.
    """

    def __init__(
        self, earlier: Table, columns: Columns, form: AnswerForm, taxonomy: Taxonomy
    ) -> None:
        self._earlier, self._taxonomy = earlier, taxonomy
        self._written = WrittenAnswers(earlier)
        self._read = [*columns.text, *filter(None, (columns.image, columns.id))]
        self._form = form
        flat = list(columns_of_alternatives(form.top))
        if "cascade_alternatives" in earlier.columns:  # JSON of --nested, or of earlier versions
            flat = []
        wanted = [f"cascade_{key}" for key in form.keys if key != "alternatives" or not flat]
        wanted = [ANSWER_KEY] if earlier.kind == "jsonl" else [*wanted, *flat]
        if missing := [name for name in wanted if name not in earlier.columns]:
            raise InputError(
                f"has no column {', '.join(map(repr, missing))}; expected the output of an earlier "
                "run with the same --top and --explain",
                file=earlier.name,
            )

    def of(self, table: Table, rows: Sequence[Row]) -> dict[int, dict[str, Any]]:
        """The answers to the next rows that are kept, by place; each by its keys (`code`, ...).

        Raises
        ------
        InputError
            A row of the output is not that of the input.
        """
        found: dict[int, dict[str, Any]] = {}
        beside = islice(self._earlier.rows, len(rows))
        for at, (row, old) in enumerate(zip(rows, beside, strict=False)):
            if table.texts(row, self._read) != self._earlier.texts(old, self._read):
                raise InputError(
                    f"row {row.number} is not that of {table.name}; give the output that was made "
                    "of this input",
                    file=self._earlier.name,
                    line=old.line,
                )
            answer = self._answer(old)
            status, message = answer["status"], str(answer["message"] or "")
            answered = answer["code"] or status == "nowhere"
            if status != "error" and answered and not is_by_fallback(message):
                found[at] = answer
        return found

    def prediction(self, answer: Mapping[str, Any]) -> Prediction:
        """An answer as a prediction, as far as runs count it."""
        node = self._taxonomy.find(answer["code"]) if answer["code"] else None
        path = [] if node is None else self._taxonomy.path_nodes(node).tolist()
        return Prediction(
            answer["code"] or None,
            answer["path"] or None,
            answer["confidence"],
            answer["source"],
            answer["status"],
            answer["message"] or "",
            levels=tuple(
                Level(level, self._taxonomy.codes[at], self._taxonomy.names[at], 0.0)
                for level, at in enumerate(path, 1)
            ),
        )

    def _answer(self, row: Row) -> dict[str, Any]:
        answer = {key: self._written.value(row, key) for key in self._form.keys}
        try:
            answer["confidence"] = float(answer["confidence"] or 0)
            for other in answer.get("alternatives") or []:
                other["confidence"] = float(other["confidence"])
        except (TypeError, ValueError, KeyError):
            answer["status"] = "error"  # it is made again
        return answer


def as_written(answer: Mapping[str, Any], form: AnswerForm, *, nested: bool) -> Answer:
    """An earlier answer as it stands beside a row."""
    if not answer["code"]:
        answer = {**answer, "code": None, "path": None, "confidence": None}
    return dict(answer) if nested else form.as_columns(answer)
