"""Which kind a file is: one to read by its first bytes, one to write by its name."""

from __future__ import annotations

import codecs
import csv
import logging
import re
from collections import Counter
from collections.abc import Mapping
from io import StringIO
from itertools import islice
from pathlib import Path
from typing import Literal

from cascade.errors import InputError, UsageError
from cascade.io.encodings import Encoding, guess_encoding, marked_encoding
from cascade.io.tables.rows import Kind

log = logging.getLogger(__name__)

HEAD = 1 << 20
"""Bytes from the start of a file that decide what it is."""

FIELD_LIMIT = 2**31 - 1
KINDS: Mapping[str, Kind] = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
    ".xlsx": "xlsx",
}

_SAMPLE = 1 << 18  # characters that decide on the delimiter
_DELIMITERS = ",;\t|"
_EXPECTED = "expected CSV, TSV, JSON lines, Parquet or Excel"
_COMPRESSED = {
    b"\x1f\x8b": ("gzip", "zcat"),
    b"BZh": ("bzip2", "bzcat"),
    b"\xfd7zXZ\x00": ("xz", "xzcat"),
    b"\x28\xb5\x2f\xfd": ("zstd", "zstdcat"),
}
_OTHERS = {
    b"%PDF-": "a PDF; copy its table into a sheet and save that as .xlsx or CSV UTF-8",
    b"{\\rtf": "a document in RTF; save its table as .xlsx or CSV UTF-8",
    b"ARROW1": "an Arrow (Feather) file; write it as Parquet (df.to_parquet)",
    b"SQLite format 3": "a database of SQLite; export the table as CSV",
    b"ORC": "an ORC file; write it as Parquet",
    b"Obj\x01": "an Avro file; write it as Parquet",
    b"\x80\x04\x95": "a pickle, which is never read; write the rows as Parquet or CSV",
    b"\x80\x05\x95": "a pickle, which is never read; write the rows as Parquet or CSV",
}
_NOTE = re.compile(r"\ufeff?sep=([,;\t|])\r?(?:\n|\r|\Z)", re.IGNORECASE)
_USUAL = frozenset(
    [
        *("id", "sku", "code", "name", "text", "title", "label", "category", "product", "item"),
        *("description", "price", "quantity"),
    ]
)
NOTES = 20  # lines that are looked at for what stands above the header
_SEPARATING = b"\x01\x02\x07\x1c\x1d\x1e\x1f"  # what Hive and others write between cells
_CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f]")


def kind_of(out: str | Path) -> Kind:
    """The kind that the name of an output asks for.

    Raises
    ------
    UsageError
        The name ends in none of the known ways; they are listed.
    """
    suffix = Path(out).suffix
    if (kind := KINDS.get(suffix.lower())) is None:
        ends = f"ends in {suffix!r}" if suffix else "has no ending"
        raise UsageError(
            f"--out {out} {ends}, so its kind is not known; end it in one of "
            f"{', '.join(KINDS)}, or use - for standard output"
        )
    return kind


def container_of(head: bytes, name: str) -> Literal["parquet", "xlsx"] | None:
    """The binary kind that the first bytes announce, None for text.

    Raises
    ------
    InputError
        The file is empty or of a kind that cannot be read; tells the cure.
    """
    if not head.strip(b" \t\r\n\0\xef\xbb\xbf"):
        raise InputError(
            "the file is empty; expected a header line and rows, or JSON objects", file=name
        )
    if head.startswith(b"PAR1"):
        return "parquet"
    if head.startswith(b"PK\x03\x04"):
        return "xlsx"
    if head.startswith(b"\xd0\xcf\x11\xe0"):
        raise InputError(
            "this is an old .xls or a password-protected workbook; open it and save it as .xlsx "
            "without a password, or as CSV UTF-8",
            file=name,
        )
    for magic, (kind, command) in _COMPRESSED.items():
        if head.startswith(magic):
            raise InputError(
                f"this is {kind}-compressed; unpack it first: {command} FILE | cascade classify -",
                file=name,
            )
    for magic, what in _OTHERS.items():
        if head.startswith(magic):
            raise InputError(f"this is {what}", file=name)
    start = head[:200].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if start.startswith((b"<!doctype", b"<html", b"<?xml")):
        raise InputError(f"this is a web page or XML, no table; {_EXPECTED}", file=name)
    return None


def encoding_of(head: bytes, name: str, asked: str | None = None) -> Encoding:
    """The encoding of a text: the one asked for, else that of its mark, else a guess.

    Raises
    ------
    UsageError
        There is no encoding of the name asked for.
    InputError
        The bytes are not text; names the first that shows it.
    """
    marked = marked_encoding(head)
    chosen = _known(asked) if asked else (marked or "utf-8")
    if chosen == "utf-8" and marked == "utf-8-sig":
        chosen = marked
    if chosen.startswith(("utf-16", "utf-32")):
        return Encoding(chosen, "replace")
    _refuse_binary(head, name)
    if not asked and not marked and (chosen := guess_encoding(head)) != "utf-8":
        log.warning(
            "%s is not UTF-8 and is read as %s; if that is wrong, name its encoding with "
            "--encoding",
            name,
            chosen,
        )
    return Encoding(chosen, "surrogateescape", bom=chosen == "utf-8-sig")


def _known(asked: str) -> str:
    try:
        "".encode(asked)
        return codecs.lookup(asked).name
    except LookupError:
        raise UsageError(
            f"encoding {asked!r} is not known; use for example utf-8, cp1252, latin-1, utf-16, "
            "shift_jis or gb18030"
        ) from None


