"""The confidences of predictions as probabilities, by maps that were fitted on held-out rows.

Raw confidences are made in `pipeline.trace`, from the probabilities of each level.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cascade.confidence.climbing import Floats, paths_of, worth
from cascade.confidence.maps import BetaCalibration
from cascade.confidence.nowhere import NowhereTable
from cascade.confidence.risk import RiskTable
from cascade.confidence.sets import SetTable
from cascade.errors import ConfigError
from cascade.io.files import read_json
from cascade.lazy import LazyPath, peek, settle
from cascade.predictions import Alternative, Level, Prediction
from cascade.predictions.columns import WalkedColumns
from cascade.taxonomy.names import PATH_SEPARATOR

Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Calibration:
    """What the held-out rows of a pack tell about its confidences.

    Parameters
    ----------
    levels
        For each level a map from raw to calibrated confidence; the last holds for all below.
    risk
        The risk of whole answers by their calibrated confidence.
    climb
        The risk of answers that climb, by the worth that a level needs; see `climbing.worth`. None
        in packs of older versions.
    sets
        When right nodes come into sets; see `sets`. None in packs of older versions.
    nowhere
        How little evidence rows that belong have; see `nowhere`. None in packs of older versions,
        and where no part of a pack can tell.
    """

    levels: Sequence[BetaCalibration]
    risk: RiskTable
    climb: RiskTable | None = None
    sets: SetTable | None = None
    nowhere: NowhereTable | None = None

    @classmethod
    def fit(
        cls, raw: Floats, right: Flags, exact: Flags, before: Calibration | None = None
    ) -> Calibration:
        """The calibration of held-out answers.

        Parameters
        ----------
        raw
            float64 [n, depth], confidences down the paths of whole answers, nan below their ends;
            a row without an answer, all nan, does not count.
        right
            bool [n, depth], whether the known node lies at or below that of the path.
        exact
            bool [n], whether the answer is the known node itself.
        before
            One that was fitted to other rows: where these are few its maps change little.
        """
        there = ~np.isnan(raw).all(axis=1)
        raw, right, exact = raw[there], right[there], exact[there]
        maps = []
        for level, (own, known) in enumerate(zip(raw.T, right.T, strict=True), 1):
            used = ~np.isnan(own)
            former = None if before is None else before.map(level)
            maps.append(BetaCalibration.fit(own[used], known[used], former))
        uncut = cls(maps, RiskTable((), (), ()))
        sure = uncut.of_paths(raw)
        whole = np.nanmin(sure, axis=1)
        scores = worth(sure)
        wrong = np.where(right | np.isnan(scores), -np.inf, scores).max(axis=1)
        return cls(
            maps,
            RiskTable.fit(whole, np.where(exact, -np.inf, whole)),
            RiskTable.fit(scores[:, 0], wrong),
        )

    def of_paths(self, raw: Floats) -> Floats:
        """float64 [n, depth], calibrated confidences of raw ones; they never grow down a path."""
        columns = [self.map(at).of(own) for at, own in enumerate(raw.T, 1)]
        return np.minimum.accumulate(np.stack(columns, axis=1), axis=1)

    def save(self, path: Path) -> None:
        """Write as JSON."""
        values = {"levels": [asdict(level) for level in self.levels], "risk": asdict(self.risk)}
        if self.climb is not None:
            values["climb"] = asdict(self.climb)
        if self.sets is not None:
            values["sets"] = asdict(self.sets)
        if self.nowhere is not None:
            values["nowhere"] = asdict(self.nowhere)
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
            risk = RiskTable.parse(values["risk"])
            climb = RiskTable.parse(values["climb"]) if "climb" in values else None
            sets = SetTable.parse(values["sets"]) if "sets" in values else None
            nowhere = NowhereTable.parse(values["nowhere"]) if "nowhere" in values else None
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            what = f"has no {error}" if isinstance(error, KeyError) else "holds something else"
            raise ConfigError(
                f"{path}: {what}, so it is no calibration of a pack: it is damaged, or was changed "
                "by hand; copy the pack again, or fit it again"
            ) from None
        tables = [risk] if climb is None else [risk, climb]
        whole = all(level.is_whole() for level in levels) and all(t.is_whole() for t in tables)
        whole = whole and (sets is None or sets.is_whole())
        whole = whole and (nowhere is None or nowhere.is_whole())
        if not levels or not whole:
            raise ConfigError(f"{path}: a calibration that does not fit together; fit it again")
        return cls(levels, risk, climb, sets, nowhere)

    def calibrate(self, predictions: Sequence[Prediction]) -> Floats:
        """Put probabilities in the place of raw confidences.

        Confidences never grow down the path of the answer, and together with those of its
        alternatives, which it excludes, they are at most 1: see `alternatives`.

        Parameters
        ----------
        predictions
            Nobody else has seen them yet; they are changed in place.

        Returns
        -------
        float64 [n, depth], those of each level of each path, nan below its end.
        """
        paths = self.of_paths(paths_of(predictions))
        lengths = (~np.isnan(paths)).sum(axis=1)
        if isinstance(predictions, WalkedColumns):
            self._calibrate_columns(predictions, paths, lengths)
            return paths
        for prediction, sure, n in zip(predictions, paths.tolist(), lengths.tolist(), strict=True):
            if n:
                path = _Calibrated(self, prediction, sure[:n])
                settle(prediction, confidence=sure[n - 1], levels=path, alternatives=path)
        return paths

    def _calibrate_columns(
        self, predictions: WalkedColumns, paths: Floats, lengths: NDArray[np.int64]
    ) -> None:
        """Calibrate columns, and their objects as they are made."""

        def step(row: int, prediction: Prediction) -> Prediction:
            if n := int(lengths[row]):
                path = _Calibrated(self, prediction, paths[row, :n].tolist())
                settle(
                    prediction, confidence=path.confidences()[-1], levels=path, alternatives=path
                )
            return prediction

        answered = np.flatnonzero(lengths)
        sure = paths[answered, lengths[answered] - 1].tolist()
        predictions.then(step)
        predictions.sure = paths
        for row, own in zip(answered.tolist(), sure, strict=True):
            predictions.confidence[row] = own

    def alternatives(
        self, levels: Sequence[Level], others: Sequence[Alternative], calibrated: Sequence[float]
    ) -> tuple[Alternative, ...]:
        """The alternatives, best first, with their parts of what the answer's path leaves over.

        Where the path goes from a node to its child, calibration leaves the difference of the two
        for all that parts from the path there; each alternative has the share of it that it has of
        the raw difference. It is never surer than the answer, nor than an answer as raw as it is
        would be. What is below an inner node that is the answer shares that node's confidence.

        Parameters
        ----------
        levels, others
            The path of the answer, and its alternatives, raw.
        calibrated
            Confidences of the levels.
        """
        raw = [1.0, *[level.confidence for level in levels]]
        left = [1.0, *calibrated]
        parts_at = [_steps_together(levels, other.path) for other in others]
        total = [0.0] * len(raw)
        for steps, alternative in zip(parts_at, others, strict=True):
            total[steps] += alternative.confidence
        found = []
        for steps, alternative in zip(parts_at, others, strict=True):
            path_takes = slice(steps + 1, steps + 2)  # nothing below the end of the path
            over = left[steps] - sum(left[path_takes])
            raw_over = max(raw[steps] - sum(raw[path_takes]), total[steps])
            share = alternative.confidence / raw_over if raw_over > 0 else 0.0
            own = self.map(alternative.path.count(PATH_SEPARATOR) + 1)
            sure = min(over * share, own.apply(alternative.confidence), left[-1])
            found.append(replace(alternative, confidence=sure))
        return tuple(sorted(found, key=lambda alternative: -alternative.confidence))

    def map(self, level: int) -> BetaCalibration:
        """What a level's raw confidences become, from 1 at the top."""
        return self.levels[min(level, len(self.levels)) - 1]


