"""Bytes to text: the encodings that taxonomies come in, and refusal of what is no text."""

from __future__ import annotations

import codecs
import logging
import re

from cascade.errors import TaxonomyError

logger = logging.getLogger(__name__)

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_PACKED = (
    (b"\x1f\x8b", "gzip data", "unpack it first (gunzip)"),
    (b"BZh", "bzip2 data", "unpack it first (bunzip2)"),
    (b"\xfd7zXZ\x00", "xz data", "unpack it first (unxz)"),
    (b"\x28\xb5\x2f\xfd", "zstd data", "unpack it first (unzstd)"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive", "unpack it first"),
    (b"PAR1", "a Parquet file", "write it as CSV with columns code,name,parent"),
    (b"\xd0\xcf\x11\xe0", "an old Excel workbook", "save the sheet as CSV"),
    (b"%PDF", "a PDF", "give the taxonomy as CSV, YAML or lines of 'A > B > C'"),
    (b"SQLite format 3\x00", "an SQLite database", "export the table as CSV"),
)
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1a\x1c-\x1f]")
_WIDE = re.compile("[^\x00-\x7f\ud800-\udfff]")
_HALF = re.compile("[\ud800-\udfff]")


def refuse_packed(data: bytes, file: str) -> None:
    """Refuse archives and other well-known binary files by their first bytes.

    Raises
    ------
    TaxonomyError
        Names what it is and what to do.
    """
    for magic, what, remedy in _PACKED:
        if data.startswith(magic):
            raise TaxonomyError(f"this is {what}, not a text file; {remedy}", file=file)
    if data.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        what, remedy = "a zip archive", "unpack it first"
        if b"xl/" in data:
            what, remedy = "an Excel workbook", "save the sheet as CSV"
        raise TaxonomyError(f"this is {what}, not a text file; {remedy}", file=file)


def decode(data: bytes, file: str, encoding: str | None = None) -> str:
    r"""Text of a file, each line ending in `\n`, without a byte order mark.

    Parameters
    ----------
    encoding
        Where None, a byte order mark decides, then UTF-8 is tried, then Windows-1252 (with a
        warning).

    Raises
    ------
    TaxonomyError
        This is no text, or not in that encoding; the line is named.
    """
    if encoding is not None:
        text = _strictly(data, file, encoding)
    else:
        named = next((name for mark, name in _MARKS if data.startswith(mark)), None)
        text = _strictly(data, file, named) if named else _told_apart(data, file)
    if found := _CONTROL.search(text):
        raise TaxonomyError(
            f"not a text file: it has the control character {found[0]!r}; expected text in UTF-8, "
            "UTF-16 with a byte order mark, or Windows-1252",
            file=file,
            line=text.count("\n", 0, found.start()) + 1,
        )
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    return text.removeprefix("\ufeff")


def _strictly(data: bytes, file: str, encoding: str) -> str:
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        raise TaxonomyError(
            f"byte 0x{data[error.start]:02x} is not {encoding} ({error.reason}); "
            "save the file as UTF-8, or name its encoding",
            file=file,
            line=data.count(b"\n", 0, error.start) + 1,
        ) from None
    except (LookupError, UnicodeError):
        raise TaxonomyError(
            f"no text encoding is called {encoding!r}; use for example 'utf-8' or 'cp1252'",
            file=file,
        ) from None


def _told_apart(data: bytes, file: str) -> str:
    """UTF-8, or Windows-1252 unless the bytes are plainly damaged UTF-8 or no text."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        start, line = error.start, data.count(b"\n", 0, error.start) + 1
    lenient = data.decode("utf-8", "surrogateescape")
    if _CONTROL.search(lenient):
        raise TaxonomyError(
            "not a text file: it has control characters and is not UTF-8; expected text",
            file=file,
            line=line,
        )
    if len(_WIDE.findall(lenient)) > len(_HALF.findall(lenient)):
        raise TaxonomyError(
            f"byte 0x{data[start]:02x} is not UTF-8, though the rest of the file is; "
            "repair that line",
            file=file,
            line=line,
        )
    text = _strictly(data, file, "cp1252")
    logger.warning(
        "%s, line %d: not UTF-8; read as Windows-1252 (save it as UTF-8, or name its encoding)",
        file,
        line,
    )
    return text
