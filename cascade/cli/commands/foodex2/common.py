"""What the verbs of `cascade foodex2` share: the application, options, and the catalogue."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cascade.cli.console import err, out

if TYPE_CHECKING:
    from cascade.foodex2.catalogue import Catalogue
    from cascade.foodex2.rules import Checker

app = typer.Typer(
    help="Describe foods by FoodEx2 codes; check, explain and migrate codes. The catalogue "
    "(MTX.ecf) and the table of processes (BR_Data.csv) are published by EFSA; they are looked "
    "for here, or in the folder of $CASCADE_FOODEX2.",
    no_args_is_help=True,
)

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
OverwriteOption = Annotated[
    bool, typer.Option("--overwrite", help="Replace an output that exists.")
]


LONGEST = 1_000  # characters of a line


def say(line: str) -> None:
    """Print a line as it is; of a very long one the start."""
    line = line if len(line) <= LONGEST else f"{line[:LONGEST]}…"
    out.print(line, highlight=False, markup=False, soft_wrap=True)


def is_file(text: str) -> bool:
    """Whether a text is the name of a file; one that is too long for a name is none."""
    try:
        return Path(text).is_file()
    except (OSError, ValueError):
        return False


def loaded(named: str | None) -> Catalogue:
    """The catalogue that is named, or the one that lies where it may lie."""
    from cascade.foodex2.format import find_catalogue, load_catalogue

    return load_catalogue(
        find_catalogue(named),
        report=lambda sentence: err.print(sentence, highlight=False, markup=False),
    )


def made_checker(taxonomy: str | None, processes: str | None) -> Checker:
    """What holds codes against the rules.

    Raises
    ------
    UsageError
        The catalogue or the table of processes is not found.
    """
    from cascade.errors import UsageError
    from cascade.foodex2.format import PROCESSES, find_catalogue, find_processes
    from cascade.foodex2.parsed import ForbiddenProcesses
    from cascade.foodex2.rules import Checker

    catalogue = loaded(taxonomy)
    table = find_processes(processes, find_catalogue(taxonomy))
    if table is None:
        raise UsageError(
            f"EFSA's table of processes is needed for BR16, BR19 and BR27; put {PROCESSES} beside "
            "the catalogue, or name it with --processes"
        )
    return Checker(catalogue, ForbiddenProcesses.read(table))
