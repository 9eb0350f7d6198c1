"""A description in pieces: the whole, and what stands between commas and small words."""

from __future__ import annotations

import re

CUT = re.compile(
    r"[,;:\n|/()\[\]]+|\s[-\u2013\u2014]\s|"
    r"\b(?:with|without|in|into|from|made of|made from|made with|containing|and|for|by|plus)\b",
    re.IGNORECASE,
)
KEPT = re.compile(r"\b(?:without|in|from|for)\b", re.IGNORECASE)
MOST = 12  # pieces of a description


def pieces(text: str) -> list[str]:
    """The whole text first, then its pieces, each once, in their order.

    A piece keeps the small word that it begins with where that says something: `in olive oil`.
    """
    found = [" ".join(text.split())]
    at = 0
    before = ""
    for cut in [*CUT.finditer(text), None]:
        part = text[at : cut.start() if cut else len(text)].strip(" .\t")
        if part:
            found.append(f"{before} {part}".strip())
            if before and before.casefold() != "without":
                found.append(part)
        before = cut[0].strip() if cut and KEPT.fullmatch(cut[0].strip()) else ""
        at = cut.end() if cut else len(text)
    return list(dict.fromkeys(found))[: MOST + 1]
