from __future__ import annotations

import numpy as np
import pytest

from cascade.errors import ConfigError
from cascade.foodex2.code import FoodCode
from cascade.pipeline.facets.said import LEFT_ON, SaidFacets, _are_near, said_code
from cascade.pipeline.facets.told import FacetWords
from cascade.taxonomy.draft import Draft
from cascade.taxonomy.facets import Facet, FacetCategory, FacetedTaxonomy
from cascade.taxonomy.tree import Taxonomy

BASES = {"PIE": "Fruit pies", "FISH": "Herrings", "TART": "Baked tarts", "NUTS": "Nuts"}
FACETS = {
    "F04": {"APPLE": "Apples and similar", "OLIVE": "Olives", "NUTS": "Nuts", "SUGAR": "Sugar"},
    "F06": {"INOIL": "Olive oil as medium"},
    "F10": {"PLAIN": "Without added sugar"},
    "F28": {"FRY": "Frying", "DEEP": "Deep frying", "BAKE": "Baking"},
}
WORDS = {
    "F06": {"INOIL": ["in olive oil"]},
    "F10": {"PLAIN": ["no added sugar", "unsweetened"]},
    "F28": {"FRY": ["fried"], "DEEP": ["deep fried"], "BAKE": ["baked"]},
}
TOLD = FacetWords(["F06", "F10", "F28", "F04"], WORDS)


def draft(names: dict[str, str]) -> Draft:
    made = Draft(name="toy", distinct_siblings=True)
    for code, name in names.items():
        made.add(name, code)
    made.link([""] * len(names))
    return made


@pytest.fixture(scope="module")
def tree() -> FacetedTaxonomy:
    categories = {
        code: FacetCategory(code, code, Taxonomy(draft(own)), np.ones(len(own), bool))
        for code, own in FACETS.items()
    }
    implied = {"TART": [Facet("F28", "BAKE")]}
    return FacetedTaxonomy(draft(BASES), categories, implied, frozenset(BASES))


def said(tree: FacetedTaxonomy, text: str, base: str, told: FacetWords = TOLD) -> set[str]:
    return {str(group[0].facet) for group in SaidFacets(tree, told).of(text, base)}


@pytest.mark.parametrize(
    ("text", "base", "facets"),
    [
        ("pie", "PIE", set()),
        ("apple pie", "PIE", {"F04.APPLE"}),  # `and similar` is the catalogue's
        ("2 slices of apple pie, unsweetened", "PIE", {"F04.APPLE", "F10.PLAIN"}),
        ("pie with olives", "PIE", {"F04.OLIVE"}),
        ("herring in olive oil", "FISH", {"F06.INOIL"}),  # and no olives
        ("pie, no added sugar", "PIE", {"F10.PLAIN"}),  # and no sugar
        ("deep-fried herring", "FISH", {"F28.DEEP"}),  # and not fried besides
        ("fried herring", "FISH", {"F28.FRY"}),
        ("baked tart", "TART", set()),  # the base term says and implies it
        ("fried tart", "TART", {"F28.FRY"}),
        ("nuts", "NUTS", set()),  # is no ingredient of itself
        ("sugar", "PIE", set()),  # what the text is about is no ingredient
        ("", "PIE", set()),
    ],
)
def test_a_facet_is_what_the_words_say_beyond_the_base_term(tree, text, base, facets):
    assert said(tree, text, base) == facets


def test_the_words_that_say_a_facet_are_told(tree):
    (group,) = SaidFacets(tree, TOLD).of("Herrings, deep fried", "FISH")
    assert group[0].words == ("deep", "fried")


def test_a_facet_that_the_rules_refuse_gives_way_or_is_told(tree):
    finder = SaidFacets(tree, TOLD)

    def refusal(code: str) -> str:
        return "never fried" if "FRY" in code else ""

    code, facets = said_code(finder, "fried apple pie", FoodCode("PIE"), tree, refusal, 3)
    assert str(code) == "PIE#F04.APPLE"
    assert [(f.category, f.code, f.message, f.words) for f in facets] == [
        ("F28", None, "never fried", ("fried",)),
        ("F04", "APPLE", "", ("apple",)),
    ]


def test_words_of_the_user_go_before_those_that_ship(tmp_path):
    own = tmp_path / "own.yaml"
    own.write_text("words:\n  F28:\n    A07GR: [sizzled]\n    NEW00: [zapped]\n", "utf-8")
    shipped, told = FacetWords.load(), FacetWords.load(own)
    assert told.words["F28"]["NEW00"] == ["zapped"]
    assert told.words["F28"]["A07GR"] == ["sizzled", *shipped.words["F28"]["A07GR"]]
    assert told.words["F10"] == shipped.words["F10"]
    assert list(told.categories) == list(shipped.categories)


@pytest.mark.parametrize(
    "text",
    [
        "- a list",
        "word: {}",
        "words: {F28: [fried]}",
        "words: {F28: {A07GR: fried}}",
        "never: {}",
        "{",
    ],
)
def test_a_file_of_words_of_another_form_is_refused(tmp_path, text):
    own = tmp_path / "own.yaml"
    own.write_text(text, "utf-8")
    with pytest.raises(ConfigError, match=r"own\.yaml"):
        FacetWords.load(own)


