"""What labels claim of a food, and what makes no other base term of it: `free-range`, `UHT`."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from functools import cache
from importlib import resources
from typing import NamedTuple

from cascade.pipeline.facets.naming import words

BEFORE = " \t\n\r,;:/-"  # what is left before a text, and behind it
BEHIND = f"{BEFORE}(&"
LAST = re.compile(r"\b(?:with|and|but)$")


class _Claim(NamedTuple):
    """A row of `claims.csv`: what goes, with what stands behind it, where a text has some word.

    `of` in the table are words behind the first: `with` of `with calcium and iron`.
    """

    said: re.Pattern[str]
    only: re.Pattern[str] | None
    unless: re.Pattern[str] | None


def without_claims(text: str) -> str:
    """A text without claims that make no other base term of it: `no added sugar` of a juice."""
    for claim in _claims():
        if not claim.said.search(text):
            continue
        if claim.only and not claim.only.search(text):
            continue
        if claim.unless and claim.unless.search(text):
            continue
        kept = trimmed(claim.said.sub(" ", text))
        text = kept if words(kept) else text
    return text


def trimmed(text: str) -> str:
    """A text without the small words and signs that are left where something was taken out."""
    text = re.sub(r"\(\s*\)", " ", " ".join(text.split()))  # linear: no blanks beside blanks
    text = re.sub(r"\s+([,;)])", r"\1", text)
    text = re.sub(r"([,;])(?:\s*[,;])+", r"\1", text)
    text = text.lstrip(BEFORE).rstrip(BEHIND)
    text = text[: -len(small[0])] if (small := LAST.search(text[-5:])) else text
    return re.sub(r"\s{2,}", " ", text)


@cache
def _claims() -> Sequence[_Claim]:
    text = (resources.files("cascade.foodex2") / "data" / "claims.csv").read_text("utf-8")
    rows = csv.DictReader(io.StringIO(text))
    return [
        _Claim(_said(row["words"], row["of"]), _pattern(row["only"]), _pattern(row["unless"]))
        for row in rows
    ]


def _said(names: str, of: str) -> re.Pattern[str]:
    if not of:
        return _whole(_any_of(names))
    what = rf"{_any_of(of)}(?!\w)"
    return _whole(rf"{_any_of(names)}\s+{what}(?:\s*(?:,|&|and)\s*(?:and\s+)?{what})*")


def _pattern(names: str) -> re.Pattern[str] | None:
    return _whole(_any_of(names)) if names else None


def _whole(expression: str) -> re.Pattern[str]:
    return re.compile(rf"(?<!\w){expression}(?!\w)", re.IGNORECASE)


def _any_of(names: str) -> str:
    """Names that bars part, the longest first, with blanks or hyphens between their words."""
    longest = sorted(names.split("|"), key=len, reverse=True)
    joined = [r"[\s-]+".join(map(re.escape, name.split())) for name in longest]
    return f"(?:{'|'.join(joined)})"
