"""Rankings of each stage of the walk: base terms, facet categories, descriptors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from cascade.evaluation.foodex2.code_figures import plain
from cascade.evaluation.metrics.ranking import ranking_figures
from cascade.foodex2.code import FoodCode
from cascade.items import Batch, Item
from cascade.pipeline.facets.stages import stage_ranks
from cascade.pipeline.facets.walk import FacetWalk
from cascade.taxonomy.facets import FacetedTaxonomy

BATCH = 64
SHOWN = ("accuracy_at_1", "recall_at_1", "recall_at_3", "recall_at_5", "recall_at_10", "mrr_at_10")
MEANINGS = {
    "base terms": "The right base term among those that are considered.",
    "facet categories": "The categories of the right code among all, given its base term; rows "
    "whose code has facets.",
    "descriptors": "The right descriptor among those that are considered, given base term and "
    "category; facets of right codes.",
}
"""What is ranked, and what is right."""


def stage_figures(
    taxonomy: FacetedTaxonomy,
    walk: FacetWalk,
    texts: Sequence[str],
    codes: Sequence[FoodCode],
    *,
    resamples: int = 1000,
    seed: int = 0,
    progress: Callable[[int, int], None] = lambda *_: None,
) -> dict[str, Any]:
    """Ranking figures of each stage with intervals, and how many questions each had."""
    asked: dict[str, tuple[list[list[int]], list[list[int]]]] = {
        name: ([], []) for name in MEANINGS
    }
    places = {code: at for at, code in enumerate(taxonomy.categories)}
    trees = [category.tree for category in taxonomy.categories.values()]
    for start in range(0, len(texts), BATCH):
        own = codes[start : start + BATCH]
        batch = Batch([Item({"text": text}) for text in texts[start : start + BATCH]])
        for code, ranks in zip(own, stage_ranks(walk, batch, own), strict=True):
            _add(asked["base terms"], ranks.bases, [taxonomy.index(code.base)])
            _add(
                asked["facet categories"],
                ranks.categories,
                [places[facet.category] for facet in code.facets if facet.category in places],
            )
            for place, nodes in ranks.descriptors:
                tree = trees[place]
                right = [
                    tree.index(facet.descriptor)
                    for facet in code.facets
                    if places.get(facet.category) == place and facet.descriptor in tree
                ]
                _add(asked["descriptors"], nodes, right)
        progress(min(start + BATCH, len(texts)), len(texts))
    found: dict[str, Any] = {}
    for name, (ranked, wanted) in asked.items():
        if ranked:
            figures = ranking_figures(ranked, wanted, resamples=resamples, seed=seed)
            shown = {key: figures[key] for key in SHOWN}
            found[name] = {"questions": len(ranked), "figures": plain(shown)}
    return found


def _add(
    asked: tuple[list[list[int]], list[list[int]]], ranked: list[int], right: list[int]
) -> None:
    if right:
        asked[0].append(ranked)
        asked[1].append(right)
