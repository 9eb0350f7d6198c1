"""Similarities of the items of a batch with the nodes of a taxonomy.

Two classes answer the same questions. `DenseSimilarities` has a number for each item and node:
exact, and the quickest where one matrix product goes over all node texts in little time.
`HitSimilarities` (in its own module) has numbers for the nodes that a search found. Narrowing and
scorers need not know which they have.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cascade.items import Choices
from cascade.retrieval.array_ops import reduce_ranges, top_k
from cascade.retrieval.subtrees import DenseNodeProbabilities, NodeProbabilities, Subtrees
from cascade.taxonomy import Taxonomy

Floats = NDArray[np.float32]
Nodes = NDArray[np.int32]


@dataclass(frozen=True)
class TopLeaves:
    """The best leaves of each item: items in order, best first inside an item.

    Parameters
    ----------
    rows, nodes
        int32 [n], item and leaf.
    index
        Indexes `Similarities.values`, and what is shaped like it, with these pairs.
    """

    rows: Nodes
    nodes: Nodes
    index: Any

    def take(self, which: NDArray[np.bool_]) -> TopLeaves:
        """Those of them that are wanted, bool [n]."""
        of = self.index
        index = tuple(part[which] for part in of) if isinstance(of, tuple) else of[which]
        return TopLeaves(self.rows[which], self.nodes[which], index)

    def logsumexp(self, logits: Floats, n_items: int) -> Floats:
        """float32 [n_items], over the leaves of each item, of logits [n]; -inf of none."""
        items = np.arange(n_items)
        first, last = np.searchsorted(self.rows, items), np.searchsorted(self.rows, items, "right")
        return reduce_ranges(np.logaddexp, logits, first, last, -np.inf)


class Similarities(ABC):
    """Similarities of a batch of items with nodes.

    Attributes
    ----------
    values
        float32, the best similarity of an item with any text of a node itself, for each pair of
        them that is held: [n_nodes, n_items] or [n_pairs].
    """

    values: Floats

    @abstractmethod
    def narrow(self, rows: Nodes, parents: Nodes, k: int) -> Choices:
        """The k children of `parents[q]` with the most similar subtrees; see `Retriever.narrow`."""

    @abstractmethod
    def plus_names(self, weight: np.float32, texts: Sequence[str]) -> Similarities:
        """These plus `weight * cos(text of the item, first text of the node)`, one text an item."""

    @abstractmethod
    def top_leaves(self, k: int) -> TopLeaves:
        """The k most similar leaves of each item, or all that are held."""

    @abstractmethod
    def top_nodes(self, k: int) -> Nodes:
        """int32 [n_items, k], nodes of any level with the most similar texts, best first; then -1.

        Of those that are held; a node counts by its own texts, not by those below it.
        """

    @abstractmethod
    def leaf_logsumexp(self, logits: Floats) -> Floats:
        """float32 [n_items], `log(sum(exp(logits)))` over leaves; logits are shaped as `values`."""

    @abstractmethod
    def broadcast(self, per_item: Floats) -> Floats:
        """A number for each item [n_items], so that it can be added to what is like `values`."""

    @abstractmethod
    def of_nodes(self, per_node: Floats) -> Floats:
        """A number for each node [n_nodes], so that it can be added to what is like `values`."""

    @abstractmethod
    def best_leaves(self, values: Floats) -> tuple[TopLeaves, Floats]:
        """The best leaf of each item that has one, and its lead over the next, float32 [n_items].

        Parameters
        ----------
        values
            Shaped as `self.values`. The lead is 0 where there is no next leaf.
        """

    def lead(self) -> Floats:
        """float32 [n_items], by how much the best leaf is more similar than the next; or 0."""
        return self.best_leaves(self.values)[1]

    @abstractmethod
    def leaf_entropy(self, logits: Floats) -> Floats:
        """float32 [n_items], of the softmax over leaves, in nats; logits as in `softmax`."""

    @abstractmethod
    def softmax(
        self, logits: Floats, temperature: Floats, shift: Floats | None = None
    ) -> NodeProbabilities:
        """A softmax over all leaves.

        Parameters
        ----------
        logits
            Shaped as `values`; those of inner nodes do not count.
        temperature, shift
            Pairs that are not held have the logit `similarity / temperature + shift`, with one of
            each for each item, float32 [n_items].
        """


class DenseSimilarities(Similarities):
    """Similarities of all items with all nodes.

    Parameters
    ----------
    values
        float32 [n_nodes, n_items]; see `Similarities`.
    name_similarity
        Cosine similarities of texts with the first text of each node, [n_nodes, n_texts].
    """

    def __init__(
        self,
        taxonomy: Taxonomy,
        subtrees: Subtrees,
        values: Floats,
        name_similarity: Callable[[Sequence[str]], Floats],
    ) -> None:
        self.values = values
        self._taxonomy = taxonomy
        self._subtrees = subtrees
        self._name_similarity = name_similarity

    @cached_property
    def subtree_maximum(self) -> Floats:
        """float32 [n_nodes, n_items], the greatest value in the subtree of each node."""
        return self._subtrees.maximum(self.values.copy())

    def narrow(self, rows: Nodes, parents: Nodes, k: int) -> Choices:
        """The k best children of each question; see `Similarities`."""
        candidates: list[Nodes] = [np.empty(0, dtype=np.int32)] * len(rows)
        for parent in np.unique(parents):
            children = self._taxonomy.children(int(parent))
            questions = np.flatnonzero(parents == parent)
            scores = self.subtree_maximum[children[:, None], rows[questions]].T
            for q, nodes in zip(questions, children[top_k(scores, k)], strict=True):
                candidates[q] = nodes
        offsets = np.cumsum([0, *map(len, candidates)], dtype=np.int64)
        nodes = np.concatenate(candidates) if candidates else np.empty(0, dtype=np.int32)
        return Choices(rows, parents, offsets, nodes)

    def plus_names(self, weight: np.float32, texts: Sequence[str]) -> DenseSimilarities:
        """With the similarities of names added; see `Similarities`."""
        values = self.values + weight * self._name_similarity(texts)
        return DenseSimilarities(self._taxonomy, self._subtrees, values, self._name_similarity)

    def top_leaves(self, k: int) -> TopLeaves:
        """The k most similar leaves; see `Similarities`."""
        leaves = self._taxonomy.leaves
        best = leaves[top_k(self.values[leaves].T, k)]
        rows = np.repeat(np.arange(len(best), dtype=np.int32), best.shape[1])
        return TopLeaves(rows, best.ravel(), (best.ravel(), rows))

    def top_nodes(self, k: int) -> Nodes:
        """The k most similar nodes; see `Similarities`."""
        best = top_k(self.values.T, k).astype(np.int32)
        return np.pad(best, ((0, 0), (0, k - best.shape[1])), constant_values=-1)

    def leaf_logsumexp(self, logits: Floats) -> Floats:
        """Over all leaves; see `Similarities`."""
        return np.asarray(np.logaddexp.reduce(logits[self._taxonomy.leaves], axis=0))

    def broadcast(self, per_item: Floats) -> Floats:
        """One for each column; see `Similarities`."""
        return per_item

    def of_nodes(self, per_node: Floats) -> Floats:
        """One for each row; see `Similarities`."""
        return per_node[:, None]

    def best_leaves(self, values: Floats) -> tuple[TopLeaves, Floats]:
        """Of all leaves; see `Similarities`."""
        leaves = self._taxonomy.leaves
        values, items = values[leaves], np.arange(values.shape[1], dtype=np.int32)  # a copy
        best = values.argmax(axis=0)
        found = TopLeaves(items, leaves[best], (leaves[best], items))
        if len(leaves) < 2:
            return found, np.zeros(len(items), dtype=np.float32)
        most = values[best, items]
        values[best, items] = -np.inf
        return found, np.asarray(most - values.max(axis=0))

    def leaf_entropy(self, logits: Floats) -> Floats:
        """Of all leaves; see `Similarities`."""
        logits = logits[self._taxonomy.leaves]
        logits -= logits.max(axis=0)
        p = np.exp(logits)
        total = p.sum(axis=0)
        return np.asarray(np.log(total) - np.einsum("ij,ij->j", p, logits) / total)

    def softmax(
        self, logits: Floats, temperature: Floats, shift: Floats | None = None
    ) -> DenseNodeProbabilities:
        """Probabilities of all nodes; see `Similarities`. All pairs are held."""
        return DenseNodeProbabilities(self._taxonomy, self._subtrees.log_softmax(logits))
