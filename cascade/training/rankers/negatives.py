"""Hard negatives: wrong nodes that are hard to tell from the right one, to train rankers with.

Three kinds, as in FEAST: siblings; nodes that are drawn the more often the nearer they are in the
taxonomy and the more they are alike; and those that the current index takes for similar. Beside
them, for comparison, any wrong nodes.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from cascade.config import Section
from cascade.taxonomy import Taxonomy


class NegativesRecipe(Section):
    """How many wrong nodes of each kind stand beside a right one."""

    siblings: int = Field(1, ge=0, le=1000, description="Children of the right node's parent.")
    near: int = Field(
        1,
        ge=0,
        le=1000,
        description="Drawn by (1 + shared implicit facets) / (1 + steps between the nodes).",
    )
    similar: int = Field(
        2, ge=0, le=1000, description="Of those that the current index ranks first."
    )
    pool: int = Field(
        10, ge=1, le=100_000, description="Ranks of the index that `similar` are drawn from."
    )
    random: int = Field(0, ge=0, le=1000, description="Of all wrong nodes alike.")

    @property
    def total(self) -> int:
        """Wrong nodes beside one right node."""
        return self.siblings + self.near + self.similar + self.random


class Negatives:
    """Draws wrong nodes for rows with a known node.

    Parameters
    ----------
    nodes
        int32, what can be answered: wrong nodes are drawn from these. Neither ancestors nor
        descendants of a right node count as wrong.
    facets
        For each node of the taxonomy its implicit facets, where it has any.
    """

    def __init__(
        self,
        taxonomy: Taxonomy,
        nodes: NDArray[np.int32],
        facets: Sequence[frozenset[str]] | None = None,
    ) -> None:
        self._taxonomy, self._nodes, self._facets = taxonomy, np.unique(nodes), facets
        above = np.full((len(self._nodes), taxonomy.depth), -1, dtype=np.int32)
        for row, node in enumerate(self._nodes.tolist()):
            path = taxonomy.path_nodes(node)
            above[row, : len(path)] = path
        self._above = above
        self._level = (above >= 0).sum(axis=1)

    def nearness(self, node: int) -> NDArray[np.float64]:
        """S(t, v) of FEAST for t = `node` and every v of `nodes`; 0 where v is not wrong.

        `S(t, v) = (1 + implicit facets that t and v share) / (1 + steps from t to v)`, where steps
        go up to the lowest common ancestor and down again.

        Returns
        -------
        float64 [n_nodes]
        """
        path = self._taxonomy.path_nodes(node)
        same = (self._above[:, : len(path)] == np.asarray(path)).sum(axis=1)
        steps = len(path) + self._level - 2 * same
        shared = np.zeros(len(self._nodes))
        if self._facets is not None and (own := self._facets[node]):
            shared = np.array([len(own & self._facets[v]) for v in self._nodes.tolist()], float)
        # On one path with it: one of the two has all of its ancestors in common with the other.
        related = (same == len(path)) | (same == self._level)
        return np.where(related, 0.0, (1 + shared) / (1 + steps))

    def draw(
        self,
        right: NDArray[np.int32],
        similarity: NDArray[np.float32] | None,
        recipe: NegativesRecipe,
        rng: np.random.Generator,
    ) -> NDArray[np.int32]:
        """Different wrong nodes for each row: siblings, near, similar, random, in this order.

        What one kind lacks, the kinds after it make up for, and at last nearness.

        Parameters
        ----------
        right
            int32 [n_rows].
        similarity
            float32 [n_nodes, n_rows], of the `nodes` by the current index; None: no such kind.

        Returns
        -------
        int32 [n_rows, n]
            n is `recipe.total`, or less where there are not as many nodes; -1 where a row has
            fewer wrong nodes than others.
        """
        total = min(recipe.total, len(self._nodes) - 1)
        out = np.full((len(right), max(total, 0)), -1, dtype=np.int32)
        parents = self._taxonomy.parent[self._nodes]
        for node in np.unique(right).tolist():
            weight = self.nearness(node)
            wrong = weight > 0
            sibling = np.flatnonzero(wrong & (parents == self._taxonomy.parent[node]))
            for row in np.flatnonzero(right == node).tolist():
                taken: list[int] = rng.permutation(sibling)[: recipe.siblings].tolist()
                taken += _drawn(weight, taken, recipe.near, rng)
                if similarity is not None:
                    left = np.where(wrong, similarity[:, row], -np.inf)
                    left[taken] = -np.inf
                    first = np.argsort(-left, kind="stable")[: recipe.pool]
                    first = first[np.isfinite(left[first])]
                    taken += rng.permutation(first)[: recipe.similar].tolist()
                taken += _drawn(wrong.astype(float), taken, recipe.random, rng)
                taken += _drawn(weight, taken, total - len(taken), rng)
                chosen = self._nodes[taken[:total]]
                out[row, : len(chosen)] = chosen
        return out


def _drawn(
    weight: NDArray[np.float64], taken: Sequence[int], n: int, rng: np.random.Generator
) -> list[int]:
    """At most n places that are not taken, drawn without replacement by weight."""
    left = weight.copy()
    left[list(taken)] = 0
    n = min(n, int((left > 0).sum()))
    if n <= 0:
        return []
    found: list[int] = rng.choice(len(left), size=n, replace=False, p=left / left.sum()).tolist()
    return found
