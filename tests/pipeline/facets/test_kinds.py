import pytest

from cascade.pipeline.facets.kinds import (
    by_rivals,
    names_feed,
    names_flavour,
    names_the_young,
    no_food_in,
)


@pytest.mark.parametrize(
    "text",
    [
        "dog food",
        "Dry cat food, salmon",
        "seed for budgies",
        "puppy treats",
        "horse feed",
        "fodder beet",
        "pellets for rabbits",
        "birdseed",
        "kibble",
        "hay for guinea pigs",
        "pony nuts",
        "wild bird seed mix",
    ],
)
def test_feed_is_known(text):
    assert names_feed(text)


@pytest.mark.parametrize(
    "text",
    [
        "hot dog",
        "baby food",
        "chicken meal",
        "fish biscuits",
        "rabbit stew",
        "food for babies",
        "pig milk",
        "bread with seeds",
        "catfish",
        "food",
        "",
    ],
)
def test_food_is_no_feed(text):
    assert not names_feed(text)


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("soap with honey", "soap"),
        ("Strawberry shampoos", "shampoo"),
        ("sun cream", "sun cream"),
        ("sour cream", ""),
        ("battery eggs", ""),
        ("wholemeal toast", ""),
        ("jacket potato", ""),
        ("my dog", "dog"),
        ("a pet hamster", "pet"),
        ("guinea pigs", "guinea pig"),
        ("hot dog", ""),
        ("pig", ""),
        ("", ""),
    ],
)
def test_what_nobody_eats_is_told(text, word):
    assert no_food_in(text) == word


def test_a_flavour_that_is_said_unless_the_food_is_plain():
    assert names_flavour("yogurt, strawberry")
    assert not names_flavour("natural yogurt with honey")
    assert not names_flavour("yogurt, organic")


@pytest.mark.parametrize("text", ["baby food", "Peas for babies", "toddler biscuits", "Baby oats"])
def test_who_is_young_is_known(text):
    assert names_the_young(text)


@pytest.mark.parametrize("text", ["baby carrots", "Baby-leaf salad", "young leeks", "Babybel"])
def test_what_is_small_is_not_young(text):
    assert not names_the_young(text)


def test_words_of_one_rival_are_the_same():
    rivals = [frozenset({"soya", "soyabean"}), frozenset({"pea"})]
    ((said, rows),) = by_rivals([{"tofu"}, {"soyabean", "cake"}], rivals)
    assert (said, rows.tolist()) == ({"soya", "soyabean"}, [1])