class _Calibrated(LazyPath):
    """The path and the alternatives of a prediction, calibrated when they are read."""

    __slots__ = ("_by", "_others", "_path", "_sure")

    def __init__(self, by: Calibration, raw: Prediction, sure: list[float]) -> None:
        self._by, self._sure = by, sure
        self._path, self._others = peek(raw, "levels"), peek(raw, "alternatives")

    def confidences(self) -> Sequence[float]:
        return self._sure

    def nodes(self) -> Sequence[tuple[str, str]]:
        if isinstance(self._path, LazyPath):
            return self._path.nodes()
        return [(level.code, level.name) for level in self._path]

    def levels(self) -> tuple[Level, ...]:
        return tuple(
            [
                Level(
                    *(raw.level, raw.code, raw.name, sure),
                    *(peek(raw, "candidates"), peek(raw, "below")),
                )
                for raw, sure in zip(self._raw_levels(), self._sure, strict=True)
            ]
        )

    def alternatives(self) -> tuple[Alternative, ...]:
        others = self._others
        raw = others.alternatives() if isinstance(others, LazyPath) else others
        return self._by.alternatives(self._raw_levels(), raw, self._sure)

    def _raw_levels(self) -> Sequence[Level]:
        return self._path.levels() if isinstance(self._path, LazyPath) else self._path


def _steps_together(levels: Sequence[Level], path: str) -> int:
    """How many levels the path of an alternative has in common with that of the answer.

    All of them only below the answer: what has the answer's own path is another child there.
    """
    steps, prefix, path = 0, "", f"{path}{PATH_SEPARATOR}"
    for level in levels:
        prefix += f"{level.name}{PATH_SEPARATOR}"
        if not path.startswith(prefix) or (path == prefix and level is levels[-1]):
            break
        steps += 1
    return steps
