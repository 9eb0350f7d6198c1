"""`cascade classify`: rows in, the same rows out with the answer beside them."""

from __future__ import annotations

import os
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cascade.cli import options
from cascade.cli.console import err, interruptible

if TYPE_CHECKING:
    from cascade.cli.classify_run import ClassifyRun
    from cascade.pipeline.runs.cluster import Cluster


SHOWN = 20  # files without output that are named
FEW = 5  # of what is passed over


class Engine(StrEnum):
    """Where rows are answered."""

    LOCAL = "local"
    RAY = "ray"


EXAMPLES = """
[bold]Examples[/]

  cascade classify items.csv -t store --text name -o out.csv
  cascade classify items.xlsx -t taxonomy.csv --text title --text description -o out.parquet
  cascade classify offers.jsonl -t store --text name --method cascade --top 3 -o out.jsonl
  cat items.csv | cascade classify - -t store --text name > out.csv
  cascade classify items.csv -c pack --set-coverage 0.95 -o out.csv
  cascade classify items.csv -c pack --set calibration.nowhere=0.05 -o out.csv
  cascade classify big.csv -t store --text name -o out.csv --resume
  cascade classify millions.csv -t store --text name -o out.csv --first-pass
  cascade classify parts/ -c pack -o answered/ --workers 8
  cascade classify 'lake/*/*.parquet' -t store --text name -o answered/ --engine ray
"""


def classify(
    files: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE...",
            help="CSV, TSV, JSON lines, Parquet, Excel, a folder of these or of pictures, a "
            "pattern in quotes ('in/**/*.parquet'); - for standard input.",
        ),
    ],
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
    output: Annotated[
        str | None,
        typer.Option(
            "--out",
            "-o",
            help="Output file: .csv, .tsv, .jsonl, .parquet or .xlsx; for several files a folder, "
            "in which each keeps its name, and its path below what was named; by default standard "
            "output.",
        ),
    ] = None,
    method: options.MethodOption = None,
    max_risk: options.MaxRiskOption = None,
    review_below: options.ReviewBelowOption = None,
    set_coverage: options.SetCoverageOption = None,
    adapt: options.AdaptOption = False,
    first_pass: options.FirstPassOption = False,
    limit: options.LimitOption = None,
    top: Annotated[
        int,
        typer.Option(
            "--top",
            min=0,
            max=1000,
            metavar="N",
            help="Add the N next best answers: in tables as columns cascade_code_2, "
            "cascade_path_2, cascade_confidence_2, ...; in JSON lines as a list.",
        ),
    ] = 0,
    nested: Annotated[
        bool,
        typer.Option(
            "--nested", help="Write those of --top as JSON in one column, cascade_alternatives."
        ),
    ] = False,
    explain: Annotated[
        bool, typer.Option("--explain", help="Add the candidates and scores at each level.")
    ] = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with an interrupted run.")
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace an output that exists.")
    ] = False,
    redo: Annotated[
        str | None,
        typer.Option(
            "--redo",
            metavar="FILE",
            help="An earlier output of these rows: its answers are kept, but for those of the "
            "fallback and rows in error, which are answered again.",
        ),
    ] = None,
    engine: Annotated[
        Engine,
        typer.Option("--engine", help="local: this process; ray: many workers."),
    ] = Engine.LOCAL,
    workers: Annotated[
        int | None,
        typer.Option(
            "--workers",
            min=1,
            metavar="N",
            help="Processes that answer: on this machine, by default one; or workers of ray, by "
            "default one for each GPU, or for each CPU. Of many files each takes one at a time, "
            "reads and writes it; of few, rows are shared out.",
        ),
    ] = None,
    gpus: Annotated[
        float | None,
        typer.Option(
            "--gpus-per-worker",
            min=0,
            metavar="N",
            help="GPUs of a worker of ray; by default 1 if there are any.",
        ),
    ] = None,
    address: Annotated[
        str | None,
        typer.Option(
            "--ray-address",
            metavar="ADDRESS",
            help="Cluster that ray joins: auto, or HOST:PORT; by default this machine alone.",
        ),
    ] = None,
    encoding: options.EncodingOption = None,
    sheet: options.SheetOption = None,
    settings: options.SetOption = None,
    allow_download: options.DownloadOption = False,
    as_json: options.JsonOption = False,
    as_table: Annotated[
        bool, typer.Option("--table", help="Print answers as a table, also where output is piped.")
    ] = False,
) -> None:
    """Classify the rows of files; each row comes out with its answer beside it."""
    from cascade.cli.classify_run import ClassifyRun, Destination, Input
    from cascade.pipeline.runs.answer_form import AnswerForm

    cluster = _cluster(engine, workers=workers, gpus=gpus, address=address)
    targets = files_and_outputs(files, output)
    if redo is not None:
        _check_redo(targets, cluster)
    folder = output if output and output != "-" and options.is_folder(output) else None
    check_outputs(targets, taxonomy, config, resume=resume, overwrite=overwrite, folder=folder)
    named = options.named_columns(
        text=text, image=image, id=id, label=label, label_separator=label_separator
    )
    settled, tree = options.resolve(
        config,
        taxonomy,
        encoding=taxonomy_encoding,
        scheme=scheme,
        sheet=taxonomy_sheet,
        method=method,
        columns=named,
        max_risk=max_risk,
        review_below=review_below,
        set_coverage=set_coverage,
        image_root=image_root,
        allow_urls=allow_urls,
        allow_hosts=allow_host,
        adapt=adapt,
        first_pass=first_pass,
        allow_download=allow_download,
        settings=settings,
    )
    settled.descent.beam = max(settled.descent.beam, top + 1)
    run = ClassifyRun(
        tree,
        settled,
        frozenset(named),
        AnswerForm(
            top,
            explain,
            question=settled.method == "agent",
            set=settled.calibration.set_coverage is not None,
            nested=nested,
        ),
        Input(limit, encoding, sheet),
        Destination(resume, overwrite, as_json, as_table),
        redo,
        workers or 1,
        frozenset(files),
    )
    classify_files(run, targets, cluster)


