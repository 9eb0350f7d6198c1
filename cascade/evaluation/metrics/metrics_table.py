"""Every metric by name; a name tells how rows and classes are averaged.

A metric is computed for many samples of the rows at once: `weights`, float64 [n_rows, n_samples],
say how often each row counts in each sample. Weights of one give the figure itself and resampled
ones its bootstrap, so that both are the same few lines of arithmetic.
"""

from __future__ import annotations

import numpy as np

from cascade.evaluation.metrics.calibration import CalibrationMetrics
from cascade.evaluation.metrics.facet_f1 import FACETS
from cascade.evaluation.metrics.given import GIVEN, SETS, set_size_median
from cascade.evaluation.metrics.gold_and_predicted import Floats, GoldAndPredicted
from cascade.evaluation.metrics.hierarchical_f1 import LENIENT, STRICT
from cascade.evaluation.metrics.per_level import (
    ClassCounts,
    accuracy,
    accuracy_lenient,
    exact_to,
    f1_macro,
    f1_macro_lenient,
    f1_weighted,
    f1_weighted_lenient,
)
from cascade.evaluation.metrics.ratio import Ratio, ratio
from cascade.evaluation.metrics.risk_coverage import RiskCoverageMetrics


class MetricsTable:
    """Every metric that some answers allow, ready for many samples of their rows."""

    def __init__(self, answers: GoldAndPredicted) -> None:
        once, self._groups = answers.distinct()
        self._ratios = _ratios(once)
        ratios = self._ratios.values()
        self._sums = np.stack([each.part for each in ratios] + [each.whole for each in ratios])
        levels = range(1, answers.depth + 1)
        self._classes = {level: ClassCounts(once, level) for level in levels}
        self._classes_lenient: dict[int, ClassCounts] = {}
        if answers.reached is not None:
            self._classes_lenient = {n: ClassCounts(once, n, lenient=True) for n in levels}
        self._set_size = once.set_size
        self._confidence: list[CalibrationMetrics | RiskCoverageMetrics] = []
        if answers.has_confidence:
            confident, self._confidence_groups = answers.distinct_confidences()
            self._confidence = [CalibrationMetrics(confident), RiskCoverageMetrics(confident)]

    def __call__(self, weights: Floats) -> dict[str, Floats]:
        """Every metric by name, float64 [n_samples], for weights float64 [n_rows, n_samples]."""
        found: dict[str, Floats] = {}
        merged = self._groups.total(weights)
        parts, wholes = np.split(self._sums @ merged, 2)
        for (name, each), part, whole in zip(self._ratios.items(), parts, wholes, strict=True):
            found[name] = ratio(part, whole, each.empty)
        if self._set_size is not None:
            found["set_size_median"] = set_size_median(self._set_size.astype(float), merged)
        for level, counts in self._classes.items():
            totals = counts.totals(merged)
            found[f"f1_weighted_l{level}"] = f1_weighted(totals)
            found[f"f1_macro_l{level}"] = f1_macro(totals)
        for level, counts in self._classes_lenient.items():
            totals = counts.totals(merged)
            found[f"f1_weighted_l{level}_lenient"] = f1_weighted_lenient(totals)
            found[f"f1_macro_l{level}_lenient"] = f1_macro_lenient(totals)
        if self._confidence:
            merged = self._confidence_groups.total(weights)
            for metrics in self._confidence:
                found |= metrics(merged)
        return found


def all_metrics(answers: GoldAndPredicted) -> dict[str, float]:
    """Every metric that these answers allow, by name.

    Which there are depends on what is known: `_lenient` ones need other right answers, `coverage`
    and `_given` ones answers that were cut or marked for review, `set_` ones sets, `facet_` ones a
    taxonomy with facets, calibration and risk confidences; those of levels have `_l1`, `_l2`, ...
    in them.
    `describe_metric` says what each is. An undefined one is nan.
    """
    once = np.ones((len(answers), 1))
    return {name: float(values[0]) for name, values in MetricsTable(answers)(once).items()}


def _ratios(answers: GoldAndPredicted) -> dict[str, Ratio]:
    """The metrics that are ratios of sums over rows, in the order in which they are shown."""
    lenient = () if answers.nearest_node is None else LENIENT
    given = () if answers.reviewed is None and answers.given_node is None else GIVEN
    sets = () if answers.set_size is None else SETS
    facets = () if answers.facets is None else FACETS
    found = {of.__name__: of(answers) for of in (*STRICT, *lenient, *given, *sets, *facets)}
    for level in range(1, answers.depth + 1):
        found[f"accuracy_l{level}"] = accuracy(answers, level)
        found[f"exact_to_l{level}"] = exact_to(answers, level)
        if answers.reached is not None:
            found[f"accuracy_l{level}_lenient"] = accuracy_lenient(answers, level)
    return found
