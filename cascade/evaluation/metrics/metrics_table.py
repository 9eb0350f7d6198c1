"""Every metric by name; a name tells how rows and classes are averaged.

A metric is computed for many samples of the rows at once: `weights`, float64 [n_rows, n_samples],
say how often each row counts in each sample. Weights of one give the figure itself and resampled
ones its bootstrap, so that both are the same few lines of arithmetic.
"""

from __future__ import annotations

import numpy as np

from cascade.evaluation.metrics.calibration import ConfidenceMetrics
from cascade.evaluation.metrics.gold_and_predicted import Floats, GoldAndPredicted, GroupedRows
from cascade.evaluation.metrics.hierarchical_f1 import (
    COVERED,
    LENIENT,
    STRICT,
    Ratio,
    accuracy,
    exact_to,
)
from cascade.evaluation.metrics.per_level import ClassCounts, f1_macro, f1_weighted, ratio


class MetricsTable:
    """Every metric that some answers allow, ready for many samples of their rows."""

    def __init__(self, answers: GoldAndPredicted) -> None:
        once, which = answers.distinct()
        self._merge = GroupedRows(which, len(once))
        self._ratios = _ratios(once)
        ratios = self._ratios.values()
        self._sums = np.stack([each.part for each in ratios] + [each.whole for each in ratios])
        self._classes = {level: ClassCounts(once, level) for level in range(1, answers.depth + 1)}
        sure = answers.confidence
        known = sure is not None and not np.isnan(sure).all()
        self._confidence = ConfidenceMetrics(answers) if known else None

    def __call__(self, weights: Floats) -> dict[str, Floats]:
        """Every metric by name, float64 [n_samples], for weights float64 [n_rows, n_samples]."""
        found: dict[str, Floats] = {}
        merged = self._merge(weights)
        parts, wholes = np.split(self._sums @ merged, 2)
        for (name, each), part, whole in zip(self._ratios.items(), parts, wholes, strict=True):
            found[name] = ratio(part, whole, each.empty)
        for level, counts in self._classes.items():
            totals = counts.totals(merged)
            found[f"f1_weighted_l{level}"] = f1_weighted(totals)
            found[f"f1_macro_l{level}"] = f1_macro(totals)
        if self._confidence is not None:
            found |= self._confidence(weights)
        return found


def all_metrics(answers: GoldAndPredicted) -> dict[str, float]:
    """Every metric that these answers allow, by name.

    Of whole paths: `hf1_micro`, `hp_micro`, `hr_micro`, `hf1_sample`, `exact_match`, `consistency`,
    `lca_distance_mean`, `mistake_severity`. With other right answers: `hf1_micro_lenient`,
    `hp_micro_lenient`, `hr_micro_lenient`, `exact_match_lenient`. With answers left for review:
    `coverage`, `exact_match_covered`. For each level down to the deepest gold: `accuracy_l1`,
    `exact_to_l1`, `f1_weighted_l1`, `f1_macro_l1`. With confidences: `ece`, `brier`, `aurc`,
    `coverage_at_risk_1`, `coverage_at_risk_5`, `coverage_at_risk_10`.
    `describe_metric` says what each is; an undefined one is nan.
    """
    once = np.ones((len(answers), 1))
    return {name: float(values[0]) for name, values in MetricsTable(answers)(once).items()}


def _ratios(answers: GoldAndPredicted) -> dict[str, Ratio]:
    """The metrics that are ratios of sums over rows, in the order in which they are shown."""
    lenient = () if answers.accepted is None else LENIENT
    covered = () if answers.reviewed is None else COVERED
    found = {of.__name__: of(answers) for of in (*STRICT, *lenient, *covered)}
    for level in range(1, answers.depth + 1):
        found[f"accuracy_l{level}"] = accuracy(answers, level)
        found[f"exact_to_l{level}"] = exact_to(answers, level)
    return found
