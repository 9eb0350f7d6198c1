"""Bytes to text: the encodings that taxonomies come in, and refusal of what is no text."""

from __future__ import annotations

import logging
import re
from pathlib import Path

from cascade.errors import TaxonomyError
from cascade.io.encodings import guess_encoding, marked_encoding

logger = logging.getLogger(__name__)

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


def refuse_packed(data: bytes, file: Path) -> None:
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


def decode(data: bytes, file: Path, encoding: str | None = None) -> str:
    r"""Text of a file, each line ending in `\n`, without a byte order mark.

    Parameters
    ----------
    encoding
        By default that of a byte order mark, or a guess: see `guess_encoding`. A guess other than
        UTF-8 is told by a warning.

    Raises
    ------
    TaxonomyError
        This is no text, or not in that encoding; the line is named.
    """
    marked = marked_encoding(data)
    if not encoding and not marked:
        _refuse_control(data.decode("latin-1"), file)
    chosen = encoding or marked or guess_encoding(data, doubtful="cp1252")
    text = _strictly(data, file, chosen)
    _refuse_control(text, file)
    if chosen not in (encoding, marked, "utf-8"):
        logger.warning(
            "%s: not UTF-8; read as %s (save it as UTF-8, or name its encoding)", file, chosen
        )
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    return text.removeprefix("\ufeff")


def _refuse_control(text: str, file: Path) -> None:
    if found := _CONTROL.search(text):
        raise TaxonomyError(
            f"not a text file: it has the control character {found[0]!r}; expected text in UTF-8, "
            "UTF-16 with a byte order mark, or Windows-1252",
            file=file,
            line=text.count("\n", 0, found.start()) + 1,
        )


def _strictly(data: bytes, file: Path, encoding: str) -> str:
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        raise TaxonomyError(
            f"byte 0x{data[error.start]:02x} is not {encoding} ({error.reason}); "
            "repair that line, save the file as UTF-8, or name its encoding",
            file=file,
            line=data.count(b"\n", 0, error.start) + 1,
        ) from None
    except (LookupError, UnicodeError):
        raise TaxonomyError(
            f"no text encoding is called {encoding!r}; use for example 'utf-8' or 'cp1252'",
            file=file,
        ) from None
