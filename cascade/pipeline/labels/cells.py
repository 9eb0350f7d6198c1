"""What stands in a cell of labels: one, a list of them, or several with something in between.

Lists are written as JSON, as Python writes lists, tuples and sets, as NumPy writes arrays (`['a'
'b']`, without commas), and as annotation tools write them (`{"choices": ["a", "b"]}`).
"""

from __future__ import annotations

import ast
import io
import json
import re
import tokenize
from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any

from cascade.taxonomy.names import PATH_SEPARATOR
from cascade.values import text_of

SEPARATORS = ("|", ";", "\n", ",", "，", "、", "；", "\t", "/", "+", "&", " ")
"""What people write between several labels, those first that stand inside of names seldom."""
_DIGIT = re.compile(r"\d")
_BRACKETS = ("[]", "()", "{}")
_OF_TOOLS = ("choices", "taxonomy", "labels")  # keys of Label Studio and others
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
            codes = separator != " " or all(map(_DIGIT.search, parts))  # not the words of a name
            if len(parts) > 1 and codes and all(map(known, parts)):
                return separator
    return None


def _list(text: str) -> list[Any] | None:
    text = text.strip()
    if text[:1] + text[-1:] not in _BRACKETS or len(text) > LONGEST:
        return None
    for parse in (json.loads, _of_numpy, _of_python):  # none runs code
        try:
            found = parse(text)
        except (ValueError, SyntaxError, RecursionError, MemoryError, TypeError):
            continue
        if isinstance(found, Mapping) and len(found) == 1:
            [(key, found)] = found.items()
            found = found if key in _OF_TOOLS else None
        if isinstance(found, list):
            return found
    return None


def _of_python(text: str) -> list[Any] | None:
    """The parts of a list, tuple or set, in the order in which they stand there."""
    found = ast.parse(text, mode="eval").body
    if not isinstance(found, ast.List | ast.Tuple | ast.Set):
        return None
    return [ast.literal_eval(part) for part in found.elts]


def _of_numpy(text: str) -> list[Any] | None:
    """The parts of an array as NumPy shows it, between which there are blanks only."""
    if text[0] != "[":
        return None
    lines = io.StringIO(text[1:-1].replace("\n", " ").strip()).readline
    kinds = (tokenize.STRING, tokenize.NUMBER)
    try:
        tokens = [t for t in tokenize.generate_tokens(lines) if t.string.strip()]
    except tokenize.TokenError:
        return None
    apart = all(a.end != b.start for a, b in pairwise(tokens))
    if len(tokens) < 2 or not apart or any(token.type not in kinds for token in tokens):
        return None
    return [
        ast.literal_eval(token.string) if token.type == tokenize.STRING else token.string
        for token in tokens
    ]


def _label(part: Any) -> str:
    if isinstance(part, list):
        return PATH_SEPARATOR.join(map(text_of, part))
    return text_of(part).strip()
