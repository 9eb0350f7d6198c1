"""Codes of one release made codes of another, with a word on each term that had to change."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from cascade.errors import InputError
from cascade.foodex2.catalogue import Catalogue
from cascade.foodex2.code import FoodCode
from cascade.foodex2.releases import Replacement, Successors
from cascade.taxonomy.facets import Facet

Outcome = Literal["same", "changed", "review", "error"]

BECAUSE = {
    "foodex1": "as the catalogue says",
    "name": "the one term of this name",
    "synonym": "the one term with these scientific names",
    "above": "the nearest term above, which says less",
}


@dataclass(frozen=True, slots=True)
class Migrated:
    """A code in another release.

    Parameters
    ----------
    code
        None where there is none.
    outcome
        `same`; `changed`: it says as much as before; `review`: a part says less than before or is
        left out; `error`: nothing stands in place of the base term, or the text is no code.
    notes
        What changed, a sentence for each part.
    """

    code: str | None
    outcome: Outcome
    notes: Sequence[str] = ()


class Migration:
    """Brings codes to a release.

    Parameters
    ----------
    new
        The release to bring them to.
    old
        The release that they are of, for terms that the new one does not know any more.
    """

    def __init__(self, new: Catalogue, old: Catalogue | None = None) -> None:
        self._new, self._old = new, old
        self._successors = Successors(new, old)

    def migrated(self, text: str) -> Migrated:
        """The code in the new release: FoodEx2 codes, and codes of FoodEx1."""
        found = self._successors.of(text.strip()) if "#" not in text else None
        if found is not None and found.because == "foodex1":
            said = f"{text.strip()} is {self._new.named(found.code)}, {BECAUSE['foodex1']}"
            return Migrated(found.code, "changed", [said])
        try:
            code = FoodCode.parse(text)
        except InputError as error:
            return Migrated(None, "error", [str(error)])
        notes: list[str] = []
        base = self._successors.of(code.base)
        if base is None:
            return Migrated(None, "error", [f"nothing stands for {self._named(code.base)}"])
        exact = self._noted(code.base, base, notes)
        implied = self._new.terms[base.code].facets
        facets: list[Facet] = []
        for facet in code.facets:
            hierarchy = self._new.hierarchy_of(facet.category)
            found = None if hierarchy is None else self._successors.of(facet.descriptor, hierarchy)
            if found is None:
                notes.append(f"nothing stands for {facet.category}.{self._named(facet.descriptor)}")
                exact = False
                continue
            exact &= self._noted(facet.descriptor, found, notes)
            put = Facet(facet.category, found.code)
            if put in implied and base.because != "same":
                notes.append(f"{put} is left out: {self._named(base.code)} implies it")
            elif put in facets:
                notes.append(f"{put} is left out: it is said already")
            else:
                facets.append(put)
        migrated = str(FoodCode(base.code, tuple(facets)))
        if not exact:
            return Migrated(migrated, "review", notes)
        return Migrated(migrated, "changed" if notes else "same", notes)

    def _noted(self, code: str, found: Replacement, notes: list[str]) -> bool:
        if found.because != "same":
            instead = self._new.named(found.code)
            notes.append(f"{self._named(code)} is now {instead}, {BECAUSE[found.because]}")
        return found.exact

    def _named(self, code: str) -> str:
        known = code in self._new.terms or self._old is None
        return self._new.named(code) if known or self._old is None else self._old.named(code)
