"""A catalogue of EFSA in memory: terms, the hierarchies that order them, facet categories."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from cascade.errors import InputError, TaxonomyError
from cascade.foodex2.code import CATEGORY, CodeError, FoodCode, spelled
from cascade.taxonomy.facets import Facet

COMMON_NAMES, SCIENTIFIC_NAMES = "A02", "A01"  # codes of attributes
FOODEX1_CODE = "foodexOldCode"  # likewise
FOODEX1 = re.compile(r"[A-Z](?:\.[0-9]+)+")


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
        `allFacets`: what it implies, its own implicit facets and those that it inherits.
    own_facets
        `implicitFacets`: its own alone.
    attributes
        All others, by their code: scientific names (A01), common names (A02), codes of other
        systems.
    """

    code: str
    name: str
    note: str = ""
    status: str = "APPROVED"
    kind: str = ""
    detail: str = ""
    facets: tuple[Facet, ...] = ()
    own_facets: tuple[Facet, ...] = ()
    attributes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def deprecated(self) -> bool:
        """Whether it must not be used any more."""
        return self.status == "DEPRECATED"

    def implied(self, category: str) -> list[str]:
        """The descriptors of its implied facets in a category."""
        return [facet.descriptor for facet in self.facets if facet.category == category]


@dataclass(frozen=True)
class Hierarchy:
    """One or more trees of some terms of a catalogue.

    Parameters
    ----------
    label
        Name for people.
    parent
        Parent of each of its terms, None at the top.
    reportable
        Whether a term may be reported, for each of its terms.
    """

    code: str
    label: str
    parent: Mapping[str, str | None]
    reportable: Mapping[str, bool]

    @classmethod
    def of(
        cls,
        code: str,
        label: str,
        places: Mapping[str, tuple[int, str | None, bool]],
        terms: Collection[str],
        file: str,
        lines: Mapping[str, int] | None = None,
    ) -> Hierarchy:
        """A hierarchy from each term's order, parent, and whether it is reportable.

        Parameters
        ----------
        terms
            All codes of the catalogue.
        lines
            Where terms stand in the file, for messages.

        Raises
        ------
        TaxonomyError
            A parent is no term of the catalogue.
        """
        for term, (_, parent, _) in places.items():
            if parent is not None and parent not in terms:
                raise TaxonomyError(
                    f"hierarchy {code}: {term} stands below {parent}, which is no term",
                    file=file,
                    line=(lines or {}).get(term),
                )
        ordered = sorted(places, key=lambda term: places[term][0])
        return cls(
            code,
            label,
            {term: places[term][1] for term in ordered},
            {term: places[term][2] for term in ordered},
        )

    def __contains__(self, term: str) -> bool:
        return term in self.parent

    def __len__(self) -> int:
        return len(self.parent)

    def ancestors_or_self(self, term: str) -> Iterator[str]:
        """The term itself, even if it is not in the hierarchy, and all above it.

        A circle of parents is left where it closes.
        """
        seen = set()
        step: str | None = term
        while step is not None and step not in seen:
            yield step
            seen.add(step)
            step = self.parent.get(step)

    def is_within(self, term: str, other: str) -> bool:
        """Whether a term equals another or is one of its descendants."""
        return other in self.ancestors_or_self(term)

    @cached_property
    def children(self) -> Mapping[str | None, Sequence[str]]:
        """Children of each term, of None at the top, in the order of the catalogue."""
        found: dict[str | None, list[str]] = {}
        for term, parent in self.parent.items():
            found.setdefault(parent, []).append(term)
        return found

    def descendants(self, term: str) -> Iterator[str]:
        """All terms below a term."""
        waiting, seen = [term], {term}
        while waiting:
            for child in self.children.get(waiting.pop(), ()):
                if child not in seen:
                    seen.add(child)
                    waiting.append(child)
                    yield child


