"""The nodes that a search of their texts finds for items, and the exact similarity of any pair."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cascade.retrieval.array_ops import expand_ranges, run_starts
from cascade.retrieval.index import NodeIndex
from cascade.retrieval.words.characters import ItemCharacters

Floats = NDArray[np.float32]
Ints = NDArray[np.integer[Any]]

PAIR_BLOCK = 2048  # pairs whose vectors lie side by side at a time: 6 MB at a width of 384
NODE_BLOCK = 16_384  # nodes whose vectors do


@dataclass(frozen=True)
class PairTable:
    """Values of pairs of an item and a node, each pair once, sorted by item and then by node.

    Nodes lie in depth-first order, so the pairs of an item in a subtree stand side by side.

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
    value: Floats

    @classmethod
    def of(cls, n_nodes: int, rows: Ints, nodes: Ints, value: Floats) -> PairTable:
        """The table of pairs in any order; a pair that is there twice has its greatest value."""
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

    def ranges(
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

    def merged(self, other: PairTable) -> PairTable:
        """These pairs and others, none of which is here."""
        key = np.concatenate([self.key, other.key])
        order = np.argsort(key, kind="stable")  # two sorted runs: merged
        return PairTable(self.n_nodes, key[order], np.concatenate([self.value, other.value])[order])


@dataclass(frozen=True)
class NodeSearch:
    """Finds the nodes whose texts are most similar to vectors.

    Parameters
    ----------
    index
        The vectors of node texts.
    encode
        Texts to unit vectors.
    hits
        Texts that are found for each vector.
    """

    index: NodeIndex
    encode: Callable[[Sequence[str]], Floats]
    hits: int

    def find(self, vectors: Floats, characters: ItemCharacters | None = None) -> PairTable:
        """The nodes of the most similar texts of each vector, with the best text's similarity.

        What characters tell is added to the similarity of texts that their vectors found.
        """
        similar, text = self.index.searcher.search(vectors, self.hits)
        there = text >= 0
        rows = np.repeat(np.arange(len(vectors)), there.sum(axis=1))
        similar, text = similar[there], text[there]
        if characters is not None:
            similar = similar + characters.of_pairs(text, rows)
        return PairTable.of(self.index.n_nodes, rows, self.index.node[text], similar)


class ExactSimilarity:
    """The similarity of any item and node: that of the most similar text of the node itself.

    Parameters
    ----------
    index
        The vectors of node texts.
    vectors
        float32 [n_items, width], unit vectors of the items.
    names
        Weights and unit vectors float32 [n_items, width] of other texts of the items; adds
        `weight * cos(text, first text of the node)` each.
    characters
        What is added to the cosine of an item and a text.
    """

    def __init__(
        self,
        index: NodeIndex,
        vectors: Floats,
        names: Sequence[tuple[np.float32, Floats]] = (),
        characters: ItemCharacters | None = None,
    ) -> None:
        self._index = index
        self._vectors = vectors
        self._names = tuple(names)
        self._characters = characters

    def plus_names(self, weight: np.float32, vectors: Floats) -> ExactSimilarity:
        """As this one, with the similarity of other texts of the items to the names of nodes."""
        names = (*self._names, (weight, vectors))
        return ExactSimilarity(self._index, self._vectors, names, self._characters)

    def of_pairs(self, rows: Ints, nodes: Ints) -> Floats:
        """float32 [n], that of item `rows[i]` and node `nodes[i]`."""
        text, pair = expand_ranges(*self._index.texts_of(nodes))
        out = _dot_pairs(self._index.vectors, text, self._vectors, rows[pair])
        if self._characters is not None:
            out += self._characters.of_pairs(text, rows[pair])
        if len(pair):
            out = np.maximum.reduceat(out, run_starts(pair))
        for weight, vectors in self._names:
            out = out + weight * self.of_names(vectors, rows, nodes)
        return np.asarray(out)

    def of_names(self, vectors: Floats, rows: Ints, nodes: Ints) -> Floats:
        """float32 [n], cosine of `vectors[rows[i]]` and the first text of `nodes[i]`."""
        return _dot_pairs(self._index.vectors, self._index.texts_of(nodes)[0], vectors, rows)

    def of_all(self, rows: Ints, nodes: Ints) -> Floats:
        """float32 [n_nodes, n_rows], that of each item with each node; nodes increase."""
        out = np.empty((len(nodes), len(rows)), dtype=np.float32)
        items = self._vectors[rows].T
        for start in range(0, len(nodes), NODE_BLOCK):
            text, node = expand_ranges(*self._index.texts_of(nodes[start : start + NODE_BLOCK]))
            similar = self._index.vectors[text] @ items
            if self._characters is not None:
                similar += self._characters.with_texts(text, rows)
            out[start : start + NODE_BLOCK] = np.maximum.reduceat(similar, run_starts(node), axis=0)
        for weight, vectors in self._names:
            names = self._index.vectors[self._index.texts_of(nodes)[0]]
            out = out + weight * (names @ vectors[rows].T)
        return np.asarray(out)


def _dot_pairs(left: Floats, i: Ints, right: Floats, j: Ints) -> Floats:
    """float32 [n], the products of `left[i]` and `right[j]`, pair by pair."""
    out = np.empty(len(i), dtype=np.float32)
    for start in range(0, len(i), PAIR_BLOCK):
        part = slice(start, start + PAIR_BLOCK)
        np.einsum("ij,ij->i", left[i[part]], right[j[part]], out=out[part])
    return out
