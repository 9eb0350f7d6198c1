"""What kind of thing a description names: food of people, feed of animals, or nothing to eat."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
    rivals: Sequence[frozenset[str]]
    covers: Mapping[str, frozenset[str]]


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


def names_flavour(text: str) -> bool:
    """Whether a text names a flavour, and does not say that a food is plain."""
    said, kinds = set(words_of(text)), _kinds()
    return any(own <= said for own in kinds.flavours) and not any(
        own <= said for own in kinds.plain
    )


def rivals() -> Sequence[frozenset[str]]:
    """Groups of words of which a food is one: milk is a cow's or a goat's."""
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
    words: Sequence[set[str]], rivals: frozenset[str]
) -> list[tuple[frozenset[str], NDArray[np.int64]]]:
    """Which of some rivals names have, and the rows of the names that have just these."""
    found: dict[frozenset[str], list[int]] = {}
    for row, own in enumerate(words):
        if named := rivals & own:
            found.setdefault(named, []).append(row)
    return [(named, np.array(rows)) for named, rows in found.items()]


@cache
def _kinds() -> _Kinds:
    file = resources.files("cascade.foodex2") / "data" / "kinds.yaml"
    told = parse_yaml(file.read_text("utf-8"), file.name)

    def split(names: Sequence[str]) -> list[frozenset[str]]:
        return [frozenset(words_of(name)) for name in names]

    fed = [
        (split(told[animals]), frozenset(word for name in told[foods] for word in words_of(name)))
        for animals, foods in (("pets", "pet_foods"), ("livestock", "livestock_foods"))
    ]
    return _Kinds(
        fed,
        split(told["feeds"]),
        [*zip(told["no_food"], split(told["no_food"]), strict=True)],
        [*zip(told["no_meat"], split(told["no_meat"]), strict=True)],
        split(told["flavours"]),
        split(told["plain"]),
        [frozenset(word for name in own for word in words_of(name)) for own in told["rivals"]],
        {
            word: frozenset(one for name in own for one in words_of(name))
            for word, own in told["covers"].items()
        },
    )
