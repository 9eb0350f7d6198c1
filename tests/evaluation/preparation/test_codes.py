import csv

import pytest
from toy_catalogue import packed, xml

from cascade.evaluation.preparation.folder import PreparationFolder
from cascade.evaluation.preparation.options import PreparationOptions, source_of
from cascade.evaluation.preparation.prepare import prepare
from cascade.evaluation.preparation.splits import Shares
from cascade.taxonomy import Taxonomy

ROWS = [
    ("baked stew", "STEW0"),
    ("baked stew", "STEW0#F28.BAKED"),
    ("Baked  stew", "STEW0#F28.BAKED"),
    ("red wheat", "WHEAT#F04.SALT0"),
    ("red wheat", "REDWH"),
    ("mixed", "WHEAT"),
    ("mixed", "STEW0"),
    ("XXXXX", "STEW0"),
    ("salted oats", "OATS0$F04.SALT0"),
    ("flour", "FLOUR#F27.WHEAT"),
    ("flour", "FLOUR"),
]


@pytest.fixture
def prepared(tmp_path):
    tree = Taxonomy.load(packed(tmp_path / "TOY.ecf", xml()))
    with (tmp_path / "rows.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("food", "code"), *ROWS])
    options = PreparationOptions(
        source_of(str(tmp_path / "rows.csv")), "code", ("food",), shares=Shares(0, 0)
    )
    return prepare(options, tree)


def read(path):
    with path.open() as file:
        return list(csv.DictReader(file))


def test_of_several_codes_for_a_text_the_one_that_says_most_is_kept(prepared, tmp_path):
    report = PreparationFolder(tmp_path / "out").write(prepared)
    kept = {row["food"]: row["code"] for row in read(tmp_path / "out" / "train.csv")}
    assert kept == {
        "baked stew": "STEW0#F28.BAKED",
        "red wheat": "REDWH",
        "salted oats": "OATS0#F04.SALT0",
        "flour": "FLOUR#F27.WHEAT",
    }
    dropped = [(row["cascade_line"], row["cascade_reason"]) for row in read(
        tmp_path / "out" / "dropped.csv"
    )]  # fmt: skip
    assert dropped == [
        ("2", "outdone"),
        ("4", "duplicate"),
        ("5", "outdone"),
        ("7", "conflicting"),
        ("8", "conflicting"),
        ("9", "anonymised"),
        ("12", "duplicate"),  # the base term implies the facet
    ]
    assert report["dropped"]["outdone"]["rows"] == 2


def test_a_code_that_was_mended_is_told_with_its_line(prepared, tmp_path):
    report = PreparationFolder(tmp_path / "out").write(prepared)
    assert report["codes_mended"] == {"rows": 1, "lines": [10]}
    assert read(tmp_path / "out" / "mended.csv") == [
        {
            "cascade_line": "10",
            "was": "OATS0$F04.SALT0",
            "is": "OATS0#F04.SALT0",
            "cascade_message": "signs between its parts",
        }
    ]
    assert prepared.why(0, None)[1].endswith("'STEW0#F28.BAKED', which says more")


def test_a_preparation_without_malformed_codes_has_no_such_file(tmp_path):
    tree = Taxonomy.load(packed(tmp_path / "TOY.ecf", xml()))
    (tmp_path / "rows.csv").write_text("food,code\noats,OATS0\nxxxx,WHEAT\nwheat,WHEAT\n")
    options = PreparationOptions(
        source_of(str(tmp_path / "rows.csv")), "code", ("food",), shares=Shares(0, 0)
    )
    PreparationFolder(tmp_path / "out").write(prepare(options, tree))
    assert not (tmp_path / "out" / "mended.csv").exists()
