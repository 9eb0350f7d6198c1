"""`cascade foodex2`: codes of EFSA's food classification, explained, checked and brought along."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cascade.cli import options
from cascade.cli.console import err, interruptible, out

if TYPE_CHECKING:
    from cascade.foodex2.checking import Checker
    from cascade.foodex2.table import Sayer
    from cascade.taxonomy.efsa.catalogue import Catalogue

app = typer.Typer(
    help="Check, explain and migrate FoodEx2 codes. The catalogue (MTX.ecf) and the table of "
    "processes (BR_Data.csv) are published by EFSA; they are looked for here, or in the folder of "
    "$CASCADE_FOODEX2.",
    no_args_is_help=True,
)

CHECK = """
[bold]Examples[/]

  cascade foodex2 check 'A01PS#F28.A07KG'
  cascade foodex2 check codes.csv --text code -t MTX.ecf --processes BR_Data.csv -o checked.csv
"""
DECODE = """
[bold]Examples[/]

  cascade foodex2 decode 'A01PS#F28.A07KG$F10.A077G' -t MTX.ecf
"""
MIGRATE = """
[bold]Examples[/]

  cascade foodex2 migrate 'A050T#F28.A07KG' A.01.000942 -t MTX.ecf
  cascade foodex2 migrate codes.csv --text code -t MTX.ecf --from MTX_12.0.xlsx -o codes17.csv
