"""What each stage of the walk ranks, given what the stage before should find; for measuring."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from cascade.foodex2.code import FoodCode
from cascade.items import Batch
from cascade.pipeline.facets.walk import ROWS, FacetWalk

DEEP = 100  # candidates of a ranking


class StageRanks(NamedTuple):
    """Rankings of an item, best first.

    Parameters
    ----------
    bases
        Nodes of base terms.
    categories
        Places of facet categories, given the right base term.
    descriptors
        For each category of the right code its place, and the nodes of its descriptors, given the
        right base term.
    """

    bases: list[int]
    categories: list[int]
    descriptors: list[tuple[int, list[int]]]


def stage_ranks(walk: FacetWalk, batch: Batch, codes: Sequence[FoodCode]) -> Iterator[StageRanks]:
    """What the walk ranks for each item, whose right codes are known."""
    for start in range(0, len(batch), ROWS):
        rows = range(start, min(start + ROWS, len(batch)))
        part = batch.subset(rows)
        own = [codes[row] for row in rows]
        bases = [code.base for code in own]
        ranked = walk.bases.rank(part, DEEP).nodes.tolist()
        features = walk.extractor.extract(part, bases)
        likely = walk.categories.probabilities(part, features, bases)
        order = np.argsort(-likely, axis=1, kind="stable").tolist()
        place = {code: at for at, code in enumerate(walk.extractor.codes)}
        pairs = [
            (item, place[category])
            for item, code in enumerate(own)
            for category in dict.fromkeys(facet.category for facet in code.facets)
            if category in place
        ]
        descriptors: list[list[tuple[int, list[int]]]] = [[] for _ in own]
        for (item, at), found in zip(
            pairs, walk.descriptors.rank(part, features, pairs), strict=True
        ):
            descriptors[item].append((at, found.nodes.tolist()))
        for item in range(len(own)):
            yield StageRanks(ranked[item], order[item], descriptors[item])
