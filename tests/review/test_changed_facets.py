import pytest

from cascade.errors import InputError, UsageError
from cascade.review.decisions import decide
from cascade.review.facets import Facets


def test_parts_of_a_code_are_told_in_words_and_without_what_is_implied(toy):
    parts = Facets(toy).parts("flour#F28.MILL1$F04.SALT0")
    assert parts["code"] == "FLOUR#F04.SALT0"
    assert parts["base"] == {"code": "FLOUR", "name": "Wheat flour"}
    assert parts["facets"] == [
        {"facet": "F04.SALT0", "category": "Ingredient", "name": "Salt", "above": []}
    ]
    assert [facet["facet"] for facet in parts["implied"]] == ["F27.WHEAT", "F28.MILL1"]


def test_rules_that_a_code_breaks_are_told(toy):
    facets = Facets(toy)
    assert facets.parts("STEW0#F28.MILL1$F28.MILL2")["problems"] == []
    (problem,) = facets.parts("STEW0#F28.NONE0")["problems"]
    assert (problem["rule"], problem["severity"]) == ("BR29", "ERROR")


def test_descriptors_of_all_categories_are_found_but_headings(toy):
    found = Facets(toy).search("milled", 10)
    assert [facet["facet"] for facet in found] == ["F28.MILL0", "F28.MILL1", "F28.MILL2"]
    assert found[1]["above"] == ["Milled"]
    assert Facets(toy).search("heading", 10) == []
    assert [facet["category"] for facet in Facets(toy).search("LIQUD", 10)] == ["Physical state"]


def test_what_is_no_code_and_what_has_no_facets_is_refused(toy, taxonomy):
    with pytest.raises(InputError, match="character 6"):
        Facets(toy).parts("STEW0 stewed")
    with pytest.raises(UsageError, match="no base term"):
        Facets(toy).parts("NONE0")
    with pytest.raises(UsageError, match="has no facets"):
        Facets(taxonomy).search("straw", 5)


def test_a_code_with_changed_facets_is_the_label(food_session, toy):
    decide(food_session.db, toy, "ann", 1, "choose", code="OATS0#F28.BAKED$F04.SALT0")
    assert food_session.labels() == {1: "OATS0#F28.BAKED$F04.SALT0"}
