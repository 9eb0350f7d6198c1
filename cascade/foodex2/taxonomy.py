"""A catalogue of EFSA as a faceted taxonomy of base terms and facet descriptors."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from functools import cache
from importlib import resources
from typing import Any

import numpy as np

from cascade.config import parse_yaml
from cascade.errors import TaxonomyError
from cascade.foodex2.catalogue import COMMON_NAMES, SCIENTIFIC_NAMES, Catalogue, Hierarchy, Term
from cascade.foodex2.repair import repair
from cascade.taxonomy.draft import Draft
from cascade.taxonomy.facets import Facet, FacetCategory, FacetedTaxonomy
from cascade.taxonomy.names import clean
from cascade.taxonomy.tree import Taxonomy

LINKS = "£"  # begins the links at the end of a scope note
ROUTINE = re.compile(  # sentences that nearly all scope notes have
    r"\s*(The part (consumed/analysed|considered) |When relevant, (additional )?information|"
    r"In case of data collections? )[^.]*(\.(?=\s|$)|$)"
)
MATERIAL = 5  # base terms whose name has a word as its head, from which on it is a material
ASIDE, WORDS = re.compile(r"[,;:(/]"), re.compile(r"[^\W\d_]+")
OPENING = re.compile(r"^The group includes any type of ")


class FoodEx2Taxonomy(FacetedTaxonomy):
    """Base terms and facet categories of a catalogue, with the catalogue itself for its rules."""

    def __init__(
        self,
        draft: Draft,
        categories: Mapping[str, FacetCategory],
        implied: Mapping[str, Sequence[Facet]],
        reportable: frozenset[str],
        catalogue: Catalogue,
    ) -> None:
        super().__init__(draft, categories, implied, reportable)
        self.catalogue = catalogue

    def own_names(self, code: str) -> list[str]:
        """The names that a base term has in its catalogue, without words of ours for it."""
        term = self.catalogue.terms[code]
        return [clean(term.name) or code, *_other_names(term)]

    def find(self, text: str) -> int | None:
        """Index of the base term of a code, also of one that is malformed; see `repair`."""
        found = super().find(text)
        if found is None and (code := repair(text, self).code) is not None:
            return self.index(code.base)
        return found

    @classmethod
    def from_catalogue(cls, catalogue: Catalogue, *, names_only: bool = False) -> FoodEx2Taxonomy:
        """The base terms of the default hierarchy, and the descriptors of each facet category.

        Deprecated terms and facet descriptors are left out; what is below them moves up.

        Parameters
        ----------
        names_only
            Without scope notes, other names and our own wording, so that a search does not see
            them.

        Raises
        ------
        TaxonomyError
            The catalogue has no hierarchies, as in a published extract, or its terms run in
            circles.
        """
        if catalogue.default not in catalogue.hierarchies:
            raise TaxonomyError(
                "has terms, but no hierarchies that order them; take the catalogue as .ecf",
                file=catalogue.file,
            )
        hierarchy, terms = catalogue.reporting, catalogue.terms
        bases = [
            code
            for code in hierarchy.parent
            if not terms[code].deprecated and terms[code].kind != "f"
        ]
        heads = Counter(_head(terms[code].name) for code in bases)
        materials = {head for head, count in heads.items() if count >= MATERIAL}
        categories = {}
        for code, attribute in catalogue.categories.items():
            own = catalogue.hierarchy_of(code)
            descriptors = [t for t in own.parent if not terms[t].deprecated] if own else []
            if own is None or not descriptors:
                continue
            tree = Taxonomy(_draft(catalogue, own, descriptors, names_only, materials))
            reportable = np.array([own.reportable[term] for term in tree.codes], dtype=bool)
            categories[code] = FacetCategory(
                code, attribute.label, tree, reportable, attribute.note, attribute.single
            )
        return cls(
            _draft(catalogue, hierarchy, bases, names_only),
            categories,
            {code: terms[code].facets for code in bases},
            frozenset(code for code in bases if hierarchy.reportable[code]),
            catalogue,
        )

    def __reduce__(self) -> tuple[Any, ...]:  # type: ignore[override]
        _, parts = super().__reduce__()
        return FoodEx2Taxonomy, (*parts, self.catalogue)


@cache
def wording() -> Mapping[str, Sequence[str]]:
    """Everyday words for terms by their code; ours, not EFSA's."""
    text = (resources.files("cascade.foodex2") / "data" / "wording.yaml").read_text("utf-8")
    words: Mapping[str, Sequence[str]] = parse_yaml(text, "wording.yaml")["words"]
    return words


def _draft(
    catalogue: Catalogue,
    hierarchy: Hierarchy,
    codes: list[str],
    names_only: bool,
    materials: Collection[str] = (),
) -> Draft:
    """A tree of terms.

    Parameters
    ----------
    materials
        Words that are not searched as the name of a facet descriptor: the catalogue gives the
        process of fat fractioning the other name `Oil`, but whoever says oil means an oil.
    """
    kept = set(codes)
    parents = [
        next((c for c in hierarchy.ancestors_or_self(code) if c in kept and c != code), "")
        for code in codes
    ]
    draft = Draft(
        name=catalogue.code,
        title=f"{catalogue.code} {catalogue.version}: {hierarchy.label}",
        language="en",
        file=catalogue.file,
        distinct_siblings=True,
    )
    for code in codes:
        term = catalogue.terms[code]
        row = draft.add(clean(term.name) or code, code)
        if not names_only:
            # The scope notes of plants and animals only repeat their names.
            note = _description(term) if term.kind != "n" else ""
            draft.describe(row, note, [*_other_names(term, materials), *wording().get(code, ())])
    draft.link(parents)
    return draft


def _description(term: Term) -> str:
    """The scope note without links and routine sentences."""
    note = ROUTINE.sub("", term.note.partition(LINKS)[0])
    return OPENING.sub("", note).strip()


def _other_names(term: Term, materials: Collection[str] = ()) -> list[str]:
    names = [*term.attributes.get(COMMON_NAMES, ()), *term.attributes.get(SCIENTIFIC_NAMES, ())]
    facet = term.kind == "f"
    return [
        name
        for name in map(clean, names)
        if name and not (facet and " " not in name and _head(name) in materials)
    ]


def _head(name: str) -> str:
    """The last word of a name before a comma or a bracket, in the singular: `oil`."""
    found = WORDS.findall(ASIDE.split(name, maxsplit=1)[0].casefold())
    return found[-1].removesuffix("s") if found else ""
