"""Excel: one sheet of an .xlsx workbook, row by row; and back.

Reading is openpyxl's. A sheet is written as XML (ECMA-376 inline strings, numbers, booleans, dates)
so that its parts can be joined and its bytes repeat, which no library offers. A text is never a
formula.
"""

from __future__ import annotations

import datetime as dt
import json
import logging
import math
import re
import shutil
import warnings
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any, BinaryIO
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from cascade.errors import InputError, OutputError, UsageError, did_you_mean
from cascade.io.encodings import escape_surrogates
from cascade.io.tables.layout import Answer, Layout
from cascade.io.tables.rows import Kind, Row, Table
from cascade.io.zips import BROKEN, reason_of, swollen
from cascade.values import CellError, text_of

log = logging.getLogger(__name__)

_ERRORS = frozenset(
    [
        *("#NULL!", "#DIV/0!", "#VALUE!", "#REF!", "#NAME?", "#NUM!", "#N/A", "#GETTING_DATA"),
        *("#SPILL!", "#CALC!", "#FIELD!", "#BLOCKED!", "#CONNECT!", "#UNKNOWN!", "#BUSY!"),
        *("#EXTERNAL!", "#PYTHON!"),
    ]
)
"""What cells show whose formula failed."""

_UNCOMPUTED = re.compile(
    rb"<c r=\"([A-Z]+[0-9]+)\"[^>]*>\s*<f\b[^>]*(?:/>|>[^<]*</f>)\s*"
    rb"(?:<v\s*/>|<v>\s*</v>)?\s*</c>"
)
"""A cell with a formula that was never computed."""

_ESCAPED = re.compile(r"_x(00[01][0-9A-Fa-f]|005F|FFF[EF])_")


