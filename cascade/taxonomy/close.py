"""Close matches for messages, quick even among a million options."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Sequence

_MANY = 20_000


def close_matches(word: str, options: Sequence[str], count: int = 3) -> list[str]:
    """The options most like `word`, best first, whatever their case.

    Among more than 20,000 options only those are compared that begin or end like `word`, as far as
    any does.
    """
    likely: Iterable[str] = options
    if len(options) > _MANY:
        likely = [*_sharing(word, options, str.startswith), *_sharing(word, options, str.endswith)]
    folded: dict[str, str] = {}
    for option in likely:
        folded.setdefault(option.casefold(), option)
    return [folded[found] for found in difflib.get_close_matches(word.casefold(), folded, n=count)]


def _sharing(word: str, options: Sequence[str], test: Callable[[str, str], bool]) -> Iterable[str]:
    """Options with the longest beginning (or end) of `word` that any has, at most 20,000."""
    for size in range(len(word) - 1, 0, -1):
        part = word[:size] if test is str.startswith else word[-size:]
        found = [option for option in options if test(option, part)]
        if found:
            return found[:_MANY]
    return []


def hint(word: str, options: Sequence[str]) -> str:
    """` (did you mean 'a' or 'b'?)`, or nothing where nothing is close."""
    found = close_matches(word, options)
    return f" (did you mean {' or '.join(map(repr, found))}?)" if found else ""
