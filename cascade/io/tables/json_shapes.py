"""Whether a text is JSON lines; JSON of another shape is refused with what makes lines of it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cascade.errors import InputError

_SUFFIXES = (".jsonl", ".ndjson", ".json")
_WRAPPERS = ("data", "items", "rows", "records", "results", "products", "documents", "entries")
"""Keys under which programs write all rows of a file."""

_EXPECTED = "one object on each line is expected"


def is_json_lines(text: str, name: str, *, whole: bool) -> bool:
    """Whether a text is JSON lines: it begins with an object, or the name of the file says so.

    Parameters
    ----------
    text
        The begin of the file.
    whole
        Whether that is all there is.

    Raises
    ------
    InputError
        It is JSON of another shape; tells the cure.
    """
    start = text.lstrip()
    if re.match(r'\[\s*[\[{"\d\]]', start):
        raise _array_error(start, name)
    if not start.startswith("{"):
        return Path(name).suffix.lower() in _SUFFIXES
    first, _, rest = start.partition("\n")
    if rest and (first.strip() == "{" or _is_spread(start)):
        raise InputError(
            f"this JSON spreads objects over several lines; {_EXPECTED}: jq -c . {name} > "
            "items.jsonl",
            file=name,
        )
    if whole and not rest.strip():
        _refuse_whole(first, name)
    return True


def _array_error(text: str, name: str) -> InputError:
    first, end = _first_value(text)
    if end and text[end:].lstrip().startswith("["):
        return InputError(
            f'each line of this JSON is an array; {_EXPECTED}, for example {{"text": "..."}}',
            file=name,
        )
    parts = first if isinstance(first, list) else []
    how = ".[] | {text: .}" if parts and isinstance(parts[0], str) else ".[]"
    return InputError(
        f"this is one JSON array; {_EXPECTED}: jq -c '{how}' {name} > items.jsonl", file=name
    )


def _is_spread(text: str) -> bool:
    """Whether the object that the text begins with ends on a later line."""
    return "\n" in text[: _first_value(text)[1]]


def _first_value(text: str) -> tuple[Any, int]:
    """The value that a text begins with, and where it ends; 0 where it is no JSON."""
    try:
        return json.JSONDecoder().raw_decode(text)
    except (ValueError, RecursionError):
        return None, 0


def _refuse_whole(line: str, name: str) -> None:
    """Refuse a single object that holds all rows: as columns, or under one key."""
    found = _first_value(line)[0]
    if not isinstance(found, Mapping):
        return
    if _are_columns(list(found.values())) or {"columns", "data"} <= found.keys():
        raise InputError(
            "this is one JSON object that holds columns, not rows; one object for each row and "
            'line is expected (of pandas: df.to_json(FILE, orient="records", lines=True))',
            file=name,
        )
    for key, value in found.items():  # such as {"hits": {"total": 2, "hits": [{..}, ..]}}
        inner = [k for k, v in value.items() if _holds_objects(v)] if _is_object(value) else []
        if len(inner) == 1 and len(found) <= 5 and not any(map(_is_text, found.values())):
            raise InputError(
                f"this is one JSON object that holds all rows under {key!r}, {inner[0]!r}; "
                f'{_EXPECTED}: jq -c \'.["{key}"]["{inner[0]}"][]\' {name} > items.jsonl',
                file=name,
            )
    lists = [key for key, value in found.items() if _holds_objects(value)]
    if len(lists) == 1 and (lists[0].casefold() in _WRAPPERS or len(found) == 1):
        raise InputError(
            f"this is one JSON object that holds all rows under {lists[0]!r}; {_EXPECTED}: "
            f"jq -c '.[\"{lists[0]}\"][]' {name} > items.jsonl",
            file=name,
        )


def _are_columns(values: list[Any]) -> bool:
    """Whether the values of an object are columns: lists of one length, or objects by row."""
    if not values:
        return False
    if all(isinstance(value, list) for value in values):
        lengths = set(map(len, values))
        return len(values) > 1 and len(lengths) == 1 and lengths.pop() > 1
    if all(isinstance(value, dict) for value in values):
        keys = list(values[0])
        same = all(list(value) == keys for value in values)
        return same and bool(keys) and (len(values) > 1 or all(map(str.isdecimal, keys)))
    return False


def _is_object(value: Any) -> bool:
    return isinstance(value, dict)


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _holds_objects(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(v, dict) for v in value)
