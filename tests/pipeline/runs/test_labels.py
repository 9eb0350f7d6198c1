import pytest

from cascade.errors import InputError, UsageError
from cascade.io.tables.opening import TableFile
from cascade.pipeline.runs.labels import LabelFinder, count_labels, taxonomy_of_labels
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
