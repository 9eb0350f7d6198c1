"""What kind of thing a description names: food of people, feed of animals, or nothing to eat."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from importlib import resources
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cascade.config import parse_yaml
from cascade.retrieval.words.overlap import words_of

WHOSE = frozenset({"my", "our", "your", "his", "her", "little", "big", "old", "young"})
FEED = frozenset({"feed", "fodder"})  # words of names of terms


class _Kinds(NamedTuple):
    """Words of `kinds.yaml`, each as `words_of` writes it; two rows of animals with their foods."""

    fed: Sequence[tuple[Sequence[frozenset[str]], frozenset[str]]]
    feeds: Sequence[frozenset[str]]
    no_food: Sequence[tuple[str, frozenset[str]]]
    no_meat: Sequence[tuple[str, frozenset[str]]]
    flavours: Sequence[frozenset[str]]
    plain: Sequence[frozenset[str]]
    rivals: Sequence[Sequence[frozenset[str]]]
    covers: Mapping[str, frozenset[str]]
    imitated: frozenset[str]
    of_vegetables: frozenset[str]
    alone_of_vegetables: Sequence[frozenset[str]]
    proteins: Sequence[frozenset[str]]
    young: re.Pattern[str]
    foods_of_the_young: Sequence[str]
    plant_milk: re.Pattern[str]
    milky: re.Pattern[str]
    called: Mapping[str, str]


def plant_milk_in(text: str) -> str:
    """What a text names in the place of milk, such as `oat milk`; empty if it says milk besides.

    `Almond milk chocolate` is milk chocolate with almonds.
    """
    found = _kinds().plant_milk.search(text)
    if found is None or "milk" in words_of(f"{text[: found.start()]} {text[found.end() :]}"):
        return ""
    return f"{found['plant']} milk"


def imitates(text: str) -> bool:
    """Whether what a text names is an imitation where a diet is said: `burger`."""
    return not _kinds().imitated.isdisjoint(words_of(text))


def with_vegetables(text: str) -> str:
    """What a diet leaves of a dish that has meat as a rule: `vegetable curry` of `curry`."""
    words, kinds = set(words_of(text)), _kinds()
    dish = not kinds.of_vegetables.isdisjoint(words) and "vegetable" not in words
    return f"vegetable {text}" if dish or words in kinds.alone_of_vegetables else text


def of_other_protein(text: str) -> bool:
    """Whether a text names of what an imitation of meat is that no term names: `pea protein`."""
    said = set(words_of(text))
    return any(own <= said for own in _kinds().proteins)


def with_plant_milk(text: str) -> str:
    """A text in which what is made with a plant's milk has no name that says milk.

    `Oat milk latte` is a coffee beverage with oat milk, as is an `oat latte`.
    """
    kinds = _kinds()
    name = kinds.milky.search(text)
    plant = kinds.plant_milk.search(text) if name else None
    if name is None or plant is None:
        return text
    rest = kinds.plant_milk.sub(" ", text, count=1)
    called = kinds.called[" ".join(name[0].casefold().split())]
    said = f"{called} with {plant['plant']} milk"
    return " ".join(kinds.milky.sub(said, rest, count=1).split()).replace(" ,", ",")


def names_feed(text: str) -> bool:
    """Whether a text names feed, such as `dog food` or `pellets for rabbits`.

    A word for food counts behind that of the animal, or before it and `for`.
    """
    words = words_of(text)
    said, kinds = set(words), _kinds()
    if said & FEED or any(feed <= said for feed in kinds.feeds):
        return True
    turned = text.casefold().partition(" for ")
    orders = [words, [*words_of(turned[2]), *words_of(turned[0])]] if turned[1] else [words]
    return any(
        animal <= set(order[at - len(animal) : at])
        for animals, foods in kinds.fed
        for order in orders
        for at, word in enumerate(order)
        if word in foods
        for animal in animals
        if at >= len(animal)
    )


def names_the_young(text: str) -> bool:
    """Whether a text names food of babies: not `baby carrots`, but `baby food with carrots`."""
    return _kinds().young.search(text) is not None


def foods_of_the_young() -> Sequence[str]:
    """The terms at or below which foods of babies stand."""
    return _kinds().foods_of_the_young


def names_flavour(text: str) -> bool:
    """Whether a text names a flavour, and does not say that a food is plain."""
    said, kinds = set(words_of(text)), _kinds()
    return any(own <= said for own in kinds.flavours) and not any(
        own <= said for own in kinds.plain
    )


def rivals() -> Sequence[Sequence[frozenset[str]]]:
    """Groups of which a food is one, as words: milk is a cow's, or a sheep's or ewe's."""
    return _kinds().rivals


