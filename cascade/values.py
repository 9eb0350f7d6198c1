"""Values as text, by one rule for the cells of files, of records and of data frames.

None, NaN, NaT, NA and null are missing, and text of nothing that can be seen is as good as none.
"""

from __future__ import annotations

import base64
import datetime as dt
import json
import math
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

_MISSING = {"NAType", "NaTType", "MaskedConstant"}  # of pandas and NumPy, which need not be there
_BLANK_LETTERS = "\u115f\u1160\u3164\uffa0"  # Hangul fillers
_BLANK_SYMBOLS = "\u2800\ufffc\ufffd"  # Braille blank, signs for what is not there
_JOINERS = "\u200c\u200d"
_NESTED = (list, dict, tuple)
MOST_LEVELS = 100  # of values inside of each other
_READABLE = re.compile(rf"[^\W_{_BLANK_LETTERS}]")
is_readable = _READABLE.search  # finds a letter or a digit; what is visible may have none


def text_of(value: Any) -> str:
    """A value as a person would write it: 12.0 is `12`, True `true`, what is missing is empty.

    Dates are ISO 8601, lists, objects and arrays JSON, bytes UTF-8 text or else base64.
    """
    match value:
        case str():
            return str(value)
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case float():
            if math.isnan(value):
                return ""
            whole = value.is_integer() and abs(value) < 1e15
            return str(int(value)) if whole else repr(float(value))
        case int():
            return str(value)
        case bytes() | bytearray():
            try:
                return value.decode()
            except UnicodeDecodeError:
                return base64.b64encode(value).decode()
        case _ if is_missing(value):
            return ""
        case dt.datetime() | dt.date() | dt.time():
            return value.isoformat()
        case list() | dict():
            return json_of(value)
        case _:
            plain = plain_of(value)
            return str(value) if plain is value else text_of(plain)


def reading_of(value: Any) -> str:
    """A value as text to read: as `text_of`, but of a list or object with nothing in it nothing.

    Nothing, too, of values that are nested too deeply; see `fault_of`.
    """
    if type(value) is str:
        return value
    return text_of(value) if not is_too_deep(value) and _holds(value) else ""


def is_too_deep(value: Any) -> bool:
    """Whether lists or objects are nested in each other more than 100 levels, or without end."""
    level: list[Any] = [value]
    for _ in range(MOST_LEVELS):
        inner: dict[int, Any] = {}  # those that stand there twice once
        for outer in level:
            if isinstance(outer, _NESTED):
                values = outer.values() if isinstance(outer, dict) else outer
                inner |= {id(found): found for found in values if isinstance(found, _NESTED)}
        if not inner:
            return False
        level = list(inner.values())
    return True


def _holds(value: Any) -> bool:
    """Whether anything stands in a value, however deep."""
    if isinstance(value, str):
        return bool(value.strip())
    if is_missing(value):
        return False
    match plain_of(value):
        case dict() as found:
            return any(map(_holds, found.values()))
        case list() as found:
            return any(map(_holds, found))
        case _:
            return True


CELL_ERRORS = frozenset(
    [
        *("#NULL!", "#DIV/0!", "#VALUE!", "#REF!", "#NAME?", "#NUM!", "#N/A", "#GETTING_DATA"),
        *("#SPILL!", "#CALC!", "#FIELD!", "#BLOCKED!", "#CONNECT!", "#UNKNOWN!", "#BUSY!"),
        *("#EXTERNAL!", "#PYTHON!"),
    ]
)
"""What cells of sheets show whose formula failed, also where the sheet was saved as CSV."""


def fault_of(value: Any) -> str | None:
    """Why a value that is there cannot be read as text, as the object of "has"; None if it can."""
    if isinstance(value, str) and value[:1] == "#" and value in CELL_ERRORS:
        return f"the error {str(value)!r} of a formula; mend it, or leave the cell empty"
    if isinstance(value, bytes | bytearray):
        try:
            value.decode()
        except UnicodeDecodeError:
            return "bytes that are not UTF-8 text; decode them first"
    if isinstance(value, _NESTED) and is_too_deep(value):
        return f"values that are nested more than {MOST_LEVELS} levels deep; flatten them"
    return None


