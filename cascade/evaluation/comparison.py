"""Runs side by side on the rows that they share: who is better, by how much, how surely."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cascade.errors import InputError, UsageError
from cascade.evaluation.metrics.bootstrap import (
    Interval,
    bootstrap,
    mean_interval,
    paired_difference,
)
from cascade.evaluation.metrics.gold_and_predicted import Floats, GoldAndPredicted
from cascade.evaluation.metrics.hierarchical_f1 import exact_match_with_nowhere
from cascade.evaluation.metrics.mcnemar import McNemar, mcnemar
from cascade.evaluation.run_folder import RunFolder
from cascade.evaluation.run_forms import ManifestForm, MetricsForm, check_form
from cascade.evaluation.run_metrics import WITH_NOWHERE
from cascade.evaluation.run_predictions import RunPredictions


@dataclass(frozen=True)
class Run:
    """A finished run as it lies in its folder; make one with `read`."""

    name: str
    predictions: RunPredictions
    manifest: Mapping[str, Any]
    metrics: Mapping[str, Any]

    @classmethod
    def read(cls, path: str | Path) -> Run:
        """The run in a folder.

        Raises
        ------
        InputError, ConfigError, TaxonomyError
            The folder is that of no finished run, or what it needs has changed.
        """
        folder = RunFolder(path)
        config, taxonomy = folder.load()
        return cls(
            Path(path).resolve().name,
            RunPredictions.read(folder.predictions, taxonomy, config.columns),
            check_form(folder.read_json(folder.manifest), ManifestForm, folder.manifest),
            check_form(folder.read_json(folder.metrics), MetricsForm, folder.metrics),
        )


@dataclass(frozen=True)
class PairedComparison:
    """One run against the first, on the shared rows.

    Parameters
    ----------
    difference
        Each metric of this run minus that of the first, resampled in pairs.
    mcnemar
        Exact McNemar tests: on `exact_match`, and on `accuracy_l{level}` of each level.
    """

    difference: Mapping[str, Interval]
    mcnemar: Mapping[str, McNemar]


@dataclass(frozen=True)
class Comparison:
    """Runs on the rows that all of them measured.

    Parameters
    ----------
    rows
        int64 [n_runs, n_shared], positions of the shared rows in each run's predictions.
    figures
        Each run's metrics on these rows.
    against
        For each run but the first, how it does against the first.
    differing
        int64 [n_differing], which of the shared rows have not the same answer in all runs; those
        on which not all are right or wrong alike come first.
    left_out
        Rows of each run that not all have.
    """

    runs: Sequence[Run]
    rows: NDArray[np.int64]
    figures: Sequence[Mapping[str, Interval]]
    against: Sequence[PairedComparison]
    differing: NDArray[np.int64]
    left_out: Sequence[int]
    resamples: int
    seed: int

    def to_dict(self) -> dict[str, Any]:
        """The contents of `comparison.json`."""
        return {
            "runs": [run.name for run in self.runs],
            "rows": self.rows.shape[1],
            "left_out": list(self.left_out),
            "differing": len(self.differing),
            "figures": [{k: asdict(v) for k, v in figures.items()} for figures in self.figures],
            "against_first": [
                {
                    "difference": {k: asdict(v) for k, v in other.difference.items()},
                    "mcnemar": {k: asdict(v) for k, v in other.mcnemar.items()},
                }
                for other in self.against
            ],
            "bootstrap": {"resamples": self.resamples, "seed": self.seed},
        }


def compare(runs: Sequence[Run], *, resamples: int = 1000, seed: int = 0) -> Comparison:
    """Compare runs on the same data under the same taxonomy.

    Raises
    ------
    UsageError
        There are fewer than two runs.
    InputError
        They are of other data, other labels or another taxonomy, or share no measured row.
    """
    if len(runs) < 2:
        raise UsageError(f"found {len(runs)} run; give two or more to compare")
    first, *others = runs
    for other in others:
        _check_same(first, other)
    rows = _shared(runs, lambda predictions: predictions.measured)
    if not rows.size:
        raise InputError(f"{first.name} and the others share no row that is measured")
    answers = [run.predictions.against_gold(at) for run, at in zip(runs, rows, strict=True)]
    exact = _exact_with_nowhere(runs, answers)
    mean = partial(mean_interval, resamples=resamples, seed=seed)
    levels = range(1, answers[0].depth + 1)
    against = [
        PairedComparison(
            paired_difference(ours, answers[0], resamples=resamples, seed=seed)
            | {name: mean(right - exact[0][name]) for name, right in also.items()},
            {"exact_match": mcnemar(ours, answers[0])}
            | {f"accuracy_l{level}": mcnemar(ours, answers[0], level=level) for level in levels},
        )
        for ours, also in zip(answers[1:], exact[1:], strict=True)
    ]
    return Comparison(
        runs,
        rows,
        [
            bootstrap(each, resamples=resamples, seed=seed)
            | {name: mean(right) for name, right in also.items()}
            for each, also in zip(answers, exact, strict=True)
        ],
        against,
        _differing(runs, rows),
        [len(run.predictions.measured) - rows.shape[1] for run in runs],
        resamples,
        seed,
    )


def _check_same(first: Run, other: Run) -> None:
    for what, keys in (
        ("data", ("data", "sha256")),
        ("sheet", ("data", "sheet")),
        ("taxonomy", ("taxonomy", "sha256")),
        ("label column", ("data", "columns", "label")),
    ):
        ours, theirs = (_at(run.manifest, keys) for run in (first, other))
        if ours != theirs:
            raise InputError(
                f"{first.name} and {other.name} cannot be compared: their {what} is not the same "
                f"({str(ours)[:20]} and {str(theirs)[:20]}); measure both on the same"
            )


def _at(values: Any, keys: Sequence[str]) -> Any:
    for key in keys:
        values = values.get(key, {}) if isinstance(values, Mapping) else None
    return values


def _exact_with_nowhere(
    runs: Sequence[Run], answers: Sequence[GoldAndPredicted]
) -> list[dict[str, Floats]]:
    """Of each run, which rows are exactly right with those that fit nowhere; empty without such."""
    rows = _shared(runs, lambda predictions: predictions.nowhere)
    if not rows.size:
        return [{} for _ in runs]
    return [
        {WITH_NOWHERE: exact_match_with_nowhere(own, run.predictions.without_answer(at)).part}
        for run, own, at in zip(runs, answers, rows, strict=True)
    ]


def _shared(
    runs: Sequence[Run], of: Callable[[RunPredictions], NDArray[np.int64]]
) -> NDArray[np.int64]:
    """int64 [n_runs, n_shared], positions of rows of a kind that all runs have."""
    lines = [run.predictions.lines() for run in runs]
    common = lines[0][of(runs[0].predictions)]
    for run, known in zip(runs[1:], lines[1:], strict=True):
        common = common[np.isin(common, known[of(run.predictions)])]
    found = []
    for known in lines:
        order = np.argsort(known, kind="stable")
        found.append(order[np.searchsorted(known[order], common)])
    return np.array(found, dtype=np.int64)


def _differing(runs: Sequence[Run], rows: NDArray[np.int64]) -> NDArray[np.int64]:
    predicted = np.array([r.predictions.predicted[at] for r, at in zip(runs, rows, strict=True)])
    right = predicted == runs[0].predictions.gold[rows[0]]
    differ = np.flatnonzero((predicted != predicted[0]).any(axis=0))
    split = right[:, differ].any(axis=0) & ~right[:, differ].all(axis=0)
    return differ[np.argsort(~split, kind="stable")]
