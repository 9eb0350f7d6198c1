"""`cascade fit`: labelled rows in, a pack out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cascade.cli import options
from cascade.cli.console import err, interruptible, out

if TYPE_CHECKING:
    from cascade.training.fit_request import FitRequest

EXAMPLES = """
[bold]Examples[/]

  cascade fit labelled.csv -t taxonomy.csv --text name --text description --label label -o my-pack
  cascade fit labelled.csv --text name --label path -o my-pack   (taxonomy made of the label paths)
  cascade fit labelled.csv -t taxonomy.csv --text name --label label --recipe quick -o my-pack
  cascade fit labelled.csv --label label --recipe two-stage --set llama.balanced=null -o my-pack
  cascade fit photos/ --label folder -o my-pack   (a folder of pictures, sorted into folders)
  cascade classify items.csv -c my-pack -o out.csv
"""


LEVELS = 3  # that are shown; metrics.json has all


def fit(
    file: Annotated[
        str,
        typer.Argument(
            metavar="FILE",
            help="Labelled rows: CSV, TSV, JSONL, Parquet, Excel, or a folder of sorted pictures.",
        ),
    ],
    label: Annotated[
        str, typer.Option("--label", metavar="COL", help="Known answer, a code or a path.")
    ],
    output: Annotated[str, typer.Option("--out", "-o", metavar="PACK", help="Folder to write.")],
    label_separator: options.SeparatorOption = None,
    keep_case: options.KeepCaseOption = False,
    taxonomy: options.TaxonomyOption = None,
    scheme: options.SchemeOption = None,
    taxonomy_encoding: options.TaxonomyEncodingOption = None,
    taxonomy_sheet: options.TaxonomySheetOption = None,
    text: options.TextOption = None,
    image: options.ImageOption = None,
    image_root: options.ImageRootOption = None,
    allow_urls: options.UrlsOption = False,
    allow_host: options.HostsOption = None,
    recipe: Annotated[
        str,
        typer.Option(
            "--recipe",
            help="quick: words and characters; few: for a few rows of each label, names of nodes "
            "too; few-tuned: the same and an encoder that is fine-tuned; fast: an encoder that is "
            "fine-tuned; full: a language model too; pictures: a "
            "vision model that is fine-tuned; two-stage: TTC as it was published; foodex2: whole "
            "codes of EFSA's catalogue, see cascade foodex2 fit; or a YAML file.",
        ),
    ] = "fast",
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="A field of the recipe, such as lexical.cost=0.5 or llama.tuning.epochs=1; "
            "repeatable. llama.balanced=null learns all rows together with the heads.",
        ),
    ] = None,
    validation: Annotated[
        str | None,
        typer.Option(
            "--validation",
            metavar="FILE",
            help="Labelled rows to choose on; a part of FILE if not given.",
        ),
    ] = None,
    limit: options.LimitOption = None,
    seed: Annotated[
        int,
        typer.Option("--seed", min=0, max=2**32 - 1, metavar="N", help="Of all that is random."),
    ] = 0,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with an interrupted fit of the same pack.")
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace a pack that exists.")
    ] = False,
    encoding: options.EncodingOption = None,
    sheet: options.SheetOption = None,
    allow_download: options.DownloadOption = False,
    report_to: options.ReportToOption = None,
    as_json: options.JsonOption = False,
) -> None:
    """Learn from labelled rows: fit the parts of a recipe, and put them into a pack."""
    from cascade.config import CascadeConfig, Columns
    from cascade.errors import UsageError
    from cascade.io.tables.opening import TableFile
    from cascade.training.fit_request import FitRequest
    from cascade.training.foodex2.own.pack import OWN_CODES
    from cascade.training.packs.recipe import Recipe

    if recipe == OWN_CODES and settings:
        raise UsageError(f"--recipe {OWN_CODES} has no fields to set; leave out --set")
    placed = CascadeConfig()
    options.place_pictures(placed, image_root, allow_urls, allow_host)
    request = FitRequest(
        TableFile(file, limit, encoding, sheet),
        Columns(text=text or [], image=image, label=label, label_separator=label_separator),
        recipe
        if recipe == OWN_CODES
        else Recipe.load(recipe, options.parse_settings(settings or [])),
        taxonomy=taxonomy,
        reading={"encoding": taxonomy_encoding, "scheme": scheme, "sheet": taxonomy_sheet},
        keep_case=keep_case,
        pictures=placed,
        validation=None if validation is None else TableFile(validation, None, encoding, sheet),
        seed=seed,
        allow_download=allow_download,
        command=options.command(),
        report_to=report_to or (),
    )
    report = run(request, output, resume=resume, overwrite=overwrite)
    if as_json:
        out.print_json(json.dumps(report))
        return
    show(report, output)


def run(
    request: FitRequest, output: str, *, resume: bool = False, overwrite: bool = False
) -> dict[str, Any]:
    """Fit what is asked into a folder, with a bar; what was measured."""
    from cascade.cli.progress import working

    job = request.job(
        Path(output),
        lambda sentence: err.print(sentence, style="yellow", highlight=False, markup=False),
        lambda sentence: err.print(sentence, markup=False),
    )
    job.prepare(resume=resume, overwrite=overwrite)
    with (
        interruptible("what was fitted is kept, go on with [bold]--resume[/]"),
        working("reading") as bar,
    ):
        return job.run(bar.show)


def show(report: dict[str, Any], output: str) -> None:
    """Print what was measured on the held-out rows."""
    from rich.table import Table

    levels = [name for name in report["pack"] if name.startswith("accuracy_l")]
    columns = [name for name in report["pack"] if name not in levels[LEVELS:]]
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column(f"on {report['rows']['held_out']:,} held-out rows")
    for column in columns:
        table.add_column(column, justify="right")
    for name, found in {**report["scorers"], "this pack": report["pack"]}.items():
        table.add_row(name, *(f"{found.get(column, '')}" for column in columns))
    err.print(table)
    err.print(
        f"fitted to {report['rows']['fitted']:,} rows in {report['seconds']:,} s; written to "
        f"{output}: cascade classify FILE -c {output}",
        highlight=False,
        markup=False,
    )
