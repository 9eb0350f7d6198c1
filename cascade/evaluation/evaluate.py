"""A measured run from start to end: labels checked, rows answered, metrics and report written."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from cascade.config import CascadeConfig, describe_problems
from cascade.errors import InputError, UsageError
from cascade.evaluation.error_analysis import Example, analyse_errors
from cascade.evaluation.evaluation_task import (
    EvaluationTask,
    classify_task,
    copy_predictions,
    settle_columns,
)
from cascade.evaluation.external_predictions import ExternalPredictions
from cascade.evaluation.foodex2.measuring import measure_codes
from cascade.evaluation.report.run_report import run_report
from cascade.evaluation.run_folder import KIND, RunFolder
from cascade.evaluation.run_metrics import WITH_NOWHERE, RunMetrics, measure, running_figures
from cascade.evaluation.run_predictions import RunPredictions
from cascade.io import Row
from cascade.io.files import write_json, write_text
from cascade.io.pictures import thumbnail
from cascade.pipeline.classifier import Classifier
from cascade.pipeline.labels.finding import count_labels
from cascade.pipeline.runs.columns import picture_places
from cascade.pipeline.runs.table import Counts
from cascade.taxonomy.facets import FacetedTaxonomy
from cascade.tracking.curves import LINES, CurveLog
from cascade.tracking.provenance import now, provenance, relative
from cascade.tracking.trackers import check_trackers, make_trackers

logger = logging.getLogger(__name__)

Predictor = Callable[[], Classifier] | ExternalPredictions
"""Loads the classifier that answers the rows; or the predictions of another program."""


@dataclass(frozen=True)
class RunOptions:
    """How a run is measured, and what becomes of one that lies in its folder.

    Parameters
    ----------
    resume, overwrite
        Go on with the run in the folder, or replace it.
    resamples, seed
        Of the bootstrap.
    command
        What the user typed, for the manifest and the report.
    report_to
        Trackers that are told the figures; see `tracking.trackers`.

    Raises
    ------
    UsageError
        Both `resume` and `overwrite` are chosen.
    """

    resume: bool = False
    overwrite: bool = False
    resamples: int = 1000
    seed: int = 0
    command: str = ""
    report_to: Sequence[str] = ()

    def __post_init__(self) -> None:
        if self.resume and self.overwrite:
            raise UsageError("--resume and --overwrite exclude each other; choose one")
        check_trackers(self.report_to)


def evaluate(
    task: EvaluationTask,
    folder: RunFolder,
    predictor: Predictor,
    options: RunOptions,
    *,
    progress: Callable[[int, int], None] | None = None,
    ranked: Callable[[int, int], None] | None = None,
) -> RunMetrics:
    """Answer the rows of a task, measure them and write the folder.

    A finished run that is resumed is only measured again.

    Parameters
    ----------
    predictor
        A classifier is loaded only where rows are left to answer.
    progress
        Called with answered rows and all rows.
    ranked
        Called with rows whose stages were ranked, and all rows; of FoodEx2 alone.

    Raises
    ------
    InputError, OutputError, UsageError
        What is wrong with labels, rows, options or the folder, and what to do.
    """
    label = task.columns.label
    if label is None:
        raise UsageError("say which column holds the known answers with --label")
    external = predictor if isinstance(predictor, ExternalPredictions) else None
    task = settle_columns(task, text=external is None)
    columns = task.columns
    labels = count_labels(task.source, label, task.taxonomy, columns.label_separator, columns.also)
    fingerprint = _fingerprint(task, external)
    before = folder.check(fingerprint, resume=options.resume, overwrite=options.overwrite)
    load = None if isinstance(predictor, ExternalPredictions) else cache(predictor)
    if load is not None and not before.get("finished"):
        load()  # before the folder is begun, so that missing weights leave nothing behind
    if not before:
        folder.begin()
    manifest = _manifest(task, external, options, fingerprint) | {
        key: before[key] for key in ("started", "command", "counts") if key in before
    }
    write_json(folder.manifest, manifest)
    folder.write_config(task.config, task.taxonomy)

    def answered(rows: Sequence[Row]) -> None:
        if progress is not None:
            progress(rows[-1].number, labels.rows)

    if external is not None:
        copy_predictions(task, folder.predictions, external, progress=answered)
        counts = None
    else:
        assert load is not None
        counts = classify_task(
            task, folder.predictions, load, resume=bool(before), progress=answered
        )
    if counts is None and manifest.get("counts"):
        counts = _kept_counts(manifest["counts"], folder)
    manifest["counts"] = None if counts is None else asdict(counts)
    write_json(folder.manifest, manifest)

    predictions = RunPredictions.read(folder.predictions, task.taxonomy, task.columns)
    metrics = measure(predictions, labels, counts, resamples=options.resamples, seed=options.seed)
    if labels.nowhere:
        _warn_of_nowhere(task.source.file, len(labels.nowhere), metrics)
    if isinstance(task.taxonomy, FacetedTaxonomy) and len(predictions.measured):
        codes = measure_codes(
            predictions,
            task.taxonomy,
            load,
            resamples=options.resamples,
            seed=options.seed,
            progress=ranked or (lambda *_: None),
        )
        metrics = replace(metrics, codes=codes)
    answers = predictions.against_gold()
    errors = analyse_errors(answers, _examples(task, predictions))
    settings = {"method": manifest["method"], "config": task.config.model_dump()}
    trackers = make_trackers(options.report_to, folder.path, settings)
    with closing(CurveLog(folder.path / LINES, trackers, timed=False)) as curves:
        for rows, figures in running_figures(answers):
            curves.write(rows, figures)
        curves.finish(f"{folder.path.resolve().name}, by rows", _plain(metrics))
    manifest["finished"] = now()
    write_json(folder.metrics, metrics.to_dict())
    write_text(folder.report, run_report(manifest, metrics, errors))
    write_json(folder.manifest, manifest)
    return metrics


def _warn_of_nowhere(file: str, rows: int, metrics: RunMetrics) -> None:
    """Say that rows which fit nowhere are in one figure alone, which the others overstate."""
    exact, whole = metrics.figures["exact_match"].value, metrics.figures[WITH_NOWHERE].value
    logger.warning(
        "%s: %s rows fit nowhere, so the figures are of the other rows: exact_match is %.3f, and "
        "%.3f with those counted (%s), where any answer is wrong",
        *(file, f"{rows:,}", exact, whole, WITH_NOWHERE),
    )


def _prompt(config: CascadeConfig) -> str | None:
    """The prompt by which a language model that judges alone is asked; None for other methods."""
    names = {
        "llm": config.llm.prompt,
        "choose": config.choose.prompt_name,
        "agent": config.agent.prompt,
    }
    return names.get(str(config.method))


def _plain(metrics: RunMetrics) -> dict[str, float]:
    """The value of each figure."""
    return {name: interval.value for name, interval in metrics.figures.items()}


def _kept_counts(values: Any, folder: RunFolder) -> Counts:
    """What an interrupted run had counted."""
    try:
        return TypeAdapter(Counts).validate_python(values)
    except ValidationError as error:
        raise InputError(
            f"counts cannot be used ({describe_problems(error)}); begin again with --overwrite",
            file=folder.manifest,
        ) from None


def _fingerprint(task: EvaluationTask, external: ExternalPredictions | None) -> str:
    made_of = task.fingerprint() | {"given": external.sha256 if external else None}
    return hashlib.sha256(json.dumps(made_of, sort_keys=True).encode()).hexdigest()


def _manifest(
    task: EvaluationTask,
    external: ExternalPredictions | None,
    options: RunOptions,
    fingerprint: str,
) -> dict[str, Any]:
    source = task.source
    return {
        "kind": KIND,
        "command": options.command,
        "started": now(),
        "finished": None,
        "fingerprint": fingerprint,
        "method": "given" if external else task.config.method,
        "prompt": None if external else _prompt(task.config),
        "data": {
            "file": relative(source.file),
            "sha256": source.sha256,
            "sheet": source.sheet,
            "encoding": source.encoding,
            "limit": source.limit,
            "columns": task.columns.model_dump(),
        },
        "predictions": None
        if external is None
        else {"file": relative(external.name), "sha256": external.sha256},
        "taxonomy": {
            "name": task.taxonomy.name,
            "nodes": len(task.taxonomy),
            "sha256": task.taxonomy.fingerprint,
            "made_of_labels": task.config.taxonomy is None and not task.in_memory,
        },
        "bootstrap": {"resamples": options.resamples, "seed": options.seed},
        "seed": options.seed,
        **provenance(),
    }


def _examples(task: EvaluationTask, predictions: RunPredictions) -> Callable[[int], Example]:
    """Gives a measured row as an example for the report, with a small picture if it has one."""
    column = task.columns.image
    places = replace(picture_places(task.config), urls=False)  # nothing is fetched for a page
    file = Path(task.source.file)
    folder = file if file.is_dir() else file.parent
    measured = predictions.measured

    def picture_of(row: int) -> str:
        if column is None:
            return ""
        try:
            found = places.find(predictions.value(row, column), folder)
        except InputError:
            return ""
        return "" if found is None else thumbnail(found)

    def example_of(place: int) -> Example:
        row = int(measured[place])
        confidence = float(predictions.confidence[row])
        known = None if confidence != confidence else confidence
        return Example(predictions.line(row), predictions.text(row), known, picture_of(row))

    return example_of
