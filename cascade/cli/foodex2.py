"""`cascade foodex2`: codes of EFSA's food classification, explained and held against its rules."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cascade.cli import options
from cascade.cli.console import err, interruptible, out

if TYPE_CHECKING:
    from cascade.taxonomy.efsa.catalogue import Catalogue

app = typer.Typer(
    help="Check and explain FoodEx2 codes. The catalogue (MTX.ecf) and the table of processes "
    "(BR_Data.csv) are published by EFSA.",
    no_args_is_help=True,
)

CHECK = """
[bold]Examples[/]

  cascade foodex2 check 'A01PS#F28.A07KG' -t MTX.ecf --processes BR_Data.csv
  cascade foodex2 check codes.csv --text code -t MTX.ecf --processes BR_Data.csv -o checked.csv
"""
DECODE = """
[bold]Examples[/]

  cascade foodex2 decode 'A01PS#F28.A07KG$F10.A077G' -t MTX.ecf
"""

CatalogueOption = Annotated[
    str, typer.Option("-t", "--taxonomy", metavar="FILE", help="Catalogue of EFSA: MTX.ecf.")
]


@app.command("check", epilog=CHECK)
def check(
    codes: Annotated[
        list[str], typer.Argument(metavar="CODE... | FILE", help="Codes, or a file of them.")
    ],
    taxonomy: CatalogueOption,
    processes: Annotated[
        str,
        typer.Option(
            "--processes", metavar="FILE", help="EFSA's BR_Data.csv, for BR16, BR19 and BR27."
        ),
    ],
    mode: Annotated[
        str,
        typer.Option(
            "--mode",
            help="strict: all that EFSA documents; ict: as its checking tool, rule for rule.",
        ),
    ] = "strict",
    column: Annotated[
        str | None, typer.Option("--text", metavar="COL", help="Column of the codes of a file.")
    ] = None,
    output: Annotated[
        str | None,
        typer.Option("--out", "-o", help="Where to, for a file: .csv, .xlsx and others."),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace an output that exists.")
    ] = False,
    encoding: options.EncodingOption = None,
    sheet: options.SheetOption = None,
    as_json: options.JsonOption = False,
) -> None:
    """Hold codes against EFSA's business rules; status 1 where one has a HIGH or ERROR message."""
    from cascade.errors import UsageError
    from cascade.foodex2.checking import Checker, worst
    from cascade.foodex2.processes import Processes

    if mode not in ("strict", "ict"):
        raise UsageError(f"--mode {mode}: expected strict or ict")
    checker = Checker(_loaded(taxonomy), Processes.read(processes))
    if column is not None:
        if len(codes) != 1:
            raise UsageError("--text names a column of one file; give that file alone")
        from cascade.foodex2.table import check_file

        with interruptible("begin anew with [bold]--overwrite[/]"):
            counts = check_file(
                codes[0],
                checker,
                mode,  # type: ignore[arg-type]
                column,
                output or "-",
                overwrite=overwrite,
                encoding=encoding,
                sheet=sheet,
            )
        err.print(", ".join(f"{count:,} {name}" for name, count in counts.items()), highlight=False)
        raise typer.Exit(1 if counts.get("HIGH") or counts.get("ERROR") else 0)
    if output is not None:
        raise UsageError("--out is for a file of codes; name their column with --text")
    if len(codes) == 1 and Path(codes[0]).is_file():
        raise UsageError(f"{codes[0]} is a file; name the column of its codes with --text")
    bad = False
    found = []
    for code in codes:
        messages = checker.check(code, mode)  # type: ignore[arg-type]
        bad |= worst(messages) in ("HIGH", "ERROR")
        found.append({"code": code, "messages": [asdict(message) for message in messages]})
        if not as_json:
            out.print(f"{code}: {'clean' if not messages else ''}", highlight=False, markup=False)
            for message in messages:
                out.print(
                    f"  {message.rule} {message.severity}: {message.text}",
                    highlight=False,
                    markup=False,
                    soft_wrap=True,
                )
    if as_json:
        out.print_json(json.dumps(found))
    raise typer.Exit(1 if bad else 0)


@app.command("decode", epilog=DECODE)
def decode(
    codes: Annotated[list[str], typer.Argument(metavar="CODE...", help="Codes to explain.")],
    taxonomy: CatalogueOption,
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
                out.print(f"  {kind:<8}  {facet}", highlight=False, markup=False, soft_wrap=True)


def _loaded(file: str) -> Catalogue:
    from cascade.taxonomy.efsa.load import load_catalogue

    return load_catalogue(
        file, told=lambda sentence: err.print(sentence, highlight=False, markup=False)
    )


def _explained(text: str, catalogue: Catalogue) -> dict[str, Any]:
    from cascade.errors import InputError
    from cascade.taxonomy.efsa.code import Facet, FoodCode

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
