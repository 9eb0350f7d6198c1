"""Codes as every reader keeps and compares them."""

import pytest

from cascade.errors import TaxonomyError
from cascade.taxonomy import Taxonomy
from cascade.taxonomy.names import clean, match_code, normalize_code


@pytest.mark.parametrize(
    "written",
    ["A01", " A01 ", "\u00a0A01\t", "\ufeffA01", "A\u200b01", "\u200eA01\u200f", "A01\u200d"],
)
def test_blanks_and_invisible_characters_round_a_code_do_not_count(written):
    assert normalize_code(written) == "A01"


def test_characters_that_join_letters_stay_inside():
    assert clean("می\u200cخواهم\u200c") == "می\u200cخواهم"


def test_text_that_excel_was_told_to_keep_is_the_code():
    assert normalize_code('="007"') == "007"
    assert normalize_code("=1+1") == "=1+1"


@pytest.mark.parametrize(
    ("text", "codes", "found"),
    [
        ("110.0", ["110"], "110"),
        ("110", ["110.0"], "110.0"),
        ("1.10", ["1.1", "110"], None),
        ("1.0", ["1.0", "1"], "1.0"),
        ("01.0", ["1"], None),
        ("1", ["01"], None),
        (" x\u00a0", ["x"], "x"),
    ],
)
def test_a_code_is_known_however_a_table_wrote_it(text, codes, found):
    assert match_code(text, codes) == found


def test_nodes_are_found_by_a_code_that_became_a_float():
    tax = Taxonomy.from_records([("110", "A"), ("120", "B", "110.0")])
    assert tax.find("120.0") == tax.index("120.0") == 1
    assert tax.parent.tolist() == [-1, 0]
    with pytest.raises(TaxonomyError, match=r"no node '120\.5'"):
        tax.index("120.5")


def test_numbers_that_a_spreadsheet_changed_are_told():
    rows = [("01", "A"), ("0101", "B", "1")]
    with pytest.raises(TaxonomyError, match=r"but '01' is: zeros in front were lost"):
        Taxonomy.from_records(rows)
    with pytest.raises(TaxonomyError, match=r"'1.2E.11' .a spreadsheet shortened it"):
        Taxonomy.from_records([("1.2E+11", "A"), ("1.2E+11", "B")])


def test_long_runs_of_blanks_take_no_longer_than_they_are_long():
    blanks = " " * 300_000
    assert clean(f"A\u00a0{blanks}B") == "A B"
    assert Taxonomy.from_paths([f"A{blanks}B > C"]).names == ("A B", "C")
