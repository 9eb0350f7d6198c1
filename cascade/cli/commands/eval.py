"""`cascade eval`: labelled rows in, metrics and a report out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cascade.cli import options
from cascade.cli.console import err, interruptible

if TYPE_CHECKING:
    from cascade.config import CascadeConfig
    from cascade.evaluation.external_predictions import ExternalPredictions, PredictionColumns
    from cascade.evaluation.run_predictions import EvaluationTask
    from cascade.io.tables.opening import TableFile
    from cascade.taxonomy import Taxonomy

EXAMPLES = """
[bold]Examples[/]

  cascade eval labelled.csv -t taxonomy.csv --text name --label label
  cascade eval labelled.csv -t store --text name --label label --method retrieval -o runs/first
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
    config: options.ConfigOption = None,
    text: options.TextOption = None,
    image: options.ImageOption = None,
    image_root: options.ImageRootOption = None,
    allow_urls: options.UrlsOption = False,
    id: options.IdOption = None,
    label: options.LabelOption = None,
    also: Annotated[
        list[str] | None,
        typer.Option(
            "--also",
            metavar="COL",
            help="Other right answers: a code, a path, or a JSON list of them; repeatable.",
        ),
    ] = None,
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
            help="Measure these answers, in place of classifying; of any kind that classify "
            "writes, or with columns of your own.",
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
            "--suite", metavar="YAML", help="Run all methods of a suite, see eval/suites."
        ),
    ] = None,
    max_risk: options.MaxRiskOption = None,
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
    as_json: options.JsonOption = False,
) -> None:
    """Measure a method, or given predictions, on labelled rows; write a report."""
    from cascade.cli import figures
    from cascade.cli.progress import load_classifier, working
    from cascade.errors import UsageError
    from cascade.evaluation.evaluate import Evaluation
    from cascade.evaluation.external_predictions import PredictionColumns
    from cascade.evaluation.run_folder import RunFolder
    from cascade.evaluation.run_predictions import EvaluationTask
    from cascade.io.tables.opening import TableFile

    if suite is not None:
        _run_suite(suite, file, output, resamples, seed, resume, overwrite, as_json)
        return
    if file is None:
        raise UsageError("name the file of labelled rows, or a suite with --suite")
    source = TableFile(file, limit, encoding, sheet)
    named = {"text": text, "image": image, "id": id, "label": label, "also": also}
    settled, tree = _resolve(
        source,
        config,
        taxonomy,
        named={key: value for key, value in named.items() if value},
        method=method,
        allow_download=allow_download,
        settings=settings,
    )
    if max_risk is not None:
        settled.calibration.max_risk = max_risk
    options.place_pictures(settled, image_root, allow_urls)
    task = EvaluationTask(source, tree, settled, needs_image=image is not None)
    given = None
    if predictions is not None:
        wanted = PredictionColumns(tuple(predicted or ()), confidence)
        given = _given(task, TableFile(predictions), wanted, allow_missing)
    elif predicted or confidence or allow_missing:
        raise UsageError("--predicted, --confidence and --allow-missing go with --predictions")
    folder = RunFolder(output or _free_folder(file, settled, predictions, resume, overwrite))
    with interruptible(), working("checking labels") as bar:
        measures = Evaluation(
            task,
            folder,
            lambda: load_classifier(tree, settled, bar),
            given,
            resamples,
            seed,
            options.command(),
        ).run(
            resume=resume,
            overwrite=overwrite,
            progress=lambda done, of: bar.show(
                "measuring" if done == of else "classifying", done, of, f"{done:,} rows"
            ),
        )
    figures.show(measures, folder, as_json=as_json)
    if measures.rows["status"].get("error"):
        raise typer.Exit(3)


