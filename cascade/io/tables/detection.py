"""Which kind a file is: one to read by its first bytes, one to write by its name."""

from __future__ import annotations

import codecs
import csv
import json
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
    if head.count(0) > len(head) // 4:
        odd = head[1::2].count(0) >= head[::2].count(0)
        cure = f"if it is UTF-16 text, say --encoding utf-16-{'le' if odd else 'be'}"
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


def is_json_lines(text: str, name: str) -> bool:
    """Whether the text is JSON lines; JSON of another shape raises InputError with the cure."""
    start = text.lstrip()
    if re.match(r'\[\s*[\[{"\d\]]', start):
        raise InputError(
            f"this is one JSON array; one object on each line is expected: "
            f"jq -c '.[]' {name} > items.jsonl",
            file=name,
        )
    if not start.startswith("{"):
        return False
    first, _, rest = start.partition("\n")
    if rest and (first.strip() == "{" or _is_spread(start)):
        raise InputError(
            "this JSON spreads objects over several lines; one object on each line is "
            f"expected: jq -c . {name} > items.jsonl",
            file=name,
        )
    return True


def _is_spread(text: str) -> bool:
    """Whether the object that the text begins with ends on a later line."""
    try:
        _, end = json.JSONDecoder().raw_decode(text)
    except (ValueError, RecursionError):
        return False
    return "\n" in text[:end]


def newline_of(text: str) -> str:
    r"""What ends the first line: `\r\n`, `\n` or, in old Mac files, `\r`."""
    at = text.find("\n")
    if at < 0:
        return "\r" if "\r" in text.rstrip() else "\n"
    return "\r\n" if text[at - 1 : at] == "\r" else "\n"


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
