"""How far down its best path an answer holds: the deepest node that is sure enough.

An answer that is not sure at its leaf often is at a level above. So the path of the best answer is
followed upward until a node reaches a threshold: its confidence where a confidence is asked for,
its worth (see `worth`) where a risk is.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cascade.lazy import LazyPath, peek, replace
from cascade.predictions import Alternative, Level, Prediction
from cascade.predictions.columns import WalkedColumns
from cascade.taxonomy.names import PATH_SEPARATOR

Floats = NDArray[np.float64]
TINY = 1e-12  # risk that a level adds at least
LEAST = 1e-9  # of a percent, that rounding may have lost


def paths_of(predictions: Sequence[Prediction]) -> Floats:
    """float64 [n, depth], the confidence of each level of each path, nan below its end."""
    if isinstance(predictions, WalkedColumns):
        return predictions.sure
    paths = [prediction.path_confidences for prediction in predictions]
    lengths = np.fromiter(map(len, paths), np.int64, len(paths))
    found = np.full((len(paths), max(lengths, default=0)), np.nan)
    found[np.arange(found.shape[1]) < lengths[:, None]] = np.fromiter(
        chain.from_iterable(paths), np.float64, int(lengths.sum())
    )
    return found


def levels_held(scores: Floats, least: float) -> NDArray[np.int64]:
    """int64 [n], down to which level no score [n, depth] is below `least`; 0: not even at the top.

    Scores are nan below the end of a path.
    """
    return np.asarray(np.logical_and.accumulate(scores >= least, axis=1).sum(axis=1))


def worth(confidences: Floats) -> Floats:
    """What each level of a path adds in right levels for what it adds in risk.

    Who asks for the most levels that are right (as a share of the path's) at a risk of wrong
    answers takes for each item the level d that maximises `d / n * p(d) - w * (1 - p(d))`, or
    no answer where that is below 0, with one price w of risk for all items. The levels down to
    which that pays at a price are those whose worth is at least the price. It never grows down a
    path, so answers climb as the price rises. A threshold of confidence would treat alike a level
    that is as sure as its parent and one that halves its parent's confidence.

    Parameters
    ----------
    confidences
        float64 [n, depth], that never grow down a path; nan below its end.

    Returns
    -------
    float64 [n, depth], from 0 up, nan below the end: the slopes of the least concave majorant of
    the points `(1 - p(d), d / n * p(d))`, by `min over a < d of max over b >= d` of the slopes
    from a to b.
    """
    n, depth = confidences.shape
    lengths = np.maximum((~np.isnan(confidences)).sum(axis=1, keepdims=True), 1)
    share = np.arange(depth + 1) / lengths
    p = np.hstack([np.ones((n, 1)), confidences])
    gain, risk = share * p, 1 - p
    found = np.full((n, depth), np.nan)
    for level in range(1, depth + 1):
        least = np.full(n, np.inf)
        for above in range(level):
            steps = slice(level, depth + 1)
            added = np.maximum(risk[:, steps] - risk[:, [above]], TINY)
            slopes = (gain[:, steps] - gain[:, [above]]) / added
            least = np.minimum(least, np.fmax.reduce(slopes, axis=1))
        found[:, level - 1] = least
    return np.where(np.isnan(confidences), np.nan, np.maximum(found, 0))


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
    nodes, sure = prediction.path_nodes, prediction.path_confidences
    assert prediction.code is not None and prediction.path is not None
    whole = Alternative(prediction.code, prediction.path, prediction.confidence)
    lazy: Any = _Shortened(prediction, level, whole)  # stands in two fields until they are read
    return replace(
        prediction,
        code=nodes[level - 1][0],
        path=PATH_SEPARATOR.join([name for _, name in nodes[:level]]),
        confidence=sure[level - 1],
        status="partial",
        message=climbed(prediction.message, level, nodes[level][1], sure[level], why),
        levels=lazy,
        alternatives=lazy,
        climbed_from=prediction,
    )


def climbed(before: str, level: int, below: str, sure: float, why: str) -> str:
    """The message of an answer at an upper level, `below` being the name of what is not sure."""
    return all_climbed([before], [level], [below], np.array([sure]), why)[0]


def all_climbed(
    before: Sequence[str], levels: Sequence[int], below: Sequence[str], sure: Floats, why: str
) -> list[str]:
    """`climbed` of many answers; all are [n]."""
    percents = np.floor(sure * 100 + LEAST).astype(np.int64).tolist()
    said = [
        f"answered at level {level}: {name!r} below it has {percent}%, {why}"
        for level, name, percent in zip(levels, below, percents, strict=True)
    ]
    if any(before):
        said = [f"{own}; {more}" if own else more for own, more in zip(before, said, strict=True)]
    return said


class _Shortened(LazyPath):
    """The upper levels of a prediction, and its alternatives behind its whole answer."""

    __slots__ = ("_level", "_of", "_whole")

    def __init__(self, of: Prediction, level: int, whole: Alternative) -> None:
        self._of, self._level, self._whole = of, level, whole

    def confidences(self) -> Sequence[float]:
        return self._of.path_confidences[: self._level]

    def nodes(self) -> Sequence[tuple[str, str]]:
        return self._of.path_nodes[: self._level]

    def levels(self) -> tuple[Level, ...]:
        *upper, own = self._of.levels[: self._level]
        below: Any = peek(self._of.levels[self._level], "candidates")
        seen: Any = peek(own, "candidates")
        return (*upper, Level(own.level, own.code, own.name, own.confidence, seen, below))

    def alternatives(self) -> tuple[Alternative, ...]:
        return (self._whole, *self._of.alternatives)


def in_percent(confidence: float) -> str:
    """A confidence in whole percent, rounded down, so that what is below a bound looks so."""
    return f"{math.floor(confidence * 100 + LEAST)}%"