@dataclass(frozen=True, slots=True)
class Attribute:
    """A kind of value that terms have; a facet category, if the values are terms themselves.

    Parameters
    ----------
    hierarchy
        Code of the hierarchy of the same catalogue that the values come from; None if they are
        free text or of another catalogue.
    single
        Whether a term has at most one value.
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
        Path that it was read from, for messages.
    default
        Code of the default hierarchy of base terms: `report`.
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
        """The default hierarchy of base terms."""
        return self.hierarchies[self.default]

    def hierarchy_of(self, category: str) -> Hierarchy | None:
        """The hierarchy of the descriptors of a facet category; None if there is no such."""
        attribute = self.attributes.get(category)
        if attribute is None or attribute.hierarchy is None:
            return None
        return self.hierarchies.get(attribute.hierarchy)

    def named(self, code: str) -> str:
        """A code with its name, for messages: `A000L (Cereal grains)`."""
        term = self.terms.get(code)
        return f"{code} ({term.name})" if term else code

    @cached_property
    def from_foodex1(self) -> Mapping[str, str]:
        """The term that stands for each FoodEx1 code, of the terms in use."""
        return {
            old: term.code for term in self._in_use for old in term.attributes.get(FOODEX1_CODE, ())
        }

    def mistaken_for(self, text: str) -> str:
        """What a text that is no term may be instead, as the end of a sentence; or nothing.

        A FoodEx1 code, a name, a facet without its base term, or the code of a hierarchy.
        """
        code = spelled(text)
        if (term := self.from_foodex1.get(code)) is not None:
            named = self.named(term)
            return f"; it is a FoodEx1 code, which `cascade foodex2 migrate` makes {named}"
        if FOODEX1.fullmatch(code):
            return "; it looks like a FoodEx1 code, for which this catalogue names no term"
        if category := CATEGORY.match(code):
            known = self.attributes.get(category[0])
            label = f" ({known.label})" if known else ""
            return f"; {category[0]}{label} is a facet category, and a facet follows its base term"
        for own in self._in_use:
            if spelled(own.name) == code:
                return f"; it is the name of {self.named(own.code)}"
        for hierarchy in self.hierarchies.values():
            if hierarchy.code.upper() == code:
                return f"; it is a hierarchy ({hierarchy.label}), and no term"
        return ""

    @cached_property
    def _in_use(self) -> Sequence[Term]:
        return [term for term in self.terms.values() if not term.deprecated]


def implied_facets(
    code: str, every: Sequence[str], own: Sequence[str], file: str
) -> tuple[tuple[Facet, ...], tuple[Facet, ...]]:
    """All facets that a term implies, and its own alone, from the texts that EFSA publishes.

    Parameters
    ----------
    every
        `allFacets`: codes whose base term is the term.
    own
        `implicitFacets`: facets without a base term.

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


@dataclass(frozen=True, slots=True)
class Decoded:
    """A code with the names of its parts.

    Parameters
    ----------
    code
        Sorted, without what the base term implies.
    base
        Name of the base term.
    explicit, implied
        Facets, such as `F28.A07KG Process: Drying`.
    """

    code: str
    base: str
    explicit: list[str]
    implied: list[str]


def decode(text: str, catalogue: Catalogue) -> Decoded:
    """The meaning of a code.

    Raises
    ------
    InputError
        The text is no code, or has a term that the catalogue does not have.
    """
    try:
        code = FoodCode.parse(text)
    except InputError as error:
        raise InputError(f"{error}{catalogue.mistaken_for(text)}") from None
    terms = (code.base, *(facet.descriptor for facet in code.facets))
    if unknown := [term for term in terms if term not in catalogue.terms]:
        hint = catalogue.mistaken_for(text)
        raise InputError(f"{text}: {catalogue.file} has no term {unknown[0]}{hint}")

    def in_words(facet: Facet) -> str:
        attribute = catalogue.attributes.get(facet.category)
        label = attribute.label if attribute else "no category of the catalogue"
        term = catalogue.terms.get(facet.descriptor)
        name = term.name if term else "no term of the catalogue"
        hierarchy = catalogue.hierarchy_of(facet.category)
        if term and hierarchy is not None and facet.descriptor not in hierarchy:
            name += " (which is none of its descriptors)"
        return f"{facet} {label}: {name}"

    base = catalogue.terms[code.base]
    return Decoded(
        str(code.normalised(base.facets)),
        base.name,
        [in_words(facet) for facet in code.facets],
        [in_words(facet) for facet in base.facets],
    )