"""

CodesArgument = Annotated[
    list[str], typer.Argument(metavar="CODE... | FILE", help="Codes, or a file of them.")
]
CatalogueOption = Annotated[
    str | None,
    typer.Option("-t", "--taxonomy", metavar="FILE", help="Catalogue of EFSA: MTX.ecf."),
]
ProcessesOption = Annotated[
    str | None,
    typer.Option(
        "--processes",
        metavar="FILE",
        help="EFSA's BR_Data.csv, for BR16, BR19 and BR27; by default the one beside the "
        "catalogue.",
    ),
]
ColumnOption = Annotated[
    str | None, typer.Option("--text", metavar="COL", help="Column of the codes of a file.")
]
OutOption = Annotated[
    str | None, typer.Option("--out", "-o", help="Where to, for a file: .csv, .xlsx and others.")
]
OverwriteOption = Annotated[
    bool, typer.Option("--overwrite", help="Replace an output that exists.")
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
    from cascade.foodex2.checking import worst
    from cascade.foodex2.table import checking

    if mode not in ("strict", "ict"):
        raise UsageError(f"--mode {mode}: expected strict or ict")
    _refuse_file_options(codes, column, output)
    checker = _checker(taxonomy, processes)
    if column is not None:
        sayer = checking(checker, mode)  # type: ignore[arg-type]
        counts = _file(codes[0], sayer, column, output, overwrite, encoding, sheet)
        raise typer.Exit(1 if counts["HIGH"] or counts["ERROR"] else 0)
    bad = False
    found = []
    for code in codes:
        messages = checker.check(code, mode)  # type: ignore[arg-type]
        bad |= worst(messages) in ("HIGH", "ERROR")
        found.append({"code": code, "messages": [asdict(message) for message in messages]})
        if not as_json:
            _say(f"{code}: {'clean' if not messages else ''}")
            for message in messages:
                _say(f"  {message.rule} {message.severity}: {message.text}")
    if as_json:
        out.print_json(json.dumps(found))
    raise typer.Exit(1 if bad else 0)


@app.command("decode", epilog=DECODE)
def decode(
    codes: Annotated[list[str], typer.Argument(metavar="CODE...", help="Codes to explain.")],
    taxonomy: CatalogueOption = None,
    as_json: options.JsonOption = False,
) -> None:
    """Say in words what codes mean: base term, explicit facets, and what the base term implies."""
    catalogue = _loaded(taxonomy)
    found = [_explained(code, catalogue) for code in codes]
    if as_json:
        out.print_json(json.dumps(found))
        return
    for own in found:
        out.print(f"[bold]{own['code']}[/]  {own['base']}", highlight=False)
        for kind in ("explicit", "implied"):
            for facet in own[kind]:
                _say(f"  {kind:<8}  {facet}")


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
    from cascade.foodex2.migrating import Migration
    from cascade.foodex2.table import migrating

    _refuse_file_options(codes, column, output)
    migration = Migration(_loaded(taxonomy), _loaded(old) if old is not None else None)
    if column is not None:
        sayer = migrating(migration)
        counts = _file(codes[0], sayer, column, output, overwrite, encoding, sheet)
        raise typer.Exit(3 if counts["error"] else 0)
    found = [migration.migrated(code) for code in codes]
    if as_json:
        pairs = zip(codes, found, strict=True)
        out.print_json(json.dumps([{"was": code, **asdict(own)} for code, own in pairs]))
    else:
        for code, own in zip(codes, found, strict=True):
            _say(f"{code} -> {own.code or 'nothing'}  ({own.outcome})")
            for note in own.notes:
                _say(f"  {note}")
    raise typer.Exit(3 if any(own.outcome == "error" for own in found) else 0)


def _say(line: str) -> None:
    out.print(line, highlight=False, markup=False, soft_wrap=True)


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
    if column is None and len(codes) == 1 and Path(codes[0]).is_file():
        raise UsageError(f"{codes[0]} is a file; name the column of its codes with --text")


def _file(
    file: str,
    sayer: Sayer,
    column: str,
    output: str | None,
    overwrite: bool,
    encoding: str | None,
    sheet: str | None,
) -> dict[str, int]:
    from cascade.foodex2.table import say_of_file

    with interruptible("begin anew with [bold]--overwrite[/]"):
        counts = say_of_file(
            file,
            sayer,
            column,
            output or "-",
            overwrite=overwrite,
            encoding=encoding,
            sheet=sheet,
        )
    err.print(", ".join(f"{count:,} {name}" for name, count in counts.items()), highlight=False)
    return counts


def _loaded(named: str | None) -> Catalogue:
    from cascade.foodex2.where import catalogue_file
    from cascade.taxonomy.efsa.load import load_catalogue

    return load_catalogue(
        catalogue_file(named),
        told=lambda sentence: err.print(sentence, highlight=False, markup=False),
    )


def _checker(taxonomy: str | None, processes: str | None) -> Checker:
    from cascade.errors import UsageError
    from cascade.foodex2.checking import Checker
    from cascade.foodex2.processes import Processes
    from cascade.foodex2.where import PROCESSES, catalogue_file, processes_file

    catalogue = _loaded(taxonomy)
    table = processes_file(processes, catalogue_file(taxonomy))
    if table is None:
        raise UsageError(
            f"EFSA's table of processes is needed for BR16, BR19 and BR27; put {PROCESSES} beside "
            "the catalogue, or name it with --processes"
        )
    return Checker(catalogue, Processes.read(table))


def _explained(text: str, catalogue: Catalogue) -> dict[str, Any]:
    from cascade.errors import InputError
    from cascade.taxonomy.efsa.code import FoodCode
    from cascade.taxonomy.facets import Facet

    code = FoodCode.parse(text)
    unknown = [
        term
        for term in (code.base, *(f.descriptor for f in code.facets))
        if term not in catalogue.terms
    ]
    if unknown:
        raise InputError(f"{text}: {catalogue.file} has no term {unknown[0]}")

    def words(facet: Facet) -> str:
        attribute = catalogue.attributes.get(facet.category)
        label = attribute.label if attribute else "no category of the catalogue"
        return f"{facet} {label}: {catalogue.terms[facet.descriptor].name}"

    term = catalogue.terms[code.base]
    return {
        "code": str(code.normalised(term.facets)),
        "base": term.name,
        "explicit": [words(facet) for facet in code.facets],
        "implied": [words(facet) for facet in term.facets],
    }
