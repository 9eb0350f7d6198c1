"""One sheet of an .xlsx workbook, row by row, as openpyxl reads it."""

from __future__ import annotations

import datetime as dt
import json
import logging
import re
import warnings
from collections.abc import Iterator
from itertools import chain, islice
from typing import Any, BinaryIO
from zipfile import ZipFile

from cascade.errors import InputError, did_you_mean
from cascade.io.tables.rows import Row, Table
from cascade.io.zips import BROKEN, reason_of, swollen
from cascade.values import text_of

log = logging.getLogger(__name__)

_UNCOMPUTED = re.compile(
    rb"<c r=\"([A-Z]+[0-9]+)\"[^>]*>\s*<f\b[^>]*(?:/>|>[^<]*</f>)\s*"
    rb"(?:<v\s*/>|<v>\s*</v>)?\s*</c>"
)
"""A cell with a formula that was never computed."""

_ESCAPED = re.compile(r"_x(00[01][0-9A-Fa-f]|005F|FFF[EF])_")

MAX_ROWS = 1_048_576

SAMPLE = 1 << 20
"""Bytes of a sheet that are looked at for formulas without values."""

AHEAD = 20
"""Rows below the header that tell whether it is one."""

MAX_BLANK = 10_000
"""Blank rows that may stand between two others; more are there by mistake."""

_ROW = re.compile(rb"<row\s[^>]{0,500}?\br=\"([0-9]{1,7})\"")
_FILLED = re.compile(rb"<v>[^<]|<v\s|<is>")


def read_excel(file: BinaryIO, name: str, sheet: str | None = None) -> Table:
    """A table over one sheet: the named one, else the first; its first row is the header.

    Formulas give the values that Excel last saved.
    """
    worksheet, close = _worksheet(file, name, sheet)
    source = _sheet_rows(worksheet, name)
    line, header = next(((n, h) for n, values in source if (h := _trimmed(values))), (0, ()))
    if not header:
        close()
        raise InputError(f"sheet {worksheet.title!r} is empty; expected a header row", file=name)
    _tell_uncomputed(worksheet, name)
    try:
        _refuse_far_rows(worksheet, name)
        rows = _below_titles(source, line, header, name)
    except InputError:
        close()
        raise
    columns = tuple(text_of(value) for value in header)
    return Table(
        name=name,
        kind="xlsx",
        columns=columns,
        rows=_rows(rows, line, columns, name),
        close=close,
    )


