"""Taxonomies in Excel workbooks: a sheet is read as a table, as if it was a CSV.

Of several sheets one is read where it alone looks like a taxonomy. The header may stand below a
title and notes; a cell that is merged downwards counts for all of its rows. Numbers are codes as
Excel shows them. A date where a code should be is refused: spreadsheets make dates of codes.
"""

from __future__ import annotations

import datetime as dt
import logging
import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import islice
from typing import Any

from cascade.errors import TaxonomyError, did_you_mean
from cascade.io.tables.excel.reading import MAX_ROWS, open_workbook, plain_value
from cascade.io.zips import BROKEN, reason_of
from cascade.taxonomy.draft import Draft
from cascade.taxonomy.formats.file import TaxonomyFile
from cascade.taxonomy.formats.tables.csv import read_table, reading_of
from cascade.taxonomy.formats.tables.levels import has_levels
from cascade.taxonomy.formats.tables.problems import has_words
from cascade.taxonomy.formats.tables.table import TaxonomyTable
from cascade.taxonomy.names import clean

logger = logging.getLogger(__name__)

NAMING = "--taxonomy-sheet, or --sheet of cascade taxonomy"
"""How a user names the sheet of a taxonomy."""

_MOST_COLUMNS = 256
_MOST_NOTES = 30  # rows that may stand above the header
_DIGITS = 15  # of a number that Excel keeps
_COLUMN = re.compile(rb"\sr=[\"']([A-Z]{1,3})[0-9]+[\"']")
_FILLED = re.compile(
    rb"<(?:\w+:)?c\s(?:[^>]*?\s)?r=[\"']([A-Z]{2,3})([0-9]{1,7})[\"'](?:[^>]*[^/>])?>\s*"
    rb"<(?:\w+:)?(?:v|is|f)\b"
)
_MERGED = re.compile(rb"<(?:\w+:)?mergeCell\s[^>]*?ref=[\"']([A-Z]+)(\d+):([A-Z]+)(\d+)[\"']")
_UNCOMPUTED = re.compile(
    rb"<(?:\w+:)?c(?=\s)(?![^>]*\st=[\"']str)[^>]*?\sr=[\"']([A-Z]{1,3}\d{1,7})[\"'][^>]*>\s*"
    rb"<(?:\w+:)?f(?:\s[^>]*)?(?:/>|>[^<]*</(?:\w+:)?f>)\s*"
    rb"(?:<(?:\w+:)?v\s*/>|<(?:\w+:)?v>\s*</(?:\w+:)?v>)?\s*</(?:\w+:)?c>"
)
_PADDED = re.compile(r"(?:0|\\.|\"[^\"]*\"|[- /()])+")
_DECIMALS = re.compile(r"(0+)\.(0+)")
_PART = re.compile(r"0|\\(.)|\"([^\"]*)\"|(.)")


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
class Sheet:
    """The cells of a sheet as text.

    Parameters
    ----------
    rows
        Line and cells of each row, without blank rows and without blank cells at the end.
    faults
        What is wrong with a cell if it tells a code or a name, by line and column.
    fractions
        The first cell of each column that is a number with decimals, as it is called in Excel.
    """

    title: str
    rows: list[tuple[int, list[str]]]
    faults: dict[tuple[int, int], str]
    fractions: dict[int, str]


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
        sheet = _sheet(part, worksheet)
        if sheet.rows:
            found.append(_below_header(part, sheet))
    if not found:
        empty = f"sheet {file.sheet!r} is" if file.sheet is not None else "all visible sheets are"
        raise file.error(f"{empty} empty; expected a taxonomy")
    return found


def _sheet(file: TaxonomyFile, worksheet: Any) -> Sheet:
    """The cells of a sheet as text, with the values of cells that are merged downwards.

    Raises
    ------
    TaxonomyError
        It is damaged.
    """
    from openpyxl.utils import column_index_from_string, get_column_letter
    from openpyxl.utils.cell import coordinate_from_string

    rows: dict[int, list[str]] = {}
    faults: dict[tuple[int, int], str] = {}
    fractions: dict[int, str] = {}
    line = 0
    worksheet.reset_dimensions()  # files may state a wrong size
    try:
        with worksheet._get_source() as source:  # what openpyxl does not tell of read-only sheets
            markup = source.read()
        before = None
        for line, cells in enumerate(worksheet.iter_rows(max_col=_width(file, markup)), 1):
            if line > MAX_ROWS:
                raise file.error(f"more rows than Excel has ({MAX_ROWS:,}); save it again as .xlsx")
            if cells is before:  # rows that are not there
                continue
            before = cells
            texts: list[str] = []
            for at, cell in enumerate(cells):
                if cell.value is None:
                    continue
                text, fault = _text(cell)
                texts += [""] * (at - len(texts)) + [text]
                if fault:
                    faults[line, at] = f"cell {get_column_letter(at + 1)}{line} {fault}"
                elif _has_decimals(cell):
                    fractions.setdefault(at, f"{get_column_letter(at + 1)}{line}")
            if any(text.strip() for text in texts):
                rows[line] = texts
        _fill_merged(rows, _MERGED.findall(markup))
        for cell in _UNCOMPUTED.findall(markup):
            letters, number = coordinate_from_string(cell.decode())
            faults[number, column_index_from_string(letters) - 1] = (
                f"cell {letters}{number} has a formula without a value; open the file, and save it"
            )
    except BROKEN as error:
        raise file.error(
            f"the sheet is damaged ({reason_of(error)}); open it and save it again as .xlsx",
            line + 1,
        ) from None
    return Sheet(worksheet.title, [*rows.items()], faults, fractions)


