"""Predictions of the first pass, for the items of a batch that it is sure about."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cascade.items import Batch, Item
from cascade.lazy import LazyPath
from cascade.predictions import Alternative, Candidate, Level, Prediction
from cascade.predictions.columns import WalkedColumns
from cascade.scoring.first_pass.choosing import Choosing
from cascade.scoring.first_pass.deciding import NAME, FirstPass
from cascade.taxonomy import Taxonomy

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class FirstAnswers:
    """Answers by a first pass.

    Parameters
    ----------
    beam
        Paths of an answer: itself and its alternatives.
    candidates
        Children of a node that a trace shows.
    ranking
        Leaves to rank for each item; 0 for none.
    """

    taxonomy: Taxonomy
    first: FirstPass
    beam: int = 1
    candidates: int = 10
    ranking: int = 0

    def of(self, batch: Batch) -> tuple[WalkedColumns, list[int]]:
        """Answers for all rows, and the rows that it is not sure about, whose answers do not count.

        Their places are for what answers in its stead.
        """
        with batch.timed(NAME):
            return self._of(batch)

    def _of(self, batch: Batch) -> tuple[WalkedColumns, list[int]]:
        taxonomy, items = self.taxonomy, batch.items
        p, readable = self.first.probabilities([item.text for item in items])
        best, signs = self._choosing.of(p)
        can_read = np.array([self.first.can_read(item) for item in items], bool)
        sure = readable & self.first.is_sure(signs) & can_read
        leaves = taxonomy.leaves[best]
        nodes = taxonomy.paths_of(leaves).T
        confidences = self._confidences(p, best, nodes)
        ranked = self._ranked(p)
        codes, path, answers = taxonomy.codes, taxonomy.path, leaves.tolist()
        own = p[np.arange(len(p)), best].astype(np.float64).tolist()
        n = len(items)

        def make(row: int) -> Prediction:
            held = [each for each in confidences[row].tolist() if each == each]
            trace: Any = _Trace(self, items[row], answers[row], held)
            return Prediction(
                *(codes[answers[row]], path(answers[row]), own[row], NAME, "ok", ""),
                *(items[row].id, trace, trace, ranked[row] if ranked else ()),
            )

        columns: list[list[Any]] = [
            [codes[node] for node in answers],
            [path(node) for node in answers],
            own,
            *([NAME] * n, ["ok"] * n, [""] * n),
        ]
        found = WalkedColumns(columns, make, taxonomy, nodes, confidences)
        return found, np.flatnonzero(~sure).tolist()

    def _confidences(
        self, p: Floats, best: NDArray[np.int64], nodes: NDArray[np.int32]
    ) -> NDArray[np.float64]:
        """float64 [n_items, depth], of each level of the path to an answer, nan below its end."""
        first, last = self._ranges
        below = np.zeros((len(p), p.shape[1] + 1), np.float32)
        np.cumsum(p, axis=1, out=below[:, 1:])
        rows = np.arange(len(p))[:, None]
        found = (below[rows, last[nodes]] - below[rows, first[nodes]]).astype(np.float64)
        own = p[rows[:, 0], best].astype(np.float64)
        # No node is less likely than those below it, whatever sums are rounded to.
        found = np.minimum(np.maximum(found, own[:, None]), np.maximum(own, 1)[:, None])
        found[rows[:, 0], self.taxonomy.level[self.taxonomy.leaves[best]] - 1] = own
        found[nodes < 0] = np.nan
        return found

    @cached_property
    def _ranges(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The first leaf below each node, and the one behind the last, by place among leaves."""
        leaves, n = self.taxonomy.leaves, len(self.taxonomy)
        return np.searchsorted(leaves, np.arange(n)), np.searchsorted(leaves, self.taxonomy.end)

    @cached_property
    def _choosing(self) -> Choosing:
        return Choosing(self.taxonomy)

    def _ranked(self, p: Floats) -> list[tuple[str, ...]]:
        codes, leaves = self.taxonomy.codes, self.taxonomy.leaves
        if not self.ranking:
            return []
        order = np.argsort(-p, axis=1, kind="stable")[:, : self.ranking]
        return [tuple([codes[node] for node in row]) for row in leaves[order].tolist()]

    def leaf_probabilities(self, item: Item) -> Floats:
        """float32 [n_leaves], of one item."""
        (found,), _ = self.first.probabilities([item.text])
        own: Floats = found
        return own

    def node_probabilities(self, item: Item) -> Floats:
        """float32 [n_nodes], of one item."""
        first, last = self._ranges
        below = np.concatenate([[0], np.cumsum(self.leaf_probabilities(item))])
        found: Floats = (below[last] - below[first]).astype(np.float32)
        return found


class _Trace(LazyPath):
    """The levels and alternatives of an answer, computed anew when they are read."""

    __slots__ = ("_answers", "_item", "_node", "_sure")

    def __init__(self, answers: FirstAnswers, item: Item, node: int, sure: list[float]) -> None:
        self._answers, self._item, self._node, self._sure = answers, item, node, sure

    def confidences(self) -> list[float]:
        """The confidence of each level of the path to the answer."""
        return self._sure

    def nodes(self) -> Any:
        """Code and name of each node of the path to the answer."""
        return self._answers.taxonomy.named_path(self._node)

    def levels(self) -> tuple[Level, ...]:
        """The path to the answer, with what was likeliest at each level."""
        taxonomy = self._answers.taxonomy
        p = self._answers.node_probabilities(self._item)
        path = taxonomy.path_nodes(self._node).tolist()
        return tuple(
            [
                Level(
                    depth,
                    taxonomy.codes[node],
                    taxonomy.names[node],
                    sure,
                    self._candidates(parent, node, p),
                )
                for depth, ((parent, node), sure) in enumerate(
                    zip(pairwise([-1, *path]), self._sure, strict=True), 1
                )
            ]
        )

    def _candidates(self, parent: int, chosen: int, p: Floats) -> tuple[Candidate, ...]:
        """The likeliest children of a node, the chosen one among them."""
        taxonomy = self._answers.taxonomy
        children = taxonomy.children(parent)
        share = p[children] / max(float(p[children].sum()), 1e-12)
        order = np.lexsort((-share, children != chosen))[: self._answers.candidates]
        order = order[np.argsort(-share[order], kind="stable")]
        shown = zip(children[order].tolist(), share[order].tolist(), strict=True)
        return tuple(
            [
                Candidate(
                    taxonomy.codes[node],
                    taxonomy.names[node],
                    taxonomy.path(node),
                    own,
                    {NAME: float(np.log(max(own, 1e-12)))},
                )
                for node, own in shown
            ]
        )

    def alternatives(self) -> tuple[Alternative, ...]:
        """The next likeliest leaves."""
        taxonomy = self._answers.taxonomy
        p = self._answers.leaf_probabilities(self._item)
        order = np.argsort(-p, kind="stable")[: self._answers.beam].tolist()
        others = [at for at in order if taxonomy.leaves[at] != self._node]
        return tuple(
            [
                Alternative(taxonomy.codes[node], taxonomy.path(node), float(p[at]))
                for at, node in ((at, int(taxonomy.leaves[at])) for at in others)
            ][: self._answers.beam - 1]
        )