def check_outputs(
    targets: list[tuple[str, str]],
    *also_read: str | None,
    resume: bool,
    overwrite: bool,
    folder: str | None = None,
) -> None:
    """Check, before any work, that all outputs can be written.

    Parameters
    ----------
    targets
        Each input with its output.
    also_read
        Files beside the inputs that no output may replace.
    folder
        That of the outputs, if it is one.

    Raises
    ------
    UsageError, OutputError
        One cannot; tells what to do.
    """
    from cascade.errors import UsageError
    from cascade.io import check_output

    others = {os.path.realpath(source): source for source, _ in targets if source != "-"}
    for source, target in targets:
        other = others.get(os.path.realpath(target)) if target != "-" else None
        if other not in (None, source):
            raise UsageError(
                f"the answers to {source} would be written over {other}, which this command reads "
                "too; name another folder with --out"
            )
        for read in filter(None, (source, *also_read)):
            check_output(target, read, resume=resume, overwrite=overwrite, root=folder)


def classify_files(
    run: ClassifyRun, targets: list[tuple[str, str]], cluster: Cluster | None = None
) -> None:
    """Classify files, say what came of it, and exit with 3 where rows are in error."""
    from cascade.cli.display import show_counts

    with interruptible():
        total, written = run.run(targets) if cluster is None else run.run_on(cluster, targets)
    for source, why in list(run.failed.items())[:SHOWN]:
        told = why if source in why else f"{source}: {why}"
        err.print(told, style="red", highlight=False, markup=False)
    if len(run.failed) > SHOWN:
        err.print(f"and {len(run.failed) - SHOWN:,} more files", style="red", highlight=False)
    if run.failed:
        err.print(
            f"{len(run.failed):,} of {len(targets):,} files have no output; mend them and give the "
            "same command with --resume",
            highlight=False,
        )
    if not written and not run.failed:
        return
    label = run.config.columns.label
    show_counts(
        total,
        [target for target in written if target != "-"],
        as_json=run.destination.as_json,
        label=label if "label" in run.named or total.labelled else None,
        shift=None if run.watch is None else run.watch.shift,
        max_risk=run.config.calibration.max_risk,
        failed=run.failed,
    )
    if total.status.get("error") or run.failed:
        raise typer.Exit(3)


def _cluster(
    engine: Engine, *, workers: int | None, gpus: float | None, address: str | None
) -> Cluster | None:
    """What is asked of a cluster; None for a run in this process.

    Raises
    ------
    UsageError
        Options of a cluster are given without one.
    """
    from cascade.errors import UsageError

    if engine is Engine.RAY:
        from cascade.pipeline.runs.cluster import Cluster

        return Cluster(address, workers, gpus)
    named = {"--gpus-per-worker": gpus, "--ray-address": address}
    for option, value in named.items():
        if value is not None:
            raise UsageError(f"{option} goes with --engine ray")
    return None


def _check_redo(targets: list[tuple[str, str]], cluster: Cluster | None) -> None:
    """Raise UsageError where there is not one file that an earlier output could stand beside."""
    from cascade.errors import UsageError

    if len(targets) > 1:
        raise UsageError(f"--redo goes with one file; there are {len(targets)}")
    if cluster is not None:
        raise UsageError("--redo goes with --engine local")


def files_and_outputs(given: list[str], output: str | None) -> list[tuple[str, str]]:
    """Each file to classify, those in folders too, and where its rows go.

    Raises
    ------
    UsageError
        Several files would go to one place, or standard input to a folder.
    InputError
        Nothing fits a pattern.
    """
    from cascade.errors import UsageError
    from cascade.io.inputs import files_of

    if output == "" or "" in given:
        raise UsageError("an empty file name; name a file, or - for standard input or output")
    in_folder = output is not None and output != "-" and options.is_folder(output)
    apart = Path(output) if output is not None and in_folder else None
    passed_over: list[str] = []
    sources = [found for name in given for found in files_of(name, apart, passed_over)]
    if passed_over:
        more = ", ..." if len(passed_over) > FEW else ""
        err.print(
            f"passed over, as no tables or links to folders: {', '.join(passed_over[:FEW])}{more} "
            f"({len(passed_over):,} in all)",
            style="yellow",
            highlight=False,
            markup=False,
        )
    if len(sources) > 1 and output not in (None, "-") and not in_folder:
        of_one = "is a folder of" if Path(given[0]).is_dir() else "stands for"
        what = f"{given[0]} {of_one}" if len(given) == 1 else "there are"
        raise UsageError(f"{what} {len(sources)} files; give --out FOLDER/, for example answered/")
    placed: dict[str, str] = {}
    for source, below in sources:
        target = output or "-"
        if in_folder:
            if source == "-":
                raise UsageError(f"--out {output} is a folder; name a file for standard input")
            name = f"{below}.csv" if Path(source).is_dir() else str(below)
            target = str(Path(target) / name)
        if target in placed:
            cure = (
                "name the folder that holds both, or a pattern in quotes: paths below it are kept"
            )
            where = f"{target}; {cure}"
            if target == "-":
                where = "standard output; give --out FOLDER/"
            raise UsageError(f"{placed[target]} and {source} would both be written to {where}")
        placed[target] = source
    return [(source, target) for target, source in placed.items()]
