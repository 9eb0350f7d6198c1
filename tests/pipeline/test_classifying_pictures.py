import csv

import numpy as np
import pytest
from PIL import Image

import cascade
from cascade.config import Columns
from cascade.errors import InputError, UsageError
from cascade.io import open_output, open_table
from cascade.items import Item
from cascade.pipeline.runs.answer_form import AnswerForm
from cascade.pipeline.runs.table import classify_table
from cascade.taxonomy import Taxonomy

TAXONOMY = Taxonomy.from_paths(["Clothing > Hats", "Clothing > Shoes", "Garden > Rakes"])


@pytest.fixture(scope="module")
def clf():
    return cascade.load(
        "few",
        taxonomy=TAXONOMY,
        method="retrieval",
        retrieval={"encoder": "small:clip"},
        columns={"image": "photo"},
    )


@pytest.fixture
def folder(tmp_path):
    """A folder with a good picture, a damaged one, and one beside the folder."""
    folder = tmp_path / "data"
    (folder / "images").mkdir(parents=True)
    pixels = np.random.default_rng(0).integers(0, 256, (40, 30, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(folder / "images" / "good.png")
    Image.fromarray(pixels).save(tmp_path / "beside.png")
    (folder / "images" / "bad.png").write_bytes(b"no picture")
    return folder


def classified(clf, file, columns):
    """The rows of the output."""
    out = file.with_suffix(".out.csv")
    form = AnswerForm()
    with open_table(file) as table, open_output(out, table, form.columns, source=file) as sink:
        classify_table(clf, table, sink, columns, form)
    with out.open(newline="") as written:
        return list(csv.DictReader(written))


def test_rows_are_answered_by_their_pictures_and_bad_ones_are_told(clf, folder):
    (folder / "items.csv").write_text(
        "sku,name,photo\n"
        "1,straw hat,images/good.png\n"
        "2,,images/good.png\n"
        "3,straw hat,images/bad.png\n"
        "4,straw hat,images/gone.png\n"
        "5,straw hat,../beside.png\n"
        "6,straw hat,\n"
        "7,,\n"
    )
    rows = classified(clf, folder / "items.csv", Columns(text=["name"], image="photo", id="sku"))
    assert [row["cascade_status"] == "error" for row in rows] == [False] * 2 + [True] * 3 + [
        False,
        True,
    ]
    for row, problem in zip(
        [rows[2], rows[3], rows[4], rows[6]],
        ["bad.png cannot be read", "gone.png is not there", "not in the folder", "text is empty"],
        strict=True,
    ):
        assert problem in row["cascade_message"]
        assert row["cascade_code"] == ""


def test_a_row_needs_no_text(clf, folder):
    (folder / "items.csv").write_text("photo\nimages/good.png\n")
    (row,) = classified(clf, folder / "items.csv", Columns(image="photo"))
    by_hand = clf.classify(Item({}, image=folder / "images" / "good.png"))
    assert (row["cascade_code"], row["cascade_source"]) == (by_hand.code, "retrieval")


def test_a_column_of_pictures_that_is_not_there_is_named(clf, folder):
    (folder / "items.csv").write_text("photo\nimages/good.png\n")
    with pytest.raises(InputError, match="column 'picture' is not in"):
        classified(clf, folder / "items.csv", Columns(image="picture"))


def test_a_bad_picture_keeps_the_id_of_its_item(clf, folder):
    bad = Item({}, "b", folder / "images" / "bad.png")
    good = Item({}, "g", folder / "images" / "good.png")
    found = list(clf.classify_many([bad, good, bad]))
    assert [(p.id, p.status == "error") for p in found] == [("b", True), ("g", False), ("b", True)]
    assert found[1].code == clf.classify(good).code


@pytest.mark.weights
class TestWithoutAnEncoderOfPictures:
    def test_a_column_of_pictures_is_refused_at_once(self):
        with pytest.raises(UsageError, match=r"'photo'.*'cascade-minilm-1' reads no pictures; set"):
            cascade.load("few", taxonomy=TAXONOMY, method="retrieval", columns={"image": "photo"})

    def test_an_item_with_a_picture_is_refused(self, folder):
        clf = cascade.load("few", taxonomy=TAXONOMY, method="retrieval")
        item = Item({"text": "hat"}, image=folder / "images" / "good.png")
        assert "reads no pictures" in clf.classify(item).message
        assert clf.classify("hat").status != "error"


def test_a_method_that_reads_text_says_so(folder):
    clf = cascade.load(
        "few",
        taxonomy=TAXONOMY,
        method="nli",
        nli={"model": "small:nli"},
        retrieval={"encoder": "small:clip"},
    )
    picture = folder / "images" / "good.png"
    assert clf.classify(Item({}, image=picture)).message == (
        "the text is empty, and nli reads no pictures"
    )
    assert clf.classify(Item({"text": "hat"}, image=picture)).source == "nli"
