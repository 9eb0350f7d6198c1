import csv
import json
from pathlib import Path

import pytest

import cascade
from cascade.cli import main

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


def test_a_file_without_labels_becomes_a_pack_by_running_one_command_again(here, capsys):
    assert main(["start", "rows.csv", "-t", "tree.csv", "--ask", "25"]) == 0
    told = capsys.readouterr().err
    assert "label the 25 rows in rows.start/to-label.csv" in told
    assert len(list(csv.DictReader(Path("rows.start/answers.csv").open()))) == 60
    to_label = Path("rows.start/to-label.csv")
    rows = list(csv.DictReader(to_label.open(newline="")))
    for row in rows:
        row["label"] = CODES[(int(row["cascade_row"]) - 1) % 5]
    with to_label.open("w", newline="") as out:
        writer = csv.DictWriter(out, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    again = ["start", "rows.csv", "-t", "tree.csv", "--ask", "25", "--json", "--no-answers"]
    assert main(again) == 0
    shown = capsys.readouterr()
    told = json.loads(shown.out)
    assert told["labels"] == 25 and len(told["asked"]) == 25
    assert told["expected"]["exact"]["value"] > 0.7
    assert "25 new labels" in shown.err
    assert main(["pack", "check", "rows.start/pack"]) == 0
    assert cascade.load("rows.start/pack").classify("apple juice").code == "D3"


def test_what_cannot_be_used_is_told_before_anything_is_made(here, capsys):
    assert main(["start", "rows.csv"]) == 2
    assert "-t store" in capsys.readouterr().err
    assert main(["start", "rows.csv", "-t", "tree.csv", "--text", "title"]) == 2
    assert "title" in capsys.readouterr().err
    assert main(["start", "-", "-t", "tree.csv"]) == 2
    assert main(["start", "rows.csv", "-t", "tree.csv", "--ask", "0"]) == 2
    Path("one.csv").write_text("code,name,parent\nA,One,\n")
    assert main(["start", "rows.csv", "-t", "one.csv"]) == 2
    assert "one leaf only" in capsys.readouterr().err
    assert not Path("rows.start").exists()