def _refuse_binary(head: bytes, name: str) -> None:
    """Refuse bytes with a control character in their first line, or with many of them."""
    found = _CONTROL.search(head)
    if found is None:
        return
    at, controls = found.start(), len(_CONTROL.findall(head))
    many = controls >= 16 and controls > len(head) // 20
    first_line = re.match(rb"\s*[^\r\n]*", head)
    if not many and first_line is not None and at >= first_line.end():
        return
    cure = _EXPECTED
    zeros = head[::2].count(0), head[1::2].count(0)
    if sum(zeros) > len(head) // 4 and max(zeros) > 10 * min(zeros):
        odd = zeros[1] > zeros[0]
        cure = f"if it is UTF-16 text, say --encoding utf-16-{'le' if odd else 'be'}"
    lines = [line for line in head.splitlines()[:50] if line]
    if head[at] in _SEPARATING and len({line.count(head[at : at + 1]) for line in lines}) == 1:
        raise InputError(
            f"its cells are separated by the byte 0x{head[at]:02X}; write commas, tabs, semicolons "
            "or | between them",
            file=name,
        )
    raise InputError(
        f"this is a binary file (byte 0x{head[at]:02X} at offset {at}); {cure}", file=name
    )


def head_text(head: bytes, encoding: Encoding, name: str) -> str:
    """The head as text, without the character that its end may cut.

    Bytes that are not of this encoding, and cannot be kept either, raise InputError.
    """
    decoder = codecs.getincrementaldecoder(encoding.name)(encoding.errors)
    try:
        return decoder.decode(head, len(head) < HEAD).removeprefix("\ufeff")
    except UnicodeError as error:
        raise InputError(
            f"the text is not {encoding.name} ({error}); name another encoding with --encoding",
            file=name,
        ) from None


def newline_of(text: str) -> str:
    r"""What ends the first line: `\r\n`, `\n` or, in old Mac files, `\r`."""
    at = text.find("\n")
    if at < 0:
        return "\r" if "\r" in text.rstrip() else "\n"
    return "\r\n" if text[at - 1 : at] == "\r" else "\n"


def note_of(text: str) -> str | None:
    """The delimiter that a line `sep=;` above the header names, as Excel reads it; else None."""
    found = _NOTE.match(text)
    return found[1] if found else None


def refuse_notes(text: str, delimiter: str, name: str) -> None:
    """Refuse lines of other text above the header, which would be taken for it.

    They are one cell each and look like a comment, or end in an empty line, and all lines below
    them are cut into the same number of cells.

    Raises
    ------
    InputError
        There are such lines; tells where the header seems to be.
    """
    lines = text[:_SAMPLE].splitlines()[:NOTES]
    start = next((at for at, line in enumerate(lines) if line.strip()), 0)
    comment = lines[start].lstrip()[:1] in ("#", "%") if lines else False
    titled = any(_looks_like_header(line) for line in lines[start + 1 : start + 2])
    titled = titled and lines[start].strip().casefold() not in _USUAL
    below = start + 1
    while comment and below < len(lines) and lines[below].lstrip()[:1] in ("#", "%"):
        below += 1
    filled = [bool(line.strip(f"{_DELIMITERS} ")) for line in lines]
    above = comment or titled or not all(filled[below : below + 1])
    if not above or _cells(lines[start], _DELIMITERS) > 1:
        return
    at = [n for n in range(below, len(lines)) if filled[n]]
    for mark in dict.fromkeys((delimiter, *_DELIMITERS)):
        counts = {_cells(lines[n], mark) for n in at}
        if len(at) > 1 and len(counts) == 1 and counts.pop() > 1:
            raise InputError(
                f"line {start + 1} is no header, since those below it have more cells: "
                f"{lines[start][:60]!r}; remove what stands above the header, which seems to be "
                f"in line {at[0] + 1}",
                file=name,
            )


def _looks_like_header(line: str) -> bool:
    """Whether several cells are filled, and one is called as columns usually are."""
    rows = [next(csv.reader([line], delimiter=mark), []) for mark in _DELIMITERS]
    return any(
        len(cells) > 1
        and all(cell.strip() for cell in cells)
        and not _USUAL.isdisjoint(cell.strip().casefold() for cell in cells)
        for cells in rows
    )


def _cells(line: str, marks: str) -> int:
    """The most cells that one of some delimiters cuts a line into."""
    return max(len(next(csv.reader([line], delimiter=mark), [])) for mark in marks)


def delimiter_of(text: str, whole: bool) -> str:
    """The delimiter among `, ; tab |` that cuts header and rows into the same number of cells.

    A delimiter that the header holds is preferred; where the header is one cell, so that the
    file has one column, the one that leaves the rows whole.
    """
    scores: dict[str, tuple[bool, float, int]] = {}
    csv.field_size_limit(FIELD_LIMIT)
    whole = whole and len(text) <= _SAMPLE
    text = text[:_SAMPLE]
    for delimiter in _DELIMITERS:
        reader = csv.reader(StringIO(text, newline=""), delimiter=delimiter)
        try:
            counts = [len(cells) for cells in islice(reader, 201) if cells]
        except csv.Error:
            continue
        if not whole and 2 < len(counts) < 201:
            counts.pop()  # may be cut
        header, rows = counts[0] if counts else 0, Counter(counts[1:])
        agree = rows[header] / rows.total() if rows else 1.0
        scores[delimiter] = (header > 1, agree, header)
    return max(scores, key=lambda d: scores[d], default=",")
