import json

import pytest

from cascade.errors import InputError
from cascade.evaluation.external_predictions import ExternalPredictions, PredictionColumns
from cascade.io.tables.opening import TableFile
from cascade.taxonomy import Taxonomy

SHOP = Taxonomy.from_records(
    [("F", "Food", None), ("FO", "Oil", "F"), ("FA", "Fruit", "F"), ("T", "Toys", None)],
    name="shop",
)


@pytest.fixture
def files(tmp_path):
    """Writes labelled rows and predictions; gives what `match` makes of them."""

    def match(rows, predictions, wanted=None, *, limit=None, suffix=".csv", **options):
        ours, theirs = tmp_path / "rows.csv", tmp_path / f"theirs{suffix}"
        ours.write_text(rows, "utf-8")
        theirs.write_text(predictions, "utf-8")
        source = TableFile(str(ours), limit)
        given = ExternalPredictions.match(
            source, TableFile(str(theirs)), SHOP, wanted or PredictionColumns(), **options
        )
        with source.open() as table:
            return given, [given.of(table, row) for row in table]

    return match


def codes(answers):
    return [SHOP.codes[answer.node] if answer.node >= 0 else None for answer in answers]


ROWS = "id,name,label\n1,oil,FO\n2,ball,T\n3,pear,FA\n"


def test_rows_are_matched_by_an_id_in_any_order(files):
    _, answers = files(ROWS, "id,code\n3,FA\n1,Food > Oil\n2,T\n", id="id")
    assert codes(answers) == ["FO", "T", "FA"]


def test_rows_are_matched_by_their_order_when_what_both_have_agrees(files):
    _, answers = files(
        ROWS, "name,code,p\noil,T,0.5\nball,T,1\npear,FO,\n", PredictionColumns(("code",), "p")
    )
    assert codes(answers) == ["T", "T", "FO"]
    assert [answer.confidence for answer in answers] == [0.5, 1.0, None]


def test_another_order_is_told_with_both_values_and_the_cure(files):
    with pytest.raises(
        InputError, match=r"theirs.csv, line 2, column 'name': found 'ball' where .*'oil'.*--id"
    ):
        files(ROWS, "name,code\nball,T\noil,FO\npear,FA\n")


@pytest.mark.parametrize(
    ("predictions", "told"),
    [
        ("code\nT\nT\n", r"rows.csv has 3 rows and .*theirs.csv has 2"),
        ("code\nT\nT\nT\nT\nT\n", r"theirs.csv has 5 rows and .*rows.csv has 3"),
    ],
)
def test_files_of_other_lengths_are_told_with_both(files, predictions, told):
    with pytest.raises(InputError, match=told):
        files(ROWS, predictions)


def test_with_a_limit_predictions_may_go_on(files):
    _, answers = files(ROWS, "code\nT\nF\nT\n", limit=2)
    assert codes(answers) == ["T", "F"]


def test_missing_ids_are_told_how_many_and_which_first(files):
    with pytest.raises(InputError, match=r"2 of 3 ids .*'2' \(line 3 .*--allow-missing"):
        files(ROWS, "id,code\n1,FO\n", id="id")


def test_missing_ids_count_as_wrong_when_that_is_allowed(files):
    given, answers = files(ROWS, "id,code\n1,FO\n", id="id", allow_missing=True)
    assert codes(answers) == ["FO", None, None]
    assert given.missing == 2
    assert answers[1].status == "error"


def test_ids_that_share_nothing_are_told_even_when_missing_ones_are_allowed(files):
    with pytest.raises(InputError, match=r"3 of 3 ids .*other things"):
        files(ROWS, "id,code\nx,FO\n", id="id", allow_missing=True)


@pytest.mark.parametrize(
    ("rows", "predictions", "told"),
    [
        (ROWS, "id,code\n1,FO\n1,T\n", r"theirs.csv, column 'id': '1' is there twice, in lines 2"),
        ("id,label\n1,F\n1,T\n", "id,code\n1,FO\n", r"rows.csv, column 'id': '1' is there twice"),
        (ROWS, "id,code\n,FO\n", r"theirs.csv, line 2, column 'id': a row without an id"),
    ],
)
def test_ids_that_do_not_tell_rows_apart_are_refused(files, rows, predictions, told):
    with pytest.raises(InputError, match=told):
        files(rows, predictions, id="id")


def test_predictions_outside_the_taxonomy_count_as_wrong_and_are_counted(files):
    given, answers = files(ROWS, "code\nFO\nCar\nBoat\n")
    assert codes(answers) == ["FO", None, None]
    assert (given.unknown, given.first_unknown) == (2, "line 3, 'Car'")
    assert "'Car' is not in the taxonomy" in answers[1].message


def test_predictions_that_match_nothing_are_refused(files):
    with pytest.raises(InputError, match=r"none of its 3 predictions .*'shop'.*--predicted"):
        files(ROWS, "code\nx\ny\nz\n")


def test_one_column_a_level_keeps_what_each_level_says(files):
    given, answers = files(ROWS, "a,b\nF,FO\nT,\nT,FA\n", PredictionColumns(("a", "b")))
    assert codes(answers) == ["FO", "T", "FA"]
    found = answers[2].columns(SHOP)
    assert (found["cascade_code_l1"], found["cascade_code_l2"]) == ("T", "FA")
    assert "cascade_code_l2" in given.columns


def test_what_classify_writes_is_understood_in_every_form(files):
    answer = {
        "code": "FO",
        "confidence": 0.25,
        "source": "llm",
        "status": "partial",
        "message": "m",
    }
    line = json.dumps({"name": "oil", "cascade": answer})
    _, (found,) = files("name,label\noil,FO\n", line + "\n", suffix=".jsonl")
    assert codes([found]) == ["FO"]
    assert (found.confidence, found.source, found.status) == (0.25, "llm", "partial")
    _, (found,) = files(
        "name,label\noil,FO\n",
        "name,cascade_code,cascade_path,cascade_confidence,cascade_status\noil,FO,x,0.25,review\n",
    )
    assert (found.confidence, found.status) == (0.25, "review")


def test_a_confidence_that_is_no_probability_is_told_where(files):
    with pytest.raises(InputError, match=r"line 2, column 'p': found '7'; expected a probability"):
        files("label\nF\n", "code,p\nF,7\n", PredictionColumns(("code",), "p"))


def test_a_file_without_a_likely_column_asks_for_one(files):
    with pytest.raises(InputError, match=r"--predicted; it has: x, y"):
        files("label\nF\n", "x,y\nF,1\n")


def test_ids_that_became_floats_are_the_same_ids(tmp_path):
    tree = Taxonomy.from_records([("110", "Hammers"), ("120", "Pliers")])
    gold, theirs = tmp_path / "gold.csv", tmp_path / "theirs.csv"
    gold.write_text("id,label\n1,110\n2,120\n", "utf-8")
    theirs.write_text("id,code\n2.0 ,120.0\n1.0,110\n", "utf-8")
    found = ExternalPredictions.match(
        TableFile(str(gold)), TableFile(str(theirs)), tree, PredictionColumns(("code",)), id="id"
    )
    assert (found.missing, found.unused, found.unknown) == (0, 0, 0)
    with TableFile(str(gold)).open() as table:
        assert [found.of(table, row).node for row in table] == [0, 1]
