"""Names, codes and descriptions as text: cleaned, cut into paths, and said in plain words."""

from __future__ import annotations

import re

PATH_SEPARATOR = " > "

_UNWANTED = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_INVISIBLE = re.compile("[\u200b\ufeff]")
_HALF = re.compile("[\ud800-\udfff]")
_SPACED = re.compile(r"(?:^|\s+)>(?=\s|$)")
_ARROW = re.compile(r"\s*>\s*")
_SLASH = re.compile(r"(?<!\d)\s*/\s*|\s*/\s*(?!\d)")


def clean(text: str) -> str:
    """A code or a name on one line: no control characters, runs of blanks as one space."""
    if text.isprintable() and "  " not in text:
        return text.strip(" ")
    text = _INVISIBLE.sub("", _HALF.sub("\ufffd", _UNWANTED.sub(" ", text)))
    return " ".join(text.split())


def clean_text(text: str) -> str:
    """A description: lines end in a newline, no other control characters, trimmed."""
    if text.isprintable():
        return text.strip()
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    text = _HALF.sub("\ufffd", re.sub(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", " ", text))
    return text.strip("\ufeff").strip()


def split_path(path: str) -> list[str]:
    """Names of `A > B > C`; only where no `>` stands between blanks do bare ones count."""
    if _SPACED.search(path):
        return _SPACED.split(path)
    return _ARROW.split(path)


def spoken(name: str) -> str:
    """A name as a person would say it: `Tops/Upper Body Wear` is `Tops, Upper Body Wear`.

    Language models and encoders know lists with commas, not with slashes. A slash between two
    digits or with a blank beside it stays.
    """
    return _SLASH.sub(", ", name)
