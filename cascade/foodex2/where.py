"""Where EFSA's files lie when nobody says so."""

from __future__ import annotations

import os
from pathlib import Path

from cascade.errors import UsageError

VARIABLE = "CASCADE_FOODEX2"
CATALOGUE, PROCESSES = "MTX.ecf", "BR_Data.csv"


def catalogue_file(named: str | None) -> Path:
    """The catalogue that is named, or MTX.ecf: here, or in the folder of $CASCADE_FOODEX2.

    Raises
    ------
    UsageError
        None is named and none lies there; says where it can be had.
    """
    set_ = os.environ.get(VARIABLE)
    at = Path(set_) if set_ else Path()
    if named is not None:
        there = at / named
        return there if not Path(named).exists() and there.is_file() else Path(named)
    file = at if at.is_file() else at / CATALOGUE
    if file.is_file():
        return file
    raise UsageError(
        f"there is no {file}; name EFSA's catalogue with -t, or set {VARIABLE} to its folder. "
        "EFSA publishes it with its catalogue browser, as MTX.ecf and BR_Data.csv"
    )


def processes_file(named: str | None, catalogue: Path) -> Path | None:
    """The table of processes that is named, or the one beside the catalogue; None if none."""
    if named is not None:
        return Path(named)
    beside = catalogue.parent / PROCESSES
    return beside if beside.is_file() else None
