"""Cells that are not what was once written: made by spreadsheets, or for people who read them."""

from __future__ import annotations

import logging
import re
from collections.abc import Collection

from cascade.taxonomy.draft import Draft
from cascade.taxonomy.formats.tables.headings import COLUMNS, is_parent, words
from cascade.taxonomy.formats.tables.roles import NO_CODE
from cascade.taxonomy.formats.tables.table import TaxonomyTable
from cascade.taxonomy.names import normalize_code

logger = logging.getLogger(__name__)

_MONTH = (
    "jan|feb|mar|m\u00e4r|apr|may|mai|maj|jun|jul|aug|sep|oct|okt|nov|dec|dez|lut|kwi|maj|cze|lip"
)
_SHORTENED = re.compile(r"\d(?:[.,]\d+)?E\+\d\d", re.IGNORECASE)
_DATE = re.compile(
    rf"\d{{1,2}}[-. ]\s?(?:{_MONTH})[a-z]?\.?(?:[- ]\d{{2,4}})?|(?:{_MONTH})[a-z]?\.?[- ]\d\d"
    r"|\d{4}-\d\d-\d\d(?:[ T]00:00:00)?|\d{1,2}/\d{1,2}/\d{4}",
    re.IGNORECASE,
)
_DASHES = re.compile(r"(?:[-\u2013\u2014]\s+)+(?=\S)|(?:\.\s+)+(?=\S)")
_LANGUAGES = words("lang language locale lang_code language_code sprache langue")
_ABOVE = words("ancestor ancestors lineage breadcrumb breadcrumbs parent_path tree_path ancestry")


def check_codes(table: TaxonomyTable) -> None:
    """Refuse codes that a spreadsheet has shortened, or has made dates of.

    Where all codes look like dates it is only told.

    Raises
    ------
    TaxonomyError
        There is one; its line is named.
    """
    for what in ("code", "parent"):
        if (at := table.columns.get(what)) is None:
            continue
        cells = [normalize_code(row[at]) for row in table.sample]
        cells = [cell for cell in cells if cell]
        dates = sum(map(bool, map(_DATE.fullmatch, cells)))
        shortened = any(map(_SHORTENED.fullmatch, cells))
        if not dates and not shortened:
            continue
        form, found = (
            (_SHORTENED, "is a number that a spreadsheet has shortened, and digits of it are lost")
            if shortened
            else (_DATE, "seems to be a date, as spreadsheets make of codes such as 01.11 or 1-11")
        )
        cure = "format the column as text, and write the code again"
        line, cell = next(
            (line, row[at].strip())
            for line, row in table.rows(short=True)
            if form.fullmatch(normalize_code(row[at]))
        )
        if shortened or dates < len(cells):
            raise table.file.error(f"{cell!r} {found}; {cure}", line, table.header[at])
        logger.warning("%s, line %d: %r %s; %s", table.file.label, line, cell, found, cure)


def check_languages(table: TaxonomyTable) -> None:
    """Refuse a table with a row for each language of a node.

    Raises
    ------
    TaxonomyError
        A column has languages, and codes stand in several rows.
    """
    at = next((i for i, key in enumerate(table.keys) if key in _LANGUAGES), None)
    code_at = table.columns.get("code")
    if at is None or code_at is None:
        return
    seen: set[str] = set()
    tags: dict[str, None] = {}
    for line, row in table.rows(short=True):
        tags[row[at].strip()] = None
        code = normalize_code(row[code_at])
        if code in seen and len(tags) > 1:
            shown = ", ".join(map(repr, [*tags][:3]))
            raise table.file.error(
                f"nodes have a row for each language ({shown}); keep the rows of one, or write a "
                "column for each, such as name_en and name_de",
                line,
                table.header[at],
            )
        seen.add(code)


def check_tops(table: TaxonomyTable, used: Collection[int]) -> None:
    """Refuse a blank parent where another column says what is above the node.

    Raises
    ------
    TaxonomyError
        With the row.
    """
    parent = table.columns.get("parent")
    if parent is None or parent not in used:
        return
    others = [
        at
        for at, (heading, key) in enumerate(zip(table.header, table.keys, strict=True))
        if at not in used
        and (
            key in _ABOVE | COLUMNS["parent"]
            or (is_parent(heading) and not key.endswith((*NO_CODE, "count")))
        )
    ]
    if not others:
        return
    for line, row in table.rows(short=True):
        for at in others:
            if (
                not row[parent].strip()
                and any(map(str.isalnum, row[at]))
                and row[at].strip() != "0"
            ):
                raise table.file.error(
                    f"column {table.header[parent]!r} is blank here, but {table.header[at]!r} has "
                    f"{row[at].strip()[:80]!r}; write the code of the node above into one column, "
                    "and remove the other",
                    line,
                    table.header[at],
                )


def plain_names(draft: Draft) -> None:
    """Take away dashes and dots that say in front of names how deep they are: `- - Rakes`."""
    rows = [row for row, name in enumerate(draft.names) if _DASHES.match(name)]
    if len(rows) < 2 or 4 * len(rows) < len(draft.names):
        return
    logger.warning(
        "%s: dashes or dots in front of %d names are left out, such as those of %r",
        draft.file,
        len(rows),
        draft.names[rows[0]][:80],
    )
    for row in rows:
        draft.names[row] = _DASHES.sub("", draft.names[row], count=1)
