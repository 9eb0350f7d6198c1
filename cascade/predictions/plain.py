"""Predictions as plain dicts, lists, strings and numbers, for JSON and columns of answers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cascade.predictions.answers import Candidate, Level, Prediction


def confidences_of(
    candidates: Sequence[Candidate], above: float, chosen: str | None = None, sure: float = 0.0
) -> list[float]:
    """The probability that the item lies at or below each candidate, whatever its parent.

    The others share what the chosen one leaves of the parent's confidence, as they share the belief
    among the candidates.

    Parameters
    ----------
    above
        Confidence of the parent; 1 at the top.
    chosen, sure
        Code and confidence of the candidate on the path, if any.
    """
    taken = sum(c.probability for c in candidates if c.code == chosen)
    left = (above - sure) / (1 - taken) if chosen is not None and taken < 1 else above
    return [sure if c.code == chosen else c.probability * max(left, 0.0) for c in candidates]


def levels_with_confidences(
    prediction: Prediction,
) -> Iterator[tuple[Level, list[float], list[float]]]:
    """Each level with the confidences of its candidates, and of those below it."""
    above = 1.0
    for level in prediction.levels:
        beside = confidences_of(level.candidates, above, level.code, level.confidence)
        above = level.confidence
        yield level, beside, confidences_of(level.below, above)


def trace_as_dicts(prediction: Prediction) -> list[dict[str, Any]]:
    """The walk of a prediction as plain values: each level, facet category, and agent's step."""
    return levels_as_dicts(prediction) + facets_as_dicts(prediction) + steps_as_dicts(prediction)


def levels_as_dicts(prediction: Prediction) -> list[dict[str, Any]]:
    """The levels of a prediction as plain values, with their candidates and scores."""
    return [
        {
            "level": level.level,
            "code": level.code,
            "name": level.name,
            "confidence": round(level.confidence, 6),
            "candidates": _of_level(level.candidates, beside),
        }
        | ({"below": _of_level(level.below, under)} if level.below else {})
        for level, beside, under in levels_with_confidences(prediction)
    ]


def facets_as_dicts(prediction: Prediction) -> list[dict[str, Any]]:
    """The facets of a prediction as plain values, with their candidates and scores."""
    return [
        {
            "category": facet.category,
            "label": facet.label,
            "code": facet.code,
            "name": facet.name,
            "confidence": round(facet.confidence, 6),
            "message": facet.message,
            "words": list(facet.words),
            "candidates": _plain(facet.candidates),
        }
        for facet in prediction.facets
    ]


def steps_as_dicts(prediction: Prediction) -> list[dict[str, Any]]:
    """The steps of an agent as plain values."""
    return [
        {
            "step": at,
            "action": step.action,
            "shown": list(step.shown),
            "note": step.note,
            "answer": step.answer,
        }
        for at, step in enumerate(prediction.steps, 1)
    ]


def _plain(candidates: Sequence[Candidate]) -> list[dict[str, Any]]:
    return [
        {
            "code": c.code,
            "name": c.name,
            "probability": round(c.probability, 6),
            "scores": {k: round(v, 4) for k, v in c.scores.items()},
        }
        for c in candidates
    ]


def _of_level(candidates: Sequence[Candidate], sure: Sequence[float]) -> list[dict[str, Any]]:
    """Candidates with their confidences, and their probability given the parent."""
    return [
        {
            "code": plain["code"],
            "name": plain["name"],
            "confidence": round(confidence, 6),
            "given_parent": plain["probability"],
            "scores": plain["scores"],
        }
        for plain, confidence in zip(_plain(candidates), sure, strict=True)
    ]


def alternatives_as_dicts(prediction: Prediction) -> list[dict[str, Any]]:
    """The alternatives of a prediction as plain values, best first."""
    return [
        {"code": a.code, "path": a.path, "confidence": round(a.confidence, 6)}
        for a in prediction.alternatives
    ]


def set_as_dicts(prediction: Prediction) -> list[dict[str, str]]:
    """The set of a prediction as plain values, likeliest first."""
    return [{"code": place.code, "path": place.path} for place in prediction.set]
