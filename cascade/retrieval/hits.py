"""Pairs of items and nodes with a number each, in the order in which subtrees are ranges."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cascade.retrieval.segments import run_starts

Ints = NDArray[np.integer[Any]]


@dataclass(frozen=True)
class Pairs:
    """Pairs of an item and a node, each once, sorted by item and then by node.

    Nodes lie in depth-first order, so what an item has in a subtree stands side by side.

    Parameters
    ----------
    n_nodes
        Nodes of the taxonomy.
    key
        int64 [n_pairs], `row * n_nodes + node`; increases.
    value
        float32 [n_pairs]
    """

    n_nodes: int
    key: NDArray[np.int64]
    value: NDArray[np.float32]

    @classmethod
    def best(cls, n_nodes: int, rows: Ints, nodes: Ints, value: NDArray[np.float32]) -> Pairs:
        """Of pairs in any order, each perhaps several times: the greatest value of each."""
        key = rows.astype(np.int64) * n_nodes + nodes
        order = np.argsort(key, kind="stable")
        key, value = key[order], value[order]
        if len(starts := run_starts(key)) < len(key):
            key, value = key[starts], np.maximum.reduceat(value, starts)
        return cls(n_nodes, key, value)

    @property
    def rows(self) -> NDArray[np.int32]:
        """int32 [n_pairs], the items."""
        return (self.key // self.n_nodes).astype(np.int32)

    @property
    def nodes(self) -> NDArray[np.int32]:
        """int32 [n_pairs], the nodes."""
        return (self.key % self.n_nodes).astype(np.int32)

    def within(
        self, rows: Ints, first: Ints, last: Ints
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Where the pairs of `rows[i]` with nodes from `first[i]` and below `last[i]` lie."""
        base = rows.astype(np.int64) * self.n_nodes
        return np.searchsorted(self.key, base + first), np.searchsorted(self.key, base + last)

    def find(self, rows: Ints, nodes: Ints) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Where pairs lie, int64 [n], and which of them are here at all, bool [n]."""
        key = rows.astype(np.int64) * self.n_nodes + nodes
        at = np.searchsorted(self.key, key)
        here = at < len(self.key)
        here[here] = self.key[at[here]] == key[here]
        return at, here

    def and_more(self, other: Pairs) -> Pairs:
        """These pairs and others."""
        key = np.concatenate([self.key, other.key])
        order = np.argsort(key, kind="stable")  # two sorted runs: merged
        return Pairs(self.n_nodes, key[order], np.concatenate([self.value, other.value])[order])

    def where(self, wanted: NDArray[np.bool_], value: NDArray[Any]) -> Pairs:
        """Some of the pairs with other values; both [n_pairs]."""
        return Pairs(self.n_nodes, self.key[wanted], value[wanted])
