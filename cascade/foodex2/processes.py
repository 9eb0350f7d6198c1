"""EFSA's table of processes (`BR_Data.csv`): which make another food of a group's foods."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cascade.errors import InputError

COLUMNS = ("ROOT_GROUP_CODE", "FORBIDDEN_PROCS", "ORDINAL_CODE")


@dataclass(frozen=True)
class Processes:
    """Processes that make another food of a group's foods, each with its ordinal code.

    Parameters
    ----------
    groups
        For each group, by its term, the ordinal code of each process, such as `1` or `2.1`.
    """

    groups: Mapping[str, Mapping[str, str]]

    @classmethod
    def read(cls, path: str | Path) -> Processes:
        """The table as EFSA publishes it beside its checking tool.

        Raises
        ------
        InputError
            The file cannot be read, or lacks a column.
        """
        groups: dict[str, dict[str, str]] = {}
        try:
            with Path(path).open(encoding="utf-8-sig", newline="") as file:
                rows = csv.DictReader(file, delimiter=";")
                if missing := [name for name in COLUMNS if name not in (rows.fieldnames or ())]:
                    raise InputError(
                        f"has no column {missing[0]}; expected EFSA's BR_Data.csv, with semicolons",
                        file=path,
                    )
                for row in rows:
                    group, process, ordinal = ((row[name] or "").strip() for name in COLUMNS)
                    if group and process:
                        groups.setdefault(group, {}).setdefault(process, ordinal)
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise InputError(f"cannot be read: {error}", file=path) from None
        return cls(groups)


def fraction(ordinal: str) -> int | None:
    """The whole part of an ordinal code that has a fraction, such as 2 of `2.1`; else None."""
    whole, point, rest = ordinal.partition(".")
    if not point or not whole.isdigit() or not rest.strip("0"):
        return None
    return int(whole)
