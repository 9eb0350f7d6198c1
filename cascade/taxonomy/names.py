"""Names, codes and descriptions as text: cleaned, split, joined, and in plain words."""

from __future__ import annotations

import html
import re
from collections.abc import Container, Iterable

PATH_SEPARATOR = " > "

_UNWANTED = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_INVISIBLE = re.compile("[\u00ad\u200b\u2060\ufeff]")
_EDGES = " \u200c\u200d\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
_SURROGATE = re.compile("[\ud800-\udfff]")
_EXCEL_TEXT = re.compile(r'="([^"]*)"')
_WHOLE_FLOAT = re.compile(r"([-+]?[0-9]+)\.0+")
_ENTITY = re.compile(r"&(?:amp|lt|gt|quot|apos|nbsp|#\d{1,6}|#[xX][0-9a-fA-F]{1,5});")
_ARROW = re.compile(r"\s*>\s*")
_SPACED_ARROW = re.compile(r"(?:^|\s+)>(?=\s|$)")
_SLASH = re.compile(r"(?<!\d)\s*/\s*|\s*/\s*(?!\d)")
_BAR = re.compile(r"(?<!\\)((?:\\\\)*)\|")
_SEMICOLON = re.compile(r"(?<!\\)((?:\\\\)*);")


def clean(text: str) -> str:
    """A code or a name on one line: no control characters, runs of blanks as one space.

    Characters that nobody sees are left out at both ends, and inside where they join nothing.
    """
    if text.isprintable() and "  " not in text:
        return text.strip(" ")
    text = _INVISIBLE.sub("", _SURROGATE.sub("\ufffd", _UNWANTED.sub(" ", text)))
    return " ".join(text.split()).strip(_EDGES)


def unescape(text: str) -> str:
    """A text in which signs stand for themselves: `A & B` for `A &amp; B`, as HTML has it."""
    return html.unescape(text) if "&" in text and _ENTITY.search(text) else text


def normalize_code(text: str) -> str:
    """A code as every reader keeps and compares it: `clean`, and the text of `="007"`.

    Excel's users write the latter so that zeros in front are kept.
    """
    text = clean(text)
    if text.startswith('="') and (found := _EXCEL_TEXT.fullmatch(text)):
        return clean(found[1])
    return text


def match_code(text: str, codes: Container[str]) -> str | None:
    """The one of `codes` that a text means; None where it means none.

    It is that code, or the same after `normalize_code`, or one is a whole number and the other the
    same number as a float writes it: `110.0` for `110`, or `110` for `110.0`.
    """
    if text in codes:
        return text
    text = normalize_code(text)
    if text in codes:
        return text
    if text.isascii() and text.isdecimal():
        return f"{text}.0" if f"{text}.0" in codes else None
    if (found := _WHOLE_FLOAT.fullmatch(text)) and found[1] in codes:
        return found[1]
    return None


def clean_text(text: str) -> str:
    """A description: lines end in a newline, no other control characters, trimmed."""
    if text.isprintable():
        return text.strip()
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    text = _SURROGATE.sub("\ufffd", re.sub(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", " ", text))
    return text.strip("\ufeff").strip()


def split_path(path: str) -> list[str]:
    """Names of `A > B > C`; a `>` without blanks counts only where none has them."""
    path = clean(path)  # of runs of blanks the patterns would try each part
    return (_SPACED_ARROW if _SPACED_ARROW.search(path) else _ARROW).split(path)


def split_synonyms(cell: str) -> list[str]:
    r"""Synonyms of a cell: one a line, or split at `|`, or else at `;`, but not after a `\`."""
    if "\n" in cell.strip():
        return cell.split("\n")
    mark = _BAR if _BAR.search(cell) else _SEMICOLON
    words, start = [], 0
    for found in mark.finditer(cell):
        words.append(cell[start : found.end() - 1])
        start = found.end()
    return [re.sub(r"\\([\\|;])", r"\1", word) for word in [*words, cell[start:]]]


def join_synonyms(words: Iterable[str]) -> str:
    """The cell that `split_synonyms` splits into these words."""
    return "|".join(re.sub(r"[\\|;]", r"\\\g<0>", word) for word in words)


def readable_name(name: str) -> str:
    """A name as a person would say it: `Tops/Upper Body Wear` is `Tops, Upper Body Wear`.

    Language models and encoders know lists with commas, not with slashes. A slash between two
    digits or with a blank beside it stays.
    """
    return _SLASH.sub(", ", name) if "/" in name else name
