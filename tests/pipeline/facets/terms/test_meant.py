"""What words mean beside others."""

import pytest

from cascade.pipeline.facets.terms.meant import as_meant, for_babies, without_age


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("Peppered beef", "beef with black pepper"),
        ("Salt and pepper crackers", "crackers with salt and black pepper"),
        ("Trout with pepper", "Trout with black pepper"),
        ("Egg, salt and pepper", "Egg, salt and black pepper"),
        ("Sherry cake", "cake with Sherry"),
        ("Scotch lamb", "lamb"),
        ("Rum and raisin fudge", "fudge with rum and raisins"),
        ("Pear puree, organic", "fruit puree, Pear, organic"),
    ],
)
def test_words_are_read_for_what_they_mean_beside_others(text, meant):
    assert as_meant(text) == meant


@pytest.mark.parametrize(
    "text",
    [
        *(
            "Red pepper",
            "Peppers",
            "Pizza with pepper",
            "Stuffed pepper",
            "Rice with pepper and leek",
        ),
        *("Black pepper", "Black pepper, ground", "Pepper sauce", "Scotch whisky", "Wine vinegar"),
    ],
)
def test_other_peppers_and_drinks_stay(text):
    assert as_meant(text) == text


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("Lamb with peas from 7 months", "Lamb with peas"),
        ("Lamb with peas, stage 2, 7 months+", "Lamb with peas"),
        ("Erbsen ab dem 5. Monat", "Erbsen"),
        ("Pois dès 6 mois", "Pois"),
        ("Piselli dai 6 mesi", "Piselli"),
        ("Petits pots pois", "pois"),
    ],
)
def test_an_age_or_a_jar_tells_of_food_for_babies(text, left):
    assert without_age(text) == (left, True)


@pytest.mark.parametrize(
    "text", ["Gouda from 12 months", "Ham cured 18 months", "Petit pot de crème", "Eggs, 6 pieces"]
)
def test_other_ages_tell_of_none(text):
    assert without_age(text) == (text, False)


def test_food_for_babies_is_called_as_terms_are():
    assert for_babies("peas") == "baby food peas"
    assert for_babies("pear juice") == "pear juice for babies"
    assert for_babies("oat biscuits") == "baby biscuits oat"
    assert for_babies("follow-on milk") == "follow-on milk"
    assert for_babies("peach yoghurt") == "baby yogurt with peach"
    assert for_babies("yoghurt for babies with pears") == "baby yogurt with pears"


@pytest.mark.parametrize(
    ("text", "english"),
    [
        ("Oats fortified with iron", "Oats with iron"),
        ("Oats with vitamins D and E", "Oats with vitamin D and vitamin E"),
        ("Oats, vitamins B6, B12 & C", "Oats, vitamin B6 and vitamin B12 and vitamin C"),
        ("Oats with vitamin A", "Oats with vitamin retinol"),
        ("Oat milk latte", "coffee beverage with Oat milk"),
        ("Cappuccino with soya drink, hot", "coffee beverage with soya milk, hot"),
        ("Cappuccino with milk", "Cappuccino with milk"),
        ("Rye coffee", "Rye coffee"),
    ],
)
def test_what_is_added_and_what_replaces_milk_is_said_one_by_one(text, english):
    assert as_meant(text) == english