SAMPLE = 1 << 20
"""Bytes of a sheet that are looked at for formulas without values."""

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
    except InputError:
        close()
        raise
    columns = tuple(text_of(value) for value in header)
    return Table(
        name=name,
        kind="xlsx",
        columns=columns,
        rows=_rows(source, line, columns, name),
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
        cells = _trimmed(values)
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


def _trimmed(values: tuple[Any, ...]) -> tuple[Any, ...]:
    end = len(values)
    while end and values[end - 1] is None:
        end -= 1
    return values[:end]


def plain_value(value: Any) -> Any:
    r"""A date where Excel has a date without a time; `_x000D_` as the character it stands for."""
    if type(value) is str and value[:1] == "#" and value in _ERRORS:
        return CellError(value)
    if type(value) is str and "_x" in value:
        return _ESCAPED.sub(lambda found: chr(int(found[1], 16)), value)
    if type(value) is dt.datetime and value.time() == dt.time():
        return value.date()
    return value


MAX_ROWS = 1_048_576
MAX_COLUMNS = 16_384
MAX_CHARACTERS = 32_767
CUT = " [cut here: Excel holds 32,767 characters in a cell]"

_SPECIAL = re.compile("[&<>\x00-\x08\x0b-\x1f\ufffe\uffff]|_(?=x[0-9A-Fa-f]{4}_)")
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
_XML = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml"
_STYLES = ((dt.datetime, 2), (dt.date, 1), (dt.time, 3), (dt.timedelta, 4))  # see cellXfs
_FILES = {
    "[Content_Types].xml": f'<Types xmlns="{_PACKAGE}/content-types">'
    '<Default Extension="rels" '
    'ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
    '<Default Extension="xml" ContentType="application/xml"/>'
    f'<Override PartName="/xl/workbook.xml" ContentType="{_TYPE}.sheet.main+xml"/>'
    f'<Override PartName="/xl/worksheets/sheet1.xml" ContentType="{_TYPE}.worksheet+xml"/>'
    f'<Override PartName="/xl/styles.xml" ContentType="{_TYPE}.styles+xml"/></Types>',
    "_rels/.rels": f'<Relationships xmlns="{_PACKAGE}/relationships"><Relationship Id="rId1" '
    f'Type="{_OFFICE}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
    "xl/workbook.xml": f'<workbook xmlns="{_MAIN}" xmlns:r="{_OFFICE}"><sheets>'
    '<sheet name="Sheet1" sheetId="1" r:id="rId1"/></sheets></workbook>',
    "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{_PACKAGE}/relationships">'
    f'<Relationship Id="rId1" Type="{_OFFICE}/worksheet" Target="worksheets/sheet1.xml"/>'
    f'<Relationship Id="rId2" Type="{_OFFICE}/styles" Target="styles.xml"/></Relationships>',
    "xl/styles.xml": f'<styleSheet xmlns="{_MAIN}"><numFmts count="4">'
    '<numFmt numFmtId="164" formatCode="yyyy\\-mm\\-dd"/>'
    '<numFmt numFmtId="165" formatCode="yyyy\\-mm\\-dd\\ hh:mm:ss"/>'
    '<numFmt numFmtId="166" formatCode="hh:mm:ss"/>'
    '<numFmt numFmtId="167" formatCode="[h]:mm:ss"/></numFmts>'
    '<fonts count="1"><font><sz val="11"/><name val="Calibri"/></font></fonts>'
    '<fills count="2"><fill><patternFill patternType="none"/></fill>'
    '<fill><patternFill patternType="gray125"/></fill></fills>'
    '<borders count="1"><border><left/><right/><top/><bottom/><diagonal/></border></borders>'
    '<cellStyleXfs count="1"><xf numFmtId="0" fontId="0" fillId="0" borderId="0"/></cellStyleXfs>'
    '<cellXfs count="5"><xf numFmtId="0" fontId="0" fillId="0" borderId="0" xfId="0"/>'
    + "".join(
        f'<xf numFmtId="{number}" fontId="0" fillId="0" borderId="0" xfId="0" '
        'applyNumberFormat="1"/>'
        for number in (164, 165, 166, 167)
    )
    + '</cellXfs><cellStyles count="1"><cellStyle name="Normal" xfId="0" builtinId="0"/>'
    "</cellStyles></styleSheet>",
}


class ExcelFormat:
    """A workbook with one sheet from parts that are its rows as XML.

    A text longer than Excel allows is cut with a note in the cell and a warning; control
    characters are written as Excel does (`_x0001_`). Numbers of more than 15 digits, which Excel
    would round, and dates that it cannot hold become text.
    """

    kind: Kind = "xlsx"
    suffix = ".xml"

    def __init__(self, layout: Layout) -> None:
        from openpyxl.utils import get_column_letter

        if len(layout.columns) > MAX_COLUMNS:
            raise UsageError(
                f"{len(layout.columns)} columns do not fit into an Excel sheet of {MAX_COLUMNS}; "
                "write .csv or .parquet"
            )
        self._layout = layout
        self._letters = [get_column_letter(at + 1) for at in range(len(layout.columns))]
        self._warned = False

    def head(self) -> bytes:
        """The header row."""
        return self._row(1, self._layout.columns)

    def encode(self, rows: Sequence[Row], answers: Sequence[Answer]) -> bytes:
        """The rows as XML."""
        if rows and rows[-1].number >= MAX_ROWS:
            raise OutputError(
                f"row {MAX_ROWS:,} does not fit into an Excel sheet of {MAX_ROWS:,} rows with "
                "header; write .csv or .parquet"
            )
        added = self._layout.added(answers)
        return b"".join(
            self._row(row.number + 1, (*self._layout.values(row), *more))
            for row, more in zip(rows, added, strict=True)
        )

    def assemble(self, parts: Iterable[Path], target: Path) -> None:
        """Zip the sheet and what belongs to it, with fixed dates."""
        paths = list(parts)
        start = f'{_XML}<worksheet xmlns="{_MAIN}"><sheetData>'.encode() + self.head()
        end = b"</sheetData></worksheet>"
        with ZipFile(target, "w", ZIP_DEFLATED) as archive:
            for name, content in _FILES.items():
                archive.writestr(_entry(name), _XML + content)
            sheet = _entry("xl/worksheets/sheet1.xml")
            sheet.file_size = len(start) + sum(path.stat().st_size for path in paths) + len(end)
            out: IO[bytes]
            with archive.open(sheet, "w") as out:
                out.write(start)
                for path in paths:
                    with path.open("rb") as source:
                        shutil.copyfileobj(source, out, 1 << 20)
                out.write(end)

    def _row(self, number: int, values: Sequence[Any]) -> bytes:
        cells = "".join(
            self._cell(f"{letter}{number}", value)
            for letter, value in zip(self._letters, values, strict=True)
            if value is not None and value != ""
        )
        return f'<row r="{number}">{cells}</row>'.encode()

    def _cell(self, at: str, value: Any) -> str:
        if isinstance(value, str):
            return self._text(at, value)
        if isinstance(value, bool):
            return f'<c r="{at}" t="b"><v>{value:d}</v></c>'
        if isinstance(value, int | float):
            if isinstance(value, float) and math.isnan(value):
                return ""
            if abs(value) < 1e15 or (isinstance(value, float) and math.isfinite(value)):
                return f'<c r="{at}"><v>{value!r}</v></c>'
        elif (dated := _serial(value)) is not None:
            return f'<c r="{at}" s="{dated[1]}"><v>{dated[0]!r}</v></c>'
        return self._text(at, text_of(value))

    def _text(self, at: str, text: str) -> str:
        if len(text) > MAX_CHARACTERS // 2:
            text = self._cut(at, text)
        if _SPECIAL.search(text):
            text = _SPECIAL.sub(_escaped, text)
        if not text.isascii():
            text = escape_surrogates(text)
        return f'<c r="{at}" t="inlineStr"><is><t xml:space="preserve">{text}</t></is></c>'

    def _cut(self, at: str, text: str) -> str:
        units = text.encode("utf-16-le", "surrogatepass")
        if len(units) <= 2 * MAX_CHARACTERS:
            return text
        if not self._warned:
            log.warning(
                "cell %s has %s characters, Excel holds %s; it and others like it are cut: write "
                ".csv or .parquet to keep them whole",
                at,
                f"{len(text):,}",
                f"{MAX_CHARACTERS:,}",
            )
            self._warned = True
        kept = units[: 2 * (MAX_CHARACTERS - len(CUT))]
        return kept.decode("utf-16-le", "ignore") + CUT


def _escaped(found: re.Match[str]) -> str:
    return _ENTITIES.get(found[0]) or f"_x{ord(found[0]):04X}_"


def _serial(value: Any) -> tuple[float, int] | None:
    """Excel's number and style for a date or time; None for what it has no number for."""
    from openpyxl.utils.datetime import to_excel

    style = next((style for kind, style in _STYLES if isinstance(value, kind)), None)
    zoned = getattr(value, "tzinfo", None) is not None
    if style is None or zoned or getattr(value, "year", 1900) < 1900:
        return None
    number: float = to_excel(value)  # type: ignore[no-untyped-call]
    return number, style


def _entry(name: str) -> ZipInfo:
    entry = ZipInfo(name, (1980, 1, 1, 0, 0, 0))
    entry.compress_type = ZIP_DEFLATED
    entry.create_system = 3
    entry.external_attr = 0o644 << 16
    return entry
