"""A catalogue of EFSA: terms, hierarchies that order them, and attributes, some of them facets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from cascade.errors import TaxonomyError
from cascade.foodex2.code import CodeError, FoodCode
from cascade.taxonomy.facets import Facet

EMPTY: Mapping[str, tuple[str, ...]] = {}


@dataclass(frozen=True, slots=True)
class Term:
    """One term of a catalogue.

    Parameters
    ----------
    note
        Scope note.
    status
        As published: APPROVED or DEPRECATED.
    kind
        `termType`: r raw commodity, d derivative, c or s composite (aggregated or simple), f facet
        descriptor, g group, n not specific.
    detail
        `detailLevel`: H hierarchy term, C core term, E extended term, M or P not specific.
    facets
        `allFacets`: its own implicit facets and those that it inherits.
    own_facets
        `implicitFacets`: its own alone.
    attributes
        All others, by their code: scientific names (A01), common names (A02), codes elsewhere.
    """

    code: str
    name: str
    note: str = ""
    short_name: str = ""
    status: str = "APPROVED"
    kind: str = ""
    detail: str = ""
    facets: tuple[Facet, ...] = ()
    own_facets: tuple[Facet, ...] = ()
    attributes: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: EMPTY)

    @property
    def deprecated(self) -> bool:
        """Whether it is not to be used any more."""
        return self.status == "DEPRECATED"

    def implied(self, category: str) -> list[str]:
        """The implicit descriptors of a facet category."""
        return [facet.descriptor for facet in self.facets if facet.category == category]


@dataclass(frozen=True)
class Hierarchy:
    """One order of some terms of a catalogue, as a tree or several.

    Parameters
    ----------
    label
        What people call it.
    base
        Whether its terms are base terms; else it orders the descriptors of a facet.
    parent
        The parent of each term that is in it, None at the top.
    reportable
        Whether a term may be reported, for each that is in it.
    """

    code: str
    label: str
    base: bool
    parent: Mapping[str, str | None]
    reportable: Mapping[str, bool]

    def __contains__(self, term: str) -> bool:
        return term in self.parent

    def __len__(self) -> int:
        return len(self.parent)

    def upwards(self, term: str) -> Iterator[str]:
        """The term itself, also where it is not in the hierarchy, and all above it.

        A hierarchy that runs in circles is left where it closes.
        """
        seen = set()
        step: str | None = term
        while step is not None and step not in seen:
            yield step
            seen.add(step)
            step = self.parent.get(step)

    def is_within(self, term: str, other: str) -> bool:
        """Whether a term is another or stands below it."""
        return other in self.upwards(term)

    @cached_property
    def children(self) -> Mapping[str | None, Sequence[str]]:
        """The terms below each, None for the top, in the order of the catalogue."""
        found: dict[str | None, list[str]] = {}
        for term, parent in self.parent.items():
            found.setdefault(parent, []).append(term)
        return found

    def below(self, term: str) -> Iterator[str]:
        """All terms below one, however deep."""
        waiting, seen = [term], {term}
        while waiting:
            for child in self.children.get(waiting.pop(), ()):
                if child not in seen:
                    seen.add(child)
                    waiting.append(child)
                    yield child


@dataclass(frozen=True, slots=True)
class Attribute:
    """Something that terms of a catalogue have.

    Parameters
    ----------
    hierarchy
        Code of the hierarchy of the same catalogue that its values come from; None where they are
        free text, or of another catalogue.
    single
        Whether a term has one value at the most.
    """

    code: str
    name: str
    label: str
    note: str = ""
    hierarchy: str | None = None
    single: bool = False


@dataclass(frozen=True)
class Catalogue:
    """A release of FoodEx2, or of another catalogue in EFSA's format.

    Parameters
    ----------
    file
        Where it was read, for messages.
    default
        Code of the hierarchy in which base terms are judged: `report`.
    """

    code: str
    version: str
    terms: Mapping[str, Term]
    hierarchies: Mapping[str, Hierarchy]
    attributes: Mapping[str, Attribute]
    default: str = "report"
    file: str = ""

    @cached_property
    def categories(self) -> Mapping[str, Attribute]:
        """Facet categories: the attributes whose values are terms of this catalogue."""
        return {code: a for code, a in sorted(self.attributes.items()) if a.hierarchy is not None}

    @property
    def reporting(self) -> Hierarchy:
        """The hierarchy in which base terms are judged."""
        return self.hierarchies[self.default]

    def hierarchy_of(self, category: str) -> Hierarchy | None:
        """Where the descriptors of a facet category come from; None where there is no such."""
        attribute = self.attributes.get(category)
        if attribute is None or attribute.hierarchy is None:
            return None
        return self.hierarchies.get(attribute.hierarchy)

    def named(self, code: str) -> str:
        """A code with its name, for messages: `A000L (Cereal grains)`."""
        term = self.terms.get(code)
        return f"{code} ({term.name})" if term else code


def implied_by(
    code: str, every: Sequence[str], own: Sequence[str], file: str
) -> tuple[tuple[Facet, ...], tuple[Facet, ...]]:
    """The facets that a term implies, and those of them that are its own, from what is published.

    Parameters
    ----------
    every
        `allFacets`: codes with the term as their base.
    own
        `implicitFacets`: facets alone.

    Raises
    ------
    TaxonomyError
        They are no codes, or those of another term.
    """
    try:
        codes = [FoodCode.parse(value) for value in every]
        parts = [FoodCode.parse(f"{code}#{value}") for value in own]
    except CodeError as error:
        raise TaxonomyError(f"term {code}: {error}", file=file) from None
    if any(other.base != code for other in codes):
        raise TaxonomyError(f"term {code}: its allFacets are those of another term", file=file)
    return (
        tuple(facet for other in codes for facet in other.facets),
        tuple(facet for other in parts for facet in other.facets),
    )
