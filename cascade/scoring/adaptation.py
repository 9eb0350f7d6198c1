"""How frequent the nodes of a file seem to be, learnt from its own items without a label.

A prior of nodes by expectation maximisation (Saerens, Latinne and Decaestecker, Neural Computation
14, 2002): posteriors under a prior give the next prior. As what is learnt from is no more than
similarity, the prior is drawn to a flat one twice: it is smoothed down the tree, each node's share
of its parent with rows of its own, and it counts with a power below 1.
"""

from __future__ import annotations

import base64
import binascii
import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from cascade.errors import OutputError, UsageError
from cascade.items import Batch
from cascade.retrieval.subtrees import Subtrees
from cascade.scoring.scorer import NodeProbabilityScorer
from cascade.taxonomy import Taxonomy
from cascade.taxonomy.facets import FacetedTaxonomy

LEAST = 50  # items; fewer tell nothing
MOST = 1000  # items that are learnt from
KEPT = 256  # leaves of each item that are told apart; the others share what is left
SMOOTHING = 100.0  # items that speak for a flat prior, in each family of siblings
POWER = 0.5
ROUNDS = 20
LITTLE_ENDIAN = "<f4"
ADAPTED = ("retrieval", "rewrite")  # methods whose scorers read `prior`

T = TypeVar("T")


@dataclass(frozen=True)
class Adaptation:
    """What is added to the logits of leaves, and what it was learnt from.

    Parameters
    ----------
    items
        How many items it was learnt from; with fewer than `LEAST` nothing was learnt.
    moved
        Of how many of them the likeliest leaf is another one than without it.
    log_weight
        float32 [n_nodes], 0 for inner nodes.
    """

    items: int
    moved: int
    log_weight: NDArray[np.float32] = field(repr=False)

    @classmethod
    def learnt(
        cls, taxonomy: Taxonomy, leaves: NDArray[np.int32], p: NDArray[np.floating[Any]]
    ) -> Adaptation:
        """From the likeliest leaves of some items.

        Parameters
        ----------
        leaves
            int32 [n_items, k], -1 where no more are known.
        p
            [n_items, k], their probabilities; what they lack to 1 lies on other leaves.
        """
        n_items = len(leaves)
        weight = np.zeros(len(taxonomy))
        if n_items < LEAST:
            return cls(n_items, 0, weight.astype(np.float32))
        shares, there = _Shares(taxonomy), leaves >= 0
        at, p = np.where(there, leaves, 0), np.where(there, p, 0.0).astype(np.float64)
        rest = np.maximum(1 - p.sum(axis=1), 0)
        for _ in range(ROUNDS):
            found = p * np.exp(weight)[at]
            whole = found.sum(axis=1) + rest
            mass = (found / whole[:, None]).ravel()
            told = np.bincount(at.ravel(), mass, minlength=len(taxonomy)).astype(np.float64)
            weight = POWER * shares.log_lift(told + shares.flat * (rest / whole).sum())
        before, after = p.argmax(axis=1), (p * np.exp(weight)[at]).argmax(axis=1)
        return cls(n_items, int((before != after).sum()), weight.astype(np.float32))

    @cached_property
    def applies(self) -> bool:
        """Whether there were enough items to learn from."""
        return self.items >= LEAST

    def to_values(self) -> dict[str, Any]:
        """As JSON values, from which `from_values` makes the same again."""
        raw = self.log_weight.astype(LITTLE_ENDIAN).tobytes()
        weights = base64.b64encode(raw).decode() if self.applies else ""
        return {"items": self.items, "moved": self.moved, "log_weight": weights}

    @classmethod
    def from_values(cls, values: Mapping[str, Any], taxonomy: Taxonomy) -> Adaptation:
        """What `to_values` gave.

        Raises
        ------
        OutputError
            The values are damaged.
        """
        weight = np.zeros(len(taxonomy), np.float32)
        try:
            items, moved = int(values["items"]), int(values["moved"])
            if items >= LEAST:
                raw = base64.b64decode(values["log_weight"], validate=True)
                weight = np.frombuffer(raw, LITTLE_ENDIAN).astype(np.float32)
            if not np.isfinite(weight).all() or len(weight) != len(taxonomy):
                raise ValueError
        except (KeyError, TypeError, ValueError, binascii.Error):
            raise OutputError(
                "the journal of the interrupted run is damaged: it holds no weights of nodes; "
                "begin again with --overwrite"
            ) from None
        return cls(items, moved, weight)


