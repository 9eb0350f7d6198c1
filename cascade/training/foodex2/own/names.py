"""Which words of coded descriptions tell which term: names that the catalogue does not have."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from functools import cache

from cascade.foodex2.code import FoodCode
from cascade.retrieval.words.overlap import NEGATIONS, words_of
from cascade.taxonomy.facets import FacetedTaxonomy

LONGEST = 4  # words of a name
FEWEST = 2  # rows that must agree
SURE = 0.6  # least share of the rows with some words that are labelled with the term
MOST = 8  # names of a term

Gram = tuple[str, ...]


def learn_names(
    texts: Sequence[str], codes: Sequence[FoodCode], taxonomy: FacetedTaxonomy
) -> list[tuple[str, str]]:
    """Codes of terms, each with a name that some rows call it by; see `LONGEST` and those below.

    Of each row's words those are taken that go with a term most (by the square of the rows that
    have both, over the product of the rows that have either). Words of the name of the base term
    say nothing of facets, and those of a descriptor's name nothing of the base term.
    """
    grams = [_grams(text) for text in texts]
    terms = [[code.base, *(facet.descriptor for facet in code.facets)] for code in codes]
    known = cache(lambda code: _name_words(code, taxonomy))
    seen = Counter(gram for own in grams for gram in own)
    used = Counter(term for own in terms for term in set(own))
    both: Counter[tuple[str, Gram]] = Counter()
    for own, labels in zip(grams, terms, strict=True):
        both.update((term, gram) for term in set(labels) for gram in own if seen[gram] >= FEWEST)

    def strength(term: str, gram: Gram) -> float:
        return both[term, gram] ** 2 / (seen[gram] * used[term])

    chosen: Counter[tuple[str, Gram]] = Counter()
    for own, labels in zip(grams, terms, strict=True):
        for at, term in enumerate(labels):
            told = frozenset[str]().union(*map(known, labels[1:] if at == 0 else labels[:1]))
            possible = [
                gram
                for gram in own
                if both[term, gram] >= FEWEST
                and both[term, gram] >= SURE * seen[gram]
                and (not told.issuperset(gram) if at == 0 else told.isdisjoint(gram))
            ]
            if possible:
                chosen[term, max(possible, key=lambda g: (strength(term, g), len(g), g))] += 1
    by_term: dict[str, list[Gram]] = {}
    for (term, gram), rows in chosen.most_common():
        mine = by_term.setdefault(term, [])
        if rows >= FEWEST and len(mine) < MOST:
            mine.append(gram)
    return [(term, _written(gram)) for term, own in sorted(by_term.items()) for gram in sorted(own)]


def _grams(text: str) -> Collection[Gram]:
    words = words_of(text)
    return {
        tuple(words[at : at + size])
        for size in range(1, LONGEST + 1)
        for at in range(len(words) - size + 1)
        if any(
            not word.replace(".", "").isdigit() and len(word) > 1 for word in words[at : at + size]
        )
    }


def _written(gram: Gram) -> str:
    """The words as a text, from which the same words are read again."""
    written: list[str] = []
    for word in gram:
        if word.startswith("-"):
            if not written or written[-1] not in NEGATIONS:
                written.append("without")
            word = word[1:]
        written.append(word)
    return " ".join(written)


def _name_words(code: str, taxonomy: FacetedTaxonomy) -> frozenset[str]:
    terms = taxonomy.terms
    if code not in terms:
        return frozenset()
    node = terms.index(code)
    return frozenset(
        word for name in (terms.names[node], *terms.synonyms(node)) for word in words_of(name)
    )
