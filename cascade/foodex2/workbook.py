"""EFSA's catalogues as Excel workbooks: sheets of terms, of attributes and of hierarchies.

An export of EFSA's catalogue browser has columns for each hierarchy, such as `reportParentCode`
and `reportReportable`. Published extracts may lack them; their catalogues have no hierarchies.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from zipfile import ZipFile

from cascade.errors import TaxonomyError
from cascade.foodex2.catalogue import Attribute, Catalogue, Hierarchy, Term, implied_facets
from cascade.foodex2.code import CATEGORY
from cascade.io.zips import swollen

TERMS, ATTRIBUTES, HIERARCHIES = "term", "attribute", "hierarchy"
SHEETS = {TERMS, ATTRIBUTES, HIERARCHIES}
NEEDED = ("termCode", "termExtendedName")
FIELDS = {  # columns that are fields of `Term`, not attributes
    *NEEDED,
    "termScopeNote",
    "termShortName",
    "deprecated",
    "status",
    "termType",
    "detailLevel",
    "allFacets",
    "implicitFacets",
}
PARENT, MASTER, TOP = "ParentCode", "master", "root"

Row = Mapping[str, str]


def read_workbook(path: str | Path) -> Catalogue:
    """A catalogue from a workbook.

    Raises
    ------
    TaxonomyError
        It cannot be read, lacks a sheet or a column, or a row breaks the rules; names the row.
    """
    file = str(path)
    sheets = _sheets(path)
    rows = sheets.get(TERMS, [])
    columns = list(rows[0][1]) if rows else []
    if missing := [name for name in NEEDED if name not in columns]:
        raise TaxonomyError(
            f"is no catalogue of EFSA: its sheet {TERMS!r} has no row, or no column {missing[0]!r}",
            file=file,
        )
    attributes = {
        row["code"]: Attribute(
            row["code"],
            row.get("name", ""),
            row.get("label", ""),
            row.get("scopeNote", ""),
            row.get("name") if CATEGORY.fullmatch(row["code"]) else None,
            row.get("attributeSingleOrRepeatable") == "single",
        )
        for _, row in sheets.get(ATTRIBUTES, [])
        if row.get("code")
    }
    terms: dict[str, Term] = {}
    lines: dict[str, int] = {}
    for line, row in rows:
        term = _term(row, line, attributes, file)
        if term.code in terms:
            raise TaxonomyError(
                f"the term {term.code} stands in row {lines[term.code]} already",
                file=file,
                line=line,
            )
        terms[term.code], lines[term.code] = term, line
    catalogue = Path(path).name.partition("_")[0].partition(".")[0]
    labels = {row["code"]: row.get("label", "") for _, row in sheets.get(HIERARCHIES, [])}
    hierarchies = {}
    for name in (column.removesuffix(PARENT) for column in columns if column.endswith(PARENT)):
        code = catalogue if name == MASTER else name
        places = {row["termCode"]: place for _, row in rows if (place := _place(row, name))}
        hierarchies[code] = Hierarchy.of(code, labels.get(name, name), places, terms, file, lines)
    return Catalogue(
        catalogue,
        Path(path).stem.partition("_")[2],
        terms,
        hierarchies,
        attributes,
        default="report" if "report" in hierarchies else catalogue,
        file=file,
    )


def _sheets(path: str | Path) -> dict[str, list[tuple[int, Row]]]:
    """Rows of each sheet by column, with their numbers; blank rows are left out."""
    from openpyxl import load_workbook

    try:
        with ZipFile(path) as archive:
            if (problem := swollen(archive)) is not None:
                raise TaxonomyError(problem, file=str(path))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            book = load_workbook(path, read_only=True, data_only=True, keep_links=False)
        try:
            return {name: list(_rows(book[name])) for name in book.sheetnames if name in SHEETS}
        finally:
            book.close()
    except TaxonomyError:
        raise
    except Exception as error:  # openpyxl fails in many ways on broken workbooks
        raise TaxonomyError(f"is no workbook that can be read: {error}", file=str(path)) from None


def _rows(sheet: Any) -> Iterator[tuple[int, Row]]:
    header: list[str] | None = None
    for line, values in enumerate(sheet.iter_rows(values_only=True), 1):
        texts = ["" if value is None else str(value).strip() for value in values]
        if header is None:
            header = texts
        elif any(texts):
            yield line, dict(zip(header, texts, strict=False))


def _term(row: Row, line: int, attributes: Mapping[str, Attribute], file: str) -> Term:
    code = row["termCode"]
    if not code:
        raise TaxonomyError("a term has no termCode", file=file, line=line)
    every, own = row.get("allFacets", ""), row.get("implicitFacets", "")
    known = {attribute.name: attribute.code for attribute in attributes.values()}
    deprecated = row.get("deprecated") == "1" or row.get("status") == "DEPRECATED"
    return Term(
        code,
        row["termExtendedName"],
        row.get("termScopeNote", ""),
        "DEPRECATED" if deprecated else "APPROVED",
        row.get("termType", ""),
        row.get("detailLevel", ""),
        *implied_facets(code, [every] if every else [], [own] if own else [], file),
        {
            known[name]: tuple(filter(None, map(str.strip, value.split("$"))))
            for name, value in row.items()
            if value and name in known and name not in FIELDS
        },
    )


def _place(row: Row, hierarchy: str) -> tuple[int, str | None, bool] | None:
    """A term's order, parent, and whether it is reportable; None if it is not in a hierarchy."""
    parent, order = row.get(f"{hierarchy}{PARENT}", ""), row.get(f"{hierarchy}Order", "")
    if not parent and row.get(f"{hierarchy}Flag") != "1":
        return None
    return (
        int(order) if order.isdigit() else 0,
        parent if parent and parent != TOP else None,
        row.get(f"{hierarchy}Reportable", "1") == "1",
    )
