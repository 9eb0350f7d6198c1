"""How right codes are: base terms, facet categories, facets, and whole codes.

Codes are compared without what their base terms imply. The facets of a row are a set, and so are
its categories; micro figures pool the sets of all rows, macro figures are means over the categories
that some gold code has, each as often as the others (Tsoumakas, Katakis and Vlahavas 2010).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cascade.evaluation.metrics.bootstrap import PERCENTILES, Interval, weights_of
from cascade.foodex2.code import FoodCode
from cascade.taxonomy.facets import FacetedTaxonomy

MEANINGS = {
    "base_term": "Share of rows whose base term is right.",
    "category_set": "Share of rows with all facet categories of the gold code, and no other.",
    "facet_set": "Share of rows with all facets of the gold code, and no other.",
    "whole_code": "Share of rows whose base term and facets are all those of the gold code.",
    "category_precision_micro": "Facet categories that are right, of those that are predicted.",
    "category_recall_micro": "Facet categories that are right, of those of gold codes.",
    "category_f1_micro": "Harmonic mean of these two.",
    "category_precision_macro": "Precision of each facet category, averaged over categories.",
    "category_recall_macro": "Recall of each facet category, averaged over categories.",
    "category_f1_macro": "F1 of each facet category, averaged over categories.",
    "facet_precision_micro": "Facets that are right, of those that are predicted.",
    "facet_recall_micro": "Facets that are right, of those of gold codes.",
    "facet_f1_micro": "Harmonic mean of these two.",
    "facet_precision_macro": "Precision of the facets of each category, averaged over categories.",
    "facet_recall_macro": "Recall of the facets of each category, averaged over categories.",
    "facet_f1_macro": "F1 of the facets of each category, averaged over categories.",
}
"""Every figure, with what it is."""
KINDS = ("category", "facet")
Counts = NDArray[np.float64]


def code_figures(
    taxonomy: FacetedTaxonomy,
    predicted: Sequence[FoodCode | None],
    gold: Sequence[FoodCode],
    *,
    resamples: int = 1000,
    seed: int = 0,
) -> dict[str, Interval]:
    """Every figure of `MEANINGS` with its 95% interval, the percentile bootstrap over rows.

    Parameters
    ----------
    predicted, gold
        Codes of each row, without what their base terms imply; None for no answer.
    """
    shares = np.stack(list(_shares(predicted, gold).values()))
    by_kind = {kind: _counts(taxonomy, predicted, gold, kind) for kind in KINDS}

    def figures(weights: Counts) -> Counts:
        """[n_figures, n_samples], in the order of `MEANINGS`."""
        found = [shares @ weights / weights.sum(axis=0)]
        for counts in by_kind.values():
            known = counts[:, :, 2].any(axis=0)
            totals = np.einsum("nck,ns->kcs", counts, weights)
            micro = _precision_recall_f1(totals.sum(axis=1))
            macro = _precision_recall_f1(totals[:, known])
            found += [micro, macro.mean(axis=1) if known.any() else np.full_like(micro, np.nan)]
        return np.concatenate(found)

    values = figures(np.ones((len(gold), 1)))[:, 0]
    drawn = np.concatenate(
        [figures(weights) for weights in weights_of(len(gold), resamples, seed)], axis=1
    )
    lows, highs = np.percentile(drawn, PERCENTILES, axis=1)
    return {
        name: Interval(float(value), float(low), float(high))
        for name, value, low, high in zip(MEANINGS, values, lows, highs, strict=True)
    }


def category_rows(
    taxonomy: FacetedTaxonomy, predicted: Sequence[FoodCode | None], gold: Sequence[FoodCode]
) -> list[dict[str, Any]]:
    """A row for each category that is predicted or right: counts, precision, recall and F1.

    `category_...` are of whether a row has the category, `facet_...` of its descriptors.
    """
    totals = {kind: _counts(taxonomy, predicted, gold, kind).sum(axis=0) for kind in KINDS}
    found = []
    for at, category in enumerate(taxonomy.categories.values()):
        if not totals["facet"][at].any():
            continue
        row: dict[str, Any] = {"code": category.code, "label": category.label}
        for kind in KINDS:
            right, said, true = totals[kind][at]
            precision, recall, f1 = _precision_recall_f1(totals[kind][at][:, None])[:, 0]
            counts = {"gold": int(true), "predicted": int(said), "right": int(right)}
            figures = {"precision": precision, "recall": recall, "f1": f1}
            row |= {f"{kind}_{name}": value for name, value in counts.items()}
            row |= {f"{kind}_{name}": round(float(value), 4) for name, value in figures.items()}
        found.append(row)
    return found


def plain(figures: dict[str, Interval]) -> dict[str, Any]:
    """Figures as values of JSON."""
    return {name: asdict(interval) for name, interval in figures.items()}


def _shares(
    predicted: Sequence[FoodCode | None], gold: Sequence[FoodCode]
) -> dict[str, NDArray[np.float64]]:
    pairs = list(zip(predicted, gold, strict=True))
    base = [p is not None and p.base == g.base for p, g in pairs]
    categories = [p is not None and _categories(p) == _categories(g) for p, g in pairs]
    facets = [p is not None and set(p.facets) == set(g.facets) for p, g in pairs]
    whole = [b and f for b, f in zip(base, facets, strict=True)]
    hits = {"base_term": base, "category_set": categories, "facet_set": facets, "whole": whole}
    return {name: np.array(own, dtype=np.float64) for name, own in hits.items()}


def _categories(code: FoodCode) -> set[str]:
    return {facet.category for facet in code.facets}


def _counts(
    taxonomy: FacetedTaxonomy,
    predicted: Sequence[FoodCode | None],
    gold: Sequence[FoodCode],
    kind: str,
) -> Counts:
    """float64 [n_rows, n_categories, 3], those that are right, predicted and gold."""
    place = {code: at for at, code in enumerate(taxonomy.categories)}
    out = np.zeros((len(gold), len(place), 3))
    for row, (said, true) in enumerate(zip(predicted, gold, strict=True)):
        theirs = set(true.facets)
        ours = set() if said is None else set(said.facets)
        for column, facets in enumerate((ours & theirs, ours, theirs)):
            for facet in facets:
                if facet.category in place:
                    out[row, place[facet.category], column] += 1
    if kind == "category":
        has = out[:, :, 1:] > 0
        return np.concatenate([has.all(axis=2, keepdims=True), has], axis=2).astype(np.float64)
    return out


def _precision_recall_f1(totals: Counts) -> Counts:
    """[3, ...] from sums of what is right, predicted and gold; 0 where nothing is divided by."""
    right, said, true = totals

    def over(part: Counts, whole: Counts) -> Counts:
        return np.divide(part, whole, out=np.zeros_like(part), where=whole > 0)

    return np.stack([over(right, said), over(right, true), over(2 * right, said + true)])
