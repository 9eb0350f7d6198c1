"""Codes with facets as the page shows and changes them: parts, rules, descriptors to add."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from cascade.errors import UsageError
from cascade.foodex2.checking import make_checker
from cascade.foodex2.code import FoodCode
from cascade.foodex2.rules import Checker
from cascade.review.showing import Plain
from cascade.taxonomy import Taxonomy
from cascade.taxonomy.facets import Facet, FacetCategory, FacetedTaxonomy
from cascade.taxonomy.search import Searcher


@dataclass(frozen=True)
class Descriptors:
    """The descriptors of all categories, to be searched as one list.

    Parameters
    ----------
    searcher
        Its entries are those of `category` and `node`.
    category, node
        Of each entry, its category and its index in that tree.
    """

    searcher: Searcher
    category: list[FacetCategory]
    node: list[int]

    @classmethod
    def of(cls, taxonomy: FacetedTaxonomy) -> Descriptors:
        """Those of a taxonomy that may stand in a code."""
        names: list[str] = []
        codes: list[str] = []
        synonyms: dict[int, tuple[str, ...]] = {}
        levels: list[int] = []
        category: list[FacetCategory] = []
        node: list[int] = []
        for each in taxonomy.categories.values():
            for i in np.flatnonzero(each.reportable).tolist():
                if words := each.tree.synonyms(i):
                    synonyms[len(node)] = words
                names.append(each.tree.names[i])
                codes.append(each.tree.codes[i])
                levels.append(int(each.tree.level[i]))
                category.append(each)
                node.append(i)
        searcher = Searcher(names, synonyms, codes, np.array(levels, dtype=np.int16))
        return cls(searcher, category, node)


class Facets:
    """The facets of codes of a taxonomy.

    Parameters
    ----------
    taxonomy
        Whose codes they are; without facet categories each call is refused.
    """

    def __init__(self, taxonomy: Taxonomy) -> None:
        self._given = taxonomy

    def parts(self, code: str) -> Plain:
        """What a code says: its base term, explicit and implied facets, and which rules it breaks.

        The code is put in order, and facets that its base term implies are left out.

        Raises
        ------
        InputError
            The text is no code.
        UsageError
            The taxonomy has no facets, or not this base term.
        """
        read = FoodCode.parse(code)
        base = self._taxonomy.find(read.base)
        if base is None:
            raise UsageError(f"{read.base!r} is no base term of the taxonomy")
        implied = self._taxonomy.implied(read.base)
        read = read.normalised(implied)
        messages = [] if self._checker is None else self._checker.check(str(read))
        return {
            "code": str(read),
            "base": {"code": read.base, "name": self._taxonomy.names[base]},
            "facets": [self._told(facet) for facet in read.facets],
            "implied": [self._told(facet) for facet in implied],
            "problems": [
                {"rule": m.rule, "severity": m.severity, "text": m.text} for m in messages
            ],
        }

    def search(self, words: str, limit: int) -> list[Plain]:
        """Descriptors whose name, synonym or code is like the words, the best first."""
        found: list[Plain] = []
        descriptors = self._descriptors
        for entry in descriptors.searcher.search(words, limit):
            category, node = descriptors.category[entry], descriptors.node[entry]
            found.append(self._told(Facet(category.code, category.tree.codes[node])))
        return found

    def _told(self, facet: Facet) -> Plain:
        """A facet in words; codes stand for what the taxonomy does not have."""
        told: Plain = {
            "facet": str(facet),
            "category": facet.category,
            "name": facet.descriptor,
            "above": [],
        }
        category = self._taxonomy.categories.get(facet.category)
        if category is None:
            return told
        told["category"], tree = category.label, category.tree
        if (node := tree.find(facet.descriptor)) is not None:
            above = [tree.names[i] for i in tree.ancestors(node).tolist()]
            told |= {"name": tree.names[node], "above": above}
        return told

    @property
    def _taxonomy(self) -> FacetedTaxonomy:
        if not isinstance(self._given, FacetedTaxonomy):
            raise UsageError("the taxonomy has no facets")
        return self._given

    @cached_property
    def _checker(self) -> Checker | None:
        return make_checker(self._taxonomy)

    @cached_property
    def _descriptors(self) -> Descriptors:
        return Descriptors.of(self._taxonomy)
