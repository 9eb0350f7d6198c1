"""Faceted taxonomies: a tree of base terms, and for each facet category a tree of descriptors."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cascade.taxonomy.draft import Draft
from cascade.taxonomy.tree import Taxonomy

_HASH = re.compile("[#\uff03]")  # a full-width one too


class Facet(NamedTuple):
    """A descriptor in a facet category, such as `F28.A07KG`."""

    category: str
    descriptor: str

    def __str__(self) -> str:
        return f"{self.category}.{self.descriptor}"


@dataclass(frozen=True)
class FacetCategory:
    """A facet category with its descriptors.

    Parameters
    ----------
    label, note
        Its name and its scope for people.
    tree
        The descriptors.
    reportable
        bool [n_nodes], whether a descriptor may stand in a code.
    single
        Whether a code has at most one descriptor of it.
    """

    code: str
    label: str
    tree: Taxonomy
    reportable: NDArray[np.bool_]
    note: str = ""
    single: bool = False


class FacetedTaxonomy(Taxonomy):
    """A taxonomy of base terms whose codes can be made more precise by facets.

    Parameters
    ----------
    draft
        Base terms in any order, as for `Taxonomy`.
    categories
        Facet categories by their code.
    implied
        Facets that base terms imply, by their code.
    reportable
        Codes of base terms that may be reported.

    Attributes
    ----------
    reportable
        bool [n_nodes], of base terms.
    """

    def __init__(
        self,
        draft: Draft,
        categories: Mapping[str, FacetCategory],
        implied: Mapping[str, Sequence[Facet]],
        reportable: frozenset[str],
    ) -> None:
        super().__init__(draft)
        self.categories = dict(categories)
        self.reportable = np.array([code in reportable for code in self.codes], dtype=bool)
        self._implied = {code: tuple(implied.get(code, ())) for code in self.codes}

    @cached_property
    def terms(self) -> Taxonomy:
        """Base terms and descriptors, each once and side by side, to be searched together.

        Base terms come first, with the same indices as here.
        """
        return self._side_by_side(category.tree for category in self.categories.values())

    @cached_property
    def bases_side_by_side(self) -> Taxonomy:
        """The base terms of `terms` alone."""
        return self._side_by_side(())

    def _side_by_side(self, trees: Iterable[Taxonomy]) -> Taxonomy:
        draft = Draft(name=f"{self.name} terms", distinct_siblings=True)
        seen: set[str] = set()
        for tree in (self, *trees):
            for i, code in enumerate(tree.codes):
                if code not in seen:
                    seen.add(code)
                    row = draft.add(tree.names[i], code)
                    draft.describe(row, tree.description(i), tree.synonyms(i))
        return Taxonomy(draft)

    @property
    def base_terms(self) -> Taxonomy:
        """The tree alone, with the same indices."""
        return Taxonomy(self._draft())

    def find(self, text: str) -> int | None:
        """Index of the base term of a code, or at a path; None if there is none."""
        return super().find(_HASH.split(text, 1)[0])

    def own_names(self, code: str) -> list[str]:
        """The names that a base term has in its catalogue, without words of ours for it."""
        i = self.index(code)
        return [self.names[i], *self.synonyms(i)]

    def implied(self, code: str) -> tuple[Facet, ...]:
        """The facets that a base term implies."""
        return self._implied[code]

    def __reduce__(self) -> tuple[Any, ...]:  # type: ignore[override]
        reportable = frozenset(np.array(self.codes, dtype=object)[self.reportable].tolist())
        return FacetedTaxonomy, (self._draft(), self.categories, self._implied, reportable)

    def __repr__(self) -> str:
        return f"Faceted{super().__repr__()[:-1]}, {len(self.categories)} facet categories)"
