"""Whose answers a pack keeps: the catalogue's, or what rows teach where that is right more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from cascade.config import BaseTermConfig, DescriptorConfig
from cascade.foodex2.code import FoodCode
from cascade.items import Batch, Item
from cascade.pipeline.facets.evidence import EvidenceFinder
from cascade.pipeline.facets.own.codes import Way
from cascade.pipeline.facets.ranking import BaseTermRanker
from cascade.pipeline.facets.said import Refusal, SaidFacets, said_code
from cascade.pipeline.facets.told import FacetWords
from cascade.taxonomy import Taxonomy
from cascade.taxonomy.facets import Facet, FacetedTaxonomy
from cascade.training.foodex2.own.rows import BATCH

Answer = TypeVar("Answer")
THRESHOLDS = np.round(np.arange(0.2, 0.81, 0.05), 2).tolist()


@dataclass(frozen=True)
class Compared(Generic[Answer]):
    """What was right most often.

    Parameters
    ----------
    answers
        Of the way that is kept.
    shares
        Right ones of each way.
    """

    kept: Way
    answers: Sequence[Answer]
    shares: Mapping[Way, float]


def compared(
    right: Sequence[Answer], alone: Sequence[Answer], learnt: Mapping[Way, Sequence[Answer]]
) -> Compared[Answer]:
    """The best of what was learnt where it shows a gain, else the catalogue alone.

    A gain is more than chance: what is right by one way alone exceeds what is right by the
    other alone by more than a standard deviation of their difference (McNemar 1947).

    Parameters
    ----------
    right, alone
        Right answers, and those of the catalogue alone.
    learnt
        Answers of each other way, by weights of other rows.
    """
    ways: dict[Way, Sequence[Answer]] = {"catalogue": alone, **learnt}
    shares = {
        way: share([a == r for a, r in zip(own, right, strict=True)]) for way, own in ways.items()
    }
    best = max(learnt, key=lambda way: hits(right, learnt[way]))
    pairs = list(zip(right, alone, learnt[best], strict=True))
    won = sum(new == r != old for r, old, new in pairs)
    lost = sum(old == r != new for r, old, new in pairs)
    if won - lost > (won + lost) ** 0.5:
        return Compared(best, learnt[best], shares)
    return Compared("catalogue", alone, shares)


def compared_facets(
    right: Sequence[frozenset[Facet]],
    alone: Sequence[frozenset[Facet]],
    likely: NDArray[np.floating[Any]],
    best: NDArray[np.int32],
    trees: Sequence[Taxonomy],
    categories: Sequence[str],
) -> tuple[Compared[frozenset[Facet]], float]:
    """Whose facets are right most often, and the threshold of categories that goes with them.

    Parameters
    ----------
    likely
        float [n_rows, n_categories], probabilities of categories.
    best
        int32 of the same shape, the likeliest descriptor of each; -1 is none.
    trees, categories
        Descriptors of each category, and its code.
    """

    def learnt(least: float) -> list[frozenset[Facet]]:
        return [
            frozenset(
                Facet(categories[c], trees[c].codes[nodes[c]])
                for c in np.flatnonzero(row >= least).tolist()
                if nodes[c] >= 0
            )
            for row, nodes in zip(likely, best, strict=True)
        ]

    ways: dict[Way, list[list[frozenset[Facet]]]] = {"learnt": [learnt(at) for at in THRESHOLDS]}
    ways["both"] = [beside(alone, own) for own in ways["learnt"]]
    chosen = {way: _middle_of_best([hits(right, own) for own in ways[way]]) for way in ways}
    found = compared(right, alone, {way: ways[way][at] for way, at in chosen.items()})
    return found, THRESHOLDS[chosen["learnt" if found.kept == "catalogue" else found.kept]]


def _middle_of_best(counts: Sequence[int]) -> int:
    """The place of the highest count; of several the middle."""
    best = [at for at, count in enumerate(counts) if count == max(counts)]
    return best[len(best) // 2]


def hits(right: Sequence[Answer], answers: Sequence[Answer]) -> int:
    """How many answers are right."""
    return sum(a == r for a, r in zip(answers, right, strict=True))


def beside(
    said: Sequence[frozenset[Facet]], learnt: Sequence[frozenset[Facet]]
) -> list[frozenset[Facet]]:
    """Facets that are said, and those that are learnt in categories of which none is said."""
    found = []
    for one, other in zip(said, learnt, strict=True):
        told = {facet.category for facet in one}
        found.append(one | {facet for facet in other if facet.category not in told})
    return found


def share(hit: Sequence[bool]) -> float:
    """Of those that are true, 0 of none."""
    return round(float(np.mean(hit)), 4) if len(hit) else 0.0


class CatalogueAlone:
    """Answers as `cascade foodex2 encode` gives them without a pack.

    Parameters
    ----------
    allowed
        bool [n_nodes], base terms that may be answered.
    refusal
        Why the rules refuse a code; empty where they accept it.
    """

    def __init__(
        self,
        taxonomy: FacetedTaxonomy,
        finder: EvidenceFinder,
        allowed: NDArray[np.bool_],
        refusal: Refusal,
    ) -> None:
        self._taxonomy, self._finder, self._refusal = taxonomy, finder, refusal
        self._ranker = BaseTermRanker(taxonomy, finder, BaseTermConfig(), allowed)
        self._said = SaidFacets(taxonomy, FacetWords.load())
        self._most = DescriptorConfig().most

    def bases(self, texts: Sequence[str]) -> list[str]:
        """The base term of each text."""
        found: list[str] = []
        for start in range(0, len(texts), BATCH):
            batch = Batch([Item({"text": text}) for text in texts[start : start + BATCH]])
            nodes = self._ranker.rank(batch, 1).nodes[:, 0].tolist()
            found += [self._taxonomy.codes[node] for node in nodes]
        return found

    def facets(self, texts: Sequence[str], bases: Sequence[str]) -> list[frozenset[Facet]]:
        """The facets that each text says beyond its base term."""
        return [
            frozenset(self._code(text, base).facets)
            for text, base in zip(texts, bases, strict=True)
        ]

    def _code(self, text: str, base: str) -> FoodCode:
        read, code = self._finder.read(text), FoodCode(base)
        code, _ = said_code(self._said, read, code, self._taxonomy, self._refusal, self._most)
        return code


def kept_lines(report: Mapping[str, Any]) -> list[str]:
    """What a fit kept and why, a sentence for base terms and one for facets.

    Parameters
    ----------
    report
        Of the fit, as it stands in `metrics.json`.
    """
    ways = {"base terms": report["kept"]["base"], "facets": report["kept"]["facets"]}
    return [
        f"{what}: right {_shown(report['out_of_fold'][what])} (rows as if they were new); "
        f"kept: {_WHY[way]}"
        for what, way in ways.items()
    ]


_NAMES = {"catalogue": "catalogue alone", "learnt": "learnt", "both": "both together"}
_WHY = {
    "catalogue": "the catalogue's own way, since what was learnt shows no gain beyond chance",
    "learnt": "what was learnt, which is right more often",
    "both": "both together, which are right more often than the catalogue alone",
}


def _shown(shares: Mapping[str, float]) -> str:
    return ", ".join(f"{_NAMES[way]} {value:.3f}" for way, value in shares.items())