def covered_by(word: str) -> frozenset[str]:
    """Words of names that say a food or diet as well: `cheese` and others of `milk`."""
    return _kinds().covers.get(word, frozenset())


def no_food_in(text: str) -> str:
    """A word of a text for what nobody eats; empty where there is none.

    Animals that are kept for company count where the text says nothing else, as in `my dog`.
    """
    said, kinds = set(words_of(text)), _kinds()
    if found := next((name for name, words in kinds.no_food if words <= said), ""):
        return found
    rest = said - WHOSE
    kept = [(name, words) for name, words in kinds.no_meat if words <= rest]
    return kept[0][0] if rest and rest == frozenset().union(*(words for _, words in kept)) else ""


def by_rivals(
    words: Sequence[set[str]], rivals: Sequence[frozenset[str]]
) -> list[tuple[frozenset[str], NDArray[np.int64]]]:
    """The words of the rivals that names have, and the rows of the names that have just these."""
    found: dict[frozenset[str], list[int]] = {}
    every = frozenset().union(*rivals)
    for row, own in enumerate(words):
        if not every.isdisjoint(own):
            named = frozenset().union(*(one for one in rivals if not one.isdisjoint(own)))
            found.setdefault(named, []).append(row)
    return [(named, np.array(rows)) for named, rows in found.items()]


@cache
def _kinds() -> _Kinds:
    file = resources.files("cascade.foodex2") / "data" / "kinds.yaml"
    told = parse_yaml(file.read_text("utf-8"), file.name)

    def split(names: Sequence[str]) -> list[frozenset[str]]:
        return [frozenset(words_of(name)) for name in names]

    def every(names: Sequence[str]) -> frozenset[str]:
        return frozenset(word for name in names for word in words_of(name))

    def any_of(names: Iterable[str]) -> str:
        longest = sorted(names, key=len, reverse=True)
        joined = [r"[\s-]+".join(map(re.escape, name.split())) for name in longest]
        return f"(?:{'|'.join(joined)})"

    called = {name: plain for plain, names in told["without_milk"].items() for name in names}
    milky = [name for name, plain in called.items() if not {*name.split()} & {*plain.split()}]
    fed = [
        (split(told[animals]), every(told[foods]))
        for animals, foods in (("pets", "pet_foods"), ("livestock", "livestock_foods"))
    ]
    return _Kinds(
        fed,
        split(told["feeds"]),
        [*zip(told["no_food"], split(told["no_food"]), strict=True)],
        [*zip(told["no_meat"], split(told["no_meat"]), strict=True)],
        split(told["flavours"]),
        split(told["plain"]),
        [[frozenset(words_of(one)) for one in own] for own in told["rivals"]],
        {word: every(own) for word, own in told["covers"].items()},
        every(told["imitated"]),
        every(told["of_vegetables"]),
        split(told["alone_of_vegetables"]),
        split(told["proteins"]),
        re.compile(
            rf"\b{any_of(told['young'])}\b(?![\s-]+{any_of(told['small'])}\b)", re.IGNORECASE
        ),
        told["foods_of_the_young"],
        re.compile(
            rf"(?:\b(?:made\s+)?with\s+)?\b(?P<plant>{any_of(told['plants_for_milk'])})[\s-]+"
            rf"(?:{any_of(told['milks'])}\b(?!\s+chocolate)|(?={any_of(milky)}\b))",
            re.IGNORECASE,
        ),
        re.compile(rf"\b{any_of(called)}\b", re.IGNORECASE),
        called,
    )
