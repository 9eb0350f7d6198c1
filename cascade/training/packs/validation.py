"""What is fitted on held-out rows: fusion weights, the threshold of the fast path, calibration."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cascade.confidence.calibration import Calibration
from cascade.confidence.climbing import paths_of
from cascade.confidence.nowhere import NowhereTable
from cascade.confidence.sets import LEAST, SetTable, likeliest_branches
from cascade.items import Batch, Item
from cascade.pipeline.classifier import Classifier
from cascade.pipeline.router import SPREADING
from cascade.predictions import Prediction
from cascade.retrieval.all_children import AllChildren
from cascade.scoring.fusion import fit_fusion_weights
from cascade.scoring.scorer import Scorer
from cascade.taxonomy import Taxonomy
from cascade.taxonomy.staying import places
from cascade.training.labelled import Labelled, path_choices

ASKED = 256  # items that scorers are asked about together
FEW = 50  # questions of a level; with fewer it has the weights of all levels
THRESHOLDS = 50  # of the fast path, that are tried


@dataclass(frozen=True)
class Evidence:
    """What each scorer answers at every step of the known paths.

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
        logprobs = {name: values[member] for name, values in self.logprobs.items()}
        return Evidence(self.level[wanted], offsets, self.gold[wanted], logprobs)


def gather_evidence(
    scorers: Mapping[str, Scorer],
    items: Sequence[Item],
    nodes: NDArray[np.int32],
    taxonomy: Taxonomy,
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
    logprobs: dict[str, list[NDArray[np.float64]]] = {name: [] for name in scorers}
    for start in range(0, len(items), ASKED):
        batch = Batch(items[start : start + ASKED])
        rows, right = path_choices(taxonomy, nodes[start : start + ASKED])
        if len(rows):
            parents = taxonomy.parent[right]
            choices = AllChildren(taxonomy).narrow(batch, rows, parents, len(taxonomy))
            for name, scorer in scorers.items():
                logprobs[name].append(scorer.score(batch, choices))
                batch.raise_failure()
            first = choices.offsets[:-1]
            golds.append(np.flatnonzero(choices.nodes == right[choices.question]) - first)
            sizes.append(np.diff(choices.offsets))
            levels.append(taxonomy.level[right])
        each(batch)
    if not sizes:
        none = np.empty(0, np.int64)
        return Evidence(none.astype(np.int16), np.zeros(1, np.int64), none, {})
    offsets = np.concatenate([[0], np.cumsum(np.concatenate(sizes))]).astype(np.int64)
    return Evidence(
        np.concatenate(levels),
        offsets,
        np.concatenate(golds).astype(np.int64),
        {name: np.concatenate(values) for name, values in logprobs.items()},
    )


def fit_weights(evidence: Evidence, names: Sequence[str], depth: int) -> dict[str, list[float]]:
    """The weight of each scorer at each level, at which the right candidates are likeliest.

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
    logprobs = [evidence.logprobs[name] for name in names]
    found = np.asarray(
        fit_fusion_weights(logprobs, evidence.offsets, evidence.gold), dtype=np.float64
    )
    # At every level one scorer at least must count.
    return found if found.any() else np.full(len(names), 1 / len(names))


@dataclass(frozen=True)
class Trial:
    """Answers for held-out rows, and how good they are.

    Parameters
    ----------
    predictions
        One for each row.
    seconds
        What all rows took; None where that was not measured.
    comes_in
        The threshold at which the set of each row begins to hold the known node, and the code of
        the branch that it is likeliest in, [n_rows] each; see `confidence.sets`. None where that
        was not looked for.
    evidence
        float32 [n_rows], that each row belongs anywhere, NaN where that is not known; None where
        nobody judges it.
    """

    rows: Labelled
    taxonomy: Taxonomy
    predictions: Sequence[Prediction]
    seconds: float | None = None
    comes_in: tuple[NDArray[np.float64], NDArray[np.str_]] | None = None
    evidence: NDArray[np.float32] | None = None

    @classmethod
    def run(cls, classifier: Classifier, rows: Labelled, taxonomy: Taxonomy) -> Trial:
        """Classify the rows, and take the time; that of what sets need does not count."""
        predictions: list[Prediction] = []
        known = places(classifier.scored, rows.nodes)
        family, comes_in = classifier.open_nodes(LEAST), np.zeros(len(rows))
        branches, size = np.full(len(rows), -1, np.int32), classifier.config.batch
        evidence = np.full(len(rows), np.nan, np.float32)
        # The first call loads and warms up what the others use.
        classifier.classify_batch(rows.items[:1])
        before, aside, started = classifier.seconds[SPREADING], 0.0, time.perf_counter()
        for start in range(0, len(rows), size):

            def told(batch: Batch, at: Sequence[int], start: int = start) -> None:
                nonlocal aside
                began, own = time.perf_counter(), start + np.asarray(at)
                if batch.evidence is not None:
                    evidence[own] = batch.evidence
                for spread in batch.spreads:
                    found = family.comes_in(spread, known[own], len(batch))
                    comes_in[own] = np.maximum(comes_in[own], found)
                    branches[own] = np.maximum(
                        branches[own], likeliest_branches(spread, len(batch))
                    )
                aside += time.perf_counter() - began

            predictions += classifier.classify_batch(rows.items[start : start + size], told)
        took = time.perf_counter() - started - aside - (classifier.seconds[SPREADING] - before)
        codes = np.array([*classifier.scored.codes, ""])[branches]
        judged = None if np.isnan(evidence).all() else evidence
        return cls(rows, taxonomy, predictions, took, (comes_in, codes), judged)

    @property
    def confidence(self) -> NDArray[np.float64]:
        """float64 [n_rows], of the whole answer."""
        return np.array([p.confidence for p in self.predictions], dtype=np.float64)

    @cached_property
    def right(self) -> NDArray[np.bool_]:
        """Which answers are exactly the known node; bool [n_rows]."""
        codes = [self.taxonomy.codes[node] for node in self.rows.nodes.tolist()]
        return np.array([p.code == c for p, c in zip(self.predictions, codes, strict=True)])

    @property
    def exact(self) -> float:
        """Share of the answers that are exactly the known node."""
        return float(self.right.mean())

    def routed_to(self, main: Trial, threshold: float) -> Trial:
        """Our answers where they are sure enough, those of `main` for the other rows."""
        stays = _stays(self.confidence, threshold)
        pairs = zip(stays.tolist(), self.predictions, main.predictions, strict=True)
        predictions = [mine if stay else other for stay, mine, other in pairs]
        seconds, comes_in = self._seconds_with(main, stays), None
        if self.comes_in is not None and main.comes_in is not None:
            (sums, codes), (other_sums, other_codes) = self.comes_in, main.comes_in
            comes_in = np.where(stays, sums, other_sums), np.where(stays, codes, other_codes)
        return Trial(self.rows, self.taxonomy, predictions, seconds, comes_in)

    def _seconds_with(self, main: Trial, stays: NDArray[np.bool_]) -> float:
        assert self.seconds is not None and main.seconds is not None
        return self.seconds + float((~stays).mean()) * main.seconds

    def figures(self) -> dict[str, Any]:
        """Shares of the rows that are right down to each level, and rows a second if measured."""
        found: dict[str, Any] = {"exact": round(self.exact, 4)}
        for level in range(1, self.taxonomy.depth + 1):
            known, right = self.right_at(level)
            if known.any():
                found[f"accuracy_l{level}"] = round(float(right[known].mean()), 4)
        if self.seconds is not None:
            found["rows_per_second"] = self._rate(self.seconds)
        return found

    def _rate(self, seconds: float) -> float:
        return round(len(self.rows) / max(seconds, 1e-9), 1)

    def right_at(self, level: int) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Which rows have a label at a level, and which are right there; bool [n_rows] each."""
        known = np.zeros(len(self.rows), dtype=bool)
        right = np.zeros(len(self.rows), dtype=bool)
        labelled = zip(self.predictions, self.rows.nodes.tolist(), strict=True)
        for row, (prediction, node) in enumerate(labelled):
            path = self.taxonomy.path_nodes(node)
            if len(path) >= level:
                known[row] = True
                code, levels = self.taxonomy.codes[int(path[level - 1])], prediction.levels
                right[row] = len(levels) >= level and levels[level - 1].code == code
        return known, right

    def fit_threshold(self, main: Trial, loss: float) -> tuple[float, list[dict[str, float]]]:
        """The least threshold at which this trial, the fast path, may answer before `main`.

        There both together are as often right as `main` alone, but for `loss`. Both trials were
        measured with their seconds.

        Returns
        -------
        threshold
            0 where the fast path is as good alone, 1 where only `main` will do.
        curve
            For some thresholds: share of the rows on the fast path, share right, rows a second.
        """
        sure = self.confidence
        spread = np.quantile(sure, np.linspace(0, 1, THRESHOLDS))
        curve, chosen = [], 1.0
        for threshold in np.unique(np.concatenate([[0.0, 1.0], spread]))[::-1].tolist():
            stays = _stays(sure, threshold)
            exact = float(np.where(stays, self.right, main.right).mean())
            curve.append(
                {
                    "threshold": round(threshold, 4),
                    "fast": round(float(stays.mean()), 4),
                    "exact": round(exact, 4),
                    "rows_per_second": self._rate(self._seconds_with(main, stays)),
                }
            )
            if exact >= main.exact - loss:
                chosen = threshold
        return chosen, curve[::-1]

    def fit_calibration(self, before: Calibration | None = None) -> Calibration:
        """The calibration of the answers, which are raw and whole; `before` as in its `fit`."""
        raw = paths_of(self.predictions)
        levels = range(1, raw.shape[1] + 1)
        right = np.stack([self.right_at(level)[1] for level in levels], axis=1)
        found = Calibration.fit(raw, right, self.right, before)
        if self.comes_in is not None:
            found = replace(found, sets=SetTable.fit(*self.comes_in))
        if before is not None and before.nowhere is not None and self.evidence is not None:
            table = NowhereTable.fit(before.nowhere.scorer, self.evidence)
            found = replace(found, nowhere=table)
        return found


def _stays(sure: NDArray[np.float64], threshold: float) -> NDArray[np.bool_]:
    """Which rows the fast path keeps; with a threshold of 1 none, as in a classifier."""
    return (sure >= threshold) & (threshold < 1)
