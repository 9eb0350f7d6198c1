"""What the subcommands of `cascade foodex2` share: options, and loading of the catalogue."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from cascade.cli.console import err, out

if TYPE_CHECKING:
    from cascade.foodex2.catalogue import Catalogue
    from cascade.foodex2.rules import Checker

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
OutOption = Annotated[
    str | None, typer.Option("--out", "-o", help="Where to, for a file: .csv, .xlsx and others.")
]
ResumeOption = Annotated[
    bool, typer.Option("--resume", help="Go on with an interrupted run of the same output.")
]
OverwriteOption = Annotated[
    bool, typer.Option("--overwrite", help="Replace an output that exists.")
]

MAX_CHARS = 1_000  # of a printed line


def show(line: str) -> None:
    """Print a line as it is; only the start if it is very long."""
    line = line if len(line) <= MAX_CHARS else f"{line[:MAX_CHARS]}…"
    out.print(line, highlight=False, markup=False, soft_wrap=True)


def load_catalogue(name: str | None, *, older: bool = False) -> Catalogue:
    """The catalogue of a name, or the default one.

    Parameters
    ----------
    older
        Whether it is that of codes to be migrated, which may be of FoodEx1.

    Raises
    ------
    UsageError
        There is none, or it is no catalogue of FoodEx2.
    TaxonomyError
        It cannot be read.
    """
    from cascade.foodex2 import format

    catalogue = format.load_catalogue(
        format.find_catalogue(name),
        report=lambda sentence: err.print(sentence, highlight=False, markup=False),
    )
    if not older:
        format.require_facets(catalogue)
    return catalogue


def load_checker(taxonomy: str | None, processes: str | None) -> Checker:
    """The checker of codes by a catalogue and a table of processes, each of a name or default."""
    from cascade.foodex2.parsed_code import ForbiddenProcesses
    from cascade.foodex2.rules import Checker

    catalogue = load_catalogue(taxonomy)
    return Checker(catalogue, ForbiddenProcesses.load(processes, catalogue))
