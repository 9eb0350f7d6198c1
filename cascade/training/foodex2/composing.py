"""Descriptions of foods composed of base terms and facets, by phrases of our own.

Labelled descriptions are private data; the catalogue says what terms are called and what may stand
together. A composed description is the base term as people say it, with the descriptors that its
code has, in any order. Its code passes EFSA's rules.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib import resources

import yaml

from cascade.errors import UsageError
from cascade.foodex2.catalogue import COMMON_NAMES, Catalogue
from cascade.foodex2.code import FoodCode
from cascade.foodex2.rules import Checker, worst
from cascade.foodex2.taxonomy import wording
from cascade.taxonomy.facets import Facet, FacetedTaxonomy

ASIDE = re.compile(r"\s*\((?:as|generic|feed|dry|deprecated)\b[^)]*\)|-$")
ASIDES = 0.2  # share of descriptions that say something besides
TRIES = 20  # at a facet that the rules let pass


@dataclass(frozen=True, slots=True)
class Described:
    """A description with its code."""

    text: str
    code: FoodCode


class Composer:
    """Makes descriptions.

    Parameters
    ----------
    said
        How a descriptor is said: `catalogue` by its names there, `ours` by our own wording, so
        that one can be searched while the other is asked for.
    """

    def __init__(
        self,
        taxonomy: FacetedTaxonomy,
        catalogue: Catalogue,
        checker: Checker,
        *,
        said: str = "catalogue",
        seed: int = 0,
    ) -> None:
        text = (resources.files("cascade.foodex2") / "recipes" / "descriptions.yaml").read_text(
            "utf-8"
        )
        self._recipe = yaml.safe_load(text)
        self._random = random.Random(seed)
        self._taxonomy, self._catalogue, self._checker = taxonomy, catalogue, checker
        self._categories = {
            code: own for code, own in self._recipe["categories"].items() if code in taxonomy.groups
        }
        self._said: Callable[[str], Sequence[str]] = self._named if said == "catalogue" else _ours
        self._known = {
            code: [
                term
                for term, reportable in zip(group.tree.codes, group.reportable, strict=True)
                if reportable and self._said(term)
            ]
            for code, group in taxonomy.groups.items()
            if code in self._categories
        }
        self._categories = {c: own for c, own in self._categories.items() if self._known[c]}

    def compose(self, bases: Sequence[str], n: int) -> Iterator[Described]:
        """Descriptions of n foods, whose base terms are drawn from some.

        Raises
        ------
        UsageError
            There is no base term to draw from.
        """
        if not bases:
            raise UsageError("there is no base term to compose descriptions of")
        counts = self._recipe["counts"]
        for _ in range(n):
            base = self._random.choice(bases)
            wanted = self._random.choices(range(len(counts)), counts)[0]
            code = FoodCode(base)
            for _ in range(wanted):
                code = self._made_precise(code)
            yield Described(self._text(code), code)

    def _made_precise(self, code: FoodCode) -> FoodCode:
        """The code with one more facet that the rules let pass; as it is where none is found."""
        codes = list(self._categories)
        weights = [self._categories[c]["weight"] for c in codes]
        taken = {facet.category for facet in code.facets}
        for _ in range(TRIES):
            category = self._random.choices(codes, weights)[0]
            facet = Facet(category, self._random.choice(self._known[category]))
            if category in taken or facet.descriptor == code.base:
                continue
            made = FoodCode(code.base, (*code.facets, facet))
            if worst(self._checker.check(str(made))) in (None, "LOW"):
                return made
        return code

    def _text(self, code: FoodCode) -> str:
        parts = [self._random.choice(self._named(code.base))]
        for facet in self._random.sample(code.facets, len(code.facets)):
            phrase = self._random.choice(self._categories[facet.category]["phrases"])
            said = self._random.choice(self._said(facet.descriptor))
            part = phrase.format(d=said)
            if phrase == "{d}" and self._random.random() < 0.3:
                parts.insert(0, part)
            else:
                parts.append(part)
        if self._random.random() < ASIDES:
            parts.append(self._random.choice(self._recipe["asides"]))
        text = parts[0]
        for part in parts[1:]:
            text += self._random.choice(self._recipe["joins"]) + part
        return text.lower() if self._random.random() < 0.7 else text[:1].upper() + text[1:]

    def _named(self, code: str) -> list[str]:
        term = self._catalogue.terms[code]
        return list(map(spoken_name, [term.name, *term.attributes.get(COMMON_NAMES, ())]))


def spoken_name(name: str) -> str:
    """A name of the catalogue without what only it says: `(as animal)`, a dash at the end."""
    return " ".join(ASIDE.sub("", name).split()) or name


def _ours(code: str) -> Sequence[str]:
    return wording().get(code, ())
