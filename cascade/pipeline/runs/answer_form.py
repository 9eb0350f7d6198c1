"""What stands beside each row of an output."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from cascade.io import Answer
from cascade.predictions import Prediction, alternatives_as_dicts, set_as_dicts, trace_as_dicts

LISTS = ("alternatives", "trace", "ranking", "set")  # JSON in tabular output
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
    """

    top: int = 0
    explain: bool = False
    ranking: bool = False
    question: bool = False
    set: bool = False
    whole: bool = False

    @property
    def columns(self) -> dict[str, type]:
        """Columns of tabular output with their types."""
        more = {
            "cascade_alternatives": self.top > 0,
            "cascade_trace": self.explain,
            "cascade_ranking": self.ranking,
            "cascade_question": self.question,
            "cascade_set": self.set,
        }
        found = ANSWER_COLUMNS | {name: str for name, wanted in more.items() if wanted}
        return found | WHOLE_COLUMNS if self.whole else found

    def answer(self, prediction: Prediction, *, nested: bool) -> Answer:
        """A prediction as values by column, or (`nested`) by key of one JSON object."""
        code = prediction.code
        confidence = round(prediction.confidence, 4) if code else None
        values: dict[str, Any]
        if nested:  # each row of a run passes here, and a literal is the quickest
            values = {
                "code": code,
                "path": prediction.path,
                "confidence": confidence,
                "source": prediction.source,
                "status": prediction.status,
                "message": prediction.message,
            }
        else:
            values = {
                "cascade_code": code,
                "cascade_path": prediction.path,
                "cascade_confidence": confidence,
                "cascade_source": prediction.source,
                "cascade_status": prediction.status,
                "cascade_message": prediction.message,
            }
        if self.question:
            values["question" if nested else "cascade_question"] = prediction.question
        if self.whole:
            values |= _whole(prediction.climbed_from or prediction, nested=nested)
        if not (self.top or self.explain or self.ranking or self.set):
            return values
        lists: dict[str, list[Any]] = {}
        if self.top:
            lists["alternatives"] = alternatives_as_dicts(prediction)[: self.top]
        if self.explain:
            lists["trace"] = trace_as_dicts(prediction)
        if self.ranking:
            lists["ranking"] = list(prediction.ranking)
        if self.set:
            places = set_as_dicts(prediction)
            lists["set"] = list(places) if nested else [place["code"] for place in places]
        if nested:
            return values | lists
        for key, value in lists.items():
            values[f"cascade_{key}"] = json.dumps(value, ensure_ascii=False)
        return values


def _whole(prediction: Prediction, *, nested: bool) -> dict[str, Any]:
    """The likeliest answer as a whole, by column or key."""
    sure = None if prediction.code is None else round(prediction.confidence, 4)
    levels: Any = [round(each, 4) for each in prediction.path_confidences]
    found = zip(WHOLE_COLUMNS, (prediction.code, sure, levels), strict=True)
    if nested:
        return {name.removeprefix("cascade_"): value for name, value in found}
    return dict(found) | {"cascade_whole_levels": json.dumps(levels)}
