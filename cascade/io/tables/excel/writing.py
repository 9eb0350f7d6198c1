"""A workbook of one sheet, made of the XML of its rows.

The XML is our own (ECMA-376: inline strings, numbers, booleans, dates), so that parts can be joined
and bytes repeat, which no library offers. A text is never a formula.
"""

from __future__ import annotations

import datetime as dt
import logging
import math
import re
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import IO, Any
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from cascade.errors import OutputError, UsageError
from cascade.io.encodings import escape_surrogates
from cascade.io.tables.excel.reading import MAX_ROWS
from cascade.io.tables.layout import Answer, Layout
from cascade.io.tables.rows import Kind, Row
from cascade.values import text_of

log = logging.getLogger(__name__)

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
