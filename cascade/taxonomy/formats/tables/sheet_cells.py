"""The cells of a sheet as text, and what is wrong with those that are no codes or names.

Numbers are as Excel shows them; a cell that is merged downwards counts for all of its rows.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from cascade.io.tables.excel.reading import MAX_ROWS, plain_value
from cascade.io.zips import BROKEN, reason_of
from cascade.taxonomy.formats.file import TaxonomyFile

_MOST_COLUMNS = 256
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


def read_sheet(file: TaxonomyFile, worksheet: Any) -> Sheet:
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
