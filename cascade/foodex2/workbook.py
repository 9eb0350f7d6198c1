"""EFSA's catalogues as Excel workbooks: a sheet of terms, one of attributes, one of hierarchies.

An export of EFSA's catalogue browser has, for each hierarchy, columns such as `reportParentCode`
and `reportReportable`. Published extracts may lack them: then the catalogue has its terms and what
they imply, and no order.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from cascade.errors import TaxonomyError
from cascade.foodex2.catalogue import Attribute, Catalogue, Hierarchy, Term, implied_by
from cascade.foodex2.code import CATEGORY

TERMS, ATTRIBUTES, HIERARCHIES = "term", "attribute", "hierarchy"
NEEDED = ("termCode", "termExtendedName")
PARENT = "ParentCode"
MASTER = "master"
KEPT = {  # columns that are fields of a term, and no attribute
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

Row = Mapping[str, str]


def read_workbook(path: str | Path) -> Catalogue:
    """A catalogue from a workbook.

    Raises
    ------
    TaxonomyError
        It cannot be read, lacks a sheet or a column, or a row breaks the rules; names the row.
    """
    from openpyxl import load_workbook

    file = str(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            book = load_workbook(path, read_only=True, data_only=True, keep_links=False)
        try:
            sheets = {name: list(_rows(book[name])) for name in book.sheetnames if name in _NAMES}
        finally:
            book.close()
    except Exception as error:  # openpyxl fails in many ways on broken workbooks
        raise TaxonomyError(f"is no workbook that can be read: {error}", file=file) from None
    terms = sheets.get(TERMS, [])
    columns = set(terms[0][1]) if terms else set()
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
    found: dict[str, Term] = {}
    lines: dict[str, int] = {}
    for line, row in terms:
        term = _term(row, line, attributes, file)
        if term.code in found:
            raise TaxonomyError(
                f"the term {term.code} stands in row {lines[term.code]} already",
                file=file,
                line=line,
            )
        found[term.code], lines[term.code] = term, line
    code = Path(path).name.partition("_")[0].partition(".")[0]
    labels = {row["code"]: row.get("label", "") for _, row in sheets.get(HIERARCHIES, [])}
    ordered = [name[: -len(PARENT)] for name in terms[0][1] if name.endswith(PARENT)]
    bases = set(ordered) - {a.hierarchy for a in attributes.values()}
    placed = {
        (code if name == MASTER else name): _hierarchy(
            code if name == MASTER else name,
            labels.get(name, name),
            name in bases,
            name,
            terms,
            found,
            file,
        )
        for name in ordered
    }
    default = "report" if "report" in placed else code
    version = Path(path).stem.partition("_")[2]
    return Catalogue(code, version, found, placed, attributes, default=default, file=file)


_NAMES = {TERMS, ATTRIBUTES, HIERARCHIES}


def _rows(sheet: Any) -> Iterator[tuple[int, Row]]:
    """The rows below the header as texts by column, with their numbers; blank ones left out."""
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
    facets, own_facets = implied_by(code, [every] if every else [], [own] if own else [], file)
    known = {attribute.name: attribute.code for attribute in attributes.values()}
    deprecated = row.get("deprecated") == "1" or row.get("status") == "DEPRECATED"
    return Term(
        code,
        row["termExtendedName"],
        row.get("termScopeNote", ""),
        row.get("termShortName", ""),
        "DEPRECATED" if deprecated else "APPROVED",
        row.get("termType", ""),
        row.get("detailLevel", ""),
        facets,
        own_facets,
        {
            known[name]: tuple(filter(None, map(str.strip, value.split("$"))))
            for name, value in row.items()
            if value and name in known and name not in KEPT
        },
    )


def _hierarchy(
    code: str,
    label: str,
    base: bool,
    name: str,
    rows: list[tuple[int, Row]],
    terms: Mapping[str, Term],
    file: str,
) -> Hierarchy:
    parent: dict[str, str | None] = {}
    reportable: dict[str, bool] = {}
    orders: dict[str, int] = {}
    for line, row in rows:
        above = row.get(f"{name}{PARENT}", "")
        if not above and row.get(f"{name}Flag") != "1":
            continue
        if above and above != "root" and above not in terms:
            raise TaxonomyError(
                f"hierarchy {code}: {row['termCode']} stands below {above}, which is no term",
                file=file,
                line=line,
            )
        order = row.get(f"{name}Order", "")
        orders[row["termCode"]] = int(order) if order.isdigit() else 0
        parent[row["termCode"]] = above if above and above != "root" else None
        reportable[row["termCode"]] = row.get(f"{name}Reportable", "1") == "1"
    ordered = sorted(parent, key=lambda term: orders[term])
    return Hierarchy(
        code,
        label,
        base,
        {term: parent[term] for term in ordered},
        {term: reportable[term] for term in ordered},
    )
