"""What stands beside each row of an output.

In tables the next best answers have columns of their own, `cascade_code_2` and so on; in JSON they
are a list.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import Any

from cascade.io import Answer
from cascade.io.tables.layout import AnswerColumns
from cascade.predictions import Prediction, alternatives_as_dicts, set_as_dicts, trace_as_dicts
from cascade.predictions.columns import PredictionColumns

DIGITS = 6  # of confidences
LISTS = ("alternatives", "trace", "ranking", "set", "whole_levels")  # JSON in tabular output
ANSWER_COLUMNS: dict[str, type] = {
    "cascade_code": str,
    "cascade_path": str,
    "cascade_confidence": float,
    "cascade_source": str,
    "cascade_status": str,
    "cascade_message": str,
}
WHOLE_COLUMNS: dict[str, type] = {
    "cascade_whole_code": str,
    "cascade_whole_confidence": float,
    "cascade_whole_levels": str,
}


ANSWER_KEYS = {name.removeprefix("cascade_"): name for name in ANSWER_COLUMNS}
OF_ALTERNATIVE: dict[str, type] = {"code": str, "path": str, "confidence": float}


@dataclass(frozen=True, slots=True)
class AnswerForm:
    """What stands beside each row.

    Parameters
    ----------
    top
        Alternatives to show, the answer itself not counted.
    explain
        Whether the trace is shown.
    ranking
        Whether the ranking of leaves is shown.
    question
        Whether there is a column for what the agent asks.
    set
        Whether the set that holds the right node is shown: its codes, and in nested output its
        paths too.
    whole
        Whether the likeliest answer as a whole stands beside what of it was accepted, with the
        confidences of its levels, from the top.
    nested
        Whether alternatives are one column of JSON in tables, too.
    """

    top: int = 0
    explain: bool = False
    ranking: bool = False
    question: bool = False
    set: bool = False
    whole: bool = False
    nested: bool = False

    @property
    def columns(self) -> dict[str, type]:
        """Columns of tabular output with their types."""
        more = {
            "cascade_alternatives": self.top > 0 and self.nested,
            "cascade_trace": self.explain,
            "cascade_ranking": self.ranking,
            "cascade_question": self.question,
            "cascade_set": self.set,
        }
        flat = {} if self.nested else columns_of_alternatives(self.top)
        found = ANSWER_COLUMNS | flat | {name: str for name, wanted in more.items() if wanted}
        return found | WHOLE_COLUMNS if self.whole else found

    @property
    def keys(self) -> list[str]:
        """Keys of an answer, as `as_values` gives it."""
        more = {
            "alternatives": self.top > 0,
            "trace": self.explain,
            "ranking": self.ranking,
            "question": self.question,
            "set": self.set,
        }
        whole = [name.removeprefix("cascade_") for name in WHOLE_COLUMNS] if self.whole else []
        return [*ANSWER_KEYS, *(key for key, wanted in more.items() if wanted), *whole]

    def answers(
        self, predictions: PredictionColumns, *, nested: bool
    ) -> list[Answer] | AnswerColumns:
        """Predictions as values by column, or (`nested`) by key of one JSON object."""
        if self._has_more:
            return [self.answer(prediction, nested=nested) for prediction in predictions]
        sure: list[float | None] = list(map(round, predictions.confidence, repeat(DIGITS)))
        if None in predictions.code:
            codes = predictions.code
            sure = [None if code is None else own for own, code in zip(sure, codes, strict=True)]
        columns = (
            predictions.code,
            predictions.path,
            sure,
            predictions.source,
            predictions.status,
            predictions.message,
        )
        return AnswerColumns(
            dict(zip(ANSWER_KEYS if nested else ANSWER_COLUMNS, columns, strict=True))
        )

    def answer(self, prediction: Prediction, *, nested: bool) -> Answer:
        """A prediction as values by column, or (`nested`) by key of one JSON object."""
        values = self._values(prediction)
        return values if nested else self.as_columns(values)

    @property
    def _has_more(self) -> bool:
        """Whether an answer has more than its plain columns."""
        return bool(
            self.top or self.explain or self.ranking or self.question or self.set or self.whole
        )

    def _values(self, prediction: Prediction) -> dict[str, Any]:
        code = prediction.code
        values: dict[str, Any] = {
            "code": code,
            "path": prediction.path,
            "confidence": round(prediction.confidence, DIGITS) if code else None,
            "source": prediction.source,
            "status": prediction.status,
            "message": prediction.message,
        }
        if self.question:
            values["question"] = prediction.question
        if self.top:
            values["alternatives"] = alternatives_as_dicts(prediction)[: self.top]
        if self.explain:
            values["trace"] = trace_as_dicts(prediction)
        if self.ranking:
            values["ranking"] = list(prediction.ranking)
        if self.set:
            values["set"] = list(set_as_dicts(prediction))
        if self.whole:
            values |= _whole(prediction.climbed_from or prediction)
        return values

    def as_columns(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """The values of an answer by column."""
        found = {name: values[key] for key, name in ANSWER_KEYS.items()}
        for key in values.keys() - ANSWER_KEYS.keys():
            value = values[key]
            if key == "alternatives" and not self.nested:
                found |= flat_alternatives(value or [], self.top)
            else:
                if key == "set":  # an earlier table has the codes alone
                    value = [p["code"] if isinstance(p, dict) else p for p in value or []]
                listed = key in LISTS
                found[f"cascade_{key}"] = json.dumps(value, ensure_ascii=False) if listed else value
        return found


def _whole(prediction: Prediction) -> dict[str, Any]:
    """The likeliest answer as a whole, by key."""
    sure = None if prediction.code is None else round(prediction.confidence, DIGITS)
    levels = [round(each, DIGITS) for each in prediction.path_confidences]
    return {"whole_code": prediction.code, "whole_confidence": sure, "whole_levels": levels}


def is_answer_column(name: str) -> bool:
    """Whether a column is one that answers are written to, in any form."""
    return name in _EVERY_COLUMN or _ALTERNATIVE.fullmatch(name) is not None


def columns_of_alternatives(top: int) -> dict[str, type]:
    """`cascade_code_2`, `cascade_path_2`, `cascade_confidence_2`, `cascade_code_3`, ..."""
    return {
        f"cascade_{key}_{place}": kind
        for place in range(2, top + 2)
        for key, kind in OF_ALTERNATIVE.items()
    }


def flat_alternatives(alternatives: Iterable[Mapping[str, Any]], top: int) -> dict[str, Any]:
    """The values of those columns; None where there are fewer alternatives."""
    flat: dict[str, Any] = dict.fromkeys(columns_of_alternatives(top))
    for place, alternative in enumerate(alternatives, 2):
        if place <= top + 1:
            flat |= {f"cascade_{key}_{place}": alternative.get(key) for key in OF_ALTERNATIVE}
    return flat


def listed_alternatives(flat: Mapping[str, Any], top: int) -> Sequence[dict[str, Any]]:
    """The list of alternatives that values by column tell of."""
    found = []
    for place in range(2, top + 2):
        if flat.get(f"cascade_code_{place}"):
            found.append({key: flat.get(f"cascade_{key}_{place}") for key in OF_ALTERNATIVE})
    return found


_ALTERNATIVE = re.compile(rf"cascade_(?:{'|'.join(OF_ALTERNATIVE)})_\d+")
_EVERY_COLUMN = AnswerForm(
    top=1, explain=True, ranking=True, question=True, set=True, whole=True, nested=True
).columns
