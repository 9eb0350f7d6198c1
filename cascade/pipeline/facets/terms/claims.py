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


class _Claim(NamedTuple):
    """A row of `claims.csv`: what goes, where a text has another word or has none."""

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
    text = re.sub(r"\s+([,;)])", r"\1", re.sub(r"\(\s*\)", " ", text))
    text = re.sub(r"([,;])(?:\s*[,;])+", r"\1", text)
    text = re.sub(r"(?:\b(?:with|and|but)\s*)?[\s,;:(&/-]*$|^[\s,;:/-]+", "", text)
    return re.sub(r"\s{2,}", " ", text)


@cache
def _claims() -> Sequence[_Claim]:
    text = (resources.files("cascade.foodex2") / "data" / "claims.csv").read_text("utf-8")
    rows = csv.DictReader(io.StringIO(text))
    return [
        _Claim(said, _any_of(row["only"]), _any_of(row["unless"]))
        for row in rows
        if (said := _any_of(row["words"]))
    ]


def _any_of(names: str) -> re.Pattern[str] | None:
    """Names that bars part, the longest first, with blanks or hyphens between their words."""
    longest = sorted(filter(None, names.split("|")), key=len, reverse=True)
    joined = [r"[\s-]+".join(map(re.escape, name.split())) for name in longest]
    return re.compile(rf"(?<!\w)(?:{'|'.join(joined)})(?!\w)", re.IGNORECASE) if joined else None
