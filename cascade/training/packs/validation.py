"""What scorers say of held-out rows, and the weights that make the most of them together."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cascade.items import Batch, Item
from cascade.pipeline.classifier import BATCH, Classifier
from cascade.pipeline.confidence import Calibration
from cascade.predictions import Prediction
from cascade.retrieval.retriever import AllChildren
from cascade.scoring.calibration import BetaMap, RiskTable
from cascade.scoring.fusion import fit_fusion_weights
from cascade.scoring.scorer import Scorer
from cascade.taxonomy import Taxonomy
from cascade.training.labelled import Labelled

ASKED = 256  # items that scorers are asked about together
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
    for start in range(0, len(items), ASKED):
        some = nodes[start : start + ASKED]
        steps = [
            (row, int(tree.parent[step]), int(step))
            for row, node in enumerate(some.tolist())
            for step in tree.path_nodes(node)
            if len(tree.children(int(tree.parent[step]))) > 1
        ]
        batch = Batch(items[start : start + ASKED])
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
    found = np.asarray(fit_fusion_weights(said, evidence.offsets, evidence.gold), dtype=np.float64)
    # Somebody must speak at every level.
    return found if found.any() else np.full(len(names), 1 / len(names))


STEPS = 50  # thresholds that are looked at


@dataclass(frozen=True)
class Trial:
    """Answers for the held-out rows.

    Parameters
    ----------
    predictions
        One for each row.
    seconds
        float64 [n_rows], what each row took, on average, where this classifier saw it; None where
        that was not measured.
    """

    predictions: Sequence[Prediction]
    seconds: NDArray[np.float64] | None = None

    @property
    def confidence(self) -> NDArray[np.float64]:
        """float64 [n_rows], of the whole answer."""
        return np.array([p.confidence for p in self.predictions], dtype=np.float64)

    def right(self, held: Labelled, taxonomy: Taxonomy) -> NDArray[np.bool_]:
        """Which answers are exactly the known node; bool [n_rows]."""
        codes = [taxonomy.codes[node] for node in held.nodes.tolist()]
        return np.array([p.code == c for p, c in zip(self.predictions, codes, strict=True)])

    def joined(self, main: Trial, threshold: float) -> Trial:
        """Our answers where they are sure enough, `main`'s for the others; both with seconds."""
        assert self.seconds is not None and main.seconds is not None
        stays = _stays(self.confidence, threshold)
        pairs = zip(stays.tolist(), self.predictions, main.predictions, strict=True)
        return Trial(
            [mine if stay else other for stay, mine, other in pairs],
            self.seconds + np.where(stays, 0.0, main.seconds),
        )

    def figures(self, held: Labelled, taxonomy: Taxonomy) -> dict[str, Any]:
        """Shares of the rows that are right down to each level, and rows a second if measured."""
        found: dict[str, Any] = {"exact": round(float(self.right(held, taxonomy).mean()), 4)}
        for level in range(1, taxonomy.depth + 1):
            known, right = self.level(level, held, taxonomy)
            if known.any():
                found[f"accuracy_l{level}"] = round(float(right[known].mean()), 4)
        if self.seconds is not None:
            found["rows_per_second"] = round(len(held) / max(float(self.seconds.sum()), 1e-9), 1)
        return found

    def level(
        self, level: int, held: Labelled, taxonomy: Taxonomy
    ) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Which rows have a label at a level, and which are right there; bool [n_rows] each."""
        known = np.zeros(len(held), dtype=bool)
        right = np.zeros(len(held), dtype=bool)
        for row, (prediction, node) in enumerate(
            zip(self.predictions, held.nodes.tolist(), strict=True)
        ):
            path = taxonomy.path_nodes(node)
            if len(path) >= level:
                known[row] = True
                found = prediction.levels
                right[row] = (
                    len(found) >= level
                    and found[level - 1].code == taxonomy.codes[int(path[level - 1])]
                )
        return known, right


def try_out(classifier: Classifier, held: Labelled) -> Trial:
    """Classify the held-out rows."""
    predictions: list[Prediction] = []
    # The first call loads and warms up what the others use.
    classifier.classify_batch(held.items[:1])
    started = time.perf_counter()
    for start in range(0, len(held), BATCH):
        predictions += classifier.classify_batch(held.items[start : start + BATCH])
    took = (time.perf_counter() - started) / len(held)
    return Trial(predictions, np.full(len(held), took))


def routed(
    fast: Trial, main: Trial, held: Labelled, taxonomy: Taxonomy, loss: float
) -> tuple[float, list[dict[str, float]]]:
    """The least threshold at which routing is as often right as `main`, but for `loss`.

    Both were measured with their seconds.

    Returns
    -------
    threshold
        0 where the fast path is as good alone, 1 where only all rows will do.
    curve
        For some thresholds: share of the rows on the fast path, share right, rows a second.
    """
    assert fast.seconds is not None and main.seconds is not None
    sure = fast.confidence
    steps = np.unique(np.concatenate([[0.0, 1.0], np.quantile(sure, np.linspace(0, 1, STEPS))]))
    fast_right, main_right = fast.right(held, taxonomy), main.right(held, taxonomy)
    least = float(main_right.mean()) - loss
    curve, chosen = [], 1.0
    for threshold in steps[::-1].tolist():
        stays = _stays(sure, threshold)
        exact = float(np.where(stays, fast_right, main_right).mean())
        seconds = float((fast.seconds + np.where(stays, 0, main.seconds)).sum())
        curve.append(
            {
                "threshold": round(threshold, 4),
                "fast": round(float(stays.mean()), 4),
                "exact": round(exact, 4),
                "rows_per_second": round(len(held) / max(seconds, 1e-9), 1),
            }
        )
        if exact >= least:
            chosen = threshold
    return chosen, curve[::-1]


def _stays(sure: NDArray[np.float64], threshold: float) -> NDArray[np.bool_]:
    """Which rows the fast path keeps; with a threshold of 1 none, as in a classifier."""
    return (sure >= threshold) & (threshold < 1)


def calibrate(trial: Trial, held: Labelled, taxonomy: Taxonomy) -> Calibration:
    """The calibration of a classifier's answers for the held-out rows."""
    maps = []
    for level in range(1, taxonomy.depth + 1):
        _, right = trial.level(level, held, taxonomy)  # none beyond the end of a label
        used = np.flatnonzero([len(p.levels) >= level for p in trial.predictions])
        said = [trial.predictions[row].levels[level - 1].confidence for row in used.tolist()]
        maps.append(BetaMap.fit(np.array(said, dtype=np.float64), right[used]))
    raw = Calibration(maps, RiskTable((), (), ()))
    sure = np.array([raw.calibrated(p).confidence for p in trial.predictions])
    wrong = ~trial.right(held, taxonomy)
    return Calibration(maps, RiskTable.fit(sure, wrong))
