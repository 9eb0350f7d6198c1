"""Facets that are said: descriptors of which a description has all words, beyond its base term.

Precision comes before recall: what no word says is no facet. A word says one thing only, so that
`in olive oil` is a medium and no olives; longer names take their words first.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence, Set
from functools import cached_property
from typing import NamedTuple

from cascade.foodex2.code import FoodCode
from cascade.foodex2.taxonomy import FoodEx2Taxonomy
from cascade.pipeline.facets.naming import (
    head_word,
    main_part,
    without_measure,
    without_places,
    words,
)
from cascade.pipeline.facets.told import FacetWords
from cascade.predictions import FacetChoice
from cascade.taxonomy.facets import Facet, FacetedTaxonomy

MOST_WORDS = 6  # of a name that may be said
INGREDIENT, SOURCE, PROCESS = "F04", "F27", "F28"
EATEN = ("F04", "F06", "F08", "F27")  # categories of what is in or around a food
LISTED, OWN, OTHER, SHORTENED = range(4)  # whose name: of the list, the own, another; shortened
COLOURS = frozenset(("red", "green", "yellow", "black", "white", "blue", "brown", "golden"))
BRAND = re.compile(rf"\b({'|'.join(map(str.title, sorted(COLOURS)))}) ([A-Z][a-z]+)")
MADE = ("s", "c")  # kinds of base terms: simple and composite foods
JOINED = re.compile(r"\w\s+(?:and|&|'?n'?)\s+\w", re.IGNORECASE)
WITH = re.compile(r"\b(?:with|in|on)\b[^,;]*", re.IGNORECASE)
LEFT_ON = re.compile(r"(?<!\w)\w+[\s-](?:in|on)\b", re.IGNORECASE)
ASIDE = re.compile(r"^(?:with|in|on)\s|\s(?:in|on)$", re.IGNORECASE)
PERCENT = re.compile(r"%\s*(?P<of>[^\W\d_]+)?")
GAP = 1  # words that may stand between those of a name
# Words of names that nobody says.
CATALOGUES = frozenset(("similar", "generic", "fresh", "dry", "unspecified", "average"))
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
    head
        The word that says what it is: `milk` of `vanilla milk`.
    aside
        Whether it is said by what comes with a food alone: `with bone`, and not `bone broth`.
    """

    words: frozenset[str]
    rank: int
    place: int
    facet: Facet
    head: str
    aside: bool = False


class Said(NamedTuple):
    """A facet, and the words of the description that say it."""

    facet: Facet
    words: tuple[str, ...]


