"""A catalogue of EFSA as a faceted taxonomy."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources

import numpy as np
import yaml

from cascade.errors import TaxonomyError
from cascade.foodex2.catalogue import Catalogue, Hierarchy, Term
from cascade.taxonomy.draft import Draft, link
from cascade.taxonomy.facets import FacetedTaxonomy, FacetGroup
from cascade.taxonomy.names import clean
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


@cache
def wording() -> Mapping[str, Sequence[str]]:
    """How people say what terms are called otherwise, by their code; ours, not EFSA's."""
    text = (resources.files("cascade.foodex2") / "recipes" / "wording.yaml").read_text("utf-8")
    words: Mapping[str, Sequence[str]] = yaml.safe_load(text)["words"]
    return words


def base_terms(catalogue: Catalogue, *, names_only: bool = False) -> FacetedTaxonomy:
    """The base terms of a catalogue, in its default hierarchy, with its facet categories.

    Deprecated terms and facet descriptors are left out; what stands below them moves up.

    Parameters
    ----------
    names_only
        Without scope notes, other names and our own wording, so that these can be asked for.

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
        tree = Taxonomy(_draft(catalogue, own, kept, names_only))
        reportable = np.array([own.reportable[term] for term in tree.codes], dtype=bool)
        groups[code] = FacetGroup(
            code, attribute.label, tree, reportable, attribute.note, attribute.single
        )
    return FacetedTaxonomy(
        _draft(catalogue, hierarchy, wanted, names_only),
        groups,
        {term: catalogue.terms[term].facets for term in wanted},
        frozenset(term for term in wanted if hierarchy.reportable[term]),
        catalogue,
    )


def _draft(
    catalogue: Catalogue, hierarchy: Hierarchy, wanted: list[str], names_only: bool
) -> Draft:
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
    for row, term in enumerate(terms if not names_only else ()):
        # What is said of plants and animals is their names once more.
        about = described(term) if term.kind != "n" else ""
        draft.describe(row, about, [*other_names(term), *wording().get(term.code, ())])
    return draft