def test_a_name_that_is_of_the_base_term_or_of_a_brand_is_no_facet():
    names = {"SOYA": "Soya milk", "BABY": "Meals for children", "TRUCK": "Energy drinks"}
    bases = Draft(name="toy", distinct_siblings=True)
    for (code, name), synonyms in zip(
        names.items(), ([], ["baby food"], ["Red Bison"]), strict=True
    ):
        bases.describe(bases.add(name, code), "", synonyms)
    bases.link([""] * len(names))
    added = {
        "MILKS": "Vanilla milk",
        "VANILLA": "Vanilla",
        "BABIES": "Baby carrots",
        "CARROT": "Carrots",
        "WIENER": "Wiener",
        "ONION": "Onions",
    }
    categories = {
        code: FacetCategory(code, code, Taxonomy(draft(own)), np.ones(len(own), bool))
        for code, own in {"F04": added, "F10": {"RED": "Red", "GREEN": "Green"}}.items()
    }
    own = FacetedTaxonomy(bases, categories, {}, frozenset(names))
    told = FacetWords(["F10", "F04"], {})
    assert said(own, "soya milk, vanilla", "SOYA", told) == {"F04.VANILLA"}
    assert said(own, "baby food carrot puree", "BABY", told) == {"F04.CARROT"}
    assert said(own, "Red Bison", "TRUCK", told) == set()
    assert said(own, "Green Zebra milk", "SOYA", told) == set()
    assert said(own, "Red Onion milk", "SOYA", told) == {"F10.RED", "F04.ONION"}
    assert said(own, "Wiener Melange", "SOYA", told) == set()
    assert said(own, "milk with wiener", "SOYA", told) == {"F04.WIENER"}


def small(bases, facets, implied=None):
    categories = {
        code: FacetCategory(code, code, Taxonomy(draft(own)), np.ones(len(own), bool))
        for code, own in facets.items()
    }
    return FacetedTaxonomy(draft(bases), categories, implied or {}, frozenset(bases))


def test_classes_that_only_file_a_food_hide_no_process():
    facets = {"F28": {"UHT00": "UHT"}, "F33": {"CLASS": "Milk, pasteurised (including UHT)"}}
    tree = small({"MILK0": "Milk"}, facets, {"MILK0": [Facet("F33", "CLASS")]})
    assert said(tree, "UHT milk", "MILK0", FacetWords(["F28"], {})) == set()
    assert said(tree, "UHT milk", "MILK0", FacetWords(["F28"], {}, classes=["F33"])) == {
        "F28.UHT00"
    }


@pytest.mark.parametrize(
    ("text", "facets"),
    [
        ("Ale, 5%", {"F11.FIVE0"}),
        ("Ale 5 % vol", {"F11.FIVE0"}),
        ("Ale with 5% fat", {"F07.FIVEF"}),
        ("Ale of 5% lemons", set()),
        ("Ale", set()),
    ],
)
def test_a_percentage_is_of_what_a_base_term_has(text, facets):
    own = {"F11": {"FIVE0": "5 % alcohol"}, "F07": {"FIVEF": "5 % fat"}}
    tree = small({"ALE00": "Ale"}, own)
    told = FacetWords(["F11", "F07"], {}, percent={"ALE00": ["alcohol", "vol"]})
    assert said(tree, text, "ALE00", told) == facets


@pytest.mark.parametrize(
    ("text", "facets"),
    [
        ("pie with bone", {"F20.BONE0"}),
        ("pie, bone in", {"F20.BONE0"}),
        ("bone pie", set()),  # `with` is what says it
        ("boneless pie", {"F20.NOBON"}),
    ],
)
def test_what_comes_with_a_food_is_said_by_with(text, facets):
    tree = small({"PIE00": "Pie"}, {"F20": {"BONE0": "Bones", "NOBON": "No bones"}})
    words = {"F20": {"BONE0": ["with bone", "bone in"], "NOBON": ["boneless"]}}
    told = FacetWords(["F20"], words, never=["BONE0", "NOBON"])
    assert said(tree, text, "PIE00", told) == facets


def test_a_process_is_no_ingredient_that_it_is_the_name_of():
    facets = {"F28": {"SMOKE": "Smoking"}, "F04": {"SMFIS": "Smoked fish", "FISH0": "Fish"}}
    tree = small({"ROE00": "Fish roe"}, facets)
    told = FacetWords(["F28", "F04"], {"F28": {"SMOKE": ["smoked"]}})
    assert said(tree, "smoked roe of fish", "ROE00", told) == {"F28.SMOKE"}


def test_what_is_left_on_a_food_is_looked_for_once_in_a_word():
    assert LEFT_ON.findall("ham, bone-in, skin on") == ["bone-in", "skin on"]
    assert LEFT_ON.match("skin on", 1) is None  # so that long words cost what they are long


def test_words_of_a_name_are_looked_for_where_the_rarest_of_them_stands():
    class Counted(list):
        windows = 0

        def __getitem__(self, key):
            Counted.windows += isinstance(key, slice)
            return super().__getitem__(key)

    order = Counted([*["bread"] * 500, "rye", "dark", "bread"])
    places = {"bread": [*range(500), 502], "rye": [500], "dark": [501]}
    assert _are_near(order, places, frozenset(("rye", "bread")))
    assert _are_near(order, places, frozenset(("dark", "bread")))
    assert not _are_near(["rye", *"abcd", "bread"], {"rye": [0], "bread": [5]}, {"rye", "bread"})
    assert Counted.windows <= 6
