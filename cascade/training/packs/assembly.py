"""The settings of a pack: what is chosen on held-out rows, once all parts are fitted.

How much each scorer counts, what is done about items that lack text or picture, whether a fast
path answers first, where paths end, and how a confidence is calibrated.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cascade.confidence.calibration import Calibration
from cascade.confidence.climbing import levels_held, paths_of, worth
from cascade.confidence.nowhere import NowhereTable
from cascade.confidence.references import Groups
from cascade.confidence.shift import Reference
from cascade.config import FITTED_ENCODER, UNSAID, CascadeConfig, Columns, RetrievalConfig
from cascade.items import Batch
from cascade.pipeline.classifier import Classifier
from cascade.pipeline.descent import make_descent
from cascade.pipeline.pack import resolve_paths
from cascade.predictions import Prediction
from cascade.retrieval.all_children import max_children
from cascade.scoring.components import Components
from cascade.scoring.scorer import Scorer, SupportScorer
from cascade.taxonomy import Taxonomy
from cascade.taxonomy.staying import places, staying
from cascade.training.labelled import Labelled, Progress
from cascade.training.packs.parts import PartConfig
from cascade.training.packs.recalibration import REFERENCE, reference_of, usual_classes
from cascade.training.packs.recipe import Recipe
from cascade.training.packs.validation import Evidence, Trial, fit_weights, gather_evidence

TAXONOMY = "taxonomy.yaml"
CALIBRATION = "calibration.json"
EARLY = {"stop": 0.3, "answer": "walk"}
"""A descent that stops early: such a path holds the share of all below it, so that no other is
likelier."""
RISKS = (0.01, 0.02, 0.05, 0.1)
LEAST_HELD = 10  # held-out rows; on fewer no scorer is chosen alone


@dataclass(frozen=True)
class Assembly:
    """Chooses the settings of a pack.

    Parameters
    ----------
    stays
        Codes of the inner nodes that may be the answer themselves.
    columns
        Text, picture and label of the rows.
    parts
        How the fitted parts stand in a cascade.yaml.
    folder
        Where these parts are.
    rows, held
        All rows, and those that the parts were not fitted to.
    apart
        Whether these come from a file of their own, and are not among all rows.
    """

    taxonomy: Taxonomy
    stays: Sequence[str]
    columns: Columns
    recipe: Recipe
    parts: PartConfig
    folder: Path
    rows: Labelled
    held: Labelled
    progress: Progress
    apart: bool = False

    def settings(self) -> tuple[dict[str, Any], dict[str, Any], Calibration, Reference | None]:
        """A cascade.yaml, what was measured on the held-out rows, and what they looked like."""
        settings = self._without_weights()
        scorers = list(self._scorers)
        evidence, trials = self._ask()
        fused = self._weights(evidence, scorers)
        settings["fusion"] = {"weights": fused, **self._weights_where_lacking()}
        trials["cascade"] = self._stop_early(settings, self._try(settings))
        alone = {name: self._weights(evidence, [name])[name] for name in scorers}
        trials["cascade"] = self._best_alone(settings, trials, alone)
        answered, curve = trials["cascade"], list[dict[str, float]]()
        if fast := self._fast_path():
            weights = self._weights(evidence, fast)
            settings["routing"] = {"fast": weights, "threshold": 1.0}
            trials["fast path"] = first = self._try({**settings, "method": "ttc"})
            assert self.recipe.routing is not None
            threshold, curve = first.fit_threshold(answered, self.recipe.routing.loss)
            settings["routing"]["threshold"] = threshold
            answered = first.routed_to(answered, threshold)
        calibration = replace(answered.fit_calibration(), nowhere=self._nowhere(settings))
        settings["calibration"] = {"file": CALIBRATION}
        reference = self._reference(settings)
        if reference is not None:
            settings["calibration"]["reference"] = REFERENCE
        report = {
            "scorers": {name: trial.figures() for name, trial in trials.items()},
            "pack": answered.figures(),
            "weights": settings["fusion"]["weights"],
            "weights_all": fused,
            "weights_alone": alone,
            "weights_without": {
                name: self._weights(evidence, [other for other in scorers if other != name])
                for name in scorers
                if len(scorers) > 1
            },
            "curve": curve,
            "risk": _risks(calibration, answered),
        }
        return settings, report, calibration, reference

    def _reference(self, settings: dict[str, Any]) -> Reference | None:
        """What the held-out rows looked like, with the share of their labels among all rows."""
        self.progress("remembering the held-out rows", 0, 1)
        classifier = Classifier(self.taxonomy, self._config(settings))
        groups = Groups.single(len(self.held))
        if not self.apart:
            groups = Groups.of_labels(self.held.nodes, self.rows.nodes, self.taxonomy.parent)
        return reference_of(classifier, self.held, groups, usual_classes(self.taxonomy, self.rows))

    def _without_weights(self) -> dict[str, Any]:
        ends = [self.taxonomy.codes[node] for node in self.rows.ends(self.taxonomy)]
        parts = self.parts
        return {
            "taxonomy": TAXONOMY,
            "method": "cascade",
            "columns": self.columns.model_dump(exclude_defaults=True),
            "reads": list(self.columns.text),
            "retrieval": {
                **RetrievalConfig().model_dump(include=set(UNSAID)),
                "encoder": FITTED_ENCODER,
                "candidates": max(10, max_children(self._tree)),
            },
            "backbones": parts.backbones,
            "heads": parts.heads,
            **({"neighbours": parts.neighbours} if parts.neighbours else {}),
            "descent": {
                "stop": 0.0,
                "answer": "likeliest",
                **({"ends": ends} if ends else {}),
                **({"stays": list(self.stays)} if self.stays else {}),
            },
        }

    @cached_property
    def _tree(self) -> Taxonomy:
        """What the parts were fitted for: with a child for each node at which an item may stay."""
        return staying(self.taxonomy, self.stays)

    @cached_property
    def _loaded(self) -> Components:
        return Components(self.taxonomy, self._config(self._without_weights()))

    @cached_property
    def _scorers(self) -> dict[str, Scorer]:
        """The scorers that are fused, by name."""
        names = [*self.parts.scorers, *(["retrieval"] if self.recipe.retrieval else [])]
        return {name: self._loaded.scorer(name) for name in names}

    def _ask(self) -> tuple[Evidence, dict[str, Trial]]:
        """What each scorer says of the held-out rows, and how it answers alone."""
        what, n, scorers = "asking the held-out rows", len(self.held), self._scorers
        self.progress(what, 0, n)
        walks = {name: make_descent(self._loaded, own).walk for name, own in scorers.items()}
        answers: dict[str, list[Prediction]] = {name: [] for name in scorers}

        def answer(batch: Batch) -> None:
            for name, scorer in scorers.items():
                answers[name] += walks[name](batch, scorer)
                if isinstance(scorer, SupportScorer):
                    self._evidence.setdefault(name, []).append(scorer.support(batch))
            self.progress(what, len(answers[name]), n)

        nodes = places(self._tree, self.held.nodes)
        evidence = gather_evidence(scorers, self.held.items, nodes, self._tree, answer)
        trials = {name: Trial(self.held, self.taxonomy, found) for name, found in answers.items()}
        return evidence, trials

    @cached_property
    def _evidence(self) -> dict[str, list[NDArray[np.float32]]]:
        """For scorers that have it, the evidence that held-out rows belong anywhere, in parts."""
        return {}

    def _nowhere(self, settings: Mapping[str, Any]) -> NowhereTable | None:
        """How little evidence rows that belong have, by the first scorer that answers with it."""
        used = [*settings.get("routing", {}).get("fast", {}), *settings["fusion"]["weights"]]
        for name in (name for name in used if name in self._evidence):
            return NowhereTable.fit(name, np.concatenate(self._evidence[name]))
        return None

    def _weights(self, evidence: Evidence, names: list[str]) -> dict[str, list[float]]:
        return fit_weights(evidence, names, self.taxonomy.depth)

    def _weights_where_lacking(self) -> dict[str, dict[str, list[float]]]:
        """Weights for items without text and for those without a picture, where some have both."""
        found: dict[str, dict[str, list[float]]] = {}
        if self.columns.image is None or not self.columns.text:
            return found
        lacking = {
            "without_text": [replace(item, fields={}) for item in self.held.items],
            "without_picture": [replace(item, image=None) for item in self.held.items],
        }
        for name, items in lacking.items():
            self.progress("asking rows that lack something", 0, len(items))
            wanted = [row for row, item in enumerate(items) if item.text or item.image is not None]
            some = [items[row] for row in wanted]
            asked = {n: own for n, own in self._scorers.items() if some and own.can_read(some[0])}
            if asked:
                nodes = places(self._tree, self.held.nodes[wanted])
                evidence = gather_evidence(asked, some, nodes, self._tree)
                found[name] = self._weights(evidence, list(asked))
        return found

    def _try(self, settings: dict[str, Any]) -> Trial:
        """Measure a pack of these settings."""
        self.progress("measuring the pack", 0, 1)
        classifier = Classifier(self.taxonomy, self._config(settings))
        trial = Trial.run(classifier, self.held, self.taxonomy)
        # Features of pictures are kept by now, so that the time would mean nothing.
        reads_pictures = any(scorer.reads_pictures for scorer in self._scorers.values())
        return replace(trial, seconds=None) if reads_pictures else trial

    def _stop_early(self, settings: dict[str, Any], whole: Trial) -> Trial:
        """Let the descent stop early where that is more often right; the trial of what is set.

        Only where labels have others below them at which no item may stay, so that a walk has to
        stop to be right.
        """
        stays = [self.taxonomy.index(code) for code in self.stays]
        ends = [*self.taxonomy.leaves, *self.rows.ends(self.taxonomy), *stays]
        if np.isin(self.rows.nodes, ends).all():
            return whole
        early = {**settings["descent"], **EARLY}
        stopping = self._try({**settings, "descent": early})
        if stopping.exact <= whole.exact:
            return whole
        settings["descent"] = early
        return stopping

    def _best_alone(
        self,
        settings: dict[str, Any],
        trials: Mapping[str, Trial],
        alone: Mapping[str, list[float]],
    ) -> Trial:
        """Set the best scorer alone where the fusion is not more often right than it.

        On very few rows scorers are right about the same ones by chance, so the fusion stays.
        """
        fused, scorers = trials["cascade"], self._scorers
        best = max(scorers, key=lambda name: trials[name].exact)
        few = len(self.held) < LEAST_HELD
        if len(scorers) == 1 or few or trials[best].exact < fused.exact:
            return fused
        # Others stay where an item may have nothing that this one could judge it by.
        others = [n for n, other in scorers.items() if self._sees_more(other, scorers[best])]
        weights = {best: alone[best], **dict.fromkeys(others, 0.0)}
        single = {**settings["fusion"], "weights": weights}
        trial = self._try({**settings, "fusion": single})
        if trial.exact < fused.exact:
            return fused
        settings["fusion"] = single
        return trial

    def _fast_path(self) -> list[str]:
        """The scorers that may answer first; none where others would see more of an item."""
        fast, scorers = self.parts.fast, self._scorers
        slow = [name for name in scorers if name not in fast]
        if not self.recipe.routing or not fast or not slow:
            return []
        if any(self._sees_more(scorers[s], scorers[f]) for s in slow for f in fast):
            return []
        return fast

    def _sees_more(self, one: Scorer, other: Scorer) -> bool:
        """Whether a scorer reads what rows have and another does not read."""
        more_text = bool(self.columns.text) and one.reads_text and not other.reads_text
        more_pictures = (
            self.columns.image is not None and one.reads_pictures and not other.reads_pictures
        )
        return more_text or more_pictures

    def _config(self, settings: dict[str, Any]) -> CascadeConfig:
        """The config of a pack whose answers are raw and whole."""
        whole = {**settings, "calibration": {"least": 0.0}}
        return resolve_paths(CascadeConfig.parse(whole, "fit"), self.folder)


def _risks(calibration: Calibration, trial: Trial) -> list[dict[str, float]]:
    """For some risks the shares of rows that are answered, and those that are down to the leaf."""
    assert calibration.climb is not None
    scores, found = worth(calibration.of_paths(paths_of(trial.predictions))), []
    for risk in RISKS:
        held = levels_held(scores, calibration.climb.least_threshold(risk))
        if held.any():
            whole = held == (~np.isnan(scores)).sum(axis=1)
            shares = {"answered": (held > 0).mean(), "whole": whole.mean()}
            rounded = {name: round(float(share), 4) for name, share in shares.items()}
            found.append({"max_risk": risk, **rounded})
    return found