class SaidFacets:
    """Finds what descriptions say beyond their base terms.

    Attributes
    ----------
    told
        Words for descriptors, beside the names that the taxonomy has.
    """

    def __init__(self, taxonomy: FacetedTaxonomy, told: FacetWords) -> None:
        self._taxonomy, self.told = taxonomy, told
        self._known: dict[str, frozenset[str]] = {}
        self._related: dict[str, frozenset[Facet]] = {}
        self._heads_of: dict[str, frozenset[str]] = {}

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
        text = self._with_percent(without_places(without_measure(text)), base)
        order = words(text)
        left, places = Counter(order), dict[str, list[int]]()
        for at, word in enumerate(order):
            places.setdefault(word, []).append(at)
        known, related = self._of_base(base)
        known |= self._of_brands(text, base)
        main, head = set(words(main_part(text))), head_word(text)
        # What a text is about is no ingredient, unless the list has it (macaroni cheese); but it
        # may be what a derivative is made of, as in dried ceps.
        kind = self._kind(base)
        barred: Sequence[str] = EATEN if kind != "d" else EATEN[:-1]
        if kind in MADE and JOINED.search(main_part(text)) and head not in self._own_heads(base):
            barred = ()  # gin and tonic is no gin
        with_ = frozenset(
            word for own in [*WITH.findall(text), *LEFT_ON.findall(text)] for word in words(own)
        )
        found = sorted(
            (
                (-len(name.words), name.rank, name.place, name.facet, name.words)
                for word in left
                for name in self._names.get(word, ())
                if name.words <= left.keys()
                and not name.words <= known
                and (not name.aside or name.words <= with_)
                and not (
                    name.facet.category in barred
                    and head in name.words
                    and (name.rank != LISTED or name.facet.category != INGREDIENT)
                )
                and (name.rank == LISTED or _are_near(order, places, name.words))
                and not (
                    name.facet.category in EATEN
                    and name.rank != LISTED
                    and self._is_base(name, base, places)
                )
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
            if new <= self._processes:  # `boiled duck egg` has no boiled eggs in it
                facets = [one for one in facets if one.category not in EATEN]
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

    @cached_property
    def _processes(self) -> frozenset[str]:
        """Words that say a process alone: `boiled`."""
        names = (own for names in self._names.values() for own in names)
        return frozenset().union(
            *(own.words for own in names if own.facet.category == PROCESS and len(own.words) == 1)
        )

    def _all_names(self) -> Iterator[Name]:
        for place, code in enumerate(self.told.categories):
            category = self._taxonomy.categories.get(code)
            if category is None:
                continue
            tree, listed = category.tree, self.told.words.get(code, {})
            never = set(self.told.never)
            if code in EATEN:
                never.update(self._below(self.told.never_below))
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
                        aside = len(own) == 1 and ASIDE.search(name) is not None
                        facet = Facet(code, descriptor)
                        yield Name(own, said, place, facet, head_word(name), aside)

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
                names += (self.told.part_of_name or {}).get(code, ())
            related = {
                Facet(category, code)
                for category in (INGREDIENT, SOURCE)
                for code in _lineage(taxonomy, base)
            }
            for facet in taxonomy.implied(base):
                category = taxonomy.categories.get(facet.category)
                if category is None or facet.descriptor not in category.tree:
                    continue
                if facet.category in self.told.classes:
                    continue
                tree = category.tree
                at = tree.index(facet.descriptor)
                if facet.descriptor in taxonomy:
                    names += taxonomy.own_names(facet.descriptor)
                else:
                    names += [tree.names[at], *tree.synonyms(at)]
                names += self.told.words.get(facet.category, {}).get(facet.descriptor, ())
                above = tree.path_nodes(at).tolist()
                related |= {Facet(facet.category, tree.codes[node]) for node in above}
            self._known[base] = frozenset(word for name in names for word in words(name))
            self._related[base] = frozenset(related)
        return self._known[base], self._related[base]

    def _is_base(self, name: Name, base: str, at: Mapping[str, Sequence[int]]) -> bool:
        """Whether words of a name belong to the base term, so that they do not say the name.

        `Soya milk, vanilla` has no vanilla milk in it, baby food with carrots no baby carrots, and
        beer no wheat beer.
        """
        if len(name.words) == 1 or any(len(at[word]) > 1 for word in name.words):
            return False
        of_base = name.head in self._heads(base)
        if of_base and self._are_related(name.facet.descriptor, base):
            return True
        places = [at[word][0] for word in name.words]
        in_order = name.head not in at or at[name.head][0] == max(places)
        if in_order and max(places) - min(places) < len(name.words):
            return False
        modifiers = name.words - {name.head}
        return of_base or not modifiers.isdisjoint(self._as_people_say(at.keys(), base))

    def _are_related(self, code: str, base: str) -> bool:
        """Whether one of two terms is at or below the term above the other."""
        taxonomy = self._taxonomy
        if code not in taxonomy:
            return False
        lineages = _lineage(taxonomy, code), _lineage(taxonomy, base)
        return any(len(a) > 2 and a[1] in b for a, b in (lineages, lineages[::-1]))

    def _heads(self, base: str) -> frozenset[str]:
        """The words that say what a base term is, in any of its names: `drink`, `milk`."""
        if base not in self._heads_of:
            names = [*self._taxonomy.own_names(base), *self._wording(base)]
            self._heads_of[base] = frozenset(map(head_word, names)) - {""}
        return self._heads_of[base]

    def _own_heads(self, base: str) -> frozenset[str]:
        return frozenset(map(head_word, self._taxonomy.own_names(base)))

    def _wording(self, base: str) -> Sequence[str]:
        """All names of a base term but the first, those of `wording.yaml` too."""
        return self._taxonomy.synonyms(self._taxonomy.index(base))

    def _as_people_say(self, said: Set[str], base: str) -> frozenset[str]:
        """The words of names of a base term that a text has as a whole: `baby food`."""
        names = (frozenset(words(name)) for name in self._wording(base))
        return frozenset().union(*(own for own in names if own <= said))

    def _of_brands(self, text: str, base: str) -> frozenset[str]:
        """Colours that a text has as part of a brand's name, and that say nothing: `Red Bull`.

        A brand is a name of the base term in capital letters, or a colour before another word, both
        in capital letters, where no food is called by the second.
        """
        pairs = BRAND.findall(text)
        if not pairs:
            return frozenset()
        found = frozenset[str]()
        for name in self._wording(base):
            own = name.split()
            if len(own) > 1 and all(word[0].isupper() for word in own) and name in text:
                found |= COLOURS & set(words(name))
        for colour, other in pairs:
            if not self._heads_of_names & set(words(other)):
                found |= set(words(colour))
        return found

    @cached_property
    def _heads_of_names(self) -> frozenset[str]:
        """The words by which base terms and descriptors are called."""
        taxonomy = self._taxonomy
        names = (name for code in taxonomy.codes for name in taxonomy.own_names(code))
        said = (name.head for own in self._names.values() for name in own)
        return frozenset(map(head_word, names)) | frozenset(said)

    def _with_percent(self, text: str, base: str) -> str:
        """A text that says what a percentage is of: `beer, 5%` of alcohol, `milk, 1.5%` of fat."""
        if "%" not in text:
            return text
        told = self.told.percent or {}
        own = next((told[code] for code in _lineage(self._taxonomy, base) if code in told), ())

        def of(found: re.Match[str]) -> str:
            known = found["of"] is None or found["of"].casefold() in own
            return f"% {own[0]} " if known else found[0]

        return PERCENT.sub(of, text) if own else text

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
            instead = (self.told.instead or {}).get(code, {})
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


def _are_near(order: Sequence[str], at: Mapping[str, Sequence[int]], own: frozenset[str]) -> bool:
    """Whether words stand together in a text, in any order, with a small gap at the most."""
    width = len(own) + GAP
    starts = (
        place - back for place in min((at[word] for word in own), key=len) for back in range(width)
    )
    return len(own) == 1 or any(own <= set(order[max(0, one) : one + width]) for one in starts)


def _lineage(taxonomy: FacetedTaxonomy, base: str) -> list[str]:
    """A base term, and those above it."""
    return [taxonomy.codes[n] for n in taxonomy.path_nodes(taxonomy.index(base)).tolist()[::-1]]


def _has(taxonomy: FacetedTaxonomy, category: str, descriptor: str) -> bool:
    known = taxonomy.categories.get(category)
    return known is not None and descriptor in known.tree
