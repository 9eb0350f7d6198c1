"""`cascade annotate`: rows out to annotation tools, their decisions back as labels."""

from __future__ import annotations

import csv
import io
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from cascade.cli import options
from cascade.cli.console import err, out

if TYPE_CHECKING:
    from cascade.annotation import Imported

EXAMPLES = """
[bold]Examples[/]

  cascade classify items.csv -t store --text name -o out.csv
  cascade annotate export out.csv -t store --text name -o tasks              (Label Studio)
  cascade annotate export out.csv -t store --tool argilla -o tasks
  cascade annotate import project-1.json -t store -o labelled.csv
  cascade fit labelled.csv -t store --label label -o my-pack
"""

app = typer.Typer(
    help="Rows out to Label Studio or Argilla, with answers as suggestions; decisions back.",
    no_args_is_help=True,
)


@app.command("export", epilog=EXAMPLES)
def export(
    file: Annotated[
        str,
        typer.Argument(metavar="FILE", help="Rows, as cascade classify wrote them or without."),
    ],
    taxonomy: Annotated[
        str, typer.Option("--taxonomy", "-t", help="A taxonomy file, or a shipped name.")
    ],
    folder: Annotated[str, typer.Option("--out", "-o", help="Folder to write to.")],
    tool: Annotated[str, typer.Option("--tool", help="label-studio or argilla.")] = "label-studio",
    text: options.TextOption = None,
    image: Annotated[
        str | None,
        typer.Option("--image", metavar="COL", help="Column of addresses of pictures."),
    ] = None,
    scheme: options.SchemeOption = None,
    taxonomy_encoding: options.TaxonomyEncodingOption = None,
    taxonomy_sheet: options.TaxonomySheetOption = None,
    encoding: options.EncodingOption = None,
    sheet: options.SheetOption = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Write into a folder that is not empty.")
    ] = False,
    as_json: options.JsonOption = False,
) -> None:
    """Write rows as tasks, with the taxonomy as choices and answers as suggestions."""
    from cascade.annotation import export_tasks
    from cascade.annotation.argilla import MOST_LABELS
    from cascade.cli.progress import working
    from cascade.pipeline.load import load_taxonomy

    tree = load_taxonomy(taxonomy, encoding=taxonomy_encoding, scheme=scheme, sheet=taxonomy_sheet)
    with working("writing tasks") as bar:
        done = export_tasks(
            file,
            tree,
            folder,
            tool=tool,
            text=text,
            image=image,
            encoding=encoding,
            sheet=sheet,
            overwrite=overwrite,
            progress=lambda rows: bar.show("writing tasks", rows, None, f"{rows:,} rows"),
        )
    for line, problem in list(done.unreadable.items())[:5]:
        err.print(Text(f"{file}, line {line}: left out: {problem}", "yellow"))
    if len(done.unreadable) > 5:
        err.print(Text(f"and {len(done.unreadable) - 5:,} more rows are left out", "yellow"))
    if done.unknown:
        line, code = next(iter(done.unknown.items()))
        err.print(
            Text(
                f"{len(done.unknown):,} answers are no nodes of this taxonomy (first: line {line}, "
                f"{code!r:.60}), so they are no suggestions; is it the one they were filed under?",
                "yellow",
            )
        )
    if tool == "argilla" and len(tree) > MOST_LABELS:
        err.print(
            Text(
                f"the taxonomy has {len(tree):,} nodes; a server of Argilla allows {MOST_LABELS} "
                "unless it runs with ARGILLA_LABEL_SELECTION_OPTIONS_MAX_ITEMS set higher",
                "yellow",
            )
        )
    if as_json:
        out.print_json(data=asdict(done))
        return
    told = f"{done.rows:,} tasks, {done.suggested:,} with a suggestion"
    err.print(Text(f"{folder}: {told}: {', '.join(done.files)}"))


@app.command("import", epilog=EXAMPLES)
def import_(
    path: Annotated[
        str,
        typer.Argument(
            metavar="EXPORT",
            help="JSON or JSON-MIN of Label Studio; folder or records.json of Argilla.",
        ),
    ],
    taxonomy: Annotated[
        str, typer.Option("--taxonomy", "-t", help="The taxonomy that was exported.")
    ],
    output: Annotated[Path, typer.Option("--out", "-o", help="CSV to write.")],
    scheme: options.SchemeOption = None,
    taxonomy_encoding: options.TaxonomyEncodingOption = None,
    taxonomy_sheet: options.TaxonomySheetOption = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace a file that exists.")
    ] = False,
    as_json: options.JsonOption = False,
) -> None:
    """Write the rows that annotators decided, with label, label_code, annotators, disagreement.

    What most annotators chose is the label; with a tie it is empty, and the choices stand beside.
    """
    from cascade.annotation import import_labels
    from cascade.errors import OutputError
    from cascade.io.files import write_text
    from cascade.pipeline.load import load_taxonomy

    if output.exists() and not overwrite:
        raise OutputError(f"{output}: exists; choose another file, or --overwrite")
    tree = load_taxonomy(taxonomy, encoding=taxonomy_encoding, scheme=scheme, sheet=taxonomy_sheet)
    found = import_labels(path, tree)
    columns = list(found.rows[0]) if found.rows else ["label", "label_code"]
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(found.rows)
    write_text(output, text.getvalue())
    if as_json:
        counts = {"rows": len(found.rows), "undecided": found.undecided, "tied": found.tied}
        out.print_json(data={**counts, "unknown": found.unknown})
        return
    _tell(output, found)


def _tell(output: Path, found: Imported) -> None:
    labelled = len(found.rows) - found.tied
    err.print(Text(f"{output}: {labelled:,} labelled rows, {found.undecided:,} not decided yet"))
    if found.tied:
        told = f"{found.tied:,} rows have no label, since as many chose each; see disagreement"
        err.print(Text(told, "yellow"))
    if found.unknown:
        first = next(iter(found.unknown))
        n = sum(found.unknown.values())
        told = f"{n:,} choices are no nodes of the taxonomy (first: {first!r:.80}); left out"
        err.print(Text(told, "yellow"))