def plain_of(value: Any) -> Any:
    """The plain Python value behind one of NumPy or Arrow, a tuple or a set; else the value."""
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, tuple | set | frozenset):
        return list(value)
    if hasattr(value, "as_py"):  # an Arrow scalar
        return value.as_py()
    if hasattr(value, "dtype") and getattr(value, "ndim", None) is not None:
        if value.dtype.kind in "mM" and value.ndim == 0:  # finer than Python's, perhaps
            return str(value)
        return value.tolist()
    return value


def is_missing(value: Any) -> bool:
    """Whether a value says that there is none: None, NaN, NaT, NA, null; empty text is a value."""
    if value is None or type(value).__name__ in _MISSING:
        return True
    if isinstance(value, str):
        return False
    if isinstance(value, float):
        return math.isnan(value)
    if isinstance(value, Decimal):
        return value.is_nan()
    if hasattr(value, "as_py"):
        return is_missing(value.as_py())
    if hasattr(value, "dtype") and getattr(value, "ndim", None) == 0:
        return bool(value != value) if value.dtype.kind in "fcmM" else is_missing(value.item())
    return False


def json_of(value: Any) -> str:
    """A value as one line of JSON; NaN and infinities, which JSON has not, are null."""
    if type(value) is str:
        return _json_of_text(value)
    if value is None:
        return "null"
    if type(value) is float and math.isfinite(value):
        return repr(value)
    try:
        return _JSON.encode(value)
    except ValueError:
        return _JSON.encode(_finite(value))


def json_texts(values: Sequence[Any]) -> list[str]:
    """`json_of` of each."""
    kinds = {*map(type, values)}
    if kinds == {str}:
        return list(map(_json_of_text, values))
    if kinds == {float} and all(map(math.isfinite, values)):
        return list(map(repr, values))
    return list(map(json_of, values))


def _for_json(value: Any) -> Any:
    if is_missing(value):
        return None
    plain = plain_of(value)
    return text_of(value) if plain is value else _finite(plain)


_json_of_text = json.encoder.encode_basestring  # what the encoder calls, too
_JSON = json.JSONEncoder(ensure_ascii=False, default=_for_json, allow_nan=False)


def _finite(value: Any) -> Any:
    match value:
        case float():
            return value if math.isfinite(value) else None
        case Mapping():
            return {key: _finite(inner) for key, inner in value.items()}
        case list() | tuple():
            return [_finite(inner) for inner in value]
        case _:
            return value


def printable(text: str) -> str:
    """A text that steers no terminal and turns no text around: such signs are blanks.

    Joiners stay, which emoji and Indic scripts are written with.
    """
    return "".join(sign if sign.isprintable() or sign in _JOINERS else " " for sign in text)


def printable_lines(text: str) -> str:
    """A text of several lines as `printable` has each; tabs stay too."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return "\n".join("\t".join(map(printable, line.split("\t"))) for line in lines)


def is_visible(text: str) -> bool:
    """Whether a text has a character that a person can see.

    Blanks, control and format characters (zero width, byte order mark, soft hyphen, tags), marks
    without a letter, fillers and replacement characters are none.
    """
    return _READABLE.search(text) is not None or any(map(_shows, set(text)))


def absence_of(texts: Iterable[str]) -> str:
    """Why texts of which none is visible cannot be read, as the begin of a sentence."""
    left = "".join(dict.fromkeys("".join("".join(texts).split())))
    if not left:
        return "the text is empty"
    named = ", ".join(f"U+{ord(character):04X}" for character in left[:3])
    more = ", ..." if len(left) > 3 else ""
    return f"the text has only characters that nobody sees ({named}{more})"


def _shows(character: str) -> bool:
    if character in _BLANK_LETTERS or character in _BLANK_SYMBOLS:
        return False
    category = unicodedata.category(character)
    if category == "Cn":  # newer than this Python's tables, or no character at all
        code = ord(character)
        ignorable = 0xE0000 <= code <= 0xE0FFF or 0xFFF0 <= code <= 0xFFF8 or code == 0x2065
        return not (ignorable or code & 0xFFFE == 0xFFFE or 0xFDD0 <= code <= 0xFDEF)
    return category[0] in "LNPS" or category == "Co"
