"""A code as EFSA's checking tool reads it, with the answers that business rules ask for."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from cascade.errors import InputError, UsageError
from cascade.foodex2.catalogue import Catalogue, Term

PROCESSES = "BR_Data.csv"
COLUMNS = ("ROOT_GROUP_CODE", "FORBIDDEN_PROCS", "ORDINAL_CODE")


@dataclass(frozen=True)
class ForbiddenProcesses:
    """EFSA's table `BR_Data.csv`: processes that make another food of the foods of a group.

    Parameters
    ----------
    groups
        For the code of each group, the ordinal code of each process, such as `1` or `2.1`.
    file
        Path that it was read from.
    """

    groups: Mapping[str, Mapping[str, str]]
    file: str = ""

    @classmethod
    def load(cls, name: str | None, catalogue: Catalogue) -> ForbiddenProcesses:
        """The table of a name; without one `BR_Data.csv` beside the catalogue.

        Raises
        ------
        UsageError
            There is no name and no such file.
        InputError
            See `read`.
        """
        path = Path(catalogue.file).parent / PROCESSES if name is None else Path(name)
        if name is None and not path.is_file():
            raise UsageError(
                f"EFSA's table of processes is needed for BR16, BR19 and BR27; put {PROCESSES} "
                "beside the catalogue, or name it with --processes"
            )
        return cls.read(path)

    @classmethod
    def read(cls, path: str | Path) -> ForbiddenProcesses:
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
        return cls(groups, str(path))


class RawFacet(NamedTuple):
    """A facet as the tool reads it: what is before and after its first dot, valid or not."""

    category: str
    descriptor: str
    dots: int = 1

    def __str__(self) -> str:
        return f"{self.category}.{self.descriptor}"


def split_code(code: str) -> tuple[str, list[RawFacet], bool]:
    """Base term and facets of a text, and whether it is a base term alone, as the tool splits it.

    Nothing is trimmed, so a blank makes a code unknown. What follows a second `#` or a second dot
    is ignored.

    Raises
    ------
    UsageError
        EFSA's tool crashes on the text.
    """
    parts = _split_like_java(code.upper(), "#")
    if not parts:
        raise UsageError(f"{code[:60]!r} has no base term; expected one, such as A0BXX")
    facets = []
    for text in parts[1].split("$") if len(parts) > 1 else ():
        if not text:
            continue
        pieces = _split_like_java(text, ".")
        if not pieces:
            raise UsageError(f"{code[:60]!r} has a facet of dots; expected one, such as F28.A07KG")
        facets.append(RawFacet(pieces[0], pieces[1] if len(pieces) > 1 else "", len(pieces) - 1))
    return parts[0], facets, len(parts) == 1


def _split_like_java(text: str, mark: str) -> list[str]:
    """Java drops empty parts at the end."""
    if not text:
        return [text]
    parts = text.split(mark)
    while parts and not parts[-1]:
        parts.pop()
    return parts


@dataclass(frozen=True)
class ParsedCode:
    """A code with what rules ask about it.

    Parameters
    ----------
    base
        The base term.
    facets
        Explicit facets in the order in which they were written.
    bare
        Whether there is a base term alone.
    """

    catalogue: Catalogue
    processes: ForbiddenProcesses
    base: Term
    facets: Sequence[RawFacet]
    bare: bool

    @cached_property
    def base_name(self) -> str:
        """Code and name of the base term."""
        return self.name(self.base.code)

    @cached_property
    def group(self) -> str | None:
        """The nearest group of the table of processes that the base term is in."""
        above = self.catalogue.reporting.ancestors_or_self(self.base.code)
        return next((term for term in above if term in self.processes.groups), None)

    @cached_property
    def forbidden(self) -> Mapping[str, str]:
        """Processes that make another food of the group's foods, with their ordinal codes."""
        return self.processes.groups[self.group] if self.group else {}

    @property
    def reportable(self) -> bool:
        """Whether the base term may be reported; outside of the hierarchy it may."""
        return self.catalogue.reporting.reportable.get(self.base.code, True)

    @cached_property
    def dismissed(self) -> bool:
        """Whether neither the base term nor anything below it may be reported."""
        if self.base.deprecated or self.reportable:
            return False
        hierarchy, terms = self.catalogue.reporting, self.catalogue.terms
        return not any(
            hierarchy.reportable[term] and not terms[term].deprecated
            for term in hierarchy.descendants(self.base.code)
        )

    def name(self, code: str) -> str:
        """Code and name of a term."""
        return self.catalogue.named(code)

    def facet_name(self, facet: RawFacet) -> str:
        """The label of a facet's category, if it has one, and its descriptor."""
        attribute = self.catalogue.attributes.get(facet.category)
        label = f"{attribute.label}: " if attribute else ""
        return f"{label}{self.name(facet.descriptor)}"

    def within(self, hierarchy: str, term: str, other: str) -> bool:
        """Whether a term equals another or is below it in a hierarchy."""
        found = self.catalogue.hierarchies.get(hierarchy)
        return term == other if found is None else found.is_within(term, other)

    def within_implied(self, hierarchy: str, term: str) -> bool:
        """Whether a term equals or is below any that the base term implies, in any category."""
        return any(self.within(hierarchy, term, f.descriptor) for f in self.base.facets)

    def explicit(self, category: str) -> list[str]:
        """Descriptors of the explicit facets in a category."""
        return [facet.descriptor for facet in self.facets if facet.category == category]
