import pytest
from hypothesis import given
from hypothesis import strategies as st

from cascade.taxonomy import Record, Taxonomy

from .trees import quick, trees


@pytest.fixture(scope="module")
def tax() -> Taxonomy:
    return Taxonomy.from_records(
        [
            Record("top", "Clothing"),
            Record("c1", "Hat Boxes", "top"),
            Record("c2", "Hats", "top", synonyms=("Chapeaux", "Hat")),
            Record("c3", "Straw Hat", "top"),
            Record("c4", "Whatever", "top"),
            Record("c5", "Café Möbel", "top"),
            Record("hat", "Brims", "top"),
        ]
    )


def codes(found):
    return [node.code for node in found]


def test_exact_comes_before_prefix_before_word_before_substring(tax):
    assert codes(tax.search("hat")) == ["c2", "hat", "c1", "c3", "c4"]


def test_case_and_accents_do_not_matter(tax):
    assert codes(tax.search("CAFE mobel")) == ["c5"]
    assert codes(tax.search("café")) == ["c5"]


def test_words_may_stand_in_any_order(tax):
    assert codes(tax.search("hat  straw")) == ["c3"]


def test_the_limit_holds_and_nothing_is_found_for_nothing(tax):
    assert codes(tax.search("hat", 2)) == ["c2", "hat"]
    assert tax.search("hat", 0) == []
    assert tax.search("  ") == []
    assert tax.search("zzz") == []


def test_signs_are_searched_as_they_are(tax):
    assert tax.search(".*") == []
    assert codes(Taxonomy.from_paths(["C++", "C"]).search("++")) == ["C++"]


@quick
@given(trees(), st.data())
def test_every_node_is_found_by_its_own_name_among_the_exact_matches(tax, data):
    i = data.draw(st.integers(0, len(tax) - 1))
    assert i in [node.index for node in tax.search(tax.names[i], len(tax))]
