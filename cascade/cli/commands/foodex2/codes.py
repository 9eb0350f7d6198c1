"""`cascade foodex2 check`, `decode` and `migrate`: codes given one by one, or in a file."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple, NoReturn

import typer

from cascade.cli import options
from cascade.cli.commands.foodex2.arguments import given, refuse_without_file
from cascade.cli.commands.foodex2.common import (
    CatalogueOption,
    OutOption,
    OverwriteOption,
    ProcessesOption,
    ResumeOption,
    load_catalogue,
    load_checker,
    show,
)
from cascade.cli.console import err, interruptible, out

if TYPE_CHECKING:
    from cascade.foodex2.annotate import Annotator

CHECK = """
[bold]Examples[/]

  cascade foodex2 check 'A01PS#F28.A07KG'
  cascade foodex2 check codes.csv --text code -t MTX.ecf --processes BR_Data.csv -o checked.csv
  cut -f3 codes.tsv | cascade foodex2 check -
"""
DECODE = """
[bold]Examples[/]

  cascade foodex2 decode 'A01PS#F28.A07KG$F10.A077G' -t MTX.ecf
  cascade foodex2 decode codes.csv --text code -o explained.csv
"""
MIGRATE = """
[bold]Examples[/]

  cascade foodex2 migrate 'A050T#F28.A07KG' A.01.000942 -t MTX.ecf
  cascade foodex2 migrate codes.csv --text code -t MTX.ecf --from MTX_12.0.xlsx -o codes17.csv
"""

CodesArgument = Annotated[
    list[str],
    typer.Argument(
        metavar="CODE... | FILE",
        help="Codes, or a file of them; - reads standard input: without --text a code a line.",
    ),
]
ColumnOption = Annotated[
    str | None, typer.Option("--text", metavar="COL", help="Column of the codes of a file.")
]


def check(
    codes: CodesArgument,
    taxonomy: CatalogueOption = None,
    processes: ProcessesOption = None,
    mode: Annotated[
        Literal["strict", "ict"],
        typer.Option(
            "--mode",
            help="strict: all that EFSA documents; ict: as its checking tool, rule for rule.",
        ),
    ] = "strict",
    column: ColumnOption = None,
    output: OutOption = None,
    resume: ResumeOption = False,
    overwrite: OverwriteOption = False,
    encoding: options.EncodingOption = None,
    sheet: options.SheetOption = None,
    as_json: options.JsonOption = False,
) -> None:
    """Check codes by EFSA's business rules; status 1 if one has a HIGH or ERROR message."""
    from cascade.foodex2.annotate import check_annotator

    def lines(found: dict[str, Any]) -> Iterator[str]:
        yield f"{found['code']}: {'' if found['messages'] else 'clean'}"
        for message in found["messages"]:
            label = f"{message['rule']} {message['severity']}".strip()
            yield f"  {label}: {message['text']}"

    file = _File(column, output, resume, overwrite, encoding, sheet)
    codes = file.codes(codes)
    annotator = check_annotator(load_checker(taxonomy, processes), mode)
    _annotate(codes, annotator, file, lines, as_json=as_json, failure=1)


def decode(
    codes: CodesArgument,
    taxonomy: CatalogueOption = None,
    column: ColumnOption = None,
    output: OutOption = None,
    resume: ResumeOption = False,
    overwrite: OverwriteOption = False,
    encoding: options.EncodingOption = None,
    sheet: options.SheetOption = None,
    as_json: options.JsonOption = False,
) -> None:
    """Show in words what codes mean: base term, explicit facets, and what the base term implies.

    The code is shown with its facets sorted, without those that its base term implies. Status 3 if
    a code cannot be read.
    """
    from cascade.foodex2.annotate import decode_annotator

    def lines(found: dict[str, Any]) -> Iterator[str]:
        if "message" in found:
            yield found["message"]
            return
        yield f"{found['code']}  {found['base']}"
        for kind in ("explicit", "implied"):
            for facet in found[kind]:
                yield f"  {kind:<8}  {facet}"

    file = _File(column, output, resume, overwrite, encoding, sheet)
    codes = file.codes(codes)
    annotator = decode_annotator(load_catalogue(taxonomy))
    _annotate(codes, annotator, file, lines, as_json=as_json, failure=3)


