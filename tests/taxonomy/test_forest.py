import logging

import pytest

from cascade.errors import TaxonomyError
from cascade.taxonomy import Record, Taxonomy


def refused(rows, match):
    with pytest.raises(TaxonomyError, match=match) as caught:
        Taxonomy.from_records([Record(*row[:3], line=row[3]) for row in rows], file="x.csv")
    return caught.value


def test_no_node_at_all_is_refused():
    with pytest.raises(TaxonomyError, match="needs at least one"):
        Taxonomy.from_records([])


def test_an_unknown_parent_is_named_with_its_line_and_close_codes():
    error = refused(
        [("animals", "Animals", None, 2), ("dogs", "Dogs", "animal", 3)],
        r"x\.csv, line 3: node 'dogs' has parent 'animal'.*did you mean 'animals'",
    )
    assert error.line == 3


def test_a_cycle_is_named_with_all_its_codes_and_lines():
    rows = [("a", "A", "c", 2), ("b", "B", "a", 3), ("c", "C", "b", 4), ("d", "D", None, 5)]
    ring = r"'a' \(line 2\) -> 'c' \(line 4\) -> 'b' \(line 3\) -> 'a' \(line 2\)"
    refused(rows, rf"x\.csv, line 2: parents go round in a cycle: {ring}")


def test_a_long_cycle_is_shortened():
    rows = [(str(i), str(i), str((i + 1) % 50), i + 2) for i in range(50)]
    error = refused(rows, "41 more -> '0'")
    assert len(str(error)) < 400


def test_a_node_that_is_its_own_parent_is_at_the_top():
    assert Taxonomy.from_records([Record("a", "A", "a")]).parent.tolist() == [-1]


def test_a_repeated_code_is_named_with_both_lines():
    rows = [("a", "A", None, 2), ("b", "B", None, 3), ("a", "C", "b", 4)]
    refused(rows, r"line 4: code 'a' is already taken by line 2")


def test_siblings_of_one_name_are_named_with_both_lines():
    rows = [("a", "A", None, 2), ("b", "B", "a", 3), ("c", "B", "a", 4)]
    refused(rows, r"line 4: two nodes under 'a' are called 'B': 'b' \(line 3\) and 'c'")
    refused([("a", "A", None, 2), ("b", "A", None, 3)], "two nodes at the top are called 'A'")


def test_a_name_may_repeat_in_different_places():
    tax = Taxonomy.from_records([("a", "A"), ("b", "B"), ("c", "X", "a"), ("d", "X", "b")])
    assert tax.names == ("A", "X", "B", "X")


@pytest.mark.parametrize("blank", ["", "  ", "\t\n", "\x00", "\u200b"])
def test_blank_codes_and_names_are_refused_with_the_line(blank):
    refused([("a", "A", None, 2), ("b", blank, "a", 3)], r"line 3: a node without a name.*'b'")
    refused([("a", "A", None, 2), (blank, "B", "a", 3)], r"line 3: a node without a code")


@pytest.mark.parametrize("marker", ["0", "-1", "NULL", "None", "nan", "\\N", "", " "])
def test_common_words_for_no_parent_mean_the_top(marker):
    assert Taxonomy.from_records([("a", "A", marker)]).level.tolist() == [1]


def test_a_code_that_is_also_a_word_for_no_parent_is_a_code():
    assert Taxonomy.from_records([("0", "A"), ("1", "B", "0")]).parent.tolist() == [-1, 0]


def test_codes_and_names_are_put_on_one_line():
    tax = Taxonomy.from_records([(" a\t1 ", " Hats\n and\xa0 Caps\x07"), ("b", "B", "a 1")])
    assert tax.node(0).code == "a 1"
    assert tax.node(0).name == "Hats and Caps"


def test_a_translation_needs_a_language_tag():
    with pytest.raises(TaxonomyError, match="translation into 'German!'"):
        Taxonomy.from_records([Record("a", "A", translations={"German!": "A"})])


def test_more_levels_than_any_taxonomy_has_are_refused_at_the_first_that_is_too_deep():
    rows = [Record(str(i), "n", str(i - 1) if i else None, line=i) for i in range(40_000)]
    with pytest.raises(TaxonomyError, match=r"line 100: node '100' is more than 100 levels deep"):
        Taxonomy.from_records(rows)
    assert Taxonomy.from_records(rows[:100]).depth == 100


def test_sound_trees_are_built_without_a_word(caplog):
    with caplog.at_level(logging.DEBUG, logger="cascade"):
        Taxonomy.from_records([("a", "A"), ("b", "B", "a")])
    assert not caplog.records
