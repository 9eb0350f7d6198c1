"""Cleaning: which rows are dropped and why, and what becomes of labels that are cut."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cascade.errors import TaxonomyError
from cascade.evaluation.preparation.cleaning import (
    KEPT,
    REASONS,
    CellCutter,
    ScannedRows,
    clean_rows,
    normalised,
    scan_rows,
    truncate_labels,
)
from cascade.io import open_table
from cascade.io.tables.opening import TableFile
from cascade.pipeline.labels.finding import LabelFinder, fitting_column
from cascade.pipeline.labels.making import taxonomy_of_paths
from cascade.taxonomy import Record, Taxonomy

SHOP = Taxonomy.from_records(
    [
        Record("F", "Food"),
        Record("F1", "Fruit", "F"),
        Record("F11", "Apple", "F1"),
        Record("F12", "Pear", "F1"),
        Record("T", "Toys"),
    ],
    name="shop",
)


@pytest.fixture
def cleaned(tmp_path):
    """Why each row of a CSV of name, note and label is dropped, and what was found of it."""

    def run(text, depth=None, columns=("name", "note")):
        file = tmp_path / "rows.csv"
        file.write_text("name,note,label\n" + text, "utf-8")
        with open_table(file) as table:
            rows = scan_rows(table, columns, "label", seed=0)
        found = clean_rows(rows, truncate_labels(rows.labels, SHOP, depth).node)
        words = [None if r == KEPT else tuple(REASONS)[r] for r in found.reason]
        return words, rows, found

    return run


def test_each_reason_is_told_apart(cleaned):
    words, rows, found = cleaned(
        "red apple,,F11\n"
        "cells,are,missing,or too many,F11\n"
        " ,,F11\n"
        "green pear,,\n"
        "a bus,,Vehicles\n"
        "Red  Apple,,Food > Fruit > Apple\n"
        "a ball,,T\n"
        "a ball,,Food\n"
    )
    dropped = ["unreadable", "textless", "unlabelled", "unknown", "duplicate"]
    assert words == [None, *dropped, "conflicting", "conflicting"]
    assert rows.line[found.rival[5]] == 2
    assert found.rival[6:].tolist() == [7, 6]


def test_of_rows_with_the_same_text_and_label_the_first_is_kept(cleaned):
    words, *_ = cleaned("b,,T\na,,T\nb,,T\na,,T\nb,,T\n")
    assert words == [None, None, "duplicate", "duplicate", "duplicate"]


def test_rows_of_a_text_with_different_labels_are_all_dropped_whatever_the_majority(cleaned):
    words, _, found = cleaned("a,,T\na,,T\na,,T\na,,F11\n")
    assert words == ["conflicting"] * 4
    assert found.rival.tolist() == [3, 3, 3, 0]


def test_labels_that_differ_below_the_depth_are_the_same(cleaned):
    text = "fruit,,F11\nfruit,,F12\n"
    assert cleaned(text)[0] == ["conflicting", "conflicting"]
    assert cleaned(text, depth=2)[0] == [None, "duplicate"]


def test_a_label_that_is_above_the_other_is_another_label(cleaned):
    assert cleaned("fruit,,F1\nfruit,,F11\n")[0] == ["conflicting", "conflicting"]


def test_only_the_named_columns_are_the_text(cleaned):
    text = "apple,red,F11\napple,green,F11\n"
    assert cleaned(text)[0] == [None, None]
    assert cleaned(text, columns=("name",))[0] == [None, "duplicate"]


def test_a_row_that_is_dropped_for_itself_makes_no_other_a_duplicate(cleaned):
    assert cleaned("bus,,Vehicles\nbus,,T\n,bus,\nbus,,T\n")[0] == [
        "unknown",
        None,
        "unlabelled",
        "duplicate",
    ]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (["Straw  Hat"], ["straw hat "]),
        (["STRASSE"], ["straße"]),
        (["Ｈａｔ ①"], ["hat 1"]),
        (["cafe\u0301"], ["café"]),
        (["a\u00a0b\n"], ["a b"]),
        (["hat", "", " "], ["", "hat"]),
    ],
    ids=["case and blanks", "sharp s", "width", "composed", "hard blank", "empty fields"],
)
def test_texts_that_look_the_same_are_the_same(one, other):
    assert normalised(one) == normalised(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [(["hat"], ["hats"]), (["cafe"], ["café"]), (["a b", "c"], ["a", "b c"]), (["a-b"], ["a b"])],
    ids=["letter", "accent", "field", "mark"],
)
def test_texts_that_say_something_else_are_not(one, other):
    assert normalised(one) != normalised(other)


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(-1, 3)), max_size=40))
def test_rows_are_kept_as_a_plain_count_over_them_says(rows):
    keys, labels = zip(*rows, strict=True) if rows else ((), ())
    scanned = ScannedRows(
        np.full(len(rows), KEPT, dtype=np.int8),
        np.array(keys, dtype=np.uint64),
        np.array([label if label >= 0 else 4 for label in labels], dtype=np.int32),
        np.arange(len(rows)),
        ("a", "b", "c", "d", "unknown"),
    )
    # b and c are two spellings of one node
    nodes = np.array([10, 11, 11, 12, -1], dtype=np.int32)
    found = clean_rows(scanned, nodes)
    names = tuple(REASONS)
    seen = {}
    for key, label in rows:
        if label >= 0:
            seen.setdefault(key, set()).add(int(nodes[label]))
    kept = set()
    for row, (key, label) in enumerate(rows):
        reason = None if found.reason[row] == KEPT else names[found.reason[row]]
        if label < 0:
            assert reason == "unknown"
        elif len(seen[key]) > 1:
            assert reason == "conflicting"
            rival = found.rival[row]
            assert keys[rival] == key
            assert found.node[rival] != found.node[row]
        else:
            assert reason == ("duplicate" if key in kept else None)
            kept.add(key)
    assert found.kept.tolist() == [row for row in range(len(rows)) if found.reason[row] == KEPT]


def test_a_label_below_the_depth_becomes_the_node_above_in_the_form_it_was_written_in():
    labels = ["F11", "Food>Fruit > Apple", "F1", "Toys", "Car"]
    cut = truncate_labels(labels, SHOP, 2)
    assert cut.instead == {"F11": "F1", "Food>Fruit > Apple": "Food > Fruit"}
    named = [cut.taxonomy.codes[node] if node >= 0 else None for node in cut.node]
    assert named == ["F1", "F1", "F1", "T", None]
    assert cut.taxonomy.depth == 2


def test_without_a_depth_nothing_is_cut():
    cut = truncate_labels(["F11", "Food > Fruit > Pear"], SHOP)
    assert not cut.instead
    assert cut.taxonomy is SHOP
    assert cut.node.tolist() == [SHOP.index("F11"), SHOP.index("F12")]


def test_a_taxonomy_is_made_of_the_labels_that_are_paths():
    made = taxonomy_of_paths(["B > C", "A", " > x", "B > > D"], "rows")
    assert (made.name, set(made.codes)) == ("rows", {"A", "B", "B > C"})
    with pytest.raises(TaxonomyError, match=r"none of 2 different labels is a path.*'>'"):
        taxonomy_of_paths([">", " > x"], "rows")


def test_the_column_that_fits_a_taxonomy_best_is_found(tmp_path):
    file = tmp_path / "rows.csv"
    file.write_text("T,name,code,also\nx,Toys,F11,T\ny,bus,F12,\nz,van,T,\n", "utf-8")
    assert fitting_column(TableFile(str(file)), SHOP) == "code"
    file.write_text("name\nbus\n", "utf-8")
    assert fitting_column(TableFile(str(file)), SHOP) is None


@pytest.mark.parametrize(
    ("cell", "separator", "cut"),
    [
        ("F11", None, "F1"),
        ('["F11", "Food > Fruit > Pear", "T"]', None, '["F1", "T"]'),
        ('["F11", "F12", "cars"]', None, '["F1", "cars"]'),
        ("['F11', 'F12']", None, '["F1"]'),
        ("T | Food > Fruit > Apple | F12", "|", "T | Food > Fruit"),
        ("F11;F12", ";", "F1"),
        ('["Food", "Fruit", "Apple"]', None, '["Food > Fruit"]'),
        ("T|Food", "|", "T|Food"),
        ("cars", None, "cars"),
        ("", None, ""),
    ],
)
def test_every_label_of_a_cell_is_cut_and_those_that_become_the_same_are_one(cell, separator, cut):
    assert CellCutter(SHOP, 2, separator)(cell) == cut
    nodes = LabelFinder(SHOP.trim(2), separator).find_all(cut)
    whole = [SHOP.path_nodes(n)[:2][-1] for n in LabelFinder(SHOP, separator).find_all(cell)]
    expected = dict.fromkeys(SHOP.codes[node] for node in whole)
    assert [SHOP.trim(2).codes[node] for node in nodes] == list(expected)
