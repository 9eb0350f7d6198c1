import csv
import json
import shutil
import time

import pytest

RECIPE = """\
lexical: null
routing: null
sentence:
  neighbours: 3
  again_below: 0
  tuning: {epochs: 1, least_steps: 4, batch_size: 8}
"""
COLUMNS = ("--text", "name", "--label", "label")
SHELVES = {"Clothing > Hats": "hat", "Garden > Rakes": "rake", "Food > Cheese": "cheese"}


def write(path, rows):
    with open(path, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["name", "label"])
        writer.writerows(rows)


@pytest.fixture(scope="session")
def fitted(tmp_path_factory):
    """Where a pack has been fitted, once for all tests."""
    return tmp_path_factory.mktemp("fitted")


@pytest.fixture
def pack(folder, fitted, cascade):
    """A pack with labelled neighbours over the real encoder."""
    if not (fitted / "pack").is_dir():
        (folder / "mine.yaml").write_text(RECIPE)
        rows = [
            (f"{colour} {what}", label)
            for label, what in SHELVES.items()
            for colour in ("red", "blue", "green", "white", "black", "plain")
        ]
        write("rows.csv", rows)
        done = cascade("fit", "rows.csv", *COLUMNS, "-o", fitted / "pack", "--recipe", "mine.yaml")
        assert done.status == 0, done.err
    shutil.copytree(fitted / "pack", "pack")
    return folder / "pack"


def answer(cascade, name):
    write("one.csv", [(name, "")])
    by = ("--method", "neighbours")
    done = cascade("classify", "one.csv", "-c", "pack", *by, "-o", "answer.csv", "--overwrite")
    assert done.status == 0, done.err
    with open("answer.csv") as file:
        return next(csv.DictReader(file))["cascade_path"]


def test_added_rows_change_answers_at_once(pack, cascade):
    before = answer(cascade, "zorbafex quintulla 500")
    label = next(label for label in SHELVES if label != before)
    write("more.csv", [(f"zorbafex quintulla {n}", label) for n in (100, 200, 300)])
    done = cascade("pack", "add", "pack", "more.csv")
    assert done.status == 0, done.err
    assert "3 rows added to pack" in done.err
    assert answer(cascade, "zorbafex quintulla 500") == label
    done = cascade("pack", "add", "pack", "more.csv")
    assert "3 rows were there already" in done.err
    assert "0 rows added" in done.err
    told = (pack / "README.md").read_text()
    assert told.count("Later 3 rows of `more.csv` were added") == 1
    assert cascade("pack", "check", "pack").status == 0


def test_rows_that_cannot_be_added_are_told(pack, cascade):
    write("more.csv", [("straw hat", "Clothing > Hats"), ("odd thing", "Nowhere"), ("", "x")])
    done = cascade("pack", "add", "pack", "more.csv")
    assert done.status == 0, done.err
    assert "1 rows added" in done.err
    assert "label not in the taxonomy (first: line 3)" in done.err


def test_a_pack_of_words_alone(folder, cascade, caplog):
    write("rows.csv", [(f"{what} {n}", label) for label, what in SHELVES.items() for n in range(9)])
    assert cascade("fit", "rows.csv", *COLUMNS, "-o", "pack", "--recipe", "quick").status == 0
    done = cascade("pack", "add", "pack", "rows.csv")
    assert done.status != 0
    assert "no labelled neighbours" in done.err
    write("items.csv", [("red hat 3", "")])
    asked = ("classify", "items.csv", "-c", "pack", "--set", "retrieval.encoder=minilm")
    told = cascade(*asked, "-o", "out.csv")
    assert told.status == 0, told.err
    assert "retrieval.encoder has no effect: this pack answers by ttc." in caplog.text
    caplog.clear()
    cascade(*asked, "--method", "retrieval", "-o", "read.csv")
    assert "has no effect" not in caplog.text
    listed = json.loads(cascade("runs", "list", ".", "--json").out)
    assert [(run["kind"], run["status"], run["data"]) for run in listed] == [
        ("pack", "finished", "rows.csv")
    ]
    misspelt = cascade("fit", "rows.csv", *COLUMNS, "-o", "other", "--recipe", "quik")
    assert misspelt.status == 2
    assert "did you mean 'quick'" in misspelt.err
    write("rows.csv", [("hat", "Hatz"), *((f"hat {n}", label) for label in SHELVES for n in "ab")])
    named = ("-t", "pack/taxonomy.yaml")
    doubted = cascade("fit", "rows.csv", *COLUMNS, "-o", "more", "--recipe", "quick", *named)
    assert "(first: line 2, 'Hatz')" in doubted.err


def test_a_pack_without_its_seal_is_refused(pack, cascade):
    (pack / "pack.json").unlink()
    for command in (("classify", "items.csv", "-c", "pack"), ("pack", "check", "pack")):
        done = cascade(*command)
        assert done.status == 2
        assert "pack.json: is missing" in done.err
    pack.with_name("begun.fitting").mkdir()
    done = cascade("pack", "check", "begun")
    assert done.status == 2
    assert "--resume" in done.err
    done = cascade("pack", "check", "nosuch")
    assert "nosuch: is no folder" in done.err


def test_the_cure_of_a_missing_column_is_told(pack, cascade):
    with open("other.csv", "w") as file:
        file.write("title,label\nred hat,Clothing > Hats\n")
    for command in ("classify", "eval"):
        done = cascade(command, "other.csv", "-c", "pack")
        assert done.status == 2
        assert "has no column 'name'; the pack reads name" in done.err
        assert "with --text (it has: title, label)" in done.err


@pytest.mark.parametrize("harm", ["changed", "cut", "gone"])
def test_a_harmed_pack_is_refused_with_the_name_of_the_file(pack, cascade, harm):
    file = pack / "sentence" / "heads.safetensors"
    whole = file.read_bytes()
    if harm == "gone":
        file.unlink()
    else:
        file.write_bytes(whole[:-100] if harm == "cut" else whole[:-1] + b"\x7f")
    done = cascade("classify", "items.csv", "-c", "pack", "-o", "out.csv")
    assert done.status != 0
    assert "heads.safetensors" in done.err
    done = cascade("pack", "check", "pack")
    assert done.status != 0
    assert "heads.safetensors" in done.err


def test_a_moved_pack_loads_in_seconds_without_the_hub(pack, cascade, folder, monkeypatch):
    pack.rename(folder / "elsewhere")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    started = time.perf_counter()
    done = cascade("classify", "items.csv", "-c", "elsewhere", "-o", "out.jsonl")
    assert done.status == 0, done.err
    assert time.perf_counter() - started < 10
    with open("out.jsonl") as file:
        assert len([json.loads(line) for line in file]) == 5
