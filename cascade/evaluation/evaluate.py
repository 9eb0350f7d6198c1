"""A measured run from start to end: labels checked, rows answered, figures and report written."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import platform
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from cascade.errors import InputError, UsageError
from cascade.evaluation.external_predictions import ExternalPredictions
from cascade.evaluation.report.run_report import render, view_of
from cascade.evaluation.run_folder import RunFolder
from cascade.evaluation.run_metrics import RunMetrics, measure
from cascade.evaluation.run_predictions import (
    EvaluationTask,
    RunPredictions,
    answer,
    copy_answers,
    settle_columns,
)
from cascade.io import Row
from cascade.io.files import write_json, write_text
from cascade.io.pictures import thumbnail
from cascade.pipeline.classifier import Classifier
from cascade.pipeline.runs.columns import picture_places
from cascade.pipeline.runs.labels import count_labels
from cascade.pipeline.runs.table import Counts
from cascade.retrieval.index import Progress
from cascade.version import __version__

PACKAGES = ("torch", "transformers", "sentence-transformers", "numpy", "scipy")


@dataclass(frozen=True)
class Evaluation:
    """How a task is measured.

    Parameters
    ----------
    task
        What is answered; its config names a label column.
    folder
        Where everything goes.
    load
        Makes the classifier; called only where rows are left to answer.
    given
        Predictions of another program, in place of a classifier's.
    resamples, seed
        Of the bootstrap.
    command
        What the user typed, for the manifest and the report.
    """

    task: EvaluationTask
    folder: RunFolder
    load: Callable[[], Classifier]
    given: ExternalPredictions | None = None
    resamples: int = 1000
    seed: int = 0
    command: str = ""

    def run(
        self, *, resume: bool = False, overwrite: bool = False, progress: Progress | None = None
    ) -> RunMetrics:
        """Answer the rows, measure them and write the folder.

        An interrupted run goes on with `resume`. A finished one is only measured again.

        Parameters
        ----------
        progress
            Called with answered rows and all rows.

        Raises
        ------
        InputError, OutputError, UsageError
            What is wrong with labels, rows, options or the folder, and what to do.
        """
        label = self.task.columns.label
        if label is None:
            raise UsageError("say which column holds the known answers with --label")
        if resume and overwrite:
            raise UsageError("--resume and --overwrite exclude each other; choose one")
        task = settle_columns(self.task, text=self.given is None)
        labels = count_labels(task.source, label, task.taxonomy)
        print_ = self._fingerprint(task)
        before = self.folder.check(print_, resume=resume, overwrite=overwrite)
        # Loaded before the folder is begun, so that missing weights leave nothing behind.
        classifier = None if self.given or before.get("finished") else self.load()
        if not before:
            self.folder.begin()
        manifest = self._manifest(task, print_) | {
            key: before[key] for key in ("started", "command", "counts") if key in before
        }
        write_json(self.folder.manifest, manifest)
        config = task.config
        if config.taxonomy is None:
            task.taxonomy.to_csv(self.folder.taxonomy)
            config = config.model_copy(update={"taxonomy": str(self.folder.taxonomy)})
        self.folder.write_config(config)

        def answered(row: Row) -> None:
            if progress is not None:
                progress(row.number, labels.rows)

        counts = self._answer(task, classifier, bool(before), answered)
        if counts is None and manifest.get("counts"):
            counts = Counts(**manifest["counts"])
        manifest["counts"] = None if counts is None else asdict(counts)
        write_json(self.folder.manifest, manifest)
        predictions = RunPredictions.read(self.folder.predictions, task.taxonomy, task.columns)
        measures = measure(predictions, labels, counts, resamples=self.resamples, seed=self.seed)
        manifest["finished"] = _now()
        write_json(self.folder.metrics, measures.to_dict())
        view = view_of(predictions, measures, manifest, _pictures(task, predictions))
        write_text(self.folder.report, render(view))
        write_json(self.folder.manifest, manifest)
        return measures

    def _answer(
        self,
        task: EvaluationTask,
        classifier: Classifier | None,
        resume: bool,
        progress: Callable[[Row], None],
    ) -> Counts | None:
        target = self.folder.predictions
        if self.given is not None:
            copy_answers(task, target, self.given, progress=progress)
            return None
        return answer(task, target, classifier or self.load, resume=resume, progress=progress)

    def _fingerprint(self, task: EvaluationTask) -> str:
        made_of = task.fingerprint() | {"given": self.given.sha256 if self.given else None}
        return hashlib.sha256(json.dumps(made_of, sort_keys=True).encode()).hexdigest()

    def _manifest(self, task: EvaluationTask, print_: str) -> dict[str, Any]:
        source = task.source
        return {
            "command": self.command,
            "started": _now(),
            "finished": None,
            "fingerprint": print_,
            "method": "given" if self.given else task.config.method,
            "data": {
                "file": _shown(source.file),
                "sha256": source.sha256,
                "sheet": source.sheet,
                "encoding": source.encoding,
                "limit": source.limit,
                "columns": task.columns.model_dump(),
            },
            "predictions": None
            if self.given is None
            else {"file": _shown(self.given.name), "sha256": self.given.sha256},
            "taxonomy": {
                "name": task.taxonomy.name,
                "nodes": len(task.taxonomy),
                "sha256": task.taxonomy.fingerprint,
                "made_of_labels": task.config.taxonomy is None,
            },
            "bootstrap": {"resamples": self.resamples, "seed": self.seed},
            "versions": _versions(),
            "machine": {
                "cores": os.cpu_count(),
                "system": f"{platform.system()} {platform.machine()}",
            },
        }


def _pictures(task: EvaluationTask, predictions: RunPredictions) -> Callable[[int], str]:
    """Gives a small picture of a row, for the page."""
    column, places = task.columns.image, picture_places(task.config)
    places = dataclasses.replace(places, urls=False)  # nothing is fetched for a page
    file = Path(task.source.file)
    folder = file if file.is_dir() else file.parent

    def picture_of(row: int) -> str:
        if column is None:
            return ""
        try:
            found = places.find(predictions.value(row, column), folder)
        except InputError:
            return ""
        return "" if found is None else thumbnail(found)

    return picture_of


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _shown(path: str) -> str:
    """A path as it may stand in a file that is passed on: never absolute."""
    return os.path.relpath(path) if os.path.isabs(path) else path


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version(), "cascade": __version__}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
