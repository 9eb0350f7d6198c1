"""`cascade classify`: rows in, the same rows out with the answer beside them."""

from __future__ import annotations

from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cascade.cli import options
from cascade.cli.console import interruptible

if TYPE_CHECKING:
    from cascade.pipeline.runs.cluster import Cluster


class Engine(StrEnum):
    """Where rows are answered."""

    LOCAL = "local"
    RAY = "ray"


EXAMPLES = """
[bold]Examples[/]

  cascade classify items.csv -t store --text name -o out.csv
  cascade classify items.xlsx -t taxonomy.csv --text title --text description -o out.parquet
  cascade classify offers.jsonl -t store --text name --method retrieval --top 3 -o out.jsonl
  cat items.csv | cascade classify - -t store --text name > out.csv
  cascade classify big.csv -t store --text name -o out.csv --resume
  cascade classify parts/ -t store --text name -o answered/ --engine ray --workers 8
"""


def classify(
    files: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE...",
            help="CSV, TSV, JSONL, Parquet, Excel, a folder of these or of pictures, or -.",
        ),
    ],
    taxonomy: options.TaxonomyOption = None,
    config: options.ConfigOption = None,
    text: options.TextOption = None,
    image: options.ImageOption = None,
    image_root: options.ImageRootOption = None,
    allow_urls: options.UrlsOption = False,
    id: options.IdOption = None,
    label: options.LabelOption = None,
    output: Annotated[
        str | None,
        typer.Option(
            "--out",
            "-o",
            help="Where to: .csv, .tsv, .jsonl, .parquet or .xlsx; a folder for several files; "
            "standard output if not given.",
        ),
    ] = None,
    method: options.MethodOption = None,
    max_risk: options.MaxRiskOption = None,
    limit: options.LimitOption = None,
    top: Annotated[
        int, typer.Option("--top", min=0, metavar="N", help="Add the N next best answers.")
    ] = 0,
    explain: Annotated[
        bool, typer.Option("--explain", help="Add the candidates and scores at each level.")
    ] = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with an interrupted run of the same output.")
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace an output that exists.")
    ] = False,
    engine: Annotated[
        Engine,
        typer.Option("--engine", help="local: in this process. ray: many workers, see the README."),
    ] = Engine.LOCAL,
    workers: Annotated[
        int | None,
        typer.Option(
            "--workers", min=1, metavar="N", help="Of ray; as many as it has GPUs, else CPUs."
        ),
    ] = None,
    gpus: Annotated[
        float | None,
        typer.Option(
            "--gpus-per-worker", min=0, metavar="N", help="Of ray; 1 where there are any."
        ),
    ] = None,
    address: Annotated[
        str | None,
        typer.Option(
            "--ray-address",
            metavar="ADDRESS",
            help="Cluster to join: auto, or HOST:PORT; this machine alone if not given.",
        ),
    ] = None,
    encoding: options.EncodingOption = None,
    sheet: options.SheetOption = None,
    settings: options.SetOption = None,
    allow_download: options.DownloadOption = False,
    as_json: options.JsonOption = False,
    as_table: Annotated[
        bool, typer.Option("--table", help="Print a table to read, also where output is piped.")
    ] = False,
) -> None:
    """Classify the rows of files; each row comes out with its answer beside it."""
    from cascade.cli import loading, report
    from cascade.io import check_output
    from cascade.io.tables.folder import files_of
    from cascade.pipeline.runs.table import AnswerForm, Counts
    from cascade.scoring.methods import check_method

    cluster = _cluster(engine, workers=workers, gpus=gpus, address=address)
    sources = [source for given in files for source in files_of(given)]
    targets = [(source, _target(source, sources, files, output)) for source in sources]
    _check_distinct(targets)
    for source, target in targets:
        for read in filter(None, (source, taxonomy, config)):
            check_output(target, read, resume=resume, overwrite=overwrite)
    settled, tree = options.resolve(
        config, taxonomy, method=method, allow_download=allow_download, settings=settings
    )
    check_method(settled.method, settled.heads)
    if max_risk is not None:
        settled.calibration.max_risk = max_risk
    settled.descent.beam = max(settled.descent.beam, top + 1)
    named = {"text": text, "image": image, "id": id, "label": label}
    options.place_pictures(settled, image_root, allow_urls)
    columns = settled.columns.model_copy(update={k: v for k, v in named.items() if v})
    settled.columns = columns
    job = loading.Job(
        tree,
        settled,
        columns,
        AnswerForm(top, explain),
        needs_label=label is not None,
        needs_image=image is not None,
        limit=limit,
        encoding=encoding,
        sheet=sheet,
        resume=resume,
        overwrite=overwrite,
        as_json=as_json,
        as_table=as_table,
    )
    total, written = Counts(), list[str]()
    with interruptible():
        if cluster is not None:
            total, written = job.run_on(cluster, targets)
            targets = []
        for source, _ in targets if len(targets) > 1 else []:
            job.check(source)
        for source, target in targets:
            counts = job.run(source, target)
            if counts is not None:
                total.add(asdict(counts))
                written.append(target)
    if not written:
        return
    report.show(
        total,
        [target for target in written if target != "-"],
        as_json=as_json,
        label=columns.label if label or total.labelled else None,
    )
    if total.status.get("error"):
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
    from cascade.pipeline.runs.cluster import Cluster

    if engine is Engine.RAY:
        return Cluster(address, workers, gpus)
    named = {"--workers": workers, "--gpus-per-worker": gpus, "--ray-address": address}
    for option, value in named.items():
        if value is not None:
            raise UsageError(f"{option} goes with --engine ray")
    return None


def _check_distinct(targets: list[tuple[str, str]]) -> None:
    """Raise UsageError where two files would be written to the same place."""
    from cascade.errors import UsageError

    first: dict[str, str] = {}
    for source, target in targets:
        if target in first:
            where = "standard output; give --out FOLDER/" if target == "-" else target
            raise UsageError(f"{first[target]} and {source} would both be written to {where}")
        first[target] = source


def _target(source: str, files: list[str], given: list[str], output: str | None) -> str:
    """Where the rows of one file go.

    Parameters
    ----------
    files, given
        All files, and what the user named for them.

    Raises
    ------
    UsageError
        Several files go to one place, or standard input to a folder.
    """
    from cascade.errors import UsageError

    if not source or output == "":
        raise UsageError("an empty file name; name a file, or - for standard input or output")
    if output is None or output == "-":
        return "-"
    if options.is_folder(output):
        if source == "-":
            raise UsageError(f"--out {output} is a folder; name a file for standard input")
        name = Path(source).name
        return str(Path(output) / (f"{name}.csv" if Path(source).is_dir() else name))
    if len(files) > 1 and len(given) == 1:
        raise UsageError(
            f"{given[0]} is a folder of {len(files)} files; give --out FOLDER/, for example "
            "answered/"
        )
    if len(files) > 1:
        raise UsageError(f"{len(files)} files go to a folder, not to one file; give --out FOLDER/")
    return output
