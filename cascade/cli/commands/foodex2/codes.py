"""`cascade foodex2 check`, `decode` and `migrate`: what can be said of codes."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from cascade.cli import options
from cascade.cli.commands.foodex2.common import (
    CatalogueOption,
    OutOption,
    OverwriteOption,
    ProcessesOption,
    app,
    is_file,
    loaded,
    made_checker,
    say,
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


@app.command("check", epilog=CHECK)
def check(
    codes: CodesArgument,
    taxonomy: CatalogueOption = None,
    processes: ProcessesOption = None,
    mode: Annotated[
        str,
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
    """Hold codes against EFSA's business rules; status 1 where one has a HIGH or ERROR message."""
    from cascade.errors import UsageError
    from cascade.foodex2.annotate import check_annotator
    from cascade.foodex2.rules import worst

    if mode not in ("strict", "ict"):
        raise UsageError(f"--mode {mode}: expected strict or ict")
    _refuse_file_options(codes, column, output)
    checker = made_checker(taxonomy, processes)
    if column is not None:
        annotator = check_annotator(checker, mode)  # type: ignore[arg-type]
        counts = _file(codes[0], annotator, column, output, overwrite, encoding, sheet)
        raise typer.Exit(1 if counts["HIGH"] or counts["ERROR"] else 0)
    bad = False
    found = []
    for code in codes:
        messages = checker.messages(code, mode)  # type: ignore[arg-type]
        bad |= worst(messages) in ("HIGH", "ERROR")
        found.append({"code": code, "messages": [asdict(message) for message in messages]})
        if not as_json:
            say(f"{code}: {'clean' if not messages else ''}")
            for message in messages:
                say(f"  {f'{message.rule} {message.severity}'.strip()}: {message.text}")
    if as_json:
        out.print_json(json.dumps(found))
    raise typer.Exit(1 if bad else 0)


@app.command("decode", epilog=DECODE)
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
    """Say in words what codes mean: base term, explicit facets, and what the base term implies.

    Codes come out in order, without what their base terms imply. Status 3 where one cannot be read.
    """
    from cascade.errors import InputError
    from cascade.foodex2.annotate import decode_annotator
    from cascade.foodex2.catalogue import decode

    _refuse_file_options(codes, column, output)
    catalogue = loaded(taxonomy)
    if column is not None:
        annotator = decode_annotator(catalogue)
        counts = _file(codes[0], annotator, column, output, overwrite, encoding, sheet)
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
            say(own)
            continue
        out.print(f"[bold]{own.code}[/]  {own.base}", highlight=False)
        for kind, facets in (("explicit", own.explicit), ("implied", own.implied)):
            for facet in facets:
                say(f"  {kind:<8}  {facet}")
    raise typer.Exit(3 if wrong else 0)


@app.command("migrate", epilog=MIGRATE)
def migrate(
    codes: CodesArgument,
    taxonomy: CatalogueOption = None,
    old: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="FILE",
            help="The release that the codes are of, for terms that the new one has not any more.",
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

    EFSA publishes no table of replacements: a term that is not in use any more becomes the one
    that the catalogue names, the one of its name, or the one of its scientific names. Where there
    is only a term above it, the code is marked `review`. Status 3 where a code is in error.
    """
    from cascade.foodex2.annotate import migration_annotator
    from cascade.foodex2.releases import Migration

    _refuse_file_options(codes, column, output)
    migration = Migration(loaded(taxonomy), loaded(old) if old is not None else None)
    if column is not None:
        annotator = migration_annotator(migration)
        counts = _file(codes[0], annotator, column, output, overwrite, encoding, sheet)
        raise typer.Exit(3 if counts["error"] else 0)
    found = [migration.migrate(code) for code in codes]
    if as_json:
        pairs = zip(codes, found, strict=True)
        out.print_json(json.dumps([{"was": code, **asdict(own)} for code, own in pairs]))
    else:
        for code, own in zip(codes, found, strict=True):
            say(f"{code} -> {own.code or 'nothing'}  ({own.outcome})")
            for note in own.notes:
                say(f"  {note}")
    raise typer.Exit(3 if any(own.outcome == "error" for own in found) else 0)


def _refuse_file_options(codes: list[str], column: str | None, output: str | None) -> None:
    """Codes and a file are told apart by `--text`.

    Raises
    ------
    UsageError
        What was given is neither.
    """
    from cascade.errors import UsageError

    if column is not None and len(codes) != 1:
        raise UsageError("--text names a column of one file; give that file alone")
    if column is None and output is not None:
        raise UsageError("--out is for a file of codes; name their column with --text")
    if column is None and len(codes) == 1 and is_file(codes[0]):
        raise UsageError(f"{codes[0]} is a file; name the column of its codes with --text")


def _file(
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
