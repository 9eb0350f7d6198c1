"""Answers of a fallback: how they are marked, counted and told where a model failed."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

from cascade.errors import EngineError
from cascade.items import Batch
from cascade.predictions import Prediction

_FAILED, _ANSWERED = " failed (", " answered"

logger = logging.getLogger(__name__)


def by_fallback(answer: Prediction, method: str, error: EngineError) -> Prediction:
    """An answer of the fallback, marked as such, with how the method failed."""
    return replace(
        answer,
        status="partial",
        message=f"{method}{_FAILED}{error}); {answer.source}{_ANSWERED}",
        failure=error.reason,
    )


def is_by_fallback(message: str) -> bool:
    """Whether the message of an answer begins with that of `by_fallback`."""
    return _FAILED in message and (message.endswith(_ANSWERED) or f"{_ANSWERED}; " in message)


def is_cut(prediction: Prediction) -> bool:
    """Whether a partial answer is one above a leaf, and not only one of the fallback."""
    whole = not prediction.failure and not is_by_fallback(prediction.message)
    return whole or prediction.climbed_from is not None or _ANSWERED + "; " in prediction.message


class FailureLog:
    """Tells how many items a fallback answered: at the first, and when they have doubled.

    Parameters
    ----------
    method, fallback
        What failed, and what answers in its place.
    """

    def __init__(self, method: str, fallback: str) -> None:
        self._method, self._fallback = method, fallback
        self._reasons: Counter[str] = Counter()
        self._next = 1

    def tell(self, batch: Batch) -> None:
        """Count the failures of a batch, and warn of them now and then."""
        self._reasons.update(error.reason for error in batch.failures.values())
        if self._reasons.total() < self._next:
            return
        self._next = 2 * self._reasons.total()
        logger.warning(
            "%s failed on %s items so far, %s answers these: %s; for example: %s",
            self._method,
            f"{self._reasons.total():,}",
            self._fallback,
            reasons_in_words(self._reasons),
            batch.failures[min(batch.failures)],
        )


def reasons_in_words(reasons: Mapping[str, int]) -> str:
    """`answered 500 (21), timed out (16)`, the most frequent first."""
    ordered = sorted(reasons.items(), key=lambda entry: (-entry[1], entry[0]))
    return ", ".join(f"{reason} ({n:,})" for reason, n in ordered)
