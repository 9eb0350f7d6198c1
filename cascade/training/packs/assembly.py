"""The settings of a pack: what the held-out rows tell about the parts that were fitted.

How much each scorer counts, what is done about items that lack text or picture, who sees what
first, where paths end, and what a confidence is worth.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from cascade.config import CascadeConfig, Columns
from cascade.items import Batch
from cascade.pipeline.classifier import Classifier
from cascade.pipeline.confidence import Calibration
from cascade.pipeline.descent import make_descent
from cascade.pipeline.pack import resolve_paths
from cascade.predictions import Prediction
from cascade.retrieval.retriever import max_children
from cascade.scoring.components import Components
from cascade.taxonomy import Taxonomy
from cascade.training.labelled import Labelled
from cascade.training.packs.parts import Settings, Told
from cascade.training.packs.recipe import Recipe
from cascade.training.packs.validation import (
    Evidence,
    Trial,
    calibrate,
    gather,
    routed,
    try_out,
    weights,
)

TAXONOMY = "taxonomy.yaml"
CALIBRATION = "calibration.json"
EARLY = {"stop": 0.3, "answer": "walk"}
"""A descent that stops early: such a path holds the share of all below it, so that no other is
likelier."""
RISKS = (0.01, 0.02, 0.05, 0.1)


@dataclass(frozen=True)
class Assembly:
    """Puts fitted parts together into the settings of a pack.

    Parameters
    ----------
    columns
        Text, picture and label of the rows.
    """

    taxonomy: Taxonomy
    columns: Columns
    recipe: Recipe

    def weighed(
        self, found: Settings, rows: Labelled, part: Path, held: Labelled, told: Told
    ) -> tuple[dict[str, Any], dict[str, Any], Calibration]:
        """The settings of the pack, what was measured on the held-out rows, and how sure it is."""
        scorers, tree = list(found.scorers), self.taxonomy
        if self.recipe.retrieval:
            scorers.append("retrieval")
        settings = self._settings(found, rows)
        components = Components(tree, self._config(settings, part))
        evidence, trials = self._asked(scorers, components, held, told)
        fused = weights(evidence, scorers, tree.depth)
        settings["fusion"] = {"weights": fused}
        settings["fusion"] |= self._missing(scorers, components, held, told)
        alone = {name: weights(evidence, [name], tree.depth)[name] for name in scorers}
        without = {
            name: weights(evidence, [other for other in scorers if other != name], tree.depth)
            for name in scorers
            if len(scorers) > 1
        }

        looked = any(components.scorer(name).reads_pictures for name in scorers)

        def tried(**over: Any) -> Trial:
            told("measuring the pack", 0, 1)
            trial = try_out(Classifier(tree, self._config({**settings, **over}, part)), held)
            # Features of pictures are kept by now, so that the time would tell nothing.
            return replace(trial, seconds=None) if looked else trial

        def exact(trial: Trial) -> float:
            return float(trial.right(held, tree).mean())

        trials["cascade"] = tried()
        if self._ends_early(rows):
            early = {**settings["descent"], **EARLY}
            stopping = tried(descent=early)
            if exact(stopping) > exact(trials["cascade"]):
                settings["descent"], trials["cascade"] = early, stopping
        best = max(scorers, key=lambda name: exact(trials[name]))
        if len(scorers) > 1 and exact(trials[best]) >= exact(trials["cascade"]):
            # A fusion must earn its place.
            # Others stay where an item may have nothing that this one could judge it by.
            others = [name for name in scorers if self._sees_more(components, name, best)]
            single = {"weights": {best: alone[best], **dict.fromkeys(others, 0.0)}}
            again = tried(fusion={**settings["fusion"], **single})
            if exact(again) >= exact(trials["cascade"]):
                settings["fusion"] |= single
            trials["cascade"] = again
        slow = [name for name in scorers if name not in found.fast]
        # A fast path that sees less of an item than others do would never let them look.
        less = any(self._sees_more(components, name, fast) for name in slow for fast in found.fast)
        if self.recipe.routing and 0 < len(found.fast) < len(scorers) and not less:
            fast = weights(evidence, found.fast, tree.depth)
            settings["routing"] = {"fast": fast, "threshold": 1.0}
            trials["fast path"] = tried(method="ttc")
        main = trials["cascade"]
        curve: list[dict[str, float]] = []
        if self.recipe.routing and "fast path" in trials:
            first = trials["fast path"]
            threshold, curve = routed(first, main, held, tree, self.recipe.routing.loss)
            settings["routing"]["threshold"] = threshold
            main = first.joined(main, threshold)
        calibration = calibrate(main, held, tree)
        settings["calibration"] = {"file": CALIBRATION}
        report = {
            "scorers": {name: trial.figures(held, tree) for name, trial in trials.items()},
            "pack": main.figures(held, tree),
            "weights": settings["fusion"]["weights"],
            "weights_all": fused,
            "weights_alone": alone,
            "weights_without": without,
            "curve": curve,
            "risk": self._risks(calibration, main),
        }
        return settings, report, calibration

    def _asked(
        self, scorers: list[str], components: Components, held: Labelled, told: Told
    ) -> tuple[Evidence, dict[str, Trial]]:
        """What each scorer says of the held-out rows, and how it answers alone."""
        told("asking the held-out rows", 0, len(held))
        asked = {name: components.scorer(name) for name in scorers}
        answers: dict[str, list[Prediction]] = {name: [] for name in scorers}

        def answer(batch: Batch) -> None:
            for name, scorer in asked.items():
                answers[name] += make_descent(components, scorer).walk(batch, scorer)
            told("asking the held-out rows", len(answers[name]), len(held))

        evidence = gather(asked, held.items, held.nodes, self.taxonomy, answer)
        return evidence, {name: Trial(found) for name, found in answers.items()}

    def _missing(
        self, scorers: list[str], components: Components, held: Labelled, told: Told
    ) -> dict[str, dict[str, list[float]]]:
        """Weights for items without text and for those without a picture, where some have both."""
        found: dict[str, dict[str, list[float]]] = {}
        if self.columns.image is None or not self.columns.text:
            return found
        lacking = {
            "without_text": [replace(item, fields={}) for item in held.items],
            "without_picture": [replace(item, image=None) for item in held.items],
        }
        for name, items in lacking.items():
            told("asking rows that lack something", 0, len(items))
            wanted = [row for row, item in enumerate(items) if item.text or item.image is not None]
            some = [items[row] for row in wanted]
            asked = {
                scorer: components.scorer(scorer)
                for scorer in scorers
                if some and components.scorer(scorer).can_read(some[0])
            }
            if asked:
                evidence = gather(asked, some, held.nodes[wanted], self.taxonomy)
                found[name] = weights(evidence, list(asked), self.taxonomy.depth)
        return found

    def _sees_more(self, components: Components, name: str, than: str) -> bool:
        """Whether a scorer sees what rows have and another does not see."""
        one, other = components.scorer(name), components.scorer(than)
        text, image = bool(self.columns.text), self.columns.image is not None
        more_text = text and one.reads_text and not other.reads_text
        return more_text or (image and one.reads_pictures and not other.reads_pictures)

    @staticmethod
    def _risks(calibration: Calibration, trial: Trial) -> list[dict[str, float]]:
        """For some risks the confidence from which answers are accepted, and the share of rows."""
        sure = np.array([calibration.calibrated(p).confidence for p in trial.predictions])
        found = []
        for risk in RISKS:
            least = calibration.risk.least_confidence(risk)
            if np.isfinite(least):
                share = float((sure >= least).mean())
                found.append(
                    {"max_risk": risk, "from": round(least, 4), "accepted": round(share, 4)}
                )
        return found

    def _settings(self, found: Settings, rows: Labelled) -> dict[str, Any]:
        """A cascade.yaml without weights."""
        ends = [self.taxonomy.codes[node] for node in rows.ends(self.taxonomy)]
        return {
            "taxonomy": TAXONOMY,
            "method": "cascade",
            "columns": self.columns.model_dump(exclude_defaults=True),
            "reads": list(self.columns.text),
            "retrieval": {"candidates": max(10, max_children(self.taxonomy))},
            "backbones": found.backbones,
            "heads": found.heads,
            **({"neighbours": found.neighbours} if found.neighbours else {}),
            "descent": {"stop": 0.0, "answer": "likeliest", **({"ends": ends} if ends else {})},
        }

    def _ends_early(self, rows: Labelled) -> bool:
        """Whether some labels have others below them, so that a walk has to stop to be right."""
        ends = [*self.taxonomy.leaves, *rows.ends(self.taxonomy)]
        return not np.isin(rows.nodes, ends).all()

    def _config(self, settings: dict[str, Any], folder: Path) -> CascadeConfig:
        return resolve_paths(CascadeConfig.parse(settings, "fit"), folder)
