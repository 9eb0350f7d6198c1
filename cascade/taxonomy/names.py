"""Names, codes and descriptions as text: cleaned, split, joined, and in plain words."""

from __future__ import annotations

import re
from collections.abc import Iterable

PATH_SEPARATOR = " > "

_UNWANTED = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_INVISIBLE = re.compile("[\u200b\ufeff]")
_SURROGATE = re.compile("[\ud800-\udfff]")
_ARROW = re.compile(r"\s*>\s*")
_SPACED_ARROW = re.compile(r"(?:^|\s+)>(?=\s|$)")
_SLASH = re.compile(r"(?<!\d)\s*/\s*|\s*/\s*(?!\d)")
_BAR = re.compile(r"(?<!\\)((?:\\\\)*)\|")
_SEMICOLON = re.compile(r"(?<!\\)((?:\\\\)*);")


def clean(text: str) -> str:
    """A code or a name on one line: no control characters, runs of blanks as one space."""
    if text.isprintable() and "  " not in text:
        return text.strip(" ")
    text = _INVISIBLE.sub("", _SURROGATE.sub("\ufffd", _UNWANTED.sub(" ", text)))
    return " ".join(text.split())


def clean_text(text: str) -> str:
    """A description: lines end in a newline, no other control characters, trimmed."""
    if text.isprintable():
        return text.strip()
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    text = _SURROGATE.sub("\ufffd", re.sub(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", " ", text))
    return text.strip("\ufeff").strip()


def split_path(path: str) -> list[str]:
    """Names of `A > B > C`; a `>` without blanks counts only where none has them."""
    return (_SPACED_ARROW if _SPACED_ARROW.search(path) else _ARROW).split(path)


def split_synonyms(cell: str) -> list[str]:
    r"""Synonyms of a cell: split at `|`, or where there is none at `;`, but not after a `\`."""
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
