"""Which spellings of labels are one class, and what is said about them."""

import pytest

from cascade.io.tables.opening import TableFile
from cascade.pipeline.labels.finding import LabelFinder
from cascade.pipeline.labels.making import LabelForm, taxonomy_of_labels, taxonomy_of_paths


def made(labels, **form):
    return taxonomy_of_paths(labels, "rows", LabelForm(**form))


def test_blanks_and_unicode_forms_of_one_class_are_joined_in_silence(caplog):
    labels = [
        "Caf\u00e9 > Tea",
        "Cafe\u0301 >  Tea ",
        "Caf\u00e9>Tea\u200b",
        "\uff23af\u00e9 > Tea",
    ]
    tree = made(dict.fromkeys(labels, 2))
    assert tree.codes == ("Caf\u00e9", "Caf\u00e9 > Tea")
    assert {LabelFinder(tree).find(label) for label in labels} == {1}
    assert not caplog.text


def test_case_is_joined_to_the_commonest_spelling_with_a_warning(caplog):
    labels = {"tools > hammers": 2, "Tools > Hammers": 9, "TOOLS > pliers": 1, "Tools > Rakes": 4}
    tree = made(labels)
    assert tree.codes == ("Tools", "Tools > Hammers", "Tools > pliers", "Tools > Rakes")
    assert all(LabelFinder(tree).find(label) >= 0 for label in labels)
    for part in ("'tools > hammers' (2 rows)", "'Tools > Hammers' (9 rows)", "--keep-case"):
        assert part in caplog.text


def test_case_is_kept_where_that_is_asked_for(caplog):
    tree = made(["tools > a", "Tools > a"], keep_case=True)
    assert set(tree.codes) == {"tools", "tools > a", "Tools", "Tools > a"}
    assert LabelFinder(tree).find("Tools > a") == tree.index("Tools > a")
    assert not caplog.text


def test_whole_numbers_that_became_floats_are_whole_again():
    assert made(["110.0", "120.0", "110"]).codes == ("110", "120")
    assert made(["1.0", "1.1"]).codes == ("1.0", "1.1")


@pytest.mark.parametrize(
    "cell",
    ["A > B|A > C", "A > B; A > C", "A > B, A > C", "['A > B', 'A > C']", '["A > B", "A > D"]'],
)
def test_cells_that_look_like_several_labels_are_told(caplog, cell):
    made({"A > B": 5, "A > C": 5, cell: 3})
    assert "3 rows have what looks like several labels in one cell" in caplog.text
    assert cell[:20] in caplog.text
    assert "--label-separator" in caplog.text


def test_several_labels_are_all_nodes_where_their_separator_is_named(caplog):
    tree = made({"A > B": 5, "A > C|A > B": 3}, separator="|")
    assert tree.codes == ("A", "A > B", "A > C")
    assert LabelFinder(tree, "|").find("A > C|A > B") == tree.index("A > C")
    assert not caplog.text


def test_names_with_such_signs_are_no_several_labels(caplog):
    made(["Hats, Caps", "Hats", "Salt & Pepper", "A/B testing", "R&D"])
    assert not caplog.text


@pytest.mark.parametrize("word", ["nan", "None", "N/A", "unknown", "#N/A"])
def test_words_for_no_label_are_told(caplog, word):
    made({"Tools > Hammers": 5, "Tools > Rakes": 5, word: 4})
    assert f"4 rows are labelled {word!r}" in caplog.text


def test_short_codes_may_be_like_such_words(caplog):
    made(["NG", "NA", "KE", "ZA"])
    assert not caplog.text


def test_paths_with_other_separators_are_told(caplog):
    made(["Tools/Hammers", "Tools/Rakes", "Tools/Saws"])
    assert "write ' > ' between their names" in caplog.text


def test_arrows_are_separators(caplog):
    assert made(["Tools › Rakes", "Tools -> Saws"]).codes == (
        "Tools",
        "Tools > Rakes",
        "Tools > Saws",
    )
    assert not caplog.text


def test_names_with_other_separators_are_the_paths_that_are_there(caplog):
    labels = {"Food > Oil": 3, "food/oil": 2, "Toys/Games": 1, "Food | Oil": 1}
    tree = taxonomy_of_paths(labels, "x")
    assert list(tree.codes) == ["Food", "Food > Oil", "Toys/Games"]
    assert "2 labels are taken for paths" in caplog.text
    assert "'food/oil' (2 rows) for 'Food > Oil' (3 rows)" in caplog.text


def test_a_path_may_end_in_empty_levels(caplog):
    tree = taxonomy_of_paths(["Food > Oil", "Food > ", "Food > > ", "Food > Oil >"], "x")
    assert list(tree.codes) == ["Food", "Food > Oil"]
    assert tree.find("Food > >") == tree.index("Food")
    assert tree.find("> Food") is None
    assert tree.find("Food > > Oil") is None


def test_zeros_that_spreadsheets_lose_are_told(caplog):
    tree = taxonomy_of_paths({"0110": 4, "110": 2, '="0110"': 1, "7": 1}, "x")
    assert set(tree.codes) == {"0110", "110", "7"}
    assert "such as '0110' (5 rows) and '110' (2 rows)" in caplog.text


def test_lists_of_one_label_make_a_taxonomy(tmp_path):
    file = tmp_path / "rows.jsonl"
    file.write_text('{"label": ["A > B"]}\n{"label": [["A", "C"]]}\n{"label": "\u200b"}\n', "utf-8")
    assert taxonomy_of_labels([TableFile(str(file))], "label").codes == ("A", "A > B", "A > C")


@pytest.mark.parametrize(
    "cell", ["['A > B' 'A > C']", "('A > B', 'A > C')", "{'A > B', 'A > C'}", "['A > B'\n 'A > C']"]
)
def test_lists_as_python_and_numpy_write_them_are_told_and_read(caplog, cell):
    labels = {"A > B": 5, "A > C": 5, cell: 3}
    made(labels)
    assert "3 rows have what looks like several labels in one cell" in caplog.text
    tree = made(labels, separator=",")
    assert tree.codes == ("A", "A > B", "A > C")
    assert LabelFinder(tree, ",").find(cell) == tree.index("A > B")


@pytest.mark.parametrize(
    "cell", ["('A > B',)", "{'A > B'}", '{"choices": ["A > B"]}', '[["A", "B"]]']
)
def test_a_list_of_one_label_is_that_label(caplog, cell):
    assert made({"A > C": 1, cell: 1}).codes == ("A", "A > C", "A > B")
    assert not caplog.text


def test_signs_of_web_pages_are_the_signs_that_they_are(caplog):
    assert made(["Tools &gt; Nuts &amp; bolts"]).codes == ("Tools", "Tools > Nuts & bolts")
    assert not caplog.text


@pytest.mark.parametrize("mark", [" - ", " \u2013 ", "; ", "\t"])
def test_other_separators_of_paths_are_told(caplog, mark):
    made([f"{top}{mark}{name}" for top in ("Tools", "Garden") for name in ("x", "y", "z")])
    assert "if they are paths, write ' > '" in caplog.text


def test_words_of_a_name_are_no_labels_but_codes_are(caplog):
    made(["Garden", "Tools", "Garden Tools"])
    assert not caplog.text
    made(["110", "120", "110 120"])
    assert "--label-separator ' '" in caplog.text