def migrate(
    codes: CodesArgument,
    taxonomy: CatalogueOption = None,
    old: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="FILE",
            help="The release of the codes, for terms that the new one does not have any more.",
        ),
    ] = None,
    column: ColumnOption = None,
    output: OutOption = None,
    resume: ResumeOption = False,
    overwrite: OverwriteOption = False,
    encoding: options.EncodingOption = None,
    sheet: options.SheetOption = None,
    as_json: options.JsonOption = False,
) -> None:
    """Bring codes of an older release, or of FoodEx1, to the release of the catalogue.

    EFSA publishes no table of replacements: a term that is not in use any more becomes the term
    that the catalogue names, or the one of the same name or the same scientific names. If there is
    only a term above it, the code is marked `review`. Status 3 if a code is in error.
    """
    from cascade.foodex2.annotate import migration_annotator
    from cascade.foodex2.releases import Migration

    def lines(found: dict[str, Any]) -> Iterator[str]:
        yield f"{found['was']} -> {found['code'] or 'nothing'}  ({found['outcome']})"
        for note in found["notes"]:
            yield f"  {note}"

    file = _File(column, output, resume, overwrite, encoding, sheet)
    codes = file.codes(codes)
    migration = Migration(
        load_catalogue(taxonomy), load_catalogue(old, older=True) if old else None
    )
    _annotate(codes, migration_annotator(migration), file, lines, as_json=as_json, failure=3)


class _File(NamedTuple):
    """Options for a file of codes."""

    column: str | None
    output: str | None
    resume: bool
    overwrite: bool
    encoding: str | None
    sheet: str | None

    def codes(self, words: list[str]) -> list[str]:
        """The codes that are given; with a column the name of the one file that they are in.

        Raises
        ------
        UsageError, InputError
            The words are neither; says what to change.
        """
        from cascade.errors import UsageError

        if self.column is not None:
            if len(words) != 1:
                raise UsageError("--text names a column of one file; give that file alone")
            return words
        options = {
            "--out": self.output,
            "--resume": self.resume,
            "--overwrite": self.overwrite,
            "--encoding": self.encoding,
            "--sheet": self.sheet,
        }
        refuse_without_file(options, "codes")
        return given(words, "codes")


def _annotate(
    codes: list[str],
    annotator: Annotator,
    file: _File,
    lines: Callable[[dict[str, Any]], Iterator[str]],
    *,
    as_json: bool,
    failure: int,
) -> NoReturn:
    """Write a file with annotated codes, or show the annotation of each code; then exit."""
    from cascade.foodex2.annotate import annotate_file

    counts: Mapping[str, int] | None
    if file.column is not None:
        with interruptible():
            counts = annotate_file(
                codes[0],
                annotator,
                file.column,
                file.output or "-",
                resume=file.resume,
                overwrite=file.overwrite,
                encoding=file.encoding,
                sheet=file.sheet,
            )
        if counts is None:
            err.print(f"{file.output} is there already, there is nothing to resume")
            raise typer.Exit
        summary = ", ".join(f"{count:,} {name}" for name, count in counts.items())
        err.print(summary, highlight=False)
    else:
        found = [annotator.annotate(code, None) for code in codes]
        counts = Counter(annotation.outcome for annotation in found)
        if as_json:
            out.print_json(json.dumps([annotation.record for annotation in found]))
        else:
            for annotation in found:
                for line in lines(annotation.record):
                    show(line)
    raise typer.Exit(failure if any(counts[outcome] for outcome in annotator.failures) else 0)
