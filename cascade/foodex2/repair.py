"""Codes as institutions keep them, read as codes: what is malformed is mended, and said."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from cascade.foodex2.code import CodeError, FoodCode, spelled
from cascade.taxonomy.facets import Facet, FacetedTaxonomy

_BASE = re.compile(r"[A-Z0-9]{5}(?![A-Z0-9])|[A-Z0-9]{5}(?=F[0-9]{1,2}[ .])")
_FACET = re.compile(r"F\s*([0-9]{1,2})\s*[.:_=\-]?\s*([A-Z0-9]{5})(?![A-Z0-9])")
_BETWEEN = re.compile(r"[\s#$,;|+&/.:\-\[\](){}\"']*")

MASKS = frozenset(
    "anonymised anonymized anonymous anonym anonymisiert anonymisé anonimizzato anonimo "  # noqa: SIM905
    "anonimizado anónimo redacted masked censored confidential vertraulich confidentiel "
    "confidentielle riservato confidencial withheld undisclosed removed geschwärzt maskiert "
    "oscurato omesso anon deleted hidden privacy private gdpr dsgvo rgpd".split()
)
"""Words that stand in the place of a description that must not be told."""
_BESIDE = frozenset(
    "product food item name brand text description data value produkt name marke bezeichnung "  # noqa: SIM905
    "produit nom marque prodotto nome marca producto nombre for by of the due to reasons".split()
)
_WORD = re.compile(r"[^\W_]+")
_MASK = re.compile(r"([xX*#?•█■_.-])\1{2,}")  # one sign again and again
_DIGEST = re.compile(r"(?:[0-9a-f]{32,128}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})", re.I)


class RepairedCode(NamedTuple):
    """A code that was read, and what was mended.

    Parameters
    ----------
    code
        None where the text names no base term of the catalogue.
    repairs
        What is not as it was written, each in a few words; empty where nothing was.
    """

    code: FoodCode | None
    repairs: Sequence[str] = ()


def repair(text: str, taxonomy: FacetedTaxonomy) -> RepairedCode:
    """Read a code as people and spreadsheets write it.

    Capitals, blanks, quotes and signs between the parts are mended, as are a zero that a category
    has lost (`F4`), a letter O in the place of a zero, and a name behind the code. A facet that the
    catalogue does not have, and what is no facet at all, are left out. Facets that the base term
    implies, or that stand twice, are dropped without a word: the code says the same.
    """
    repairs: list[str] = []
    try:
        code: FoodCode | None = FoodCode.parse(text)
    except CodeError:
        code = _loosely(spelled(text), taxonomy, repairs)
    if code is None:
        return RepairedCode(None)
    base = _known(code.base, taxonomy)
    if base is None:
        return RepairedCode(None)
    if base != code.base:
        repairs.append(f"{code.base} is {base} with a zero")
    facets = []
    for facet in code.facets:
        found = _known_facet(facet, taxonomy)
        if found is None:
            repairs.append(f"{facet} is left out: the catalogue has no such facet")
        elif found not in facets:
            facets.append(found)
            if found != facet:
                repairs.append(f"{facet} is {found} with a zero")
    mended = FoodCode(base, tuple(facets)).normalised(taxonomy.implied(base))
    return RepairedCode(mended, tuple(repairs))


def is_anonymised(text: str) -> bool:
    """Whether a description was struck out: `xxxx`, `[redacted]`, `***`, a digest, and no more."""
    shown = " ".join(text.split())
    if not shown or _DIGEST.fullmatch(shown.strip("[]<>(){} ")):
        return bool(shown)
    rest = _MASK.sub(" ", shown)
    words = [word.casefold() for word in _WORD.findall(rest)]
    if not all(word in MASKS or word in _BESIDE or word.isdigit() for word in words):
        return False
    # `Brand` alone is no mask; `[brand name removed]` and `brand xxxx` tell no more than a mask.
    return rest != shown or any(word in MASKS for word in words)


def _loosely(text: str, taxonomy: FacetedTaxonomy, repairs: list[str]) -> FoodCode | None:
    """The code in a text that is none as it stands."""
    text = text.lstrip("#$;,. ")
    first = _FACET.search(text)
    base = _BASE.match(text)
    if base is None or (first is not None and first.start() < base.end()):
        return None
    facets = [Facet(f"F{int(f[1]):02d}", f[2]) for f in _FACET.finditer(text, base.end())]
    rest = _FACET.sub(" ", text[base.end() :])
    if _BETWEEN.fullmatch(rest):
        repairs.append("signs between its parts")
    else:
        left = " ".join(rest.split()).strip("#$ ")
        repairs.append(f"{left[:40]!r} is left out: it is no facet")
    return FoodCode(base[0], tuple(facets))


def _known(code: str, taxonomy: FacetedTaxonomy) -> str | None:
    """A base term's code, with zeros for the letter O if that is needed."""
    return next((own for own in (code, code.replace("O", "0")) if own in taxonomy), None)


def _known_facet(facet: Facet, taxonomy: FacetedTaxonomy) -> Facet | None:
    category = taxonomy.categories.get(facet.category)
    if category is None:
        return None
    for own in (facet.descriptor, facet.descriptor.replace("O", "0")):
        if own in category.tree:
            return Facet(facet.category, own)
    return None
