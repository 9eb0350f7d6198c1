"""What scorers say of held-out rows, and the weights that make the most of them together."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cascade.items import Batch, Item
from cascade.retrieval.children import AllChildren
from cascade.scoring.calibration import fit_log_linear
from cascade.scoring.scorer import Scorer
from cascade.taxonomy import Taxonomy

BATCH = 256
FEW = 50  # questions of a level; with fewer it has the weights of all levels


@dataclass(frozen=True)
class Evidence:
    """What each scorer said at every step of the known paths.

    Parameters
    ----------
    level
        int16 [n_questions], level of the candidates.
    offsets
        int64 [n_questions + 1], as in `Choices`.
    gold
        int64 [n_questions], place of the right candidate inside its question.
    logprobs
        float64 [n_candidates] by scorer.
    """

    level: NDArray[np.int16]
    offsets: NDArray[np.int64]
    gold: NDArray[np.int64]
    logprobs: Mapping[str, NDArray[np.float64]]

    def at(self, wanted: NDArray[np.bool_]) -> Evidence:
        """The questions where `wanted` [n_questions] is true."""
        sizes = np.diff(self.offsets)
        member = np.repeat(wanted, sizes)
        offsets = np.concatenate([[0], np.cumsum(sizes[wanted])]).astype(np.int64)
        said = {name: values[member] for name, values in self.logprobs.items()}
        return Evidence(self.level[wanted], offsets, self.gold[wanted], said)


def gather(
    scorers: Mapping[str, Scorer],
    items: Sequence[Item],
    nodes: NDArray[np.int32],
    tree: Taxonomy,
    each: Callable[[Batch], None] = lambda batch: None,
) -> Evidence:
    """Ask every scorer about every step of the known paths that has a choice.

    Parameters
    ----------
    nodes
        int32 [n_items], the known answers.
    each
        Called with the items, some at a time, while what the scorers made of them is kept.
    """
    levels, sizes, golds = [], [], []
    said: dict[str, list[NDArray[np.float64]]] = {name: [] for name in scorers}
    for start in range(0, len(items), BATCH):
        some = nodes[start : start + BATCH]
        steps = [
            (row, int(tree.parent[step]), int(step))
            for row, node in enumerate(some.tolist())
            for step in tree.path_nodes(node)
            if len(tree.children(int(tree.parent[step]))) > 1
        ]
        batch = Batch(items[start : start + BATCH])
        if not steps:
            each(batch)
            continue
        rows, parents, right = np.array(steps, dtype=np.int32).T
        choices = AllChildren(tree).narrow(batch, rows, parents, len(tree))
        for name, scorer in scorers.items():
            said[name].append(scorer.score(batch, choices))
        each(batch)
        first = choices.offsets[:-1]
        golds.append(np.flatnonzero(choices.nodes == right[choices.question]) - first)
        sizes.append(np.diff(choices.offsets))
        levels.append(tree.level[right])
    if not sizes:
        none = np.empty(0, np.int64)
        return Evidence(none.astype(np.int16), np.zeros(1, np.int64), none, {})
    offsets = np.concatenate([[0], np.cumsum(np.concatenate(sizes))]).astype(np.int64)
    return Evidence(
        np.concatenate(levels),
        offsets,
        np.concatenate(golds).astype(np.int64),
        {name: np.concatenate(values) for name, values in said.items()},
    )


def weights(evidence: Evidence, names: Sequence[str], depth: int) -> dict[str, list[float]]:
    """Weight of each scorer at each level, fitted on what they said.

    A level with few questions has the weights that are best for all levels together.
    """
    pooled = _fitted(evidence, names)
    table = []
    for level in range(1, depth + 1):
        here = evidence.level == level
        table.append(_fitted(evidence.at(here), names) if here.sum() >= FEW else pooled)
    return {name: [round(float(row[at]), 4) for row in table] for at, name in enumerate(names)}


def _fitted(evidence: Evidence, names: Sequence[str]) -> NDArray[np.float64]:
    if not len(evidence.gold):
        return np.ones(len(names))
    said = [evidence.logprobs[name] for name in names]
    found = np.asarray(fit_log_linear(said, evidence.offsets, evidence.gold), dtype=np.float64)
    # Somebody must speak at every level.
    return found if found.any() else np.full(len(names), 1 / len(names))
