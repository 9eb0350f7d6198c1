import csv
from importlib import resources

import pytest

from cascade.pipeline.facets import glossing
from cascade.pipeline.facets.glossing import LANGUAGES, Glossary

ENGLISH = [
    *("bread", "roll", "milk", "cheese", "rice", "tuna", "rind", "jacket", "potato", "pain"),
    *("chocolat", "cream", "coffee", "latte", "sole", "burger", "chicken", "soup", "tomato"),
    *("pasta", "fresh", "cooked", "sausage", "beer", "fruit", "infusion", "meal", "drink", "salad"),
    *("cocktail", "mixed", "vegetable", "custard", "whisky", "wheat"),
]


@pytest.fixture(scope="module")
def glossary():
    return Glossary(ENGLISH)


@pytest.mark.parametrize(
    ("text", "english", "language"),
    [
        ("Apfelsaft", "apple juice", "de"),
        ("Hühnersuppe mit Nudeln", "chicken soup with pasta", "de"),
        ("geräucherter Lachs", "smoked salmon", "de"),
        ("tonno all’olio d’oliva, sgocciolato", "tuna in olive oil, drained", "it"),
        ("gnocchi di patate al pesto", "potatoes gnocchi with pesto", "it"),
        ("Weißbier alkoholfrei", "wheat beer alcohol-free", "de"),
        ("Wiener Schnitzel mit Brot", "breaded veal cutlet with bread", "de"),
        ("latte intero", "whole milk", "it"),
        ("pommes de terre vapeur", "boiled potatoes", "fr"),
        ("café au lait sucré", "coffee with milk sweetened", "fr"),
        ("thé avec sucre", "tea with sugar", "fr"),
        ("sardinas en aceite de oliva", "sardines in olive oil", "es"),
        ("leche desnatada", "skimmed milk", "es"),
        ("sumo de laranja", "orange juice", "pt"),
        ("maçãs cozidas", "apple boiled", "pt"),
        ("leche pasteurizada", "milk pasteurised", "es"),
        ("Freilandeier", "free-range egg", "de"),
        ("kurczaka z ryżem", "chicken with rice", "pl"),
        ("śledź w oleju", "herring in oil", "pl"),
        ("BROCCOLI E PATATE", "broccoli and potatoes", "it"),
    ],
)
def test_food_words_are_read_as_english(glossary, text, english, language):
    assert glossary.read(text) == (english, language)


@pytest.mark.parametrize(
    "text",
    [
        "rind",
        "jacket potato",
        "pain au chocolat",
        "sole meunière",
        "Burger, 2 x 200 g",
        "tomato",
        "xylophone",
        "Wagyu Tomahawk",
        "",
        "?!",
        "2",
    ],
)
def test_english_and_the_unknown_stay_as_they_are(glossary, text):
    assert glossary.read(text) == (text, "")


def test_between_english_small_words_only_unknown_words_are_read(glossary):
    assert glossary.read("beer with limonade").text == "beer with lemonade"
    assert glossary.read("fresh and lightly cooked sausage").language == ""
    assert glossary.read("one of more meals than dolce").text == "one of more meals than sweet"
    assert glossary.read("soup of carne and sem carne").text == "soup of meat and without meat"


def test_a_small_word_of_one_language_tells_it():
    known = Glossary([*ENGLISH, "pate", "fromage", "san"])
    assert known.read("Pâtes sans fromage") == ("pasta without cheese", "fr")
    assert known.read("pate fromage").language == ""


def test_every_row_of_the_list_is_whole():
    file = resources.files("cascade.foodex2") / "data" / "food_words.csv"
    rows = list(csv.reader(file.read_text("utf-8").splitlines()))
    assert rows[0] == ["en", *LANGUAGES]
    assert all(len(row) == 7 and row[0] for row in rows)
    assert len({row[0] for row in rows}) == len(rows)
    words = sum(len(cell.split("|")) for row in rows[1:] for cell in row[1:] if cell)
    assert words > 4000
    for row in rows[1:]:
        for cell in filter(None, row[1:]):
            assert all(word == word.strip() and word for word in cell.split("|")), row


@pytest.mark.parametrize(
    ("text", "english"),
    [
        ("Kir royal", "Cocktail drink"),
        ("Johnnie Walker Black Label, 4 cl", "Whisky, 4 cl"),
        ("Red Robin burger", "burger"),  # a brand that says nothing of the food
        ("Red Robin", "Red Robin"),
        ("Five Guys cheeseburger", "cheeseburger (takeaway)"),
        ("Panzanella mit Brot", "mixed vegetable salad with bread"),
        ("ZABAGLIONE", "Custard"),
        ("ipanema", "ipanema"),  # a name is whole words
    ],
)
def test_proper_names_are_read_as_what_the_catalogue_has(glossary, text, english):
    assert glossary.read(text).text == english


def test_a_proper_name_has_one_reading():
    file = resources.files("cascade.foodex2") / "data" / "proper_names.csv"
    rows = list(csv.DictReader(file.read_text("utf-8").splitlines()))
    names = [name for row in rows for name in row["names"].split("|")]
    assert sorted(names) == sorted(set(names))
    assert all(name and name == name.strip().lower() for name in names)


def test_lists_behind_a_negation_are_read_in_other_languages():
    glossary = Glossary({"cake", "milk", "egg", "without", "gluten"})
    assert glossary.read("torta senza glutine né latte").text == "cake without gluten nor milk"
    assert glossary.read("Kuchen, enthält keine Milch").text == "cake, containing no milk"
    assert glossary.read("gâteau sans gluten").text == "cake without gluten"


def test_words_that_come_again_are_taken_apart_once_and_very_long_ones_never(monkeypatch):
    asked = []
    monkeypatch.setattr(glossing, "_compound", lambda token, language: asked.append(token))
    glossary = Glossary({"cake"})
    glossary.read("xyzzyplugh " * 300)
    assert asked == ["xyzzyplugh"]
    glossary.read("x" * 5000)
    assert asked == ["xyzzyplugh"]


def test_long_chains_of_modifiers_are_turned(monkeypatch):
    glossary = Glossary({"cake"})
    text = glossary.read("Kuchen von " * 2000 + "Milch").text
    assert text.startswith("milk cake cake")
