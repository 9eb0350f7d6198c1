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
from cascade.retrieval.words.overlap import singular
from cascade.taxonomy.facets import FacetedTaxonomy

MADE_OF = ("F04", "F27")  # facet categories of what a food is made of
TOKEN = re.compile(r"w/o|[^\W_]+(?:['’][^\W_]+)*|[^\w\s]", re.IGNORECASE)
NEGATING = frozenset(
    "without w/o no minus excluding lacking zero non senza ohne sans bez zonder".split()  # noqa: SIM905
)
ONE_WORD = frozenset({"non", "zero"})  # which negate the next word alone
FILLERS = frozenset(
    {"any", "the", "of", "from", "added", "extra", "containing", "contains", "with"}
)
LISTING = frozenset({"and", "or", "nor", "&", "/", "und", "et", "e", "y", "oder", "ou", "o"})
JOINING = frozenset({"with", "but", "and", "contains", "containing", "has"})  # before a negation
STOPS = frozenset("with in on for from but by to made into only plus mit avec con not".split())  # noqa: SIM905
LONGEST = 3  # words of a negated food
MILK = frozenset({"milk", "dairy"})
NO_FOOD = frozenset(  # what is a quality or a part of a food, which facets or names say
    "sugar sugars salt sodium fat gluten lactose alcohol caffeine sweetener additive preservative "  # noqa: SIM905
    "colour color colouring coloring flavour flavor flavouring flavoring yeast cholesterol calorie "
    "carb carbohydrate gas pod skin peel bone rind shell stone pit seed fibre crust antibiotic "
    "hormone pesticide pulp bit piece range bake cook taste smell visible head tail sulphite "
    "bubble carbonation acid vitamin name brand doubt waste gm gmo pith core stalk cage lump "
    "filling topping coating dressing content specified unspecified similar other residue leaf "
    "food further".split()
)
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
    said
        How the text says it: `without milk`.
    negated
        Whether it says so by more than a diet, as in `vegan`.
    instead
        What the text names in the place of milk: `oat milk`.
    """

    text: str
    told: str
    foods: frozenset[str] = frozenset()
    said: str = ""
    negated: bool = False
    instead: str = ""

    @property
    def lacking(self) -> frozenset[str]:
        """Words of terms that have what is not there, or that something else stands for."""
        return self.foods | MILK if self.instead else self.foods

    def doubt(self, taxonomy: FacetedTaxonomy, node: int) -> str:
        """Why a term may have what is not there; empty if there is no reason."""
        if not self.lacking:
            return ""
        if found := self.lacking & made_of(taxonomy, node):
            said = self.said or self.instead
            return f"the text says {said!r}, and the likeliest base term has {min(found)}"
        if not self.foods:
            return ""
        found = self.foods & set(words(self.text))
        names = [taxonomy.names[node], *taxonomy.synonyms(node)]
        head = head_word(self.text)
        if self.negated and not any(head in words(name) for name in names):
            return f"the text says {self.said!r}, and no term without it is called {head!r}"
        if found and IMITATION.isdisjoint(words(taxonomy.names[node])):
            return (
                f"the text says {self.said!r} of {min(found)}, and the term is no imitation of it"
            )
        return ""


class _Token(NamedTuple):
    word: str
    start: int
    end: int


def with_ohne(text: str) -> str:
    """A German text with `ohne Milch` for `milchfrei`."""
    return FREI.sub(lambda found: f"{found[2] or ''} ohne {found[1]}".strip(), text)


def absence_in(text: str, knows: Callable[[str], bool]) -> Absence:
    """What a text in English says is not there.

    Parameters
    ----------
    knows
        Whether a word is one of a name of a food.
    """
    tokens = [_Token(found[0].casefold(), *found.span()) for found in TOKEN.finditer(text)]
    foods: set[str] = set()
    said: list[str] = []
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
    if not foods:
        return Absence(without_claims(text), text, instead=plant_milk_in(text))
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
    said_so = " ".join((*said, *sorted(diet)))
    instead = plant_milk_in(kept)
    return Absence(without_claims(plain), told, covered, said_so, bool(said), instead)


def _without(text: str, tokens: Sequence[_Token], cut: Collection[int]) -> str:
    """A text without some of its tokens."""
    kept = "".join(
        text[token.start : tokens[at + 1].start if at + 1 < len(tokens) else len(text)]
        for at, token in enumerate(tokens)
        if at not in cut
    )
    return trimmed(kept)


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
    tokens: list[_Token], knows: Callable[[str], bool]
) -> Iterator[tuple[Collection[int], list[int]]]:
    """Which tokens may go, and which of them are the foods."""

    def is_food(at: int) -> bool:
        word = singular(re.sub(r"['’]s$", "", tokens[at].word))
        return word.isalpha() and word not in NO_FOOD and len(word) > 1 and knows(word)

    for at, token in enumerate(tokens):
        after = _word(tokens, at + 1)
        if token.word in NEGATING or (token.word == "free" and at and after in ("of", "from")):
            yield from _after(tokens, at, is_food)
        elif token.word == "free" and "range" not in (after, _word(tokens, at + 2)) and at:
            yield from _before(tokens, at, is_food)
        elif token.word.endswith("less") and len(token.word) > 6:
            stem = singular(token.word.removesuffix("less"))
            if stem not in NO_FOOD and covered_by(stem):
                tokens[at] = token._replace(word=stem)
                yield [at], [at]
        elif token.word == "less" and at > 1 and tokens[at - 1].word == "-" and is_food(at - 2):
            yield range(at - 2, at + 1), [at - 2]


def _word(tokens: Sequence[_Token], at: int) -> str:
    return tokens[at].word if at < len(tokens) else ""


def _after(
    tokens: list[_Token], at: int, is_food: Callable[[int], bool]
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
        elif not word[0].isalpha() or word in STOPS or len(item) == (1 if short else LONGEST):
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
    tokens: list[_Token], at: int, is_food: Callable[[int], bool]
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
