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
        "Wood/Cork - Logging",
        "Wood/Cork; Logging",
        "Wood/Cork --> Logging",
        "Wood/Cork\tLogging",
        "Wood/Cork\n Logging",
        "Wood/Cork &gt; Logging",
        "Wood/Cork &amp;gt; Logging",
        "Wood/Cork > Logging.",
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


TOOLS = Taxonomy.from_records(
    [
        ("1", "Tools"),
        ("110", "Hammers", "1"),
        ("11O", "Saws", "1"),
        ("0120", "Drills (electric)", "1"),
        ("B-7.1", "C++", "1"),
        ("B-7.2", "C#", "1"),
        ("2", "110"),
        ("44", "44 mm screws"),
        ("3 a", "Nuts/Bolts"),
    ]
)


@pytest.mark.parametrize(
    ("written", "code"),
    [
        ("110 Hammers", "110"),
        ("110 - Hammers", "110"),
        ("110 \u2013 HAMMERS", "110"),
        ("110: hammers", "110"),
        ("110. Hammers", "110"),
        ("110_Hammers", "110"),
        ("110\tHammers", "110"),
        ("110|Hammers", "110"),
        ("110, Hammers", "110"),
        ("[110] Hammers", "110"),
        ("(110) Hammers", "110"),
        ("Hammers (110)", "110"),
        ("Hammers [110]", "110"),
        ("Hammers - 110", "110"),
        ("Hammers, 110", "110"),
        ("'Hammers (110.0)'", "110"),
        ("110.0 Hammers", "110"),
        ("120 Drills (electric)", "0120"),
        ("Drills (electric) (0120)", "0120"),
        ("b-7.1 C++", "B-7.1"),
        ("C# (B-7.2)", "B-7.2"),
        ("3 a Nuts / Bolts", "3 a"),
        ("Nuts/Bolts (3 A)", "3 a"),
        ("44 44 mm screws", "44"),
        ("110 Tools > Hammers", "110"),
        ("Tools / Hammers (110)", "110"),
        ("1 Tools > 110 Hammers", "110"),
        ("Tools (1) > Hammers (110)", "110"),
        ("Tools > 110 Hammers", "110"),
        ("1 Tools > 110", "110"),
        ("1 > 110", "110"),
        ("Tools / 0120", "0120"),
    ],
)
def test_a_code_beside_its_name_is_found_where_both_agree(written, code):
    assert TOOLS.find(written) == TOOLS.index(code)


@pytest.mark.parametrize(
    "written",
    [
        "110 Saws",
        "Hammers (11O)",
        "110 Hammer",
        "110 -",
        "(110)x",
        "B-7.1 C#",
        "C (B-7.1)",
        "2 Tools > 110 Hammers",
        "44 > 110",
        "1 > 999",
        "110 Hammers > 1 Tools",
        "999 Hammers",
        "110 Hammers and Saws",
        "2 110 Hammers",
    ],
)
def test_a_code_beside_what_is_not_its_name_finds_none(written):
    assert TOOLS.find(written) is None


def test_a_code_and_a_name_that_are_those_of_two_nodes_find_none():
    assert Taxonomy.from_records([("1", "2"), ("2", "1")]).find("1 2") is None