def learn(
    taxonomy: Taxonomy, scorer: NodeProbabilityScorer, batches: Iterable[Batch]
) -> Adaptation:
    """From what a scorer without a prior says of items, but for those that its model failed on.

    Raises
    ------
    EngineError
        A model behind the scorer failed altogether.
    """
    leaves, probabilities = [], []
    for batch in batches:
        known, p = scorer.probabilities(batch).top_ends(KEPT)
        lost = batch.failures.keys() | batch.problems.keys()
        good = [row for row in range(len(batch)) if row not in lost]
        missing = ((0, 0), (0, KEPT - known.shape[1]))
        leaves.append(np.pad(known[good], missing, constant_values=-1))
        probabilities.append(np.pad(p[good], missing))
    if not leaves:
        return Adaptation(0, 0, np.zeros(len(taxonomy), np.float32))
    return Adaptation.learnt(taxonomy, np.concatenate(leaves), np.concatenate(probabilities))


def drawn(items: Iterable[T], most: int = MOST) -> list[T]:
    """At most so many of some items, in their order; always the same of the same ones.

    They are read to their end, since files are often sorted; no more than `most` are in memory.
    """
    rng, kept = random.Random(0), list[tuple[int, T]]()
    for at, item in enumerate(items):
        if at < most:
            kept.append((at, item))
        elif (place := int(rng.random() * (at + 1))) < most:
            kept[place] = at, item
    return [item for _, item in sorted(kept, key=lambda pair: pair[0])]


class _Shares:
    """Shares of nodes, smoothed from the top down."""

    def __init__(self, taxonomy: Taxonomy) -> None:
        self._taxonomy, self._subtrees = taxonomy, Subtrees(taxonomy)
        is_leaf = np.zeros(len(taxonomy))
        is_leaf[taxonomy.leaves] = 1
        self.flat = is_leaf / is_leaf.sum()
        self._size = self._sum(self.flat)

    def log_lift(self, counts: NDArray[np.float64]) -> NDArray[np.float64]:
        """float64 [n_nodes], for each leaf the log of its share over a flat one; else 0.

        Parameters
        ----------
        counts
            float64 [n_nodes], items by leaf.
        """
        taxonomy, size, below = self._taxonomy, self._size, self._sum(counts)
        lift = np.zeros(len(taxonomy))
        for level in range(1, taxonomy.depth + 1):
            nodes = taxonomy.level_nodes(level)
            above = taxonomy.parent[nodes]
            top = above < 0
            of = np.where(top, counts.sum(), below[above])
            flat = size[nodes] / np.where(top, 1.0, size[above])
            share = (below[nodes] + SMOOTHING * flat) / (of + SMOOTHING)
            lift[nodes] = np.where(top, 0.0, lift[above]) + np.log(share / flat)
        return np.where(self.flat > 0, lift, 0.0)

    def _sum(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Over subtrees."""
        column: Any = values[:, None].copy()
        return np.asarray(self._subtrees.sum(column)[:, 0])


def check_adapts(taxonomy: Taxonomy, method: str) -> None:
    """Raise UsageError where no prior of nodes changes the answers."""
    faceted = isinstance(taxonomy, FacetedTaxonomy) and taxonomy.categories
    if method not in ADAPTED or faceted:
        what = "a taxonomy with facets" if faceted else f"the method {method}"
        raise UsageError(
            f"--adapt (retrieval.adapt) does not go with {what}: leave it out, or use --method "
            f"{' or '.join(ADAPTED)} under a taxonomy without facets"
        )
