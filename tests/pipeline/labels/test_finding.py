import pytest

from cascade.errors import InputError, UsageError
from cascade.io.tables.opening import TableFile
from cascade.pipeline.labels.finding import LabelFinder, count_labels
from cascade.pipeline.labels.making import taxonomy_of_labels
from cascade.taxonomy import Taxonomy


@pytest.fixture
def shop():
    return Taxonomy.from_paths(["Food > Fruit > Apple", "Food > Oil", "Toys"], name="shop")


@pytest.fixture
def labelled(tmp_path):
    def write(*labels, limit=None):
        file = tmp_path / "rows.csv"
        file.write_text("name,label\n" + "".join(f"x,{label}\n" for label in labels), "utf-8")
        return TableFile(str(file), limit)

    return write


def test_labels_are_counted_as_known_empty_or_unknown_and_the_first_unknown_is_told(labelled, shop):
    counts = count_labels(labelled("Toys", "", "Food>Oil", "Toy", "Toys > Car"), "label", shop)
    assert (counts.rows, counts.empty, counts.unknown, counts.known) == (5, 1, 2, 2)
    assert counts.first_unknown == "line 5, 'Toy'"


def test_rows_that_fit_nowhere_are_told_apart_from_those_without_a_label(labelled, shop, tmp_path):
    counts = count_labels(labelled("Toys", "nowhere", "", "Nowhere "), "label", shop)
    assert (counts.nowhere, counts.empty, counts.unknown, counts.known) == ((1, 3), 1, 0, 1)
    file = tmp_path / "reviewed.csv"
    file.write_text("label,review_action\n,nowhere\nToys,accept\n,\nToys,nowhere\n", "utf-8")
    counts = count_labels(TableFile(str(file)), "label", shop)
    assert (counts.nowhere, counts.empty, counts.known) == ((0,), 1, 2)
    with pytest.raises(InputError, match="2 fit nowhere"):
        count_labels(labelled("nowhere", "nowhere", ""), "label", shop)
    named = Taxonomy.from_paths(["Nowhere", "Toys"])
    assert count_labels(labelled("nowhere"), "label", named).nowhere == ()


def test_only_rows_within_the_limit_count(labelled, shop):
    assert count_labels(labelled("Toys", "nothing", limit=1), "label", shop).unknown == 0


def test_a_column_that_matches_nothing_tells_how_many_and_what_a_label_looks_like(labelled, shop):
    with pytest.raises(
        InputError, match=r"none of its 2 labels .*line 2, 'Car'.*'Food > .*--label"
    ):
        count_labels(labelled("Car", "Boat"), "label", shop)


def test_a_column_of_empty_labels_is_told(labelled, shop):
    with pytest.raises(InputError, match="all 2 rows are without a label"):
        count_labels(labelled("", ""), "label", shop)


def test_a_file_without_rows_is_told(labelled, shop):
    with pytest.raises(InputError, match="no rows"):
        count_labels(labelled(), "label", shop)


def test_a_missing_column_names_the_likely_one(labelled, shop):
    with pytest.raises(InputError, match="did you mean 'label'"):
        count_labels(labelled("Toys"), "labels", shop)


def test_a_cell_may_hold_one_label_or_a_list_of_them(shop):
    finder = LabelFinder(shop)
    oil, toys = shop.index("Food > Oil"), shop.index("Toys")
    assert finder.find_all("Food > Oil") == (oil,)
    assert finder.find_all('["Toys", "Food > Oil", "Car"]') == (toys, oil)
    assert finder.find_all("") == finder.find_all("[broken") == finder.find_all('{"a": 1}') == ()


def test_labels_make_a_taxonomy_with_the_nodes_above_them(labelled):
    taxonomy = taxonomy_of_labels([labelled("B > C", "A", "", "B > C", "B > D > E")], "label")
    assert set(taxonomy.codes) == {"A", "B", "B > C", "B > D", "B > D > E"}
    assert taxonomy.name == "rows"


def test_no_label_makes_no_taxonomy(labelled):
    with pytest.raises(InputError, match="no taxonomy can be made"):
        taxonomy_of_labels([labelled("", "")], "label")


def test_standard_input_is_refused_because_it_is_read_more_often():
    with pytest.raises(UsageError, match="save it to a file"):
        TableFile("-")


