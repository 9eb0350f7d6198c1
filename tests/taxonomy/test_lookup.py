"""Nodes found by codes and paths as files distort them."""

import pytest

from cascade.taxonomy import Taxonomy
from cascade.taxonomy.lookup import code_form

CODED = Taxonomy.from_records(
    [
        ("01", "Crops"),
        ("01.1", "Annual", "01"),
        ("01.10", "All annual", "01.1"),
        ("02", "Wood/Cork"),
        ("02.2", "Logging", "02"),
        ("A01PS", "Tea", "02"),
        ("7.", "Trailing"),
        ("x", "Lower"),
        ("X", "Upper"),
    ]
)


@pytest.mark.parametrize(
    ("written", "code"),
    [
        ("02.0", "02"),
        ("2", "02"),
        ("2.0", "02"),
        ("002.20", "02.2"),
        ("2.2", "02.2"),
        ("a01ps", "A01PS"),
        ("Ａ０１ＰＳ\u3000", "A01PS"),
        ("'02'", "02"),
        ('"A01PS"', "A01PS"),
        ("`02`", "02"),
        ("A01PS.", "A01PS"),
        ("7", "7."),
        ("7.0", "7."),
        ("x", "x"),
        ("X", "X"),
    ],
)
def test_a_code_is_found_however_a_file_distorts_it(written, code):
    assert CODED.find(written) == CODED.index(code)


@pytest.mark.parametrize("written", ["1.1", "1.10", "", " ", ".", "''", "3", "2.20.1", "2-2"])
def test_what_two_nodes_share_or_none_has_finds_none(written):
    assert CODED.find(written) is None


@pytest.mark.parametrize(
    "written",
    [
        "wood/cork > logging",
        "Wood/Cork>Logging",
        "Wood/Cork / Logging",
        "WOOD/CORK | LOGGING",
        "Wood/Cork » Logging",
        "Wood/Cork -> Logging",
        "Wood/Cork::Logging",
        "\u200eWood/Cork\u00a0›\u2009Logging ",
        "'Wood/Cork > Logging'",
    ],
)
def test_a_path_is_found_whatever_stands_between_its_names(written):
    assert CODED.find(written) == CODED.index("02.2")


def test_paths_that_differ_in_case_only_stay_apart():
    tree = Taxonomy.from_paths(["A > b", "A > B"])
    assert tree.find("A>b") == tree.index("A > b")
    assert tree.find("A > B") == tree.index("A > B")
    assert tree.find("a > B") is None


def test_dashes_are_one_dash():
    assert Taxonomy.from_paths(["46-11"]).find("46\u201311") == 0


def test_the_form_of_a_form_is_itself():
    for text in ["007.50", ' ="01" ', "x..", "'a'"]:
        assert code_form(code_form(text)) == code_form(text)
