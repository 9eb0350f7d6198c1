"""What a batch of items has in common with the nodes of a taxonomy, whoever found it.

Two kinds answer the same questions. `retrieval.dense` holds a number for each item and each node;
`retrieval.sparse` holds those that a search found, and compares an item with others where they are
asked about. Narrowing and the scorers need not know which they have.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cascade.items import Choices
from cascade.retrieval.segments import reduced

Floats = NDArray[np.float32]
Nodes = NDArray[np.int32]


@dataclass(frozen=True)
class Leaves:
    """The best leaves of each item: items in order, best first inside an item.

    Parameters
    ----------
    rows, nodes
        int32 [n_best], item and leaf.
    at
        Index of each into `Comparison.values`, and what is shaped like it.
    """

    rows: Nodes
    nodes: Nodes
    at: Any

    def log_total(self, logits: Floats, n_items: int) -> Floats:
        """float32 [n_items], log of the sum of `exp(logits)` of each item's; -inf of none."""
        items = np.arange(n_items)
        first, last = np.searchsorted(self.rows, items), np.searchsorted(self.rows, items, "right")
        return reduced(np.logaddexp, logits, first, last, -np.inf)


class Mass(ABC):
    """The share of belief that each node has with what is below it, for a batch."""

    @abstractmethod
    def of(self, rows: NDArray[np.integer[Any]], nodes: Nodes) -> Floats:
        """float32 [n], log of the share of `nodes[i]` for item `rows[i]`; finite."""

    @abstractmethod
    def best_leaves(self, k: int) -> Nodes:
        """int32 [n_items, at most k], the likeliest leaves, best first; -1 where none is known."""


class Comparison(ABC):
    """A batch compared with the nodes of a taxonomy.

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
    def plus(self, weight: np.float32, texts: Sequence[str]) -> Comparison:
        """The same with `weight * cos(text of the item, first text of the node)` added."""

    @abstractmethod
    def best_leaves(self, k: int) -> Leaves:
        """The k leaves of each item that are most similar, or all that are held."""

    @abstractmethod
    def log_total(self, logits: Floats) -> Floats:
        """float32 [n_items], log of the sum of `exp(logits)` over leaves; logits as `values`."""

    @abstractmethod
    def spread(self, per_item: Floats) -> Floats:
        """A number for each item [n_items], so that it can be added to what is like `values`."""

    @abstractmethod
    def log_mass(
        self, logits: Floats, temperature: np.float32, shift: Floats | None = None
    ) -> Mass:
        """A softmax over leaves, as the mass of every node.

        Parameters
        ----------
        logits
            Shaped like `values`; those of inner nodes do not count.
        temperature, shift
            Pairs that are not held have the logit `similarity / temperature + shift`, with one
            shift for each item, float32 [n_items].
        """
