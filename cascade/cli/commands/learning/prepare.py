"""`cascade prepare`: labelled rows in, clean parts to learn from and to measure on out."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cascade.cli import options
from cascade.cli.console import err, out

if TYPE_CHECKING:
    from cascade.io import Row

EXAMPLES = """
[bold]Examples[/]

  cascade prepare offers.csv -t taxonomy.csv --text name --label label -o prepared
  cascade prepare offers.jsonl -t shopify.tsv --text title --label category --depth 3 -o prepared
  cascade prepare offers.csv --text name --label path -o prepared      (taxonomy made of the labels)
  cascade prepare foods.csv -t foods.yaml --text name --label code --split out-of-sample -o unseen
"""


def prepare(
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="Labelled rows: CSV, TSV, JSONL, Parquet, Excel.")
    ],
    label: Annotated[
        str, typer.Option("--label", metavar="COL", help="Known answer, a code or a path.")
    ],
    output: Annotated[str, typer.Option("--out", "-o", help="Folder to write to.")],
    label_separator: options.SeparatorOption = None,
    keep_case: options.KeepCaseOption = False,
    also: options.AlsoOption = None,
    taxonomy: options.TaxonomyOption = None,
    scheme: options.SchemeOption = None,
    taxonomy_encoding: options.TaxonomyEncodingOption = None,
    taxonomy_sheet: options.TaxonomySheetOption = None,
    text: options.TextOption = None,
    depth: Annotated[
        int | None,
        typer.Option(
            "--depth",
            min=1,
            metavar="N",
            help="Cut taxonomy, labels and other answers to N levels.",
        ),
    ] = None,
    split: Annotated[
        str,
        typer.Option(
            "--split",
            help="stratified: each class in all parts; out-of-sample: classes of validation and "
            "test are not in train.",
        ),
    ] = "stratified",
    validation: Annotated[
        float, typer.Option("--validation", metavar="SHARE", help="Of the rows; 0 for none.")
    ] = 0.1,
    test: Annotated[
        float, typer.Option("--test", metavar="SHARE", help="Of the rows; 0 for none.")
    ] = 0.1,
    seed: Annotated[
        int, typer.Option("--seed", min=0, max=10**15, metavar="N", help="Of the split.")
    ] = 0,
    limit: options.LimitOption = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace a preparation that exists.")
    ] = False,
    encoding: options.EncodingOption = None,
    sheet: options.SheetOption = None,
    as_json: options.JsonOption = False,
) -> None:
    """Cut labels to a depth, drop rows that cannot be used, and split into train, validation, test.

    Dropped rows go to dropped.csv, each with its line and its reason. Of several FoodEx2 codes for
    one text the one that says most is kept, descriptions that were struck out are dropped, and
    malformed codes are mended, each told in mended.csv.
    """
    from cascade.cli.progress import working
    from cascade.evaluation.preparation.folder import PreparationFolder
    from cascade.evaluation.preparation.options import PreparationOptions, source_of
    from cascade.evaluation.preparation.prepare import prepare as prepared
    from cascade.evaluation.preparation.splits import Shares
    from cascade.pipeline.labels.making import LabelForm
    from cascade.pipeline.load import load_taxonomy

    source = source_of(file, limit, encoding, sheet)
    shares, form = Shares(validation, test), LabelForm(label_separator, keep_case)
    chosen = PreparationOptions(
        source, label, tuple(text or ()), depth, split, shares, seed, form, tuple(also or ())
    )
    folder = PreparationFolder(output)
    folder.check(filter(None, (file, taxonomy)), overwrite=overwrite)
    tree = None
    if taxonomy is not None:
        tree = load_taxonomy(
            taxonomy, encoding=taxonomy_encoding, scheme=scheme, sheet=taxonomy_sheet
        )
    with working("reading") as bar:

        def progress(what: str, of: int | None) -> Callable[[Row], None]:
            return lambda row: bar.show(what, row.number, of, f"{row.number:,} rows")

        found = prepared(chosen, tree, progress=progress("reading", limit))
        report = folder.write(found, progress=progress("writing", len(found.rows)))
    if as_json:
        out.print_json(json.dumps(report))
        return
    _show_rows(report, guessed=not text)
    _show_parts(report, output)


def _show_rows(report: dict[str, Any], *, guessed: bool) -> None:
    """Print what the rows were read as, and how many are kept and dropped."""
    from rich.table import Table
    from rich.text import Text

    taxonomy = report["taxonomy"]
    columns = ", ".join(report["columns"]["text"])
    nodes = f"{taxonomy['nodes']:,} nodes"
    if taxonomy["nodes"] < taxonomy["nodes_before"]:
        nodes += f" of {taxonomy['nodes_before']:,}, {taxonomy['levels']} levels"
    if taxonomy["made_of_labels"]:
        nodes += ", made of the labels (name one with -t)"
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold")
    table.add_column(justify="right")
    table.add_column()
    table.add_row("text", "", Text(columns + (" (choose others with --text)" if guessed else "")))
    table.add_row("taxonomy", "", Text(f"{taxonomy['name']}, {nodes}"))
    rows = report["input"]["rows"]
    table.add_row("rows", f"{rows:,}", "")
    table.add_row("  kept", f"{report['kept']:,}", f"{report['kept'] / rows:.1%}")
    for word, found in report["dropped"].items():
        if found["rows"]:
            meaning = f"{found['meaning']} (first: line {found['first_line']})"
            table.add_row(f"  {word}", f"{found['rows']:,}", Text(meaning, "yellow"))
    if mended := report["codes_mended"]["rows"]:
        first = report["codes_mended"]["lines"][0]
        table.add_row("codes mended", f"{mended:,}", f"see mended.csv (first: line {first})")
    if report["labels_cut"]:
        table.add_row("labels cut", f"{report['labels_cut']:,}", f"to level {taxonomy['depth']}")
    if report["labels_above_depth"]:
        above = f"end above level {taxonomy['depth']}, and stay"
        table.add_row("labels", f"{report['labels_above_depth']:,}", above)
    err.print(table)


def _show_parts(report: dict[str, Any], folder: str) -> None:
    """Print how the kept rows are divided."""
    from rich.table import Table

    split = report["split"]
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column(f"{split['how']}, seed {split['seed']}")
    for heading in ("rows", "share", "classes", "only here"):
        table.add_column(heading, justify="right")
    for name, part in report["parts"].items():
        counts = (part["rows"], part["classes"], part["classes_only_here"])
        rows, classes, alone = (f"{count:,}" for count in counts)
        table.add_row(name, rows, f"{part['share']:.1%}", classes, alone)
    err.print(table)
    err.print(f"written to {folder}", highlight=False, markup=False)