def _width(file: TaxonomyFile, markup: bytes) -> int:
    """How many columns to read of a sheet, whatever it says of its size.

    Raises
    ------
    TaxonomyError
        A cell has a value further to the right than any table of a taxonomy.
    """
    from openpyxl.utils import column_index_from_string

    for letters, line in _FILLED.findall(markup):
        if column_index_from_string(letters.decode()) > _MOST_COLUMNS:
            raise file.error(
                f"cell {letters.decode()}{int(line)} has a value, but at most {_MOST_COLUMNS} "
                "columns are read; move it to the left, or remove it",
                int(line),
            )
    columns = {letters.decode() for letters in _COLUMN.findall(markup)}
    return min(_MOST_COLUMNS, max(map(column_index_from_string, columns), default=_MOST_COLUMNS))


def _text(cell: Any) -> tuple[str, str]:
    """The text of a cell that is not empty, and what is wrong with it as a code or a name."""
    value = plain_value(cell.value)
    if isinstance(value, dt.date | dt.time | dt.timedelta):
        return str(value), (
            f"is a date or time ({value}), as spreadsheets make of codes such as 01.11; format "
            "the column as text, and write the code again"
        )
    if isinstance(value, bool):
        return str(value).upper(), ""
    if isinstance(value, int | float):
        if abs(value) >= 10**_DIGITS:
            return f"{value:.0f}", (
                f"is a number of more than {_DIGITS} digits, which Excel rounds; format the column "
                "as text, and write the code again"
            )
        return _number(value, cell.number_format), ""
    text = str(value)
    if cell.data_type == "e":
        return text, f"has the error {text}; mend its formula, or write the value into it"
    return text, ""


def _has_decimals(cell: Any) -> bool:
    """Whether a cell is a number with decimals of which no format says how many are shown."""
    value = cell.value
    return isinstance(value, float) and value != int(value) and cell.number_format == "General"


def _number(value: float, form: str) -> str:
    """A number as Excel shows it, where its format pads it with zeros: `0000`, `00.00`.

    Other formats do not count: thousands have no separators, and whole numbers no decimals.
    """
    whole = value == int(value)
    form = form.partition(";")[0]
    if whole and value >= 0 and form.count("0") > 1 and _PADDED.fullmatch(form):
        return _padded(str(int(value)), form)
    if decimals := _DECIMALS.fullmatch(form):
        before, after = map(len, decimals.groups())
        return f"{value:0{before + after + 1}.{after}f}"
    return str(int(value)) if whole else f"{value:.{_DIGITS}g}"


def _padded(digits: str, form: str) -> str:
    r"""Digits put into the zeros of a format, from its end: `111` in `00\.00` is `01.11`."""
    zeros = re.sub(r"\\.|\"[^\"]*\"", "", form).count("0")
    digits = digits.zfill(zeros)
    surplus, rest = digits[: len(digits) - zeros], iter(digits[len(digits) - zeros :])
    return surplus + _PART.sub(
        lambda found: (
            next(rest) if found[0] == "0" else next((part for part in found.groups() if part), "")
        ),
        form,
    )


def _fill_merged(
    rows: dict[int, list[str]], found: Iterable[tuple[bytes, bytes, bytes, bytes]]
) -> None:
    """Give all rows of a merged cell its value, if they have others; to the right it is blank."""
    from openpyxl.utils import column_index_from_string

    lines = sorted(rows)
    ranges = sorted(
        (column_index_from_string(left.decode()) - 1, int(first), int(last))
        for left, first, _, last in found
        if len(left) < 4 and len(first) < 8 and len(last) < 8
    )
    done: dict[int, int] = {}
    for at, first, last in ranges:
        if at >= _MOST_COLUMNS or first <= done.get(at, 0) or first not in rows:
            continue
        done[at] = last
        value = rows[first][at] if at < len(rows[first]) else ""
        if not value:
            continue
        for line in _between(lines, first, last):
            cells = rows[line]
            cells += [""] * (at + 1 - len(cells))
            cells[at] = cells[at] or value


def _between(lines: list[int], first: int, last: int) -> Iterator[int]:
    """The lines after the first, to the last."""
    from bisect import bisect_right

    return islice(lines, bisect_right(lines, first), bisect_right(lines, last))


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
