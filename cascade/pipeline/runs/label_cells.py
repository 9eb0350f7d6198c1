"""What stands in a cell of labels: one, a list of them, or several with something in between."""

from __future__ import annotations

import ast
import json
from collections.abc import Callable
from typing import Any

from cascade.taxonomy.names import PATH_SEPARATOR
from cascade.values import text_of

SEPARATORS = ("|", ";", "\n", ",", "/", "+", "&")
"""What people write between several labels, those first that stand inside of names seldom."""
LONGEST = 10_000  # characters of a cell that are looked at for a list


def labels_in(text: str, separator: str | None = None) -> list[str]:
    """The labels of a cell, in order: of a JSON or Python list its parts, else as separated.

    A list inside a list is a path of names, as annotation tools write it.
    """
    if (parts := _list(text)) is not None:
        return [label for label in map(_label, parts) if label]
    pieces = text.split(separator) if separator else [text]
    return [piece.strip() for piece in pieces if piece.strip()]


def is_list(text: str) -> bool:
    """Whether a cell is written as a JSON or Python list."""
    return _list(text) is not None


def separator_of(text: str, known: Callable[[str], bool]) -> str | None:
    """What stands between several labels of a cell, all of which are known; None if nothing."""
    for separator in SEPARATORS:
        if separator in text:
            parts = labels_in(text, separator)
            if len(parts) > 1 and all(map(known, parts)):
                return separator
    return None


def _list(text: str) -> list[Any] | None:
    text = text.strip()
    if not (text[:1] == "[" and text[-1:] == "]") or len(text) > LONGEST:
        return None
    for parse in (json.loads, ast.literal_eval):  # neither runs code
        try:
            found = parse(text)
        except (ValueError, SyntaxError, RecursionError, MemoryError, TypeError):
            continue
        if isinstance(found, list):
            return found
    return None


def _label(part: Any) -> str:
    if isinstance(part, list):
        return PATH_SEPARATOR.join(map(text_of, part))
    return text_of(part).strip()
