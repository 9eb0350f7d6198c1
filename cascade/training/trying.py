"""What a classifier is worth on held-out rows, and where the fast path may answer alone."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cascade.pipeline.calibrated import Calibration
from cascade.pipeline.classifier import BATCH, Classifier
from cascade.predictions import Prediction
from cascade.scoring.calibration import BetaMap, RiskTable
from cascade.taxonomy import Taxonomy
from cascade.training.labelled import Labelled

STEPS = 50  # thresholds that are looked at


@dataclass(frozen=True)
class Trial:
    """Answers for the held-out rows.

    Parameters
    ----------
    predictions
        One for each row.
    seconds
        float64 [n_rows], what each row took, on average, where this classifier saw it; None where
        that was not measured.
    """

    predictions: Sequence[Prediction]
    seconds: NDArray[np.float64] | None = None

    @property
    def confidence(self) -> NDArray[np.float64]:
        """float64 [n_rows], of the whole answer."""
        return np.array([p.confidence for p in self.predictions], dtype=np.float64)

    def right(self, held: Labelled, taxonomy: Taxonomy) -> NDArray[np.bool_]:
        """Which answers are exactly the known node; bool [n_rows]."""
        codes = [taxonomy.codes[node] for node in held.nodes.tolist()]
        return np.array([p.code == c for p, c in zip(self.predictions, codes, strict=True)])

    def joined(self, main: Trial, threshold: float) -> Trial:
        """Our answers where they are sure enough, `main`'s for the others; both with seconds."""
        assert self.seconds is not None and main.seconds is not None
        stays = _stays(self.confidence, threshold)
        pairs = zip(stays.tolist(), self.predictions, main.predictions, strict=True)
        return Trial(
            [mine if stay else other for stay, mine, other in pairs],
            self.seconds + np.where(stays, 0.0, main.seconds),
        )

    def figures(self, held: Labelled, taxonomy: Taxonomy) -> dict[str, Any]:
        """Shares of the rows that are right down to each level, and rows a second if measured."""
        found: dict[str, Any] = {"exact": round(float(self.right(held, taxonomy).mean()), 4)}
        for level in range(1, taxonomy.depth + 1):
            known, right = self.level(level, held, taxonomy)
            if known.any():
                found[f"accuracy_l{level}"] = round(float(right[known].mean()), 4)
        if self.seconds is not None:
            found["rows_per_second"] = round(len(held) / max(float(self.seconds.sum()), 1e-9), 1)
        return found

    def level(
        self, level: int, held: Labelled, taxonomy: Taxonomy
    ) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Which rows have a label at a level, and which are right there; bool [n_rows] each."""
        known = np.zeros(len(held), dtype=bool)
        right = np.zeros(len(held), dtype=bool)
        for row, (prediction, node) in enumerate(
            zip(self.predictions, held.nodes.tolist(), strict=True)
        ):
            path = taxonomy.path_nodes(node)
            if len(path) >= level:
                known[row] = True
                found = prediction.levels
                right[row] = (
                    len(found) >= level
                    and found[level - 1].code == taxonomy.codes[int(path[level - 1])]
                )
        return known, right


def try_out(classifier: Classifier, held: Labelled) -> Trial:
    """Classify the held-out rows."""
    predictions: list[Prediction] = []
    # The first call loads and warms up what the others use.
    classifier.classify_batch(held.items[:1])
    started = time.perf_counter()
    for start in range(0, len(held), BATCH):
        predictions += classifier.classify_batch(held.items[start : start + BATCH])
    took = (time.perf_counter() - started) / len(held)
    return Trial(predictions, np.full(len(held), took))


def routed(
    fast: Trial, main: Trial, held: Labelled, taxonomy: Taxonomy, loss: float
) -> tuple[float, list[dict[str, float]]]:
    """The least threshold at which routing is as often right as `main`, but for `loss`.

    Both were measured with their seconds.

    Returns
    -------
    threshold
        0 where the fast path is as good alone, 1 where only all rows will do.
    curve
        For some thresholds: share of the rows on the fast path, share right, rows a second.
    """
    assert fast.seconds is not None and main.seconds is not None
    sure = fast.confidence
    steps = np.unique(np.concatenate([[0.0, 1.0], np.quantile(sure, np.linspace(0, 1, STEPS))]))
    fast_right, main_right = fast.right(held, taxonomy), main.right(held, taxonomy)
    least = float(main_right.mean()) - loss
    curve, chosen = [], 1.0
    for threshold in steps[::-1].tolist():
        stays = _stays(sure, threshold)
        exact = float(np.where(stays, fast_right, main_right).mean())
        seconds = float((fast.seconds + np.where(stays, 0, main.seconds)).sum())
        curve.append(
            {
                "threshold": round(threshold, 4),
                "fast": round(float(stays.mean()), 4),
                "exact": round(exact, 4),
                "rows_per_second": round(len(held) / max(seconds, 1e-9), 1),
            }
        )
        if exact >= least:
            chosen = threshold
    return chosen, curve[::-1]


def _stays(sure: NDArray[np.float64], threshold: float) -> NDArray[np.bool_]:
    """Which rows the fast path keeps; with a threshold of 1 none, as in a classifier."""
    return (sure >= threshold) & (threshold < 1)


def calibrate(trial: Trial, held: Labelled, taxonomy: Taxonomy) -> Calibration:
    """The calibration of a classifier's answers for the held-out rows."""
    maps = []
    for level in range(1, taxonomy.depth + 1):
        _, right = trial.level(level, held, taxonomy)  # none beyond the end of a label
        used = np.flatnonzero([len(p.levels) >= level for p in trial.predictions])
        said = [trial.predictions[row].levels[level - 1].confidence for row in used.tolist()]
        maps.append(BetaMap.fit(np.array(said, dtype=np.float64), right[used]))
    raw = Calibration(maps, RiskTable((), (), ()))
    sure = np.array([raw.calibrated(p).confidence for p in trial.predictions])
    wrong = ~trial.right(held, taxonomy)
    return Calibration(maps, RiskTable.fit(sure, wrong))
