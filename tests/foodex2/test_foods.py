"""The everyday foods of `examples/foods.csv` and `menus.csv`, coded by hand."""

import csv
import hashlib
from collections import Counter
from pathlib import Path

import pytest

from cascade.foodex2.code import FoodCode
from cascade.foodex2.format import load_catalogue
from cascade.foodex2.parsed_code import ForbiddenProcesses
from cascade.foodex2.rules import Checker

EXAMPLES = Path(__file__).parents[2] / "examples"


def read(name):
    with (EXAMPLES / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def foods():
    return read("foods.csv")


@pytest.fixture(scope="module")
def menus():
    return read("menus.csv")


def test_no_food_is_there_twice(foods, menus):
    foods = [*foods, *menus]
    texts = Counter(row["text"].casefold().strip(" .") for row in foods)
    assert [text for text, count in texts.items() if count > 1] == []


def test_each_food_is_in_the_half_that_its_text_says(foods, menus):
    for row in (*foods, *menus):
        first = hashlib.sha256(row["text"].encode()).hexdigest()[0]
        assert row["split"] == ("choose" if first in "01234567" else "report"), row["text"]


def test_each_food_has_a_language_a_kind_and_a_code(foods, menus):
    for row in (*foods, *menus):
        assert row["language"] in {"en", "de", "es", "fr", "it", "pl", "pt"}, row
        assert row["kind"], row
        assert row["text"] == row["text"].strip(), row
        assert str(FoodCode.parse(row["code"])) == row["code"], row


def test_most_codes_have_no_facet_or_one(foods):
    facets = Counter(min(2, len(FoodCode.parse(row["code"]).facets)) for row in foods)
    assert len(foods) == 500
    assert 0.40 <= facets[0] / len(foods) <= 0.50
    assert 0.30 <= facets[1] / len(foods) <= 0.40
    assert 0.15 <= facets[2] / len(foods) <= 0.25


def test_a_tenth_is_not_english_and_each_half_is_half(foods):
    assert sum(row["language"] != "en" for row in foods) == 50
    assert 0.45 <= sum(row["split"] == "report" for row in foods) / len(foods) <= 0.55


@pytest.mark.data
def test_each_code_passes_the_strict_rules_and_repeats_nothing_that_is_implied(foods, menus, efsa):
    catalogue = load_catalogue(efsa / "MTX.ecf")
    checker = Checker(catalogue, ForbiddenProcesses.read(efsa / "BR_Data.csv"))
    for row in (*foods, *menus):
        assert checker.refusal(row["code"]) == "", row
        code = FoodCode.parse(row["code"])
        assert code.normalised(catalogue.terms[code.base].facets) == code, row


def test_codes_of_menus_are_base_terms(menus):
    assert all("#" not in row["code"] for row in menus)
    assert len({row["language"] for row in menus}) >= 6
