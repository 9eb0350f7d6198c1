"""What descriptions say is not there."""

import pytest

from cascade.pipeline.facets.terms.absence import absence_in, with_ohne

KNOWN = {
    *("milk", "cream", "egg", "meat", "ham", "cheese", "nut", "onion", "soya", "dairy"),
    *("sugar", "coffee", "soup", "cake", "skin"),
}


def absence(text):
    return absence_in(text, lambda word: word in KNOWN)


@pytest.mark.parametrize(
    ("text", "left", "food"),
    [
        ("Coffee without milk", "Coffee", "milk"),
        ("Coffee, no milk", "Coffee", "milk"),
        ("Coffee w/o milk or cream", "Coffee", "cream"),
        ("Milk-free cake", "cake", "cheese"),
        ("Milk and egg free cake", "cake", "egg"),
        ("Cake (free from nuts)", "Cake", "nut"),
        ("Meatless soup", "soup", "ham"),
        ("No meat soup", "soup", "meat"),
        ("Soup with no meat, onions", "Soup, onions", "meat"),
        ("Cheese toast without any ham", "Cheese toast", "ham"),
        ("Onions, meat, and cheese soup without meat", "Onions, and cheese soup", "ham"),
        ("Ham soup, no ham", "soup", "ham"),
    ],
)
def test_a_negated_food_is_no_part_of_a_text(text, left, food):
    found = absence(text)
    assert found.told == left
    assert food in found.foods


@pytest.mark.parametrize(
    "text",
    [
        "Free range eggs",
        "Coffee free-range eggs",
        "Sugar free soup",
        "Chicken without skin",
        "Cheese cake",
        "Milk 2%",
    ],
)
def test_a_quality_is_no_negated_food(text):
    assert absence(text).told == text
    assert not absence(text).foods


def test_a_diet_says_what_is_not_there_and_stays_for_facets():
    found = absence("Vegan soup")
    assert (found.text, found.told) == ("vegetable soup", "Vegan soup")
    assert {"meat", "cheese", "egg"} <= found.foods
    imitation = absence("Vegan ham cake")
    assert (imitation.text, imitation.told) == ("Vegan ham cake", "Vegan cake")


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("Apple juice, no added sugar", "Apple juice"),
        ("Wine, alcohol free", "Wine"),
        ("Orange squash, no added sugar", "Orange squash, no added sugar"),
        ("Alcohol-free beer", "Alcohol-free beer"),
    ],
)
def test_a_claim_is_said_by_a_facet_where_no_term_is_called_so(text, left):
    found = absence(text)
    assert (found.text, found.told) == (left, text)


def test_german_compounds_say_it_too():
    assert with_ohne("Milchfreie Schokolade") == "Schokolade ohne Milch"
    assert with_ohne("Glutenfreies Brot") == "Glutenfreies Brot"


def test_a_plant_in_the_place_of_milk_leaves_no_milk():
    found = absence("Soup with oat milk")
    assert (found.text, found.instead) == ("Soup with oat milk", "oat milk")
    assert "dairy" in found.lacking
    assert not absence("Soup with oat milk and milk").lacking
    assert not absence("Almond milk chocolate").lacking
    assert not absence("Oat soup").lacking


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("Vegan soup with onions", "soup with onions"),
        ("Vegetarian cake", "cake"),
        ("Vegetarian curry", "vegetable curry"),
        ("Vegan burger", "Vegan burger"),  # is an imitation
        ("Vegan burger of peas", "meat imitate burger of peas"),
        ("Meatless burger", "vegetarian burger"),
    ],
)
def test_a_diet_is_no_part_of_a_name_unless_it_makes_an_imitation(text, left):
    assert absence(text).text == left
