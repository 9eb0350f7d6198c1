"""Confidences: calibrated on held-out rows, and the least with which an answer is accepted.

Raw confidences are made in `pipeline.trace`, from the probabilities of each level.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from cascade.config import CalibrationConfig
from cascade.errors import ConfigError, UsageError
from cascade.io.files import read_json
from cascade.lazy import peek
from cascade.predictions import Level, Prediction
from cascade.scoring.calibration import BetaCalibration, RiskTable
from cascade.taxonomy.names import PATH_SEPARATOR


@dataclass(frozen=True)
class Calibration:
    """What the held-out rows of a pack tell about its confidences.

    Parameters
    ----------
    levels
        For each level a map from raw to calibrated confidence; the last holds for all below.
    risk
        The risk of whole answers by their calibrated confidence.
    """

    levels: Sequence[BetaCalibration]
    risk: RiskTable

    def save(self, path: Path) -> None:
        """Write as JSON."""
        values = {"levels": [asdict(level) for level in self.levels], "risk": asdict(self.risk)}
        path.write_text(json.dumps(values), "utf-8")

    @classmethod
    def load(cls, path: Path) -> Calibration:
        """What `save` wrote.

        Raises
        ------
        ConfigError
            The file cannot be read, or holds something else.
        """
        try:
            values = read_json(path)
            levels = [BetaCalibration(**level) for level in values["levels"]]
            risk = RiskTable(**{name: tuple(row) for name, row in values["risk"].items()})
        except (ConfigError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise ConfigError(
                f"{path}: no calibration of a pack ({error!s:.200}); fit it again"
            ) from None
        if not levels or not all(level.is_whole() for level in levels) or not risk.is_whole():
            raise ConfigError(f"{path}: a calibration that does not fit together; fit it again")
        return cls(levels, risk)

    def calibrated(self, prediction: Prediction) -> Prediction:
        """The prediction with probabilities in place of raw confidences, in the same order."""
        if prediction.code is None:
            return prediction
        below, levels = 1.0, []
        for level in prediction.levels:
            below = min(below, self._map(level.level).apply(level.confidence))
            seen = peek(level, "candidates"), peek(level, "below")
            levels.append(Level(level.level, level.code, level.name, below, *seen))
        own = self._map(len(levels))
        rest = 1 - below
        alternatives = []
        for alternative in prediction.alternatives:
            apart = not alternative.path.startswith(f"{prediction.path}{PATH_SEPARATOR}")
            found = min(own.apply(alternative.confidence), rest if apart else below, below)
            alternatives.append(replace(alternative, confidence=found))
        return replace(
            prediction,
            confidence=below,
            levels=tuple(levels),
            alternatives=tuple(alternatives),
        )

    def _map(self, level: int) -> BetaCalibration:
        return self.levels[min(level, len(self.levels)) - 1]


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

    def __init__(self, config: CalibrationConfig, method: str = "cascade") -> None:
        self._risk = config.max_risk
        self._calibration = None
        if config.file is not None and method == "cascade":
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
