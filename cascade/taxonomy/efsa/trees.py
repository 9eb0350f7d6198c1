"""A catalogue of EFSA as a faceted taxonomy."""

from __future__ import annotations

import re

import numpy as np

from cascade.errors import TaxonomyError
from cascade.taxonomy.efsa.catalogue import Catalogue, Hierarchy, Term
from cascade.taxonomy.facets import FacetedTaxonomy, FacetGroup
from cascade.taxonomy.records import Draft, clean, link
from cascade.taxonomy.tree import Taxonomy

COMMON, SCIENTIFIC = "A02", "A01"
LINKS = "£"  # begins the links at the end of a scope note
ROUTINE = re.compile(  # sentences that nearly all scope notes have
    r"\s*(The part (consumed/analysed|considered) |When relevant, (additional )?information|"
    r"In case of data collections? )[^.]*(\.(?=\s|$)|$)"
)
OPENING = re.compile(r"^The group includes any type of ")


def described(term: Term) -> str:
    """What a scope note says of its term alone, without links and routine sentences."""
    note = ROUTINE.sub("", term.note.partition(LINKS)[0])
    return OPENING.sub("", note).strip()


def other_names(term: Term) -> list[str]:
    """Common and scientific names."""
    names = [*term.attributes.get(COMMON, ()), *term.attributes.get(SCIENTIFIC, ())]
    return [name for name in map(clean, names) if name]


def base_terms(catalogue: Catalogue) -> FacetedTaxonomy:
    """The base terms of a catalogue, in its default hierarchy, with its facet categories.

    Deprecated terms and facet descriptors are left out; what stands below them moves up.

    Raises
    ------
    TaxonomyError
        The catalogue has no hierarchies, as in a published extract, or its terms run in circles.
    """
    if catalogue.default not in catalogue.hierarchies:
        raise TaxonomyError(
            "has terms, but no hierarchies that order them; take the catalogue as .ecf",
            file=catalogue.file,
        )
    hierarchy = catalogue.reporting
    wanted = [
        term
        for term in hierarchy.parent
        if not catalogue.terms[term].deprecated and catalogue.terms[term].kind != "f"
    ]
    groups = {}
    for code, attribute in catalogue.categories.items():
        own = catalogue.hierarchy_of(code)
        if own is None:
            continue
        kept = [term for term in own.parent if not catalogue.terms[term].deprecated]
        if not kept:
            continue
        tree = Taxonomy(_draft(catalogue, own, kept))
        reportable = np.array([own.reportable[term] for term in tree.codes], dtype=bool)
        groups[code] = FacetGroup(
            code, attribute.label, tree, reportable, attribute.note, attribute.single
        )
    return FacetedTaxonomy(
        _draft(catalogue, hierarchy, wanted),
        groups,
        {term: catalogue.terms[term].facets for term in wanted},
        frozenset(term for term in wanted if hierarchy.reportable[term]),
    )


def _draft(catalogue: Catalogue, hierarchy: Hierarchy, wanted: list[str]) -> Draft:
    kept = set(wanted)

    def above(term: str) -> str:
        over = hierarchy.upwards(term)
        next(over)
        return next((other for other in over if other in kept), "")

    terms = [catalogue.terms[code] for code in wanted]
    draft = Draft(
        list(wanted),
        [clean(term.name) or term.code for term in terms],
        link(wanted, [above(code) for code in wanted], file=catalogue.file),
        name=catalogue.code,
        title=f"{catalogue.code} {catalogue.version}: {hierarchy.label}",
        language="en",
        file=catalogue.file,
        distinct_siblings=True,
    )
    for row, term in enumerate(terms):
        draft.describe(row, described(term), other_names(term))
    return draft
