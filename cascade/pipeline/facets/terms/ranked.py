"""The base terms that were found for descriptions, and candidates as predictions show them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from cascade.predictions import Candidate, Level
from cascade.taxonomy import Taxonomy


@dataclass(frozen=True)
class RankedBaseTerms:
    """The likeliest base terms of each item, best first.

    Parameters
    ----------
    nodes
        int32 [n_items, k]
    logprobs
        float64 [n_items, k]; their exponentials sum to one for each item.
    scores
        Log-probabilities by method, float64 [n_items, k], in the same order.
    similarity
        float32 [n_items], the best cosine similarity of a text with any base term; less where no
        term has any of its words, and enough to be offered where a whole name is in the text.
    no_food
        Of each item a word for what nobody eats, or nothing.
    aside
        Of each item why its likeliest term may be what comes with the food, or nothing.
    nothing
        Of each item what it says is not there, if it says nothing else.
    """

    nodes: NDArray[np.int32]
    logprobs: NDArray[np.float64]
    scores: dict[str, NDArray[np.float64]]
    similarity: NDArray[np.float32]
    no_food: Sequence[str]
    aside: Sequence[str] = ()
    nothing: Sequence[str] = ()

    def led_by(self, first: Sequence[int]) -> RankedBaseTerms:
        """The same with a given term first for each item; one that is not there, for the last."""
        nodes = self.nodes.copy()
        order = np.tile(np.arange(nodes.shape[1]), (len(nodes), 1))
        for row, node in enumerate(first):
            at = np.flatnonzero(nodes[row] == node)
            place = int(at[0]) if len(at) else nodes.shape[1] - 1
            nodes[row, place] = node
            order[row] = [place, *(other for other in order[row].tolist() if other != place)]

        def ordered(values: NDArray[np.float64]) -> NDArray[np.float64]:
            return np.asarray(np.take_along_axis(values, order, axis=1))

        return RankedBaseTerms(
            np.take_along_axis(nodes, order, axis=1),
            ordered(self.logprobs),
            {name: ordered(own) for name, own in self.scores.items()},
            self.similarity,
            self.no_food,
            self.aside,
            self.nothing,
        )

    def moved(self, to: Sequence[tuple[int, str]]) -> RankedBaseTerms:
        """The same with another term in the place of the first of each item, and why to look at it.

        A term that is none of those that were found takes the place of the last.
        """
        nodes, asides = self.nodes.copy(), list(self.aside or [""] * len(self.nodes))
        for row, (node, why) in enumerate(to):
            others = [own for own in nodes[row].tolist() if own != node]
            nodes[row] = [node, *others][: nodes.shape[1]]
            asides[row] = asides[row] or why
        return replace(self, nodes=nodes, aside=asides)

    def levels(self, taxonomy: Taxonomy, item: int) -> tuple[Level, ...]:
        """The path to the base term; a level is as likely as all candidates at or below it."""
        nodes, shares = self.nodes[item], np.exp(self.logprobs[item])
        scores = {name: own[item] for name, own in self.scores.items()}
        candidates = candidates_of(taxonomy, nodes, shares, scores)
        path = taxonomy.path_nodes(int(nodes[0])).tolist()
        levels = []
        for level, node in enumerate(path, 1):
            below = (nodes >= node) & (nodes < taxonomy.end[node])
            levels.append(
                Level(
                    level,
                    taxonomy.codes[node],
                    taxonomy.names[node],
                    float(shares[below].sum()),
                    candidates if node == path[-1] else (),
                )
            )
        return tuple(levels)


def candidates_of(
    tree: Taxonomy,
    nodes: NDArray[np.int32],
    probabilities: NDArray[np.float64],
    scores: Mapping[str, NDArray[np.float64]],
) -> tuple[Candidate, ...]:
    """Candidates with the scores of the methods that judged them."""
    return tuple(
        Candidate(
            tree.codes[node],
            tree.names[node],
            tree.path(node),
            float(probabilities[at]),
            {name: float(own[at]) for name, own in scores.items() if np.isfinite(own[at])},
        )
        for at, node in enumerate(nodes.tolist())
    )
