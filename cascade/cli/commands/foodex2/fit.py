"""`cascade foodex2 fit` and `eval`: codes learnt from coded descriptions, and measured on them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from cascade.cli import options
from cascade.cli.commands.foodex2.common import (
    CatalogueOption,
    OverwriteOption,
    ProcessesOption,
    load_catalogue,
    load_checker,
)
from cascade.cli.console import err, out

if TYPE_CHECKING:
    from cascade.config import Columns
    from cascade.io.tables.opening import TableFile

FIT = """
[bold]Examples[/]

  cascade foodex2 fit coded.csv --text description --code foodex2 -o packs/ours
  cascade foodex2 encode foods.csv --text description -c packs/ours -o coded.csv
  cascade foodex2 fit -o packs/foodex2                        (no rows: composed descriptions alone)
  cascade foodex2 fit --encoder encoder/model -o packs/foodex2
"""

EVAL = """
[bold]Examples[/]

  cascade foodex2 eval coded.csv --text description --code foodex2 -o runs/catalogue
  cascade foodex2 eval new.csv --text description --code foodex2 -c packs/ours -o runs/ours
  cascade foodex2 eval coded.csv --text description --code foodex2 --split-by base-term -o trial
"""

CodeOption = Annotated[
    str | None,
    typer.Option(
        "--code", metavar="COL", help="Column of the known codes, such as A01DJ#F28.A07KG."
    ),
]


def fit(
    folder: Annotated[Path, typer.Option("--out", "-o", help="Folder of the pack to write.")],
    file: Annotated[
        str | None,
        typer.Argument(metavar="FILE", help="Descriptions with codes, to learn from."),
    ] = None,
    taxonomy: CatalogueOption = None,
    processes: ProcessesOption = None,
    text: options.TextOption = None,
    code: CodeOption = None,
    encoder: Annotated[
        str, typer.Option("--encoder", help="Sentence encoder: built-in name, or a folder.")
    ] = "minilm",
    size: Annotated[
        int,
        typer.Option("--rows", min=100, help="Without a FILE: descriptions to compose."),
    ] = 6000,
    limit: options.LimitOption = None,
    seed: Annotated[int, typer.Option("--seed", min=0, metavar="N", help="Of all draws.")] = 0,
    overwrite: OverwriteOption = False,
    encoding: options.EncodingOption = None,
    sheet: options.SheetOption = None,
    as_json: options.JsonOption = False,
) -> None:
    """Fit a pack for `encode -c`, to descriptions with codes, or to composed ones alone.

    With a FILE of coded descriptions: learns what your institution calls base terms and
    descriptors, which facets it codes, and how far to follow the catalogue, which is the start.
    Some hundreds of rows are enough for a difference. Malformed codes are mended, and rows that
    were struck out are left out, both told. Without a FILE: learns from descriptions that are
    composed of the catalogue's terms in which facet categories a text says something. The pack
    includes the catalogue, the table of processes and, if one is named, the folder of the encoder.
    """
    from cascade.errors import UsageError

    if file is None:
        if text or code or limit:
            raise UsageError(
                "--text, --code and --limit are about a file of coded descriptions; name the file"
            )
        _fit_composed(folder, taxonomy, processes, encoder, size, seed, overwrite, as_json)
        return
    if code is None:
        raise UsageError("say which column holds the known codes with --code")
    from cascade.cli.commands.learning.fit import run
    from cascade.config import Columns
    from cascade.foodex2.taxonomy import FoodEx2Taxonomy
    from cascade.io.tables.opening import TableFile
    from cascade.training.fit_request import FitRequest
    from cascade.training.foodex2.own.pack import OWN_CODES

    request = FitRequest(
        TableFile(file, limit, encoding, sheet),
        Columns(text=text or [], label=code),
        OWN_CODES,
        taxonomy=FoodEx2Taxonomy.from_catalogue(load_catalogue(taxonomy)),
        seed=seed,
        command=options.command(),
        processes=processes,
        encoder=encoder,
    )
    report = run(request, str(folder), overwrite=overwrite)
    if as_json:
        out.print_json(json.dumps(report))
        return
    for name, value in report["pack"].items():
        out.print(f"{name:<26}  {value:.3f}", highlight=False)
    told = f"learnt from {report['rows']['fitted']:,} rows in {report['seconds']:,} s, and measured"
    if set(report["kept"].values()) == {"catalogue"}:
        use = (
            "the pack answers as the catalogue alone, but for descriptions that were coded before; "
            "code more rows and fit it again"
        )
    else:
        use = f"use it: cascade foodex2 encode TEXT -c {folder}"
    err.print(
        f"{told} on them as if they were new; {use}", highlight=False, markup=False, soft_wrap=True
    )


def _fit_composed(
    folder: Path,
    taxonomy: str | None,
    processes: str | None,
    encoder: str,
    size: int,
    seed: int,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Fit a pack to descriptions that are composed of the catalogue."""
    from cascade.cli.progress import working
    from cascade.training.foodex2.pack import fit_pack

    checker = load_checker(taxonomy, processes)
    with working("fitting") as bar:
        figures = fit_pack(
            checker,
            folder,
            encoder=encoder,
            rows=size,
            seed=seed,
            overwrite=overwrite,
            command=options.command(),
            report=bar.show,
        )
    if as_json:
        out.print_json(json.dumps(figures))
        return
    for name, own in figures.items():
        values = ", ".join(f"{key} {value:.3f}" for key, value in own.items())
        out.print(f"{name:<10}  {values}", highlight=False, soft_wrap=True)
    err.print(f"use it: cascade foodex2 encode TEXT -c {folder}", highlight=False)


