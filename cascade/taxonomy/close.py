"""Close matches for messages, quick even among a million options."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

_MANY = 20_000


def close_matches(word: str, options: Sequence[str], count: int = 3) -> list[str]:
    """The options most like `word`, best first, whatever their case.

    Among more than 20,000 options only those that share their first two letters with `word` are
    compared, at most 20,000 of them.
    """
    likely: Iterable[str] = options
    if len(options) > _MANY:
        start = word[:2].casefold()
        likely = [option for option in options if option[:2].casefold() == start][:_MANY]
    folded: dict[str, str] = {}
    for option in likely:
        folded.setdefault(option.casefold(), option)
    return [folded[found] for found in difflib.get_close_matches(word.casefold(), folded, n=count)]


def hint(word: str, options: Sequence[str]) -> str:
    """` (did you mean 'a' or 'b'?)`, or nothing where nothing is close."""
    found = close_matches(word, options)
    return f" (did you mean {' or '.join(map(repr, found))}?)" if found else ""
