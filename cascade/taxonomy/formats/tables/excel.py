"""Taxonomies in Excel workbooks: a sheet is read as a table, as if it was a CSV.

Of several sheets one is read where it alone looks like a taxonomy. The header may stand below a
title and notes. A date where a code should be is refused: spreadsheets make dates of codes.
`sheet_cells` says what cells are as text.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from cascade.errors import TaxonomyError, did_you_mean
from cascade.io.tables.excel.reading import open_workbook
from cascade.taxonomy.draft import Draft
from cascade.taxonomy.formats.file import TaxonomyFile
from cascade.taxonomy.formats.tables.csv import read_table, reading_of
from cascade.taxonomy.formats.tables.levels import has_levels
from cascade.taxonomy.formats.tables.problems import has_words
from cascade.taxonomy.formats.tables.sheet_cells import Sheet, read_sheet
from cascade.taxonomy.formats.tables.table import TaxonomyTable
from cascade.taxonomy.names import clean

logger = logging.getLogger(__name__)

NAMING = "--taxonomy-sheet, or --sheet of cascade taxonomy"
"""How a user names the sheet of a taxonomy."""

_MOST_NOTES = 30  # rows that may stand above the header


def matches(file: TaxonomyFile) -> bool:
    """Whether this is a workbook."""
    return "xl/workbook.xml" in file.package


def read(file: TaxonomyFile) -> Draft:
    """Nodes of the sheet that is asked for, or else of the one that looks like a taxonomy.

    Raises
    ------
    TaxonomyError
        There is no such sheet, several look like taxonomies or none does, or the table is none, see
        `csv.read`.
    """
    return read_table(_table(file))


@dataclass(frozen=True)
class SheetTable(TaxonomyTable):
    """A table in a sheet, below its header."""

    sheet: Sheet = field(default_factory=lambda: Sheet("", [], {}, {}))

    @cached_property
    def has_header(self) -> bool:
        """Whether the first line names what columns of a taxonomy hold, see `TaxonomyTable`."""
        return self.named_columns > (len(self.header) > 1)

    def rows(self, *, short: bool = False) -> Iterator[tuple[int, list[str]]]:
        """Each row with its line; cells without a heading to the right are left out."""
        width = len(self.header)
        for line, cells in self.sheet.rows:
            row = cells[:width] + [""] * (width - len(cells))
            if line > self.line and not self.is_header(line, row):
                yield line, row

    def check(self, columns: Collection[int]) -> None:
        """Refuse dates, errors and rounded numbers in columns that tell codes and names.

        Raises
        ------
        TaxonomyError
            There is one; the cell is named.
        """
        for (line, at), fault in self.sheet.faults.items():
            if line > self.line and at in columns:
                raise self.file.error(fault, line, self.header[at])
        for at, cell in self.sheet.fractions.items():
            if at in columns:
                logger.warning(
                    "%s: column %r has numbers with decimals, such as in %s, of which Excel does "
                    "not keep zeros at the end (1.10 is 1.1); if they are codes, format the column "
                    "as text",
                    self.file.label,
                    self.header[at],
                    cell,
                )
        outside = [line for line, cells in self.sheet.rows if any(cells[len(self.header) :])]
        if outside and outside[-1] > self.line:
            logger.warning(
                "%s, line %d: cells to the right of the last heading, %r, are not used",
                self.file.label,
                next(line for line in outside if line > self.line),
                self.header[-1],
            )


def _table(file: TaxonomyFile) -> SheetTable:
    """The table to read, with a warning about what is left out."""
    try:
        with file.path.open("rb") as opened:
            book = open_workbook(opened, str(file.path), TaxonomyError)
            try:
                found = _tables(file, book)
            finally:
                book.close()
    except OSError as error:
        raise file.error(f"the file cannot be read: {error.strerror or error}") from None
    if len(found) == 1:
        return found[0]
    strong = [table for table in found if _has_words(table)]
    likely = [table for table in strong or found if _is_read(table)]
    titles = [table.sheet.title for table in found]
    if not likely:
        if len(strong) == 1:
            return strong[0]
        raise file.error(
            f"it has {len(found)} sheets, and none of them looks like a taxonomy: "
            f"{', '.join(map(repr, titles))}; name one to learn what is missing: {NAMING}"
        )
    if len(likely) > 1:
        several = ", ".join(repr(table.sheet.title) for table in likely)
        raise file.error(
            f"{len(likely)} of its sheets look like taxonomies: {several}; name one: {NAMING}"
        )
    title = likely[0].sheet.title
    logger.warning(
        "%s: sheet %r is read; not used: %s (name another: %s)",
        file.path,
        title,
        ", ".join(repr(other) for other in titles if other != title),
        NAMING,
    )
    return likely[0]


def _tables(file: TaxonomyFile, book: Any) -> list[SheetTable]:
    """The tables of all visible sheets with cells, or of the one that is asked for."""
    titles = [sheet.title for sheet in book.worksheets]
    if file.sheet is not None:
        if file.sheet not in titles:
            near = did_you_mean(file.sheet, titles)
            raise file.error(
                f"sheet {file.sheet!r} is not in it; it has: {', '.join(map(repr, titles))}{near}"
            )
        chosen = [book[file.sheet]]
    else:
        chosen = [sheet for sheet in book.worksheets if sheet.sheet_state == "visible"]
    found = []
    for worksheet in chosen:
        part = replace(file, part=f"sheet {worksheet.title!r}")
        sheet = read_sheet(part, worksheet)
        if sheet.rows:
            found.append(_below_header(part, sheet))
    if not found:
        empty = f"sheet {file.sheet!r} is" if file.sheet is not None else "all visible sheets are"
        raise file.error(f"{empty} empty; expected a taxonomy")
    return found


def _below_header(file: TaxonomyFile, sheet: Sheet) -> SheetTable:
    """The table below the first row that can be its header; what stands above is notes."""
    first = None
    widest = max(sum(map(bool, cells)) for _, cells in sheet.rows)
    for line, cells in sheet.rows[:_MOST_NOTES]:
        header = [clean(cell) for cell in cells]
        while header and not header[-1]:
            header.pop()
        if sum(map(bool, header)) < min(2, widest):
            continue
        header += [""] * (_width_below(sheet, line) - len(header))
        table = SheetTable(file, "", tuple(header), line, sheet)
        first = first or table
        if _has_words(table):
            first = table
            break
    if first is None:
        raise file.error(
            f"none of the first {_MOST_NOTES} rows is a header; the file must name its columns, "
            "such as code, name and parent"
        )
    if above := [line for line, _ in sheet.rows if line < first.line]:
        logger.warning(
            "%s: the header is on line %d; what stands above it is left out (%s)",
            file.label,
            first.line,
            f"line {above[0]}" if len(above) == 1 else f"lines {above[0]} to {above[-1]}",
        )
    return first


def _width_below(sheet: Sheet, header: int) -> int:
    """How many columns at least half of the rows below a header have."""
    widths = sorted(len(cells) for line, cells in sheet.rows if line > header)
    return widths[len(widths) // 2] if widths else 0


def _has_words(table: SheetTable) -> bool:
    """Whether the headings are made of words for columns of taxonomies."""
    return table.has_header or has_words(table) or has_levels(table.header)


def _is_read(table: SheetTable) -> bool:
    """Whether a reader takes the table, or says what is wrong with it."""
    try:
        return reading_of(table) is not None
    except TaxonomyError:
        return True