def evaluate(
    file: Annotated[str, typer.Argument(metavar="FILE", help="Descriptions with codes.")],
    code: CodeOption = None,
    taxonomy: CatalogueOption = None,
    config: options.ConfigOption = None,
    text: options.TextOption = None,
    id: options.IdOption = None,
    output: Annotated[
        str | None,
        typer.Option("--out", "-o", help="Folder of the run; runs/FILE-METHOD if not given."),
    ] = None,
    method: Annotated[
        str | None,
        typer.Option("--method", help="Who finds the base term: retrieval (default), rerank, llm."),
    ] = None,
    split_by: Annotated[
        Literal["base-term", "row"] | None,
        typer.Option(
            "--split-by",
            help="Learn from a part of FILE and measure on the rest, beside the catalogue alone. "
            "base-term: no base term of the rest is learnt; row: only equal texts stay together.",
        ),
    ] = None,
    test: Annotated[
        float,
        typer.Option("--test", metavar="SHARE", help="With --split-by: rows to measure on."),
    ] = 0.3,
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
    """Measure codes: base terms, facet categories, descriptors, whole codes; write a report.

    As `cascade eval`, with precision, recall and F1 of each facet category, rankings of each stage,
    and tables of how much of the catalogue the codes use. With --split-by it measures what a pack
    would be worth that learns from codes like these.
    """
    from cascade.errors import UsageError

    if code is None and config is None:
        raise UsageError("say which column holds the known codes with --code")
    if split_by is not None:
        if config is not None or settings or method or resume or id:
            raise UsageError(
                "--split-by fits a pack of its own; leave out -c, --set, --method, --id, --resume"
            )
        if code is None:
            raise UsageError("say which column holds the known codes with --code")
        from cascade.config import Columns
        from cascade.io.tables.opening import TableFile

        source = TableFile(file, limit, encoding, sheet)
        folder = Path(output or f"runs/{Path(file).stem}-{split_by}")
        columns = Columns(text=text or [], label=code)
        _try_out(
            source, columns, taxonomy, folder, split_by, test, seed, resamples, overwrite, as_json
        )
        return
    from cascade.cli.commands.measuring.eval import evaluate as measured
    from cascade.foodex2.format import find_catalogue

    named = None if config and not taxonomy else str(find_catalogue(taxonomy))
    if named is not None:
        load_catalogue(named)  # which says what is wrong with another file
    measured(
        file,
        taxonomy=named,
        config=config,
        text=text,
        id=id,
        label=code,
        output=output,
        method=method,
        limit=limit,
        seed=seed,
        resamples=resamples,
        resume=resume,
        overwrite=overwrite,
        encoding=encoding,
        sheet=sheet,
        settings=settings,
        allow_download=allow_download,
        as_json=as_json,
    )


def _try_out(
    source: TableFile,
    columns: Columns,
    taxonomy: str | None,
    folder: Path,
    split_by: Literal["base-term", "row"],
    test: float,
    seed: int,
    resamples: int,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Learn from a part of some rows, measure on the rest, and show both."""
    from rich.table import Table

    from cascade.cli.progress import working
    from cascade.foodex2.format import find_catalogue
    from cascade.training.foodex2.own.trial import try_out

    with working("reading") as bar:
        found = try_out(
            source,
            columns,
            find_catalogue(taxonomy),
            folder,
            by=split_by,
            test=test,
            seed=seed,
            resamples=resamples,
            overwrite=overwrite,
            command=options.command(),
            notify=lambda text: err.print(text, style="yellow", highlight=False, markup=False),
            progress=bar.show,
        )
    if as_json:
        out.print_json(json.dumps(found))
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column(f"on {found['rows']['test']:,} rows, split by {split_by}")
    for heading in ("catalogue", "learnt", "difference (95%)"):
        table.add_column(heading, justify="right")
    for name, own in found["figures"].items():
        spread = f"{own['difference']:+.3f} ({own['low']:+.3f} to {own['high']:+.3f})"
        table.add_row(name, f"{own['catalogue']:.3f}", f"{own['learnt']:.3f}", spread)
    out.print(table)
    err.print(
        f"learnt from {found['rows']['fitted']:,} rows; reports: {folder}/catalogue/report.html, "
        f"{folder}/learnt/report.html; the pack: {folder}/pack",
        highlight=False,
        markup=False,
    )
