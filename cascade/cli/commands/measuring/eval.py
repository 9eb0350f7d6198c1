"""`cascade eval`: labelled rows in, metrics and a report out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cascade.cli import options
from cascade.cli.console import err, interruptible

if TYPE_CHECKING:
    from cascade.config import TaxonomyReading
    from cascade.evaluation.evaluate import RunOptions
    from cascade.evaluation.evaluation_task import EvaluationTask
    from cascade.evaluation.external_predictions import ExternalPredictions, PredictionColumns
    from cascade.evaluation.run_metrics import RunMetrics
    from cascade.io.tables.opening import TableFile
    from cascade.pipeline.classifier import Classifier

BAD_ECE = 0.05  # of a pack's confidences, which are calibrated

EXAMPLES = """
[bold]Examples[/]

  cascade eval labelled.csv -t taxonomy.csv --text name --label label
  cascade eval labelled.csv -t store --text name --label label -o runs/first
  cascade eval labelled.csv -t taxonomy.csv --label label --predictions theirs.csv --predicted code
  cascade eval labelled.csv --text name --label path      (the taxonomy is made of the label paths)
  cascade eval --suite eval/suites/store.yaml -o runs/store
"""


def evaluate(
    file: Annotated[
        str | None,
        typer.Argument(metavar="FILE", help="Labelled rows: CSV, TSV, JSONL, Parquet, Excel."),
    ] = None,
    taxonomy: options.TaxonomyOption = None,
    scheme: options.SchemeOption = None,
    taxonomy_encoding: options.TaxonomyEncodingOption = None,
    taxonomy_sheet: options.TaxonomySheetOption = None,
    config: options.ConfigOption = None,
    text: options.TextOption = None,
    image: options.ImageOption = None,
    image_root: options.ImageRootOption = None,
    allow_urls: options.UrlsOption = False,
    allow_host: options.HostsOption = None,
    id: options.IdOption = None,
    label: options.LabelOption = None,
    label_separator: options.SeparatorOption = None,
    keep_case: options.KeepCaseOption = False,
    also: options.AlsoOption = None,
    output: Annotated[
        str | None,
        typer.Option("--out", "-o", help="Folder of the run; runs/FILE-METHOD if not given."),
    ] = None,
    method: options.MethodOption = None,
    predictions: Annotated[
        str | None,
        typer.Option(
            "--predictions",
            metavar="FILE",
            help="Measure the predictions in this file, in place of classifying: a file that "
            "`cascade classify` wrote, or another with a column of codes or paths.",
        ),
    ] = None,
    predicted: Annotated[
        list[str] | None,
        typer.Option(
            "--predicted",
            metavar="COL",
            help="Column of predicted codes or paths; repeat it for one column a level.",
        ),
    ] = None,
    confidence: Annotated[
        str | None,
        typer.Option("--confidence", metavar="COL", help="Column of their probabilities."),
    ] = None,
    allow_missing: Annotated[
        bool, typer.Option("--allow-missing", help="Rows without a prediction count as wrong.")
    ] = False,
    suite: Annotated[
        str | None,
        typer.Option(
            "--suite",
            metavar="YAML",
            help="Run all methods of a suite, and the scripts that it names; see eval/suites.",
        ),
    ] = None,
    max_risk: options.MaxRiskOption = None,
    review_below: options.ReviewBelowOption = None,
    adapt: options.AdaptOption = False,
    first_pass: options.FirstPassOption = False,
    limit: options.LimitOption = None,
    seed: options.SeedOption = 0,
    resamples: options.ResamplesOption = 1000,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with an interrupted run of the same folder.")
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace a run that exists.")
    ] = False,
    encoding: options.EncodingOption = None,
    sheet: options.SheetOption = None,
    settings: options.SetOption = None,
    allow_download: options.DownloadOption = False,
    report_to: options.ReportToOption = None,
    as_json: options.JsonOption = False,
) -> None:
    """Measure a method, or the predictions in a file, on labelled rows; write a report."""
    from cascade.cli import metrics_tables
    from cascade.cli.evaluating import free_folder, resolve, taxonomy_of_labels
    from cascade.cli.progress import load_classifier, working
    from cascade.errors import UsageError
    from cascade.evaluation.evaluate import RunOptions, evaluate
    from cascade.evaluation.evaluation_task import EvaluationTask
    from cascade.evaluation.external_predictions import PredictionColumns
    from cascade.evaluation.run_folder import RunFolder
    from cascade.io.tables.opening import TableFile

    run = RunOptions(resume, overwrite, resamples, seed, options.command(), report_to or ())
    if suite is not None:
        if file is not None:
            raise UsageError(f"the suite names its data; leave out {file}, or leave out --suite")
        _run_suite(Path(suite), output, run, as_json=as_json)
        return
    if file is None:
        raise UsageError("name the file of labelled rows, or a suite with --suite")
    if predictions is None and (predicted or confidence or allow_missing):
        raise UsageError("--predicted, --confidence and --allow-missing go with --predictions")

    source = TableFile(file, limit, encoding, sheet)
    chosen = {
        "method": method,
        "adapt": adapt,
        "first_pass": first_pass,
        "allow_download": allow_download,
        "settings": settings,
    }
    read: TaxonomyReading = {
        "encoding": taxonomy_encoding,
        "scheme": scheme,
        "sheet": taxonomy_sheet,
    }
    settled, tree = resolve(config, taxonomy, chosen, read)
    named = {
        "text": text,
        "image": image,
        "id": id,
        "label": label,
        "also": also,
        "label_separator": label_separator,
    }
    settled.columns = settled.columns.model_copy(update={k: v for k, v in named.items() if v})
    options.accept_by(settled, max_risk, review_below)
    options.place_pictures(settled, image_root, allow_urls, allow_host)
    tree = tree or taxonomy_of_labels(source, settled, keep_case=keep_case)
    task = EvaluationTask(source, tree, settled, needs_image=image is not None)

    external = None
    if predictions is not None:
        columns = PredictionColumns(tuple(predicted or ()), confidence)
        external = _match(task, TableFile(predictions), columns, allow_missing=allow_missing)
    what = settled.method if predictions is None else Path(predictions).stem
    folder = RunFolder(output or free_folder(f"{Path(file).stem}-{what}", run))
    made: list[Classifier] = []
    with interruptible(), working("checking labels") as bar:

        def loaded() -> Classifier:
            made.append(load_classifier(tree, settled, bar))
            return made[0]

        metrics = evaluate(
            task,
            folder,
            external or loaded,
            run,
            progress=lambda done, of: bar.show(
                "measuring" if done == of else "classifying", done, of, f"{done:,} rows"
            ),
        )
    metrics_tables.show_run(metrics, folder, as_json=as_json)
    if external is None and settled.calibration.file is not None and made:
        _hint_at_recalibrating(metrics, made[0], config or "PACK", file)
    if metrics.rows["status"].get("error"):
        raise typer.Exit(3)


def _hint_at_recalibrating(
    metrics: RunMetrics, classifier: Classifier, pack: str, file: str
) -> None:
    """Say where a pack's confidences do not fit these rows, or these are not like those before."""
    from cascade.cli.display import show_shift
    from cascade.config import FITTED_METHOD
    from cascade.evaluation.metrics.calibration import ece_by_chance

    shift = classifier.shift
    if shift is not None and shift.alarm:
        show_shift(shift)
    found = metrics.figures.get("ece")
    if classifier.method != FITTED_METHOD or found is None:
        return
    if found.value > max(BAD_ECE, 2 * ece_by_chance(metrics.reliability)):
        err.print(
            f"the confidences of the pack do not fit these rows (ece {found.value:.3f}); fit them "
            f"to rows like these: cascade pack recalibrate {pack} {file} -o NEW",
            style="yellow",
            highlight=False,
            markup=False,
        )


