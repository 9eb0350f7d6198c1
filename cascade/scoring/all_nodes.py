"""The probabilities of all nodes by a scorer that knows them, or by several that are combined."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cascade.errors import UsageError
from cascade.items import Batch, Choices
from cascade.scoring.fusion import FusionScorer
from cascade.scoring.scorer import NodeProbabilityScorer, Scorer
from cascade.taxonomy import Taxonomy


def of_all_nodes(scorer: Scorer, batch: Batch, taxonomy: Taxonomy) -> NDArray[np.float64]:
    """float64 [n_items, n_nodes]: each node's share of its parent, times those above.

    Raises
    ------
    UsageError
        The scorer judges one candidate at a time, which for all nodes would take very long.
    """
    n, size = len(batch), len(taxonomy)
    if isinstance(scorer, NodeProbabilityScorer):
        rows = np.repeat(np.arange(n, dtype=np.int32), size)
        nodes = np.tile(np.arange(size, dtype=np.int32), n)
        found: Any = scorer.probabilities(batch).log_prob(rows, nodes)
        return np.exp(np.asarray(found, np.float64).reshape(n, size))
    if not (isinstance(scorer, FusionScorer) and scorer.knows_all_nodes):
        raise UsageError(
            f"{scorer.name} judges one candidate at a time, so that it does not tell the "
            "probability of every node; use retrieval, or a pack"
        )
    logprob = np.zeros((n, size))
    for level in range(taxonomy.depth):
        parents = [-1] if level == 0 else taxonomy.level_nodes(level).tolist()
        families = [(p, taxonomy.children(p)) for p in parents]
        families = [(p, children) for p, children in families if len(children)]
        several = [(p, children) for p, children in families if len(children) > 1]
        if several:
            scores = scorer.score(batch, _asked(n, several))
            nodes = np.concatenate([children for _, children in several])
            logprob[:, nodes] = scores.reshape(n, len(nodes))
        for parent, children in families:
            if parent >= 0:
                logprob[:, children] += logprob[:, [parent]]
    return np.exp(logprob)


def _asked(n: int, families: list[tuple[int, NDArray[np.int32]]]) -> Choices:
    """Each item asked about each family."""
    sizes = np.array([len(children) for _, children in families])
    nodes = np.concatenate([children for _, children in families]).astype(np.int32)
    return Choices(
        np.repeat(np.arange(n, dtype=np.int32), len(families)),
        np.tile(np.array([parent for parent, _ in families], np.int32), n),
        np.concatenate([[0], np.cumsum(np.tile(sizes, n))]).astype(np.int64),
        np.tile(nodes, n),
    )
