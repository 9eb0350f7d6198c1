"""Codes in words."""

from __future__ import annotations

from dataclasses import dataclass

from cascade.errors import InputError
from cascade.foodex2.catalogue import Catalogue
from cascade.foodex2.code import FoodCode
from cascade.taxonomy.facets import Facet


@dataclass(frozen=True, slots=True)
class Explained:
    """A code with the names of its parts.

    Parameters
    ----------
    code
        In order, without what the base term implies.
    base
        Name of the base term.
    explicit, implied
        Facets, such as `F28.A07KG Process: Drying`.
    """

    code: str
    base: str
    explicit: list[str]
    implied: list[str]


def explained(text: str, catalogue: Catalogue) -> Explained:
    """What a code means.

    Raises
    ------
    InputError
        The text is no code, or has a term that the catalogue does not have.
    """
    code = FoodCode.parse(text)
    terms = (code.base, *(facet.descriptor for facet in code.facets))
    if unknown := [term for term in terms if term not in catalogue.terms]:
        raise InputError(f"{text}: {catalogue.file} has no term {unknown[0]}")

    def words(facet: Facet) -> str:
        attribute = catalogue.attributes.get(facet.category)
        label = attribute.label if attribute else "no category of the catalogue"
        named = catalogue.terms.get(facet.descriptor)
        name = named.name if named else "no term of the catalogue"
        hierarchy = catalogue.hierarchy_of(facet.category)
        if named and hierarchy is not None and facet.descriptor not in hierarchy:
            name += " (which is none of its descriptors)"
        return f"{facet} {label}: {name}"

    term = catalogue.terms[code.base]
    return Explained(
        str(code.normalised(term.facets)),
        term.name,
        [words(facet) for facet in code.facets],
        [words(facet) for facet in term.facets],
    )
