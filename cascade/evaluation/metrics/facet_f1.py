"""Precision, recall and F1 of facets, as those of FoodEx2 codes.

The facets of a row are a set; micro figures pool them over rows, sample figures average those of
rows (Tsoumakas, Katakis and Vlahavas 2010, "Mining multi-label data").
"""

from __future__ import annotations

import numpy as np

from cascade.evaluation.metrics.gold_and_predicted import Floats, GoldAndPredicted
from cascade.evaluation.metrics.ratio import Ratio


def facet_precision_micro(answers: GoldAndPredicted) -> Ratio:
    """Precision of facets, pooled over rows: right ones / predicted ones, 0 where none is."""
    right, predicted, _ = _counts(answers)
    return Ratio(right, predicted, empty=0.0)


def facet_recall_micro(answers: GoldAndPredicted) -> Ratio:
    """Recall of facets, pooled over rows: right ones / gold ones."""
    right, _, gold = _counts(answers)
    return Ratio(right, gold)


def facet_f1_micro(answers: GoldAndPredicted) -> Ratio:
    """F1 of facets, pooled over rows: 2 right ones / (predicted ones + gold ones)."""
    right, predicted, gold = _counts(answers)
    return Ratio(2 * right, predicted + gold)


def facet_f1_sample(answers: GoldAndPredicted) -> Ratio:
    """F1 of the facets of each row, averaged; 1 where a row has none and none is predicted."""
    right, predicted, gold = _counts(answers)
    either = predicted + gold
    row = np.divide(2 * right, either, out=np.ones(len(answers)), where=either > 0)
    return Ratio.mean(row)


def exact_match_with_facets(answers: GoldAndPredicted) -> Ratio:
    """Share of rows whose predicted node and facets are all those of the gold code."""
    right, predicted, gold = _counts(answers)
    same = answers.exact & (right == predicted) & (right == gold)
    return Ratio.mean(same)


FACETS = (
    facet_f1_micro,
    facet_precision_micro,
    facet_recall_micro,
    facet_f1_sample,
    exact_match_with_facets,
)


def _counts(answers: GoldAndPredicted) -> Floats:
    """float64 [3, n_rows], facets of each row that are right, predicted, and gold."""
    assert answers.facets is not None
    return answers.facets.T.astype(np.float64)
