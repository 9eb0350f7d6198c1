"""Excel in: one sheet of an .xlsx workbook, row by row."""

from __future__ import annotations

import datetime as dt
import json
import logging
import re
import warnings
from collections.abc import Iterator
from difflib import get_close_matches
from typing import Any, BinaryIO
from zipfile import BadZipFile, ZipFile

from cascade.errors import InputError
from cascade.io.rows import Row, Table, text_of

log = logging.getLogger(__name__)

_ESCAPED = re.compile(r"_x(00[01][0-9A-Fa-f]|005F|FFF[EF])_")


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
    columns = tuple(text_of(value) for value in header)
    return Table(
        name=name,
        kind="xlsx",
        columns=columns,
        rows=_rows(source, line, columns),
        close=close,
    )


def _worksheet(file: BinaryIO, name: str, sheet: str | None) -> tuple[Any, Any]:
    from openpyxl import load_workbook
    from openpyxl.utils.exceptions import InvalidFileException

    try:
        with ZipFile(file) as archive:
            if not any(entry.startswith("xl/workbook") for entry in archive.namelist()):
                raise InputError(
                    "this is a zip archive and no .xlsx workbook; unpack it and give the file "
                    "inside, or save the sheet as .xlsx or CSV UTF-8",
                    file=name,
                )
        file.seek(0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            book = load_workbook(file, read_only=True, data_only=True, keep_links=False)
    except (BadZipFile, InvalidFileException, KeyError, ValueError, OSError, SyntaxError) as error:
        raise InputError(
            f"this workbook cannot be read ({error}); open it and save it again as .xlsx",
            file=name,
        ) from None

    def close() -> None:
        book.close()
        file.close()

    titles = [found.title for found in book.worksheets]
    if not titles:
        close()
        raise InputError("this workbook has no sheet with cells", file=name)
    if sheet is None:
        if len(titles) > 1:
            log.warning(
                "%s has %d sheets; the first one, %r, is read (--sheet names another)",
                name,
                len(titles),
                titles[0],
            )
        return book.worksheets[0], close
    if sheet not in titles:
        close()
        likely = get_close_matches(sheet, titles, 1)
        hint = f"; did you mean {likely[0]!r}?" if likely else ""
        raise InputError(
            f"sheet {sheet!r} is not in it; it has: {', '.join(titles)}{hint}", file=name
        )
    return book[sheet], close


def _sheet_rows(worksheet: Any, name: str) -> Iterator[tuple[int, tuple[Any, ...]]]:
    """Line and values of every row, whatever size the file says that the sheet has."""
    worksheet.reset_dimensions()
    line = 0
    try:
        for line, values in enumerate(worksheet.iter_rows(values_only=True), start=1):
            yield line, tuple(map(_plain, values))
    except (SyntaxError, KeyError, ValueError, OSError, BadZipFile) as error:
        raise InputError(
            f"the sheet is damaged ({error}); open it and save it again as .xlsx",
            file=name,
            line=line + 1,
        ) from None


def _rows(
    source: Iterator[tuple[int, tuple[Any, ...]]], first: int, columns: tuple[str, ...]
) -> Iterator[Row]:
    """Rows below the header; empty ones count, but not those after the last filled one."""
    width, last = len(columns), first
    for line, values in source:
        cells = _trimmed(values)
        if not cells:
            continue
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


def _trimmed(values: tuple[Any, ...]) -> tuple[Any, ...]:
    end = len(values)
    while end and values[end - 1] is None:
        end -= 1
    return values[:end]


def _plain(value: Any) -> Any:
    r"""A date where Excel has a date without a time; `_x000D_` as the character it stands for."""
    if type(value) is str and "_x" in value:
        return _ESCAPED.sub(lambda found: chr(int(found[1], 16)), value)
    if type(value) is dt.datetime and value.time() == dt.time():
        return value.date()
    return value
