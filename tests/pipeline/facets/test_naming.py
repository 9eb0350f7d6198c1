from __future__ import annotations

import pytest

from cascade.pipeline.facets import naming
from cascade.pipeline.facets.naming import (
    as_served,
    head_word,
    main_part,
    without_asides,
    without_measure,
)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("3 cloves of garlic", "garlic"),
        ("handful of cherries", "cherries"),
        ("half an aubergine", "aubergine"),
        ("500 g minced veal", "minced veal"),
        ("1/2 cup cooked barley", "cooked barley"),
        ("two small pears", "pears"),
        ("5% fat milk", "5% fat milk"),  # says what it is, not how much
        ("half and half", "half and half"),
        ("7up", "7up"),
        ("500 g", "500 g"),  # nothing would be left
        ("", ""),
    ],
)
def test_how_much_there_is_says_nothing_about_the_food(text: str, found: str) -> None:
    assert without_measure(text) == found


@pytest.mark.parametrize(
    ("text", "main", "head"),
    [
        ("rolls, dark, with poppy seeds", "rolls, dark", "roll"),
        ("sour cream, plain", "sour cream, plain", "cream"),
        ("yoghurt w/o sugar", "yoghurt", "yoghurt"),
        ("Radishes (Raphanus sativus)", "Radishes", "radish"),
        ("mackerel in brine", "mackerel", "mackerel"),
        ("with nothing", "with nothing", "nothing"),
        ("(a)", "(a)", ""),
    ],
)
def test_the_main_part_and_the_head_word_name_the_food(text: str, main: str, head: str) -> None:
    assert main_part(text) == main
    assert head_word(text) == head


@pytest.mark.parametrize(
    ("text", "served"),
    [
        ("pork cutlet in a roll", "sandwich with pork cutlet"),
        ("tofu in a sesame bun, with salad", "sandwich with tofu, with salad"),
        ("grilled sausage in bun", "hot dog with bread"),
        ("beef burger in a bun", "beef burger in a bun"),
        ("salami bread roll", "sandwich with salami"),
        ("sausage roll", "sausage roll"),  # baked in pastry
        ("poppy seed bread roll", "poppy seed bread roll"),
        ("beans in sauce", "beans in sauce"),
        ("bread", "bread"),
    ],
)
def test_what_is_served_in_bread_is_a_sandwich(text: str, served: str) -> None:
    assert as_served(text) == served


class Seen:
    """Keeps the texts that a pattern gets."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def sub(self, _: str, text: str) -> str:
        self.texts.append(text)
        return text


def test_no_end_of_brackets_is_looked_for_where_none_is(monkeypatch: pytest.MonkeyPatch) -> None:
    assert without_asides("a (b) c [d] (e") == "a   c   (e"
    seen = Seen()
    monkeypatch.setattr(naming, "ASIDES", ((seen, ")"),))
    assert without_asides("(a)" + "(" * 9) == "(a)" + "(" * 9
    assert seen.texts == ["(a)"]