def test_a_label_of_a_deprecated_node_is_told_what_replaces_it(labelled, tmp_path):
    skos = "http://www.w3.org/2004/02/skos/core#"
    (tmp_path / "tax.ttl").write_text(
        f"@prefix s: <{skos}> . @prefix o: <http://www.w3.org/2002/07/owl#> . @prefix : <a/> .\n"
        ':old s:prefLabel "Sledges" ; o:deprecated true ;\n'
        "  <http://purl.org/dc/terms/isReplacedBy> :new .\n"
        ':new s:prefLabel "Sleds" .\n'
    )
    taxonomy = Taxonomy.load(tmp_path / "tax.ttl")
    counts = count_labels(labelled("new", "old"), "label", taxonomy)
    assert (counts.known, counts.unknown) == (1, 1)
    assert "'old' (Sledges) is deprecated" in counts.first_unknown
    assert "replaced by 'new' (Sleds)" in counts.first_unknown


def test_labels_are_found_however_a_file_distorts_them(labelled):
    codes = Taxonomy.from_records([("110", "Hammers"), ("NA", "Namibia"), ("NULL", "None")])
    counts = count_labels(labelled("110.0", "'110'", "na", "NULL", "nan"), "label", codes)
    assert (counts.known, counts.first_unknown) == (4, "line 6, 'nan'")


@pytest.mark.parametrize(
    "cell",
    [
        "Food > Oil",
        '["Food > Oil"]',
        "['Food > Oil']",
        '[["Food", "Oil"]]',
        '["Food", "Oil"]',
        "food/oil",
    ],
)
def test_lists_of_one_label_and_of_names_are_one_label(shop, cell):
    assert LabelFinder(shop).find(cell) == shop.index("Food > Oil")


def test_of_several_labels_the_first_counts_only_where_their_separator_is_named(shop):
    oil, toys = shop.index("Food > Oil"), shop.index("Toys")
    for cell, mark in [
        ("Toys|Food > Oil", "|"),
        ("toys ; Food>Oil", ";"),
        ("Toys, Food > Oil", ","),
        ('["Toys", "Food > Oil"]', ","),
    ]:
        assert LabelFinder(shop).find(cell) == -1
        assert LabelFinder(shop).several(cell) == mark
        assert LabelFinder(shop, mark).find(cell) == toys
        assert LabelFinder(shop, mark).find_all(cell) == (toys, oil)
    assert LabelFinder(shop).several("Toys|Cars") is None
    assert LabelFinder(shop, "|").find("Cars|Toys") == -1


def test_cells_with_several_labels_are_told(tmp_path, shop, caplog):
    file = tmp_path / "rows.csv"
    file.write_text("label\nToys\nToys|Food > Oil\n", "utf-8")
    assert count_labels(TableFile(str(file)), "label", shop).unknown == 1
    assert "1 rows have several labels in one cell (first: line 3" in caplog.text
    assert "--label-separator '|'" in caplog.text
    assert count_labels(TableFile(str(file)), "label", shop, "|").known == 2


def test_names_in_place_of_codes_are_told(labelled, shop):
    with pytest.raises(InputError, match=r"'apple' is the name of .*Food > Fruit > Apple"):
        count_labels(labelled("apple", "banana"), "label", shop)


def test_a_code_that_is_the_path_is_told_once(labelled):
    tree = Taxonomy.from_paths(["Food > Apple", "Food > Banana"])
    with pytest.raises(InputError) as told:
        count_labels(labelled("apple", "banana"), "label", tree)
    assert "such as 'Food > Apple'; 'apple' is the name of 'Food > Apple': write" in str(told.value)


def test_other_right_answers_that_are_unknown_are_told(tmp_path, shop, caplog):
    rows = ["label,other", "Toys,Food", 'Toys,"[""Toys"", ""Cars""]"', "Toys,", "Toys,Toys|Food"]
    file = tmp_path / "rows.csv"
    file.write_text("\n".join(rows) + "\n", "utf-8")
    count_labels(TableFile(str(file)), "label", shop, also=["other"])
    assert "column 'other': 2 rows have other right answers" in caplog.text
    assert "(first: line 3, 'Cars')" in caplog.text


def test_labels_after_the_first_that_are_unknown_are_told(tmp_path, shop, caplog):
    file = tmp_path / "rows.csv"
    file.write_text("label\nToys|Food\nToys|Cars\nCars|Toys\n", "utf-8")
    counts = count_labels(TableFile(str(file)), "label", shop, "|")
    assert (counts.known, counts.unknown) == (2, 1)
    assert "1 rows have other right answers" in caplog.text
    assert "(first: line 3, 'Cars')" in caplog.text


def test_other_right_answers_with_a_separator_that_is_not_named_are_told_the_option(
    tmp_path, shop, caplog
):
    file = tmp_path / "rows.csv"
    file.write_text("label,other\nToys,Toys|Food\n", "utf-8")
    count_labels(TableFile(str(file)), "label", shop, also=["other"])
    assert "--label-separator '|'" in caplog.text
