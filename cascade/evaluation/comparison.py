"""Runs side by side on the rows that they share: who is better, by how much, how surely."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cascade.errors import InputError, UsageError
from cascade.evaluation.metrics.bootstrap import Interval, bootstrap, paired_difference
from cascade.evaluation.metrics.mcnemar import McNemar, mcnemar
from cascade.evaluation.run_folder import RunFolder
from cascade.evaluation.run_forms import ManifestForm, MetricsForm, check_form
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
    rows = _shared(runs)
    if not rows.size:
        raise InputError(f"{first.name} and the others share no row that is measured")
    answers = [run.predictions.against_gold(at) for run, at in zip(runs, rows, strict=True)]
    levels = range(1, answers[0].depth + 1)
    against = [
        PairedComparison(
            paired_difference(ours, answers[0], resamples=resamples, seed=seed),
            {"exact_match": mcnemar(ours, answers[0])}
            | {f"accuracy_l{level}": mcnemar(ours, answers[0], level=level) for level in levels},
        )
        for ours in answers[1:]
    ]
    return Comparison(
        runs,
        rows,
        [bootstrap(each, resamples=resamples, seed=seed) for each in answers],
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


def _shared(runs: Sequence[Run]) -> NDArray[np.int64]:
    """int64 [n_runs, n_shared], positions of the rows that all runs measured."""
    lines = [run.predictions.lines() for run in runs]
    common = lines[0][runs[0].predictions.measured]
    for run, known in zip(runs[1:], lines[1:], strict=True):
        common = common[np.isin(common, known[run.predictions.measured])]
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
