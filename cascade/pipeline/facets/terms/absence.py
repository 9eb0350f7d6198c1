"""What descriptions say is not there: of `coffee without milk` the milk, of `meatless` the meat.

A negated food is taken out of a text, so that it matches no name and says no facet, and terms that
say it lose against others. What is no food but a quality stays: `sugar free` is said by facets.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import NamedTuple

from cascade.pipeline.facets.kinds import (
    covered_by,
    imitates,
    of_other_protein,
    plant_milk_in,
    with_vegetables,
)
from cascade.pipeline.facets.naming import head_word, words
from cascade.pipeline.facets.terms.claims import trimmed, without_claims
from cascade.pipeline.facets.terms.negations import (
    FILLERS,
    LISTING,
    LONGEST,
    NEGATING,
    NO_FOOD,
    ONE_WORD,
    STOPS,
    TOKEN,
    Plain,
    Token,
    is_less,
    is_quality,
    names_nothing,
    plainly,
    tokens_of,
)
from cascade.retrieval.words.overlap import singular
from cascade.taxonomy.facets import FacetedTaxonomy

MADE_OF = ("F04", "F27")  # facet categories of what a food is made of
JOINING = frozenset({"with", "but", "and", "contains", "containing", "has"})  # before a negation
MILK = frozenset({"milk", "dairy"})
SHOWN = 80  # characters of a text in a message
NO_FREE = NO_FOOD | {"free"}
ENDING = STOPS | NEGATING  # words that end what a negation is of
BUT_WITH = re.compile(r"\b(?:but|and|yet) (?=with\b)", re.IGNORECASE)  # left behind `without milk`
IMITATION = frozenset(  # words of names of terms that have nothing of what they stand for
    "imitate imitation substitute vegan vegetarian non free without coconut soya soy soyabean oat "  # noqa: SIM905
    "almond rice peanut cocoa plant fungi".split()
)
FREI = re.compile(
    r"\b(?!gluten|la[ck]tose|zucker|fett|alkohol|[ck]offein)(\w{2,}?)-?frei(?:e[rsnm]?)?\b(\s+[\w-]+)?",
    re.IGNORECASE,
)
DIET = re.compile(r"\b(?:vegan|vegetarian)\b", re.IGNORECASE)


class Absence(NamedTuple):
    """What a text says beside what is not there.

    Parameters
    ----------
    text
        Without the negated foods, and without diets and claims that no base term is called by.
    told
        Without the negated foods alone: what facets are said by.
    foods
        The words of these, and of foods that they cover: of dairy also `cheese`.
    unlike
        The words of what the food is not: of `not fried`.
    said
        How the text says it: `without milk`.
    negated
        Whether it says so by more than a diet, as in `vegan`.
    instead
        What the text names in the place of milk: `oat milk`.
    nothing
        Whether the text names nothing else: `sugar free`.
    """

    text: str
    told: str
    foods: frozenset[str] = frozenset()
    unlike: frozenset[str] = frozenset()
    said: str = ""
    negated: bool = False
    instead: str = ""
    nothing: bool = False

    @property
    def lacking(self) -> frozenset[str]:
        """Words of terms that have what is not there, or that something else stands for."""
        return self.foods | self.unlike | (MILK if self.instead else frozenset())

    def doubt(self, taxonomy: FacetedTaxonomy, node: int) -> str:
        """Why a term may have what is not there; empty if there is no reason."""
        if not self.lacking:
            return ""
        if found := self.lacking & made_of(taxonomy, node):
            said = shortened(self.said or self.instead)
            return f"the text says {said!r}, and the likeliest base term has {min(found)}"
        if not self.foods:
            return ""
        found, said = self.foods & set(words(self.text)), shortened(self.said)
        names = [taxonomy.names[node], *taxonomy.synonyms(node)]
        head = head_word(self.text)
        if self.negated and not any(head in words(name) for name in names):
            return f"the text says {said!r}, and no term without it is called {shortened(head)!r}"
        if found and IMITATION.isdisjoint(words(taxonomy.names[node])):
            return f"the text says {said!r} of {min(found)}, and the term is no imitation of it"
        return ""


def shortened(said: str) -> str:
    """The first words of what a message tells of a text."""
    return said if len(said) <= SHOWN else f"{said[:SHOWN]}..."


def with_ohne(text: str) -> str:
    """A German text with `ohne Milch` for `milchfrei`."""
    return FREI.sub(lambda found: f"{found[2] or ''} ohne {found[1]}".strip(), text)


def absence_in(
    text: str, knows: Callable[[str], bool], is_name: Callable[[str], bool] = lambda _: False
) -> Absence:
    """What a text in English says is not there.

    Parameters
    ----------
    knows
        Whether a word is one of a name of a food.
    is_name
        Whether a text is the name of a term, which stays as it is.
    """
    whole = is_name(text)
    text, unlike, unlike_said = Plain(text) if whole else plainly(text, knows)
    tokens = tokens_of(text)
    foods: set[str] = set()
    said = list[str]()
    cut: set[int] = set()  # tokens
    for out, named in _negated(tokens, knows):
        if not cut.isdisjoint(out):
            continue
        own = [singular(re.sub(r"['’]s$", "", tokens[at].word)) for at in named]
        foods.update(own)
        said.append(text[tokens[min(out)].start : tokens[max(out)].end])
        # `Non-dairy` is how names say it.
        cut.update(() if own == ["dairy"] and tokens[min(out)].word == "non" else out)
    diet = {"vegan", "vegetarian"} & {token.word for token in tokens}
    foods |= {word for word in diet if not {"non", "not"} & {token.word for token in tokens}}
    left = _without(text, tokens, cut) if cut else text
    nothing = not whole and (names_nothing(left) if words(left) else bool(cut or unlike))
    if not foods:
        claimed, instead = without_claims(text), plant_milk_in(text)
        so = " ".join(unlike_said)
        return Absence(claimed, text, unlike=unlike, said=so, instead=instead, nothing=nothing)
    if cut:  # beans and meat without meat
        left = _without(text, tokens, cut)
        repeated = foods - diet - {head_word(left)}
        cut.update(at for at, own in enumerate(tokens) if singular(own.word) in repeated)
    kept = _without(text, tokens, cut)
    covered = frozenset(foods).union(*(covered_by(word) for word in foods)) - diet
    told = kept if words(kept) else text
    plain = with_vegetables(trimmed(DIET.sub(" ", told))) if diet else told
    if not words(plain) or covered & set(words(plain)) or imitates(plain):
        # A vegan sausage is none of meat.
        plain = f"meat imitate {plain}" if of_other_protein(plain) else told
    if "meat" in foods and not diet and imitates(plain):
        plain = f"vegetarian {plain}"
    if diet:  # what a diet has only as an imitation is no ingredient
        real = TOKEN.sub(lambda own: "" if singular(own[0].casefold()) in covered else own[0], told)
        told = trimmed(real) if words(real) else told
    so = " ".join((*said, *unlike_said, *sorted(diet)))
    instead = plant_milk_in(kept)
    return Absence(without_claims(plain), told, covered, unlike, so, bool(said), instead, nothing)


def _without(text: str, tokens: Sequence[Token], cut: Collection[int]) -> str:
    """A text without some of its tokens."""
    kept = "".join(
        text[token.start : tokens[at + 1].start if at + 1 < len(tokens) else len(text)]
        for at, token in enumerate(tokens)
        if at not in cut
    )
    return trimmed(BUT_WITH.sub("", kept) if cut else kept)


def made_of(taxonomy: FacetedTaxonomy, node: int) -> frozenset[str]:
    """The words of a term's own name and of what it is made of, if it is no imitation."""
    own = frozenset(words(taxonomy.names[node]))
    if own & IMITATION:
        return frozenset()
    for facet in taxonomy.implied(taxonomy.codes[node]):
        category = taxonomy.categories.get(facet.category)
        if facet.category in MADE_OF and category and facet.descriptor in category.tree:
            own_words = frozenset(words(category.tree.node(facet.descriptor).name))
            own |= frozenset() if own_words & IMITATION else own_words
    return own


