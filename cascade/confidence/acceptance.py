"""From raw predictions to answers: calibrated, and as much of each accepted as is sure enough."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cascade.confidence.calibration import Calibration
from cascade.confidence.climbing import (
    Floats,
    all_climbed,
    climb,
    in_percent,
    levels_held,
    paths_of,
    worth,
)
from cascade.confidence.nowhere import NowhereRule, NowhereTable
from cascade.confidence.sets import PredictionSets
from cascade.config import FITTED_METHOD, CalibrationConfig
from cascade.errors import UsageError
from cascade.items import Spread
from cascade.lazy import replace
from cascade.predictions import Prediction
from cascade.predictions.columns import PredictionColumns, Predictions, WalkedColumns
from cascade.taxonomy import Taxonomy

Places = NDArray[np.int64]


class Acceptance:
    """Calibrates predictions, and accepts each as far down its path as it is sure enough.

    A leaf that is sure enough is `ok`. Else the answer is the deepest node above it that is, with
    the status `partial`. Where no level is, the whole answer stays as a suggestion, for `review`.
    What a level needs is a confidence, or with a `max_risk` a worth (`climbing.worth`).

    Parameters
    ----------
    method
        The method that answers: only `cascade` is calibrated.
    climbs
        Whether a node above the answer may take its place. With `review_below` none does.
    by_names
        What tells items that are nowhere without a calibration, where it is asked for.

    Attributes
    ----------
    sets
        What adds sets, once `ask_sets` was called.
    nowhere
        What says that items are nowhere; None where nothing can.
    warning
        Why nothing can be accepted, in words; empty where something can.

    Raises
    ------
    UsageError
        There is a `max_risk`, `set_coverage` or `nowhere`, but no calibration of this method, or a
        `review_below` beside the `max_risk`.
    ConfigError
        The calibration cannot be read.
    """

    def __init__(
        self,
        config: CalibrationConfig,
        method: str = FITTED_METHOD,
        *,
        climbs: bool = True,
        by_names: NowhereTable | None = None,
    ) -> None:
        self._calibration = None
        if config.file is not None and method == FITTED_METHOD:
            self._calibration = Calibration.load(Path(config.file))
        self.nowhere = self._nowhere_rule(config, climbs, by_names)
        self._coverage = config.set_coverage
        self.sets: PredictionSets | None = None
        if config.set_coverage is not None:
            self._check_sets(config, method, climbs)
        self.warning = ""
        self._climbs = climbs and config.review_below is None
        self._by_worth = False
        self._least = config.least if climbs else 0.0
        self._why = f"and an answer needs {100 * config.least:.3g}%"
        if config.review_below is not None:
            if config.max_risk is not None:
                raise UsageError(
                    "--max-risk and --review-below (calibration.max_risk, calibration."
                    "review_below) exclude each other; choose one"
                )
            self._least = config.review_below
            self._why = f"and an answer needs {100 * config.review_below:.3g}%"
        elif config.max_risk is not None:
            self._keep_risk(config, config.max_risk, method)

    def _keep_risk(self, config: CalibrationConfig, risk: float, method: str) -> None:
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
        table = self._calibration.climb if self._climbs else None
        self._climbs = self._by_worth = table is not None  # older packs accept whole answers alone
        held_out = table or self._calibration.risk
        self._least = held_out.least_threshold(risk)
        if math.isinf(self._least):
            self.warning = _kept_by_none(risk, held_out.least_risk())
        self._why = (
            f"and no confidence keeps the risk at {risk:.1%}"
            if math.isinf(self._least)
            else f"too little for a risk of {risk:.1%}"
        )

    def _nowhere_rule(
        self, config: CalibrationConfig, walks: bool, by_names: NowhereTable | None
    ) -> NowhereRule | None:
        """What strikes items that are nowhere; UsageError where it is asked for and cannot be."""
        table = by_names if config.nowhere else None
        if self._calibration is not None:
            table = self._calibration.nowhere
        if table is None or not walks:
            if config.nowhere:
                raise UsageError(
                    "calibration.nowhere needs the method retrieval as it is by default, or a pack "
                    "of `cascade fit`, without another --method, that was fitted since packs tell "
                    "what is nowhere; fit it again, or leave this out"
                )
            return None
        rule = NowhereRule(table, config.nowhere)
        return rule if rule.judges else None

    def _check_sets(self, config: CalibrationConfig, method: str, walks: bool) -> None:
        """Raise UsageError where nothing is known of the sets of this method."""
        if config.file is None:
            raise UsageError(
                "sets with a coverage (--set-coverage, calibration.set_coverage) need a pack that "
                "was calibrated on labelled rows; make one with `cascade fit`, and name it with -c"
            )
        if self._calibration is None or not walks:
            raise UsageError(
                "sets with a coverage (--set-coverage, calibration.set_coverage) are known only of "
                f"what was calibrated, the method {FITTED_METHOD} of a pack; leave out --method "
                f"{method}"
            )
        if self._calibration.sets is None:
            raise UsageError(
                f"{config.file}: this pack was fitted before packs knew sets (--set-coverage, "
                "calibration.set_coverage); fit it again"
            )

    def ask_sets(self, taxonomy: Taxonomy, is_end: NDArray[np.bool_]) -> PredictionSets | None:
        """Get ready to add sets, if they are asked for.

        Parameters
        ----------
        taxonomy, is_end
            What is scored, and bool [n_nodes], where its paths end.

        Raises
        ------
        UsageError
            The held-out rows are too few for the coverage.
        """
        if self._coverage is not None and self._calibration is not None and self._calibration.sets:
            table = self._calibration.sets
            self.sets = PredictionSets(table, self._coverage, taxonomy, is_end)
        return self.sets

    def apply(
        self,
        predictions: Sequence[Prediction],
        spreads: Sequence[Spread] = (),
        evidence: NDArray[np.float32] | None = None,
    ) -> Predictions:
        """The predictions, calibrated, each with the part of its path that is accepted.

        Parameters
        ----------
        predictions
            Nobody else has seen them yet; they may be changed in place.
        spreads
            How the probability of their items is spread; sets are made of them.
        evidence
            How much speaks for the nearest node of each item, [n]; see `nowhere`.
        """
        found: Predictions = (
            predictions if isinstance(predictions, WalkedColumns) else list(predictions)
        )
        if self._calibration is not None:
            paths = self._calibration.calibrate(found)
        elif self._least > 0:
            paths = paths_of(found)
        if self.nowhere is not None and evidence is not None:
            found = self.nowhere.apply(found, evidence)
        if self._least > 0:
            rows, held = self._unsure(found, paths)
            if isinstance(found, WalkedColumns):
                self._accept_columns(found, rows, held)
            else:
                for row, level in zip(rows.tolist(), held.tolist(), strict=True):
                    found[row] = self._accepted(found[row], level)
        return found if self.sets is None else self.sets.apply(found, spreads)

    def _unsure(self, predictions: Predictions, paths: Floats) -> tuple[Places, Places]:
        """Rows that are not accepted whole, and down to which level they are; both int64 [n]."""
        least, columns = self._least, PredictionColumns.of(predictions)
        unsure = np.array([status in ("ok", "partial") for status in columns.status], bool)
        if not self._by_worth:
            unsure &= np.array(columns.confidence, np.float64) < least
        held = np.zeros(len(paths), np.int64)  # none is sure enough as a whole
        if self._climbs:
            held = levels_held(worth(paths) if self._by_worth else paths, least)
        unsure &= held < (~np.isnan(paths)).sum(axis=1)
        return np.flatnonzero(unsure), held[unsure]

    def _accept_columns(self, found: WalkedColumns, rows: Places, held: Places) -> None:
        """Cut answers down to the level that is accepted; their objects when they are made."""
        levels = dict(zip(rows.tolist(), held.tolist(), strict=True))
        for row in found.replaced & levels.keys():
            found[row] = self._accepted(found[row], levels.pop(row))
        found.then(lambda row, one: self._accepted(one, levels[row]) if row in levels else one)
        places = np.array(list(levels), np.int64)
        held = np.array(list(levels.values()), np.int64)
        for row, under in zip(
            places[held == 0].tolist(), found.sure[places[held == 0], 0].tolist(), strict=True
        ):
            found.status[row] = "review"
            first = ("level 1", under) if self._climbs else ("the answer", found.confidence[row])
            found.message[row] = self._doubted(found.message[row], *first)
        self._cut_columns(found, places[held > 0], held[held > 0])

    def _cut_columns(self, found: WalkedColumns, places: Places, held: Places) -> None:
        """Let nodes above the answers, each at a level from 1 up, take their place."""
        tree, rows = found.tree, places.tolist()
        nodes = found.nodes[places, held - 1].tolist()
        names = [tree.names[node] for node in found.nodes[places, held].tolist()]
        before, under = [found.message[row] for row in rows], found.sure[places, held]
        said = all_climbed(before, held.tolist(), names, under, self._why)
        sure = found.sure[places, held - 1].tolist()
        paths = {node: tree.path(node) for node in {*nodes}}
        for row, node, own, message in zip(rows, nodes, sure, said, strict=True):
            found.code[row], found.path[row] = tree.codes[node], paths[node]
            found.confidence[row], found.status[row] = own, "partial"
            found.message[row] = message

    def _doubted(self, before: str, at: str, sure: float) -> str:
        """The message of an answer of which nothing is accepted."""
        why = f"{at} has {in_percent(sure)}, {self._why}"
        return f"{before}; {why}" if before else why

    def _accepted(self, prediction: Prediction, level: int) -> Prediction:
        """The prediction down to a level that is accepted."""
        if level > 0 and not prediction.facets:
            return climb(prediction, level, self._why)
        at, sure = "the answer", prediction.confidence
        if self._climbs and not prediction.facets:
            at, sure = "level 1", prediction.path_confidences[0]
        message = self._doubted(prediction.message, at, sure)
        return replace(prediction, status="review", message=message)


def _kept_by_none(risk: float, least: float | None) -> str:
    """A warning, with the least risk that can be kept."""
    instead = "fit it on more rows"
    if least is not None:
        instead = f"the least that its held-out rows let it keep is about {least:.0%}"
    return (
        f"no confidence of this pack keeps the risk at {risk:.1%}, so every answer is for review; "
        f"{instead}"
    )
