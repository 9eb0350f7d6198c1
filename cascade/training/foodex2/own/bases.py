"""Learns which of the candidates is the base term of a description."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cascade.config import BaseTermConfig
from cascade.pipeline.facets.own.codes import BASE_FEATURES
from cascade.retrieval.array_ops import top_k
from cascade.taxonomy.facets import FacetedTaxonomy
from cascade.training.foodex2.own.linear import fit_choices
from cascade.training.foodex2.own.rows import Fold, Tools

CANDIDATES = 40  # base terms that the right one is chosen among
BASE_RIDGE = 0.02
CORRECTIONS = BASE_FEATURES[1:6]  # parts of the catalogue's score, which may count for less


@dataclass
class SeenBases:
    """What was seen of a description as if it were new.

    Parameters
    ----------
    bases, base_features
        int32 [n] and float32 [n, n_features], candidates.
    right
        Place of the right base term among them, None where it may not be answered.
    """

    bases: NDArray[np.int32]
    base_features: NDArray[np.float32]
    right: int | None


class BaseTermLearner:
    """Fits the weights of what tells base terms.

    Attributes
    ----------
    start
        float64 [n_features], weights that leave the catalogue's own score as it is.
    """

    def __init__(self, taxonomy: FacetedTaxonomy) -> None:
        self._taxonomy = taxonomy
        self.start = np.zeros(len(BASE_FEATURES))
        self.start[0] = 1 / BaseTermConfig().temperature

    def see(self, tools: Tools, fold: Fold) -> list[SeenBases]:
        """Candidates of each row that is held out, with the right one among them."""
        found: list[SeenBases] = []
        place = {int(node): at for at, node in enumerate(tools.ranker.nodes)}
        for start, batch in fold.batches():
            features = tools.ranker.features(tools.finder.of(batch))
            scores = np.tensordot(self.start.astype(np.float32), features, axes=1)
            firsts = [top_k(scores.T, min(CANDIDATES, len(place)))]
            firsts += [top_k(features[at].T, min(8, len(place))) for at in (8, 9)]
            for item in range(len(batch)):
                own = list(dict.fromkeys(int(p) for first in firsts for p in first[item]))
                base = fold.held.codes[start + item].base
                right = place.get(self._taxonomy.index(base))
                if right is not None and right not in own:
                    own.append(right)
                found.append(
                    SeenBases(
                        tools.ranker.nodes[own],
                        features[:, own, item].T.copy(),
                        None if right is None else own.index(right),
                    )
                )
        return found

    def fit(self, seen: Sequence[SeenBases]) -> NDArray[np.float32]:
        """float32 [n_features], the weights by which right base terms are chosen."""
        known = [one for one in seen if one.right is not None]
        return fit_choices(
            [one.base_features for one in known],
            [one.right for one in known if one.right is not None],
            self.start.tolist(),
            signs=[0 if name in CORRECTIONS else 1 for name in BASE_FEATURES],
            ridge=BASE_RIDGE,
        )

    def found(self, folds: Sequence[Fold], seen: Sequence[Sequence[SeenBases]]) -> list[str]:
        """The base term of each by weights of other rows, right or wrong."""
        found = []
        for fold, mine in zip(folds, seen, strict=True):
            held = set(fold.rows)
            weights = self.fit(
                [
                    one
                    for other, own in zip(folds, seen, strict=True)
                    for row, one in zip(other.rows, own, strict=True)
                    if row not in held
                ]
            )
            places = [int((one.base_features @ weights).argmax()) for one in mine]
            found += [int(one.bases[at]) for one, at in zip(mine, places, strict=True)]
        return [self._taxonomy.codes[node] for node in found]
