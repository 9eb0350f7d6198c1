"""`cascade foodex2 check`, `decode` and `migrate`: codes given one by one, or in a file."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from cascade.cli import options
from cascade.cli.commands.foodex2.common import (
    CatalogueOption,
    OutOption,
    OverwriteOption,
    ProcessesOption,
    is_file,
    load_catalogue,
    load_checker,
    show,
)
from cascade.cli.console import err, interruptible, out

if TYPE_CHECKING:
    from cascade.foodex2.annotate import Annotator
    from cascade.foodex2.catalogue import Decoded

CHECK = """
[bold]Examples[/]

  cascade foodex2 check 'A01PS#F28.A07KG'
  cascade foodex2 check codes.csv --text code -t MTX.ecf --processes BR_Data.csv -o checked.csv
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
    list[str], typer.Argument(metavar="CODE... | FILE", help="Codes, or a file of them.")
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
    overwrite: OverwriteOption = False,
    encoding: options.EncodingOption = None,
    sheet: options.SheetOption = None,
    as_json: options.JsonOption = False,
) -> None:
    """Check codes by EFSA's business rules; status 1 if one has a HIGH or ERROR message."""
    from cascade.foodex2.annotate import check_annotator
    from cascade.foodex2.rules import worst

    _refuse_mixture(codes, column, output)
    checker, _ = load_checker(taxonomy, processes)
    if column is not None:
        annotator = check_annotator(checker, mode)
        counts = _annotate_file(codes[0], annotator, column, output, overwrite, encoding, sheet)
        raise typer.Exit(1 if counts["HIGH"] or counts["ERROR"] else 0)
    bad = False
    found = []
    for code in codes:
        messages = checker.check(code, mode)
        bad |= worst(messages) in ("HIGH", "ERROR")
        found.append({"code": code, "messages": [asdict(message) for message in messages]})
        if not as_json:
            show(f"{code}: {'clean' if not messages else ''}")
            for message in messages:
                show(f"  {f'{message.rule} {message.severity}'.strip()}: {message.text}")
    if as_json:
        out.print_json(json.dumps(found))
    raise typer.Exit(1 if bad else 0)


def decode(
    codes: CodesArgument,
    taxonomy: CatalogueOption = None,
    column: ColumnOption = None,
    output: OutOption = None,
    overwrite: OverwriteOption = False,
    encoding: options.EncodingOption = None,
    sheet: options.SheetOption = None,
    as_json: options.JsonOption = False,
) -> None:
    """Show in words what codes mean: base term, explicit facets, and what the base term implies.

    Facets are sorted, and those that the base term implies left out. Status 3 if a code cannot be
    read.
    """
    from cascade.errors import InputError
    from cascade.foodex2.annotate import decode_annotator
    from cascade.foodex2.catalogue import decode

    _refuse_mixture(codes, column, output)
    catalogue = load_catalogue(taxonomy)
    if column is not None:
        annotator = decode_annotator(catalogue)
        counts = _annotate_file(codes[0], annotator, column, output, overwrite, encoding, sheet)
        raise typer.Exit(3 if counts["error"] else 0)
    found: list[Decoded | str] = []
    for code in codes:
        try:
            found.append(decode(code, catalogue))
        except InputError as error:
            found.append(str(error))
    wrong = any(isinstance(own, str) for own in found)
    if as_json:
        plain = [{"message": own} if isinstance(own, str) else asdict(own) for own in found]
        out.print_json(json.dumps(plain))
        raise typer.Exit(3 if wrong else 0)
    for own in found:
        if isinstance(own, str):
            show(own)
            continue
        out.print(f"[bold]{own.code}[/]  {own.base}", highlight=False)
        for kind, facets in (("explicit", own.explicit), ("implied", own.implied)):
            for facet in facets:
                show(f"  {kind:<8}  {facet}")
    raise typer.Exit(3 if wrong else 0)


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

    _refuse_mixture(codes, column, output)
    migration = Migration(
        load_catalogue(taxonomy), load_catalogue(old) if old is not None else None
    )
    if column is not None:
        annotator = migration_annotator(migration)
        counts = _annotate_file(codes[0], annotator, column, output, overwrite, encoding, sheet)
        raise typer.Exit(3 if counts["error"] else 0)
    found = [migration.migrate(code) for code in codes]
    if as_json:
        pairs = zip(codes, found, strict=True)
        out.print_json(json.dumps([{"was": code, **asdict(own)} for code, own in pairs]))
    else:
        for code, own in zip(codes, found, strict=True):
            show(f"{code} -> {own.code or 'nothing'}  ({own.outcome})")
            for note in own.notes:
                show(f"  {note}")
    raise typer.Exit(3 if any(own.outcome == "error" for own in found) else 0)


def _refuse_mixture(codes: list[str], column: str | None, output: str | None) -> None:
    """Refuse arguments that are neither codes nor one file with a column.

    Raises
    ------
    UsageError
        With what to change.
    """
    from cascade.errors import UsageError

    if column is not None and len(codes) != 1:
        raise UsageError("--text names a column of one file; give that file alone")
    if column is None and output is not None:
        raise UsageError("--out is for a file of codes; name their column with --text")
    if column is None and len(codes) == 1 and is_file(codes[0]):
        raise UsageError(f"{codes[0]} is a file; name the column of its codes with --text")


def _annotate_file(
    file: str,
    annotator: Annotator,
    column: str,
    output: str | None,
    overwrite: bool,
    encoding: str | None,
    sheet: str | None,
) -> dict[str, int]:
    from cascade.foodex2.annotate import annotate_file

    with interruptible("begin anew with [bold]--overwrite[/]"):
        counts = annotate_file(
            file,
            annotator,
            column,
            output or "-",
            overwrite=overwrite,
            encoding=encoding,
            sheet=sheet,
        )
    err.print(", ".join(f"{count:,} {name}" for name, count in counts.items()), highlight=False)
    return counts