def open_workbook(file: BinaryIO, name: str, error: type[InputError] = InputError) -> Any:
    """A workbook of openpyxl, read-only, with the values that Excel last saved.

    Raises
    ------
    InputError
        It is none, it is damaged, or it would unpack to far more than its size. Of the class
        `error`.
    """
    from openpyxl import load_workbook
    from openpyxl.utils.exceptions import InvalidFileException

    try:
        with ZipFile(file) as archive:
            if not any(entry.startswith("xl/workbook") for entry in archive.namelist()):
                raise error(
                    "this is a zip archive and no .xlsx workbook; unpack it and give the file "
                    "inside, or save the sheet as .xlsx or CSV UTF-8",
                    file=name,
                )
            if (problem := swollen(archive)) is not None:
                raise error(f"{problem}; save the sheet as CSV UTF-8", file=name)
        file.seek(0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return load_workbook(file, read_only=True, data_only=True, keep_links=False)
    except (*BROKEN, InvalidFileException) as broken:
        raise error(
            f"this workbook cannot be read ({reason_of(broken)}); open it and save it again as "
            ".xlsx",
            file=name,
        ) from None


def _worksheet(file: BinaryIO, name: str, sheet: str | None) -> tuple[Any, Any]:
    book = open_workbook(file, name)

    def close() -> None:
        book.close()
        file.close()

    titles = [found.title for found in book.worksheets]
    if not titles:
        close()
        raise InputError("this workbook has no sheet with cells", file=name)
    if sheet is None:
        seen = [found for found in book.worksheets if found.sheet_state == "visible"]
        first = (seen or book.worksheets)[0]
        if len(titles) > 1:
            log.warning(
                "%s has %d sheets; the first one%s, %r, is read (--sheet names another)",
                name,
                len(titles),
                "" if first.title == titles[0] else " that is not hidden",
                first.title,
            )
        return first, close
    if sheet not in titles:
        close()
        has = f"{', '.join(titles)}{did_you_mean(sheet, titles)}"
        raise InputError(f"sheet {sheet!r} is not in it; it has: {has}", file=name)
    return book[sheet], close


def _tell_uncomputed(worksheet: Any, name: str) -> None:
    """Log a warning if formulas at the begin of a sheet have no value, so that cells are empty."""
    try:
        with worksheet._get_source() as source:
            found = _UNCOMPUTED.search(source.read(SAMPLE))
    except BROKEN:
        return  # the reading of rows says so
    if found is not None:
        log.warning(
            "%s has formulas that were never computed (first: cell %s), and their cells are empty; "
            "open it in Excel or LibreOffice and save it again",
            name,
            found[1].decode(),
        )


def _refuse_far_rows(worksheet: Any, name: str) -> None:
    """Raise InputError, before any row is read, if a filled row stands far below the others."""
    last, gap, rest = 0, (0, 0), b""
    try:
        with worksheet._get_source() as source:
            while block := source.read(SAMPLE):
                rest += block
                if not gap[0]:
                    for found in _ROW.finditer(rest):
                        line = int(found[1])
                        if last and line - last > MAX_BLANK + 1:
                            gap, rest = (last, line), rest[found.end() :]
                            break
                        last = line
                if gap[0] and _FILLED.search(rest):
                    raise _far_row(name, *gap)
                rest = rest[-1000:]
    except BROKEN:
        return  # the reading of rows says so


def _far_row(name: str, above: int, below: int) -> InputError:
    return InputError(
        f"rows {above + 1:,} to {below - 1:,} are empty, but something stands below them; delete "
        "these rows, or what stands below, and save the sheet again",
        file=name,
        line=below,
    )


def _sheet_rows(worksheet: Any, name: str) -> Iterator[tuple[int, tuple[Any, ...]]]:
    """Line and values of every row, whatever size the file says that the sheet has."""
    worksheet.reset_dimensions()
    line = 0
    try:
        for line, values in enumerate(worksheet.iter_rows(values_only=True), start=1):
            if line > MAX_ROWS:
                raise InputError(
                    f"more rows than Excel has ({MAX_ROWS:,}); open it and save it again as .xlsx",
                    file=name,
                )
            yield line, tuple(map(plain_value, values))
    except BROKEN as error:
        raise InputError(
            f"the sheet is damaged ({reason_of(error)}); open it and save it again as .xlsx",
            file=name,
            line=line + 1,
        ) from None


def _rows(
    source: Iterator[tuple[int, tuple[Any, ...]]], first: int, columns: tuple[str, ...], name: str
) -> Iterator[Row]:
    """Rows below the header; empty ones count, but not those after the last filled one."""
    width, last = len(columns), first
    for line, values in source:
        cells = _trimmed(values, width)
        if not cells:
            continue
        if line - last > MAX_BLANK + 1:
            raise _far_row(name, last, line)
        for empty in range(last + 1, line):
            yield Row(empty - first, empty, (None,) * width)
        last, number, problem = line, line - first, None
        if len(cells) > width:
            surplus = json.dumps(cells[width:], ensure_ascii=False, default=text_of)
            problem = (
                f"row {number} has cells to the right of the last column {columns[-1]!r}: "
                f"{surplus}; give them a header or remove them"
            )
        yield Row(number, line, cells + (None,) * (width - len(cells)), problem)


def _below_titles(
    source: Iterator[tuple[int, tuple[Any, ...]]], line: int, header: tuple[Any, ...], name: str
) -> Iterator[tuple[int, tuple[Any, ...]]]:
    """The rows below the header; refused where all have more cells, as below a title."""
    ahead = list(islice(source, AHEAD))
    filled = [(n, cells) for n, values in ahead if (cells := _trimmed(values, len(header)))]
    if len(filled) > 1 and all(len(cells) > len(header) for _, cells in filled):
        shown = ", ".join(map(text_of, header))
        raise InputError(
            f"row {line} is no header, since all rows below it have more cells: {shown[:60]!r}; "
            f"remove what stands above the header, which seems to be in row {filled[0][0]}, or "
            "give each column a name",
            file=name,
        )
    return chain(ahead, source)


def _trimmed(values: tuple[Any, ...], width: int = 0) -> tuple[Any, ...]:
    """Cells without empty ones at the end, nor blanks to the right of the first `width`."""
    end = len(values)
    while end and (
        values[end - 1] is None
        or (
            width
            and end > width
            and isinstance(values[end - 1], str)
            and not values[end - 1].strip()
        )
    ):
        end -= 1
    return values[:end]


def plain_value(value: Any) -> Any:
    r"""A date where Excel has a date without a time; `_x000D_` as the character it stands for."""
    if type(value) is str and "_x" in value:
        return _ESCAPED.sub(lambda found: chr(int(found[1], 16)), value)
    if type(value) is dt.datetime and value.time() == dt.time():
        return value.date()
    return value