def _run_suite(suite: Path, output: str | None, run: RunOptions, *, as_json: bool) -> None:
    """Run every row of a suite, and print and write the leaderboard."""
    from cascade.cli import metrics_tables
    from cascade.cli.progress import working
    from cascade.evaluation.leaderboard import leaderboard, write
    from cascade.evaluation.suite import Suite
    from cascade.evaluation.suite_run import SuiteRun

    loaded = Suite.load(suite)
    folder = Path(output or Path("runs") / suite.stem)
    with interruptible(), working(loaded.title or str(suite)) as bar:

        def report(row: str, what: str) -> None:
            bar.show(row)
            err.print(f"{row}: {what}", highlight=False, markup=False)

        outcomes = SuiteRun(loaded, folder, run, report=report).run()
        bar.show("comparing")
        board = leaderboard(loaded, outcomes, resamples=run.resamples, seed=run.seed)
        page = write(board, folder, run.command)
    metrics_tables.show_leaderboard(board, page, as_json=as_json)
    asked = [o for o in outcomes if o.row.floor is None] or outcomes
    if any(o.failed for o in outcomes) or all(o.skipped for o in asked):
        raise typer.Exit(3)


def _match(
    task: EvaluationTask, predictions: TableFile, columns: PredictionColumns, *, allow_missing: bool
) -> ExternalPredictions:
    """The predictions in a file, with a word on those that are missing or unknown."""
    from cascade.evaluation.external_predictions import ExternalPredictions

    found = ExternalPredictions.match(
        task.source,
        predictions,
        task.taxonomy,
        columns,
        id=task.columns.id,
        allow_missing=allow_missing,
    )
    warnings = {
        f"{found.missing:,} rows have no prediction and count as wrong": found.missing,
        f"{found.unused:,} predictions are of no labelled row and are left out": found.unused,
        f"{found.unknown:,} predictions are not in the taxonomy and count as wrong "
        f"(first: {found.first_unknown})": found.unknown,
    }
    for warning, rows in warnings.items():
        if rows:
            err.print(warning, highlight=False, markup=False, style="yellow")
    return found