def _negated(
    tokens: list[Token], knows: Callable[[str], bool]
) -> Iterator[tuple[Collection[int], list[int]]]:
    """Which tokens may go, and which of them are the foods."""

    def is_food(at: int) -> bool:
        word = singular(re.sub(r"['’]s$", "", tokens[at].word))
        if not word.isalpha() or len(word) < 2 or word in NO_FREE or is_quality(word):
            return False
        return knows(word)

    for at, token in enumerate(tokens):
        after = _word(tokens, at + 1)
        if token.word in NEGATING or (token.word == "free" and at and after in ("of", "from")):
            yield from _after(tokens, at, is_food)
        elif token.word == "free" and "range" not in (after, _word(tokens, at + 2)) and at:
            yield from _before(tokens, at, is_food)
        elif is_less(token.word):
            stem = singular(token.word.removesuffix("less"))
            if stem not in NO_FOOD and covered_by(stem):
                tokens[at] = token._replace(word=stem)
                yield [at], [at]
        elif token.word == "less" and at > 1 and tokens[at - 1].word == "-" and is_food(at - 2):
            yield range(at - 2, at + 1), [at - 2]


def _word(tokens: Sequence[Token], at: int) -> str:
    return tokens[at].word if at < len(tokens) else ""


def _after(
    tokens: list[Token], at: int, is_food: Callable[[int], bool]
) -> Iterator[tuple[Collection[int], list[int]]]:
    """Foods behind a negation: `without milk or cream`; one word of `no meat soup`."""
    start = at + 1
    while start < len(tokens) and tokens[start].word in FILLERS | {"-"}:
        start += 1
    short = at == 0 or tokens[at].word in ONE_WORD
    found: list[int] = []
    last = start - 1
    item: list[int] = []
    place = start
    while place < len(tokens):
        word = tokens[place].word
        if word in LISTING and item:
            if not is_food(item[-1]):
                break
            found, last, item = [*found, item[-1]], item[-1], []
        elif not word[0].isalpha() or word in ENDING or len(item) == (1 if short else LONGEST):
            break
        else:
            item.append(place)
        place += 1
    if item and is_food(item[-1]):
        found, last = [*found, item[-1]], item[-1]
    if tokens[at].word in ONE_WORD and not all(covered_by(tokens[own].word) for own in found):
        return
    if found:
        while at > 1 and tokens[at - 1].word in JOINING:
            at -= 1
        yield range(at, last + 1), found


def _before(
    tokens: list[Token], at: int, is_food: Callable[[int], bool]
) -> Iterator[tuple[Collection[int], list[int]]]:
    """Foods before `free`: `milk and egg-free`."""
    place = at - 1 - (tokens[at - 1].word == "-")
    if place < 0 or not is_food(place):
        return
    found, first = [place], place
    while first >= 2 and tokens[first - 1].word in LISTING and is_food(first - 2):
        first -= 2
        found.append(first)
    yield range(first, at + 1), found


def rows_by_word(said: Sequence[Collection[str]]) -> dict[str, list[int]]:
    """The places of terms by the words that they say."""
    found: dict[str, list[int]] = {}
    for row, own in enumerate(said):
        for word in set(own):
            found.setdefault(word, []).append(row)
    return found