def _run_suite(
    suite: str,
    file: str | None,
    output: str | None,
    resamples: int,
    seed: int,
    resume: bool,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Run every row of a suite, and print and write the leaderboard."""
    from cascade.cli import figures
    from cascade.cli.progress import working
    from cascade.errors import UsageError
    from cascade.evaluation.leaderboard import leaderboard, write
    from cascade.evaluation.suite import Suite
    from cascade.evaluation.suite_run import SuiteRun

    if file is not None:
        raise UsageError(f"the suite names its data; leave out {file}, or leave out --suite")
    if resume and overwrite:
        raise UsageError("--resume and --overwrite exclude each other; choose one")
    loaded = Suite.load(Path(suite))
    folder = Path(output or Path("runs") / Path(suite).stem)
    with interruptible(), working(loaded.title or suite) as bar:

        def told(row: str, what: str) -> None:
            bar.show(row)
            err.print(f"{row}: {what}", highlight=False, markup=False)

        outcomes = SuiteRun(
            loaded, folder, resamples=resamples, seed=seed, command=options.command(), told=told
        ).run(resume=resume, overwrite=overwrite)
        bar.show("comparing")
        board = leaderboard(loaded, outcomes, resamples=resamples, seed=seed)
        page = write(board, folder, options.command())
    figures.show_leaderboard(board, page, as_json=as_json)
    if any(o.failed for o in outcomes) or all(o.skipped for o in outcomes):
        raise typer.Exit(3)


def _resolve(
    source: TableFile,
    config: str | None,
    taxonomy: str | None,
    *,
    named: dict[str, object],
    method: str | None,
    allow_download: bool,
    settings: list[str] | None,
) -> tuple[CascadeConfig, Taxonomy]:
    """The config with its columns, and the taxonomy; made of the labels where none is named."""
    from cascade.config import CascadeConfig
    from cascade.errors import UsageError
    from cascade.evaluation.metrics.ranking import DEEP
    from cascade.pipeline.runs.labels import taxonomy_of_labels
    from cascade.scoring.methods import check_method

    over = [f"retrieval.ranking={DEEP}", *(settings or [])]
    tree = None
    if config is None and taxonomy is None:
        settled = options.settle(
            CascadeConfig(), over, method=method, allow_download=allow_download
        )
    else:
        settled, tree = options.resolve(
            config, taxonomy, method=method, allow_download=allow_download, settings=over
        )
    check_method(settled.method, settled.heads)
    settled = settled.model_copy(update={"columns": settled.columns.model_copy(update=named)})
    if settled.columns.label is None:
        raise UsageError("say which column holds the known answers with --label")
    if tree is None:
        tree = taxonomy_of_labels([source], settled.columns.label)
        err.print(
            f"no taxonomy is named: made one of the labels, {len(tree):,} nodes (name one with -t)"
        )
    return settled, tree


def _given(
    task: EvaluationTask, predictions: TableFile, wanted: PredictionColumns, allow_missing: bool
) -> ExternalPredictions:
    """The answers of a predictions file, with a word on those that are missing or unknown."""
    from cascade.evaluation.external_predictions import ExternalPredictions

    given = ExternalPredictions.match(
        task.source,
        predictions,
        task.taxonomy,
        wanted,
        id=task.columns.id,
        allow_missing=allow_missing,
    )
    if given.missing:
        err.print(f"[yellow]{given.missing:,} rows have no prediction and count as wrong[/]")
    if given.unused:
        err.print(
            f"[yellow]{given.unused:,} predictions are of no labelled row and are left out[/]"
        )
    if given.unknown:
        err.print(
            f"{given.unknown:,} predictions are not in the taxonomy and count as wrong "
            f"(first: {given.first_unknown})",
            highlight=False,
            markup=False,
            style="yellow",
        )
    return given


def _free_folder(
    file: str, config: CascadeConfig, predictions: str | None, resume: bool, overwrite: bool
) -> str:
    """`runs/FILE-METHOD`, with a number where it is taken."""
    from cascade.errors import UsageError

    if resume or overwrite:
        raise UsageError("name the run that is meant with --out FOLDER")
    what = Path(predictions).stem if predictions else config.method
    base = Path("runs") / f"{Path(file).stem}-{what}"
    taken = [base] if base.exists() else []
    while taken and (following := base.with_name(f"{base.name}-{len(taken) + 1}")).exists():
        taken.append(following)
    return str(base.with_name(f"{base.name}-{len(taken) + 1}") if taken else base)
