"""Facets that are said: descriptors of which a description has all words, beyond its base term.

Precision comes before recall: what no word says is no facet. A word says one thing only, so that
`in olive oil` is a medium and no olives; longer names take their words first.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from cascade.errors import ConfigError
from cascade.foodex2.code import FoodCode
from cascade.foodex2.taxonomy import FoodEx2Taxonomy
from cascade.pipeline.facets.naming import head_word, main_part, without_measure, words
from cascade.predictions import FacetChoice
from cascade.taxonomy.facets import Facet, FacetedTaxonomy

FILE = "facets.yaml"
MOST_WORDS = 6  # of a name that may be said
INGREDIENT, SOURCE = "F04", "F27"
EATEN = ("F04", "F06", "F08", "F27")  # categories of what is in or around a food
LISTED, OWN, OTHER, SHORTENED = range(4)  # whose name: of the list, the own, another; shortened
GAP = 1  # words that may stand between those of a name
CATALOGUES = frozenset(  # words of names that nobody says
    ("similar", "generic", "fresh", "dry", "unspecified", "average")
)


CERTAINTY = 0.85  # how often a facet that is said is right; `eval/results/foodex2_everyday.md`

Refusal = Callable[[str], str]
"""Why the rules refuse a code; empty where they accept it."""


class Name(NamedTuple):
    """A name of a descriptor.

    Parameters
    ----------
    words
        As `words_of` writes them, without those that only catalogues say.
    rank
        Whose name it is: `LISTED`, `OWN`, `OTHER`, or one without its words of catalogues.
    place
        Of its category among those that may be said.
    """

    words: frozenset[str]
    rank: int
    place: int
    facet: Facet


class Said(NamedTuple):
    """A facet, and the words of the description that say it."""

    facet: Facet
    words: tuple[str, ...]


@dataclass(frozen=True)
class FacetWords:
    """What `facets.yaml` tells, and a file of the user in its form.

    Parameters
    ----------
    categories
        Those that may be said; of two with the same words the first.
    words
        By category and descriptor.
    never
        Descriptors whose other names say nothing.
    never_below
        Terms below which nothing is an ingredient by its other names: dishes.
    part_of_name
        By term, words that belong to the names of base terms at or below it.
    instead
        By a term, which category or facet stands for which for base terms at or below it.
    """

    categories: Sequence[str]
    words: Mapping[str, Mapping[str, Sequence[str]]]
    never: Collection[str] = ()
    never_below: Collection[str] = ()
    part_of_name: Mapping[str, Sequence[str]] | None = None
    instead: Mapping[str, Mapping[str, str]] | None = None

    @classmethod
    def load(cls, own: Path | None = None) -> FacetWords:
        """The words that ship, with those of a file, which go before them.

        Raises
        ------
        ConfigError
            The file cannot be read, or has another form.
        """
        shipped = (resources.files("cascade.foodex2") / "data" / FILE).read_text("utf-8")
        told: dict[str, Any] = yaml.safe_load(shipped)
        if own is None:
            return _checked(told, FILE)
        try:
            more = yaml.safe_load(own.read_text("utf-8"))
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            raise ConfigError(f"{own}: cannot be read as YAML: {error}") from None
        if not isinstance(more, dict) or set(more) - {*told, "version"}:
            raise ConfigError(f"{own}: expected a mapping with some of: {', '.join(told)}")
        first, second = _checked({**_EMPTY, **more}, str(own)), _checked(told, FILE)
        categories = {*first.words, *second.words}
        return cls(
            more.get("categories") or second.categories,
            {c: _joined(first.words.get(c, {}), second.words.get(c, {})) for c in categories},
            {*first.never, *second.never} - {d for ws in first.words.values() for d in ws},
            {*first.never_below, *second.never_below},
            {**(second.part_of_name or {}), **(first.part_of_name or {})},
            {**(second.instead or {}), **(first.instead or {})},
        )


class SaidFacets:
    """Finds what descriptions say beyond their base terms.

    Parameters
    ----------
    told
        Words for descriptors, beside the names that the taxonomy has.
    """

    def __init__(self, taxonomy: FacetedTaxonomy, told: FacetWords) -> None:
        self._taxonomy, self._told = taxonomy, told
        self._known: dict[str, frozenset[str]] = {}
        self._related: dict[str, frozenset[Facet]] = {}

    def of(self, text: str, base: str) -> list[list[Said]]:
        """Groups of facets that are said by the same words, of which a code takes one.

        Parameters
        ----------
        base
            Code of the base term.

        Returns
        -------
        The groups, the longest names first; in each the likeliest facet first.
        """
        text = without_measure(text)
        order = words(text)
        left = Counter(order)
        known, related = self._of_base(base)
        main, head = set(words(main_part(text))), head_word(text)
        # What a text is about is no ingredient, unless the list has it (macaroni cheese); but it
        # may be what a derivative is made of, as in dried ceps.
        barred = EATEN if self._kind(base) != "d" else EATEN[:-1]
        found = sorted(
            (
                (-len(name.words), name.rank, name.place, name.facet, name.words)
                for word in left
                for name in self._names.get(word, ())
                if name.words <= left.keys()
                and not name.words <= known
                and not (
                    name.facet.category in barred
                    and head in name.words
                    and (name.rank != LISTED or name.facet.category != INGREDIENT)
                )
                and (name.rank == LISTED or _are_near(order, name.words))
            ),
            key=lambda one: (*one[:4], sorted(one[4])),
        )
        groups: dict[frozenset[str], list[Facet]] = {}
        for *_, facet, own in found:
            groups.setdefault(own, []).append(facet)
        said = []
        for own, facets in groups.items():
            new = own - known
            if any(left[word] < 1 for word in new):
                continue
            moved = [
                other
                for facet in facets
                for other in self._moved(facet, base, aside=not new <= main)
            ]
            if possible := [facet for facet in dict.fromkeys(moved) if facet not in related]:
                left.subtract(dict.fromkeys(new, 1))
                said.append([Said(facet, tuple(sorted(new))) for facet in possible])
        return said

    @cached_property
    def _names(self) -> Mapping[str, list[Name]]:
        """Names by the rarest of their words."""
        names = list(dict.fromkeys(self._all_names()))
        often = Counter(word for name in names for word in name.words)
        found: dict[str, list[Name]] = {}
        for name in names:
            rarest = min(name.words, key=lambda word: (often[word], word))
            found.setdefault(rarest, []).append(name)
        return found

    def _all_names(self) -> Iterator[Name]:
        for place, code in enumerate(self._told.categories):
            category = self._taxonomy.categories.get(code)
            if category is None:
                continue
            tree, listed = category.tree, self._told.words.get(code, {})
            never = set(self._told.never)
            if code in EATEN:
                never.update(self._below(self._told.never_below))
            for node in category.reportable.nonzero()[0].tolist():
                descriptor = tree.codes[node]
                told = [(LISTED, name) for name in listed.get(descriptor, ())]
                if descriptor not in never:
                    told.append((OWN, tree.names[node]))
                    told += [(OTHER, name) for name in tree.synonyms(node)]
                for rank, name in told:
                    full = frozenset(words(name))
                    own = full if rank == LISTED else full - CATALOGUES
                    if own and len(own) <= MOST_WORDS:
                        said = rank if own == full else SHORTENED
                        yield Name(own, said, place, Facet(code, descriptor))

    def _below(self, codes: Collection[str]) -> Iterator[str]:
        """The codes of terms at or below others."""
        taxonomy = self._taxonomy
        for node in (taxonomy.index(code) for code in codes if code in taxonomy):
            yield from taxonomy.codes[node : int(taxonomy.end[node])]

    def _of_base(self, base: str) -> tuple[frozenset[str], frozenset[Facet]]:
        """The words that a base term says, and the facets that say no more."""
        if base not in self._known:
            taxonomy = self._taxonomy
            names = taxonomy.own_names(base)
            for code in _lineage(taxonomy, base):
                names += (self._told.part_of_name or {}).get(code, ())
            related = {
                Facet(category, code)
                for category in (INGREDIENT, SOURCE)
                for code in _lineage(taxonomy, base)
            }
            for facet in taxonomy.implied(base):
                category = taxonomy.categories.get(facet.category)
                if category is None or facet.descriptor not in category.tree:
                    continue
                tree = category.tree
                at = tree.index(facet.descriptor)
                if facet.descriptor in taxonomy:
                    names += taxonomy.own_names(facet.descriptor)
                else:
                    names += [tree.names[at], *tree.synonyms(at)]
                names += self._told.words.get(facet.category, {}).get(facet.descriptor, ())
                above = tree.path_nodes(at).tolist()
                related |= {Facet(facet.category, tree.codes[node]) for node in above}
            self._known[base] = frozenset(word for name in names for word in words(name))
            self._related[base] = frozenset(related)
        return self._known[base], self._related[base]

    def _kind(self, base: str) -> str:
        """The kind of a base term: `r` a raw commodity, `d` a derivative; empty if unknown."""
        taxonomy = self._taxonomy
        return taxonomy.catalogue.terms[base].kind if isinstance(taxonomy, FoodEx2Taxonomy) else ""

    def _moved(self, facet: Facet, base: str, *, aside: bool) -> list[Facet]:
        """The facet in the categories that a base term wants it in, the best first.

        Parameters
        ----------
        aside
            Whether its words are not in the main part of the description, as in `with garlic`.
        """
        taxonomy = self._taxonomy
        for code in _lineage(taxonomy, base):
            instead = (self._told.instead or {}).get(code, {})
            if str(facet) in instead:
                return [Facet(*instead[str(facet)].split(".", 1))]
            other = instead.get(facet.category)
            if other is not None and _has(taxonomy, other, facet.descriptor):
                return [Facet(other, facet.descriptor)]
        if facet.category not in (INGREDIENT, SOURCE) or not isinstance(taxonomy, FoodEx2Taxonomy):
            return [facet]
        # What a derivative is made of is its source: of dried ceps, but not of cheese with ceps.
        terms, kind = taxonomy.catalogue.terms, self._kind(base)
        added, source = (Facet(c, facet.descriptor) for c in (INGREDIENT, SOURCE))
        is_raw = terms[facet.descriptor].kind == "r"
        if aside or not is_raw or kind not in ("r", "d"):
            found = [added]
        elif kind == "d":
            found = [source] if facet.category == SOURCE else [source, added]
        else:  # one raw commodity is not in another
            found = []
        return [one for one in found if _has(taxonomy, one.category, one.descriptor)]


def said_code(
    said: SaidFacets,
    text: str,
    code: FoodCode,
    taxonomy: FacetedTaxonomy,
    refusal: Refusal,
    most: int,
) -> tuple[FoodCode, list[FacetChoice]]:
    """A code with the facets that a text says beyond it, as far as the rules accept them.

    Parameters
    ----------
    most
        Descriptors of a category that may have several.
    """
    chosen: list[FacetChoice] = []
    for group in said.of(text, code.base):
        problem, first = "", group[0].facet
        for facet, own in group:
            category = taxonomy.categories[facet.category]
            taken = sum(
                choice.category == facet.category and bool(choice.code) for choice in chosen
            )
            if taken >= (1 if category.single else most):
                continue
            extended = FoodCode(code.base, (*code.facets, facet))
            if why := refusal(str(extended)):
                problem = problem or why
                continue
            code, name = extended, category.tree.node(facet.descriptor).name
            chosen.append(
                FacetChoice(
                    facet.category, category.label, facet.descriptor, name, CERTAINTY, words=own
                )
            )
            break
        else:
            if problem:
                label = taxonomy.categories[first.category].label
                none = FacetChoice(
                    first.category, label, None, "", CERTAINTY, (), problem, group[0].words
                )
                chosen.append(none)
    return code, chosen


def _joined(
    first: Mapping[str, Sequence[str]], second: Mapping[str, Sequence[str]]
) -> dict[str, list[str]]:
    """The lists of both by their keys."""
    return {key: [*first.get(key, ()), *second.get(key, ())] for key in {**second, **first}}


_EMPTY: Mapping[str, Any] = {"categories": [], "words": {}}


def _checked(told: Mapping[str, Any], file: str) -> FacetWords:
    """What a file tells, if it has the form that `facets.yaml` has."""

    def texts(value: object) -> bool:
        return isinstance(value, list) and all(isinstance(one, str) for one in value)

    def mapping(value: object, of: Any) -> bool:
        return isinstance(value, dict) and all(
            isinstance(k, str) and of(v) for k, v in value.items()
        )

    forms: Mapping[str, Callable[[object], bool]] = {
        "categories": texts,
        "words": lambda value: mapping(value, lambda own: mapping(own, texts)),
        "never": texts,
        "never_below": texts,
        "part_of_name": lambda value: mapping(value, texts),
        "instead": lambda value: mapping(
            value, lambda own: mapping(own, lambda code: isinstance(code, str))
        ),
    }
    for name, fits in forms.items():
        if name in told and not fits(told[name]):
            raise ConfigError(f"{file}: {name} has another form than in the file that ships")
    return FacetWords(**{name: told[name] for name in forms if name in told})


def _are_near(order: Sequence[str], own: frozenset[str]) -> bool:
    """Whether words stand together in a text, in any order, with a small gap at the most."""
    if len(own) == 1:
        return True
    width = len(own) + GAP
    return any(own <= set(order[at : at + width]) for at in range(len(order)))


def _lineage(taxonomy: FacetedTaxonomy, base: str) -> list[str]:
    """A base term, and those above it."""
    return [taxonomy.codes[n] for n in taxonomy.path_nodes(taxonomy.index(base)).tolist()[::-1]]


def _has(taxonomy: FacetedTaxonomy, category: str, descriptor: str) -> bool:
    known = taxonomy.categories.get(category)
    return known is not None and descriptor in known.tree
