"""How far down its best path an answer holds: the deepest node that is sure enough.

An answer that is not sure at its leaf often is at a level above. So the path of the best answer is
followed upward until a node's confidence reaches a threshold.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from cascade.lazy import peek
from cascade.predictions import Alternative, LazyPath, Level, Prediction
from cascade.taxonomy.names import PATH_SEPARATOR


def deepest(confidences: Sequence[float], least: float) -> int:
    """The deepest level down to which no confidence is below `least`; 0 where the top one is."""
    for level, sure in enumerate(confidences):
        if sure < least:
            return level
    return len(confidences)


def climb(prediction: Prediction, level: int, why: str) -> Prediction:
    """The prediction with the node of an upper level of its path as its answer, as `partial`.

    The answer so far becomes the first alternative.

    Parameters
    ----------
    level
        Of the node, from 1 up, above the answer so far.
    why
        What the message says of the level below.
    """
    levels = prediction.levels
    own, below = levels[level - 1], levels[level]
    assert prediction.code is not None and prediction.path is not None
    whole = Alternative(prediction.code, prediction.path, prediction.confidence)
    said = f"answered at level {level}: {below.name!r} below it has {in_percent(below.confidence)}"
    message = f"{said}, {why}"
    lazy: Any = _Shortened(prediction, level, whole)  # stands in two fields until they are read
    return replace(
        prediction,
        code=own.code,
        path=PATH_SEPARATOR.join([level.name for level in levels[:level]]),
        confidence=own.confidence,
        status="partial",
        message=f"{prediction.message}; {message}" if prediction.message else message,
        levels=lazy,
        alternatives=lazy,
        climbed_from=whole,
    )


class _Shortened(LazyPath):
    """The upper levels of a prediction, and its alternatives behind its whole answer."""

    __slots__ = ("_level", "_of", "_whole")

    def __init__(self, of: Prediction, level: int, whole: Alternative) -> None:
        self._of, self._level, self._whole = of, level, whole

    def confidences(self) -> Sequence[float]:
        return self._of.path_confidences[: self._level]

    def levels(self) -> tuple[Level, ...]:
        *upper, own = self._of.levels[: self._level]
        below: Any = peek(self._of.levels[self._level], "candidates")
        seen: Any = peek(own, "candidates")
        return (*upper, Level(own.level, own.code, own.name, own.confidence, seen, below))

    def alternatives(self) -> tuple[Alternative, ...]:
        return (self._whole, *self._of.alternatives)


def in_percent(confidence: float) -> str:
    """A confidence in whole percent, rounded down, so that what is below a bound looks so."""
    return f"{math.floor(confidence * 100 + 1e-9)}%"
