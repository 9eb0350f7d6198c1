import csv
import json
from pathlib import Path

import pytest

from cascade import Taxonomy, load
from cascade.review import open_session
from cascade.review.decisions import decide

pytestmark = pytest.mark.weights

NAMES = ["leaf rake", "garden hose", "green tea", "ground coffee", "orange juice"]
CODES = ["G1", "G2", "D1", "D2", "D3"]
TREE = "code,name,parent\nG,Garden,\nG1,Rakes,G\nG2,Hoses,G\nD,Drinks,\nD1,Tea,D\nD2,Coffee,D\n"


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("tree.csv").write_text(TREE + "D3,Juice,D\n")
    lines = [f"{NAMES[at % 5]} {at}" for at in range(60)]
    Path("rows.csv").write_text("\n".join(["name", *lines]) + "\n")
    return tmp_path


def test_a_file_without_labels_becomes_a_pack_by_running_one_command_again(here, cascade):
    done = cascade("start", "rows.csv", "-t", "tree.csv", "--ask", "25")
    assert done.status == 0, done.err
    assert "cascade review rows.start/to-label-1.csv -c rows.start/pack --in-order" in done.err
    answers = Path("rows.start/answers.csv").read_text()
    assert answers.count("\n") == 61
    to_label = Path("rows.start/to-label-1.csv")
    rows = list(csv.DictReader(to_label.read_text().splitlines()))
    assert 0 < float(rows[0]["cascade_confidence"]) <= 1
    for row in rows:
        row["label"] = CODES[(int(row["cascade_row"]) - 1) % 5]
    with to_label.open("w", newline="") as out:
        writer = csv.DictWriter(out, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    again = ("start", "rows.csv", "-t", "tree.csv", "--ask", "25", "--json", "--no-answers")
    done = cascade(*again)
    assert done.status == 0, done.err
    told = json.loads(done.out)
    assert told["labels"] == 25 and len(told["asked"]) == 25
    assert told["expected"]["exact"]["value"] > 0.7
    assert "25 new labels" in done.err
    assert cascade("pack", "check", "rows.start/pack").status == 0
    assert load("rows.start/pack").classify("apple juice").code == "D3"


def test_decisions_of_the_review_page_are_learnt(here, cascade):
    again = ("start", "rows.csv", "-t", "tree.csv", "--ask", "6", "--no-answers", "--json")
    asked = json.loads(cascade(*again).out)["asked"]
    session = open_session("rows.start/to-label-1.csv", taxonomy=Taxonomy.load("tree.csv"))
    decide(session.db, session.taxonomy, "ann", 2, "choose", code="D2")
    session.close()
    told = json.loads(cascade(*again).out)
    assert told["labels"] == 1 and asked[1] not in told["asked"]


def test_what_cannot_be_used_is_told_before_anything_is_made(here, cascade):
    done = cascade("start", "rows.csv")
    assert done.status == 2 and "-t store" in done.err
    done = cascade("start", "rows.csv", "-t", "tree.csv", "--text", "title")
    assert done.status == 2 and "title" in done.err
    assert cascade("start", "-", "-t", "tree.csv").status == 2
    assert cascade("start", "rows.csv", "-t", "tree.csv", "--ask", "0").status == 2
    Path("one.csv").write_text("code,name,parent\nA,One,\n")
    done = cascade("start", "rows.csv", "-t", "one.csv")
    assert done.status == 2 and "one leaf only" in done.err
    assert not Path("rows.start").exists()


def test_pictures_and_several_files_are_refused_with_what_to_do_instead(here, cascade):
    from PIL import Image

    Path("photos").mkdir()
    for at in range(3):
        Image.new("RGB", (8, 8)).save(f"photos/{at}.png")
    Path("photos.csv").write_text("image\nphotos/0.png\nphotos/1.PNG\nhttps://a.b/c.jpg?w=9\n")
    for file in ("photos", "photos.csv"):
        done = cascade("start", file, "-t", "tree.csv")
        assert done.status == 2
        assert f"{file}, column 'image': these are pictures" in done.err
        assert f"cascade classify {file} --image image" in done.err
    done = cascade("start", "*.csv", "-t", "tree.csv")
    assert done.status == 2 and "start reads one file" in done.err
    assert not list(here.glob("*.start"))
