"""The ways in which texts say that something is not there."""

import pytest

from cascade.pipeline.facets.terms.absence import absence_in
from cascade.pipeline.facets.terms.negations import names_nothing, plainly

KNOWN = {
    *("milk", "cream", "egg", "ham", "cheese", "nut", "soya", "butter", "honey", "chip"),
    *("sugar", "coffee", "soup", "cake", "skin", "bread", "oil", "chicken", "plum", "gluten"),
    *("fried", "smoked", "salted", "unsalted", "frozen", "baked", "brine", "listed", "tea"),
}


def knows(word):
    return word in KNOWN


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("soup without gluten and milk", "soup without gluten without milk"),
        ("soup without egg or gluten", "soup without egg without gluten"),
        ("cake without milk, egg and gluten", "cake without milk without egg without gluten"),
        ("cake without milk, egg, and butter", "cake without milk without egg without butter"),
        ("tea with no honey or sugar", "tea without honey without sugar"),
        ("cake with neither gluten nor egg", "cake without gluten without egg"),
        ("cake, neither milk nor egg", "cake, without milk nor egg"),
        ("soup without gluten, with milk", "soup without gluten, with milk"),
        ("soup without gluten and with milk", "soup without gluten and with milk"),
        ("soup without milk, egg", "soup without milk, egg"),
        ("chicken without skin and chips", "chicken without skin and chips"),
        ("gluten and dairy free cake", "gluten free dairy free cake"),
        ("cake, nut, gluten and egg free", "cake, nut free gluten free egg free"),
        ("gluten and nut free", "gluten free nut free"),
    ],
)
def test_each_thing_of_a_list_is_not_there(text, said):
    assert plainly(text, lambda word: knows(word) or word == "dairy").text == said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("soup free from gluten", "soup without gluten"),
        ("soup free of any milk", "soup without milk"),
        ("soup that does not contain nuts", "soup without nuts"),
        ("soup, doesn't contain gluten", "soup, without gluten"),
        ("soup not containing soya", "soup without soya"),
        ("soup contains no cream", "soup without cream"),
        ("soup with no traces of nuts", "soup without nuts"),
        ("soup made without cream", "soup made without cream"),
        ("tea, sugar not added", "tea, no added sugar"),
        ("tea, milk not added", "tea, without milk"),
        ("soup with no added gluten", "soup without gluten"),
        ("soup with no added salt", "soup without added salt"),
        ("soup, no butter added", "soup, without butter"),
        ("water without gas", "water still"),
        ("sugar free from Larkfield", "sugar free from Larkfield"),
        ("free range egg", "free range egg"),
        ("plum cake", "plum cake"),
    ],
)
def test_absence_is_said_in_many_ways(text, said):
    assert plainly(text, knows).text == said


@pytest.mark.parametrize(
    ("text", "left", "unlike"),
    [
        ("not fried chicken", "chicken", {"fried"}),
        ("non-smoked ham", "ham", {"smoked"}),
        ("ham that is not too smoked", "ham", {"smoked"}),
        ("cheese, not smoked or baked", "cheese", {"smoked", "baked"}),
        ("chips, neither fried nor frozen", "chips", {"fried", "frozen"}),
        ("chicken, not fried but baked", "chicken, baked", {"fried"}),
        ("ham not in brine", "ham", {"brine"}),
        ("butter, not salted", "butter, unsalted", set()),
        ("plum, not organic", "plum, not organic", set()),
        ("water not carbonated", "water still", set()),
        ("soup, not listed", "soup, not listed", set()),
        ("cake with ham, not cheese", "cake with ham, without cheese", set()),
        ("cake with ham and not cheese", "cake with ham and without cheese", set()),
    ],
)
def test_what_is_not_done_to_a_food_is_taken_out(text, left, unlike):
    found = plainly(text, knows)
    assert (found.text, found.unlike) == (left, unlike)


def test_a_food_that_goes_on_behind_but_keeps_its_small_word():
    assert absence_in("Tea without milk but with honey", knows).text == "Tea with honey"


@pytest.mark.parametrize(
    "text",
    [
        *("sugar free", "without milk", "no added sugar", "unsweetened", "vegan", "sans", "zero"),
        *("not fried", "milk and egg free", "meatless", "free from gluten", "without whatnot"),
    ],
)
def test_a_claim_of_absence_alone_names_nothing(text):
    assert absence_in(text, knows).nothing


@pytest.mark.parametrize("text", ["free range", "12", "", "sugar free gum", "Relentless drink"])
def test_what_names_something_is_no_claim_alone(text):
    assert not absence_in(text, knows).nothing
    assert not names_nothing(text)


def test_a_name_of_a_term_stays_as_it_is():
    name = "Cake (not smoked), free of egg"
    found = absence_in(name, knows, lambda text: text == name)
    assert not found.unlike
    assert not found.nothing


@pytest.mark.parametrize(
    "piece",
    [
        *("without milk and without egg and ", "without milk, egg, ", "milk and egg free ", "not "),
        *("not fried or ", "neither milk nor ", "free of ", "milk and ", "no , ", "- free "),
    ],
)
def test_long_texts_are_read_in_linear_work(piece):
    def asked(times):
        count = 0

        def counted(word):
            nonlocal count
            count += 1
            return word in KNOWN

        absence_in(piece * times + "cake", counted)
        return count

    assert asked(800) <= 4.2 * asked(200) + 20
