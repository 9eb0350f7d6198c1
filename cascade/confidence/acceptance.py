"""What is accepted of calibrated answers, and what a person should look at."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from cascade.confidence.calibration import Calibration
from cascade.config import FITTED_METHOD, CalibrationConfig
from cascade.errors import UsageError
from cascade.predictions import Prediction


class Acceptance:
    """Calibrates predictions, and gives those that are too unsure the status `review`.

    Parameters
    ----------
    method
        The method that answers: only `cascade` is calibrated.

    Attributes
    ----------
    least_confidence
        Answers are accepted from this confidence on; 0 without a `max_risk`.

    Raises
    ------
    UsageError
        There is a `max_risk`, but no calibration of this method.
    ConfigError
        The calibration cannot be read.
    """

    def __init__(self, config: CalibrationConfig, method: str = FITTED_METHOD) -> None:
        self._risk = config.max_risk
        self._calibration = None
        if config.file is not None and method == FITTED_METHOD:
            self._calibration = Calibration.load(Path(config.file))
        self.least_confidence = 0.0
        if self._risk is not None:
            if config.file is None:
                raise UsageError(
                    "a risk can be kept only by a pack that was calibrated on labelled rows; make "
                    "one with `cascade fit`, and name it with -c"
                )
            if self._calibration is None:
                raise UsageError(
                    "a risk can be kept only for what was calibrated, the method cascade of a "
                    f"pack; leave out --method {method}"
                )
            self.least_confidence = self._calibration.risk.least_confidence(self._risk)

    def apply(self, predictions: Sequence[Prediction]) -> list[Prediction]:
        """The predictions, calibrated, with the status `review` where they are too unsure."""
        if self._calibration is None:
            return list(predictions)
        return [self._reviewed(self._calibration.calibrated(p)) for p in predictions]

    def _reviewed(self, prediction: Prediction) -> Prediction:
        sure = prediction.confidence >= self.least_confidence
        if prediction.status not in ("ok", "partial") or sure:
            return prediction
        if math.isinf(self.least_confidence):
            why = f"no confidence keeps the risk at {self._risk:.1%}"
        else:
            why = (
                f"confidence {prediction.confidence:.2f} is below {self.least_confidence:.2f}, "
                f"from which at most {self._risk:.1%} of the answers are wrong"
            )
        message = f"{prediction.message}; {why}" if prediction.message else why
        return replace(prediction, status="review", message=message)
