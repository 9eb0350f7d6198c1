"""Zip archives that are broken, or unpack to far more than they are: workbooks and catalogues."""

from __future__ import annotations

import zlib
from xml.etree.ElementTree import ParseError
from zipfile import BadZipFile, ZipFile

BROKEN = (
    *(BadZipFile, zlib.error, EOFError, OSError, ValueError, KeyError),
    *(RuntimeError, NotImplementedError),  # locked, or packed in an odd way
    *(ParseError, SyntaxError, TypeError, AttributeError, IndexError),  # of what reads the XML
)
"""What zipfile and openpyxl raise about archives that are broken somewhere."""


def reason_of(error: Exception) -> str:
    """Why an archive is broken, in words that are not those of a program."""
    if isinstance(error, TypeError | AttributeError | IndexError):
        return "a part of it is damaged, or of a kind that is not known"
    return str(error)


FREE = 64 << 20  # bytes that a file in an archive may unpack to, however small it is packed
RATIO = 200  # of unpacked to packed bytes beyond that; workbooks of repeating rows reach some 100


def swollen(archive: ZipFile) -> str | None:
    """What is wrong with an archive that unpacks to far more than its size; None if none is."""
    for entry in archive.infolist():
        if entry.file_size > FREE and entry.file_size > RATIO * entry.compress_size:
            return (
                f"{entry.filename!r} in it has {entry.compress_size:,} bytes and would unpack to "
                f"{entry.file_size:,}, which no file that people make does"
            )
    return None
