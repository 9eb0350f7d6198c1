"""`cascade prepare`: labelled rows come out clean and divided, and none is lost."""

import csv
import hashlib
import json
import os
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from preparation_rows import ARGS, CODES, DIRT, GOOD, HEADER, PATHS, make

from cascade.io import open_table
from cascade.io.tables.opening import TableFile
from cascade.pipeline.labels.finding import count_labels
from cascade.taxonomy import Taxonomy

PARTS = ("train", "validation", "test")

REASONS = {"duplicate": 1, "conflicting": 2, "textless": 1, "unlabelled": 1, "unknown": 1}


def cells(file):
    """The rows of a file as text, in order."""
    with open_table(file) as table:
        return [tuple(table.text(row, name) for name in HEADER) for row in table]


def dropped(folder="out"):
    with open(f"{folder}/dropped.csv", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(autouse=True)
def here(folder):
    return folder


@pytest.mark.parametrize("kind", ["csv", "tsv", "jsonl", "parquet", "xlsx"])
@pytest.mark.parametrize("how", ["stratified", "out-of-sample"])
def test_every_row_is_in_one_part_as_it_was_or_dropped_with_its_reason(kind, how, here, prepare):
    file = make(kind)
    report = prepare(file, "--split", how, "--validation", 0.2, "--test", 0.2)
    found = {name: cells(f"out/{name}.{kind}") for name in PARTS}
    read = cells(file)
    assert Counter(row for part in found.values() for row in part) == Counter(read[: len(GOOD)])
    for rows in found.values():
        assert rows == sorted(rows, key=read.index)
    lost = dropped()
    assert [tuple(row[name] for name in HEADER) for row in lost] == read[len(GOOD) :]
    assert Counter(row["cascade_reason"] for row in lost) == REASONS
    assert {name: part["rows"] for name, part in report["parts"].items()} == {
        name: len(rows) for name, rows in found.items()
    }
    assert sorted(p.name for p in (here / "out").iterdir()) == sorted(
        ["dropped.csv", "taxonomy.csv", "preparation.json", *(f"{name}.{kind}" for name in PARTS)]
    )


def test_dropped_rows_tell_their_line_and_what_they_disagree_with(prepare):
    prepare(make("csv"))
    # a row of this file has two lines, those at the end have one
    first = 2 + 2 * len(GOOD)
    told = {row["id"]: (int(row["cascade_line"]), row["cascade_message"]) for row in dropped()}
    twin = 2 + 2 * GOOD.index(next(row for row in GOOD if row[1] == "thing 3 of CLO-HAT"))
    assert told["d1"] == (first, f"line {twin} has the same text and the same label")
    assert told["d2"] == (first + 1, f"line {first + 2} has the same text and label 'Food'")
    message = f"line {first + 1} has the same text and label 'Clothing > Hats'"
    assert told["d3"] == (first + 2, message)
    assert told["d6"] == (first + 5, "'Cars' is not in the taxonomy")


def test_a_row_that_cannot_be_read_is_dropped_with_what_is_wrong_with_it(here, prepare):
    make("csv")
    with open("rows.csv", "a", encoding="utf-8") as file:
        file.write("x,too few\n")
    assert prepare("rows.csv")["dropped"]["unreadable"]["rows"] == 1
    last = dropped()[-1]
    assert (last["id"], last["name"], last["cascade_reason"]) == ("x", "too few", "unreadable")
    assert "2 of 4 cells" in last["cascade_message"]


def test_the_report_counts_rows_and_classes_and_names_seed_and_hash(here, prepare):
    file = make("csv")
    report = prepare(file, "--seed", 7)
    assert report == json.loads((here / "out/preparation.json").read_text("utf-8"))
    assert report["input"]["sha256"] == hashlib.sha256((here / file).read_bytes()).hexdigest()
    assert report["input"]["rows"] == len(GOOD) + len(DIRT)
    assert (report["kept"], report["classes"]) == (len(GOOD), len(CODES))
    assert {word: d["rows"] for word, d in report["dropped"].items() if d["rows"]} == REASONS
    assert (report["split"]["seed"], report["split"]["how"]) == (7, "stratified")
    # twenty rows of each of five classes: 16, 2 and 2 of each
    counts = [(p["rows"], p["classes"], p["classes_only_here"]) for p in report["parts"].values()]
    assert counts == [(80, 5, 0), (10, 5, 0), (10, 5, 0)]


def test_classes_of_an_out_of_sample_test_are_not_in_train(prepare):
    report = prepare(make("csv"), "--split", "out-of-sample", "--validation", 0.2, "--test", 0.4)
    codes = [set(part["codes_only_here"]) for part in report["parts"].values()]
    assert [len(found) for found in codes] == [2, 1, 2]
    assert set.union(*codes) == set(CODES)
    tree = Taxonomy.load("tax.csv")
    labels = {tree.codes[tree.find(row[3])] for row in cells("out/test.csv")}
    assert labels == codes[2]


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_labels_are_cut_to_the_depth_of_the_taxonomy_beside_them(kind, here, prepare):
    report = prepare(make(kind), "--depth", 1)
    assert Taxonomy.load(here / "out/taxonomy.csv").codes == ("CLO", "GAR", "FOO")
    before = {(row[0], row[1]): row for row in GOOD}
    for name in PARTS:
        counts = count_labels(
            TableFile(f"out/{name}.{kind}"), "label", Taxonomy.load("out/taxonomy.csv")
        )
        assert counts.known == counts.rows == report["parts"][name]["rows"]
        for row in cells(f"out/{name}.{kind}"):
            whole = before[row[:2]]
            assert row[:3] == whole[:3]
            by_code = whole[3] in CODES
            assert row[3] == (whole[3][:3] if by_code else whole[3].split(" > ")[0])
    assert report["labels_cut"] == len(GOOD)
    assert report["taxonomy"]["nodes"] == 3 < report["taxonomy"]["nodes_before"]


def write_also(kind):
    """Rows of which half have lists of other right answers; the name of the file."""
    file = Path(f"more.{kind}")
    rows = [
        {
            "name": f"thing {i}",
            "label": code,
            "also": [PATHS["FOO-CHE"], "GAR-RAK", "Cars"][: i % 4],
        }
        for i, code in enumerate(CODES * 8)
    ]
    if kind == "parquet":
        pq.write_table(pa.Table.from_pylist(rows), file)
    elif kind == "jsonl":
        file.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    else:
        with file.open("w", encoding="utf-8", newline="") as out:
            writer = csv.DictWriter(out, rows[0])
            writer.writeheader()
            writer.writerows({**row, "also": json.dumps(row["also"])} for row in rows)
    return str(file), rows


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_other_right_answers_are_cut_too_and_lists_stay_lists(kind, here, cascade, caplog):
    file, rows = write_also(kind)
    done = cascade("prepare", file, *ARGS, "--also", "also", "--depth", 1)
    assert done.status == 0, done.err
    said = "10 rows have other right answers that are not in the taxonomy"
    assert said in caplog.text and "'Cars')" in caplog.text
    known = {row["name"]: row for row in rows}
    with open_table(f"out/train.{kind}") as table:
        for row in table:
            before = known[table.text(row, "name")]["also"]
            after = table.value(row, "also")
            found = json.loads(after) if kind == "csv" else list(after)
            top = {"Food > Cheese": "Food", "GAR-RAK": "GAR"}
            assert found == [top.get(label, label) for label in before]


def test_text_that_is_another_right_answer_is_refused_and_never_guessed(here, cascade):
    file, _ = write_also("csv")
    done = cascade(
        "prepare", file, "-t", "tax.csv", "--label", "label", "--also", "also", "-o", "x"
    )
    assert done.status == 0 and "name (choose others with --text)" in done.err
    done = cascade("prepare", file, *ARGS, "--text", "also", "--also", "also")
    assert done.status == 2 and "'also' is named as text and as label" in done.err
    done = cascade("prepare", file, *ARGS, "--also", "alos")
    assert done.status == 2 and "alos" in done.err


def test_all_labels_of_a_cell_are_cut(here, prepare):
    cell = "Garden > Rakes|CLO-HAT|CLO-SHO"
    Path("several.csv").write_text(
        "name,label\n" + "".join(f"a{i},{cell}\nb{i},FOO-CHE\n" for i in range(10)), "utf-8"
    )
    prepare("several.csv", "--depth", 1, "--label-separator", "|")
    with open_table("out/train.csv") as table:
        assert {table.text(row, "label") for row in table} == {"Garden|CLO", "FOO"}


def test_labels_above_the_depth_stay(here, prepare):
    (here / "rows.csv").write_text(
        "name,label\n" + "".join(f"a{i},Food\nb{i},Food > Milk\n" for i in range(10)), "utf-8"
    )
    report = prepare("rows.csv", "--depth", 2)
    assert (report["labels_above_depth"], report["labels_cut"], report["kept"]) == (10, 0, 20)


def test_without_a_taxonomy_the_label_paths_make_one_and_that_is_said(here, cascade):
    rows = "".join(f"x{i},A > B\ny{i},A > C > D\nz{i},A > > D\n" for i in range(10))
    (here / "rows.csv").write_text(f"name,label\n{rows}", "utf-8")
    done = cascade("prepare", "rows.csv", "--label", "label", "-o", "out")
    assert done.status == 0, done.err
    assert "made of the labels" in done.err
    assert "name (choose others with --text)" in done.err
    assert set(Taxonomy.load("out/taxonomy.csv").codes) == {"A", "A > B", "A > C", "A > C > D"}
    assert Counter(row["cascade_reason"] for row in dropped()) == {"unknown": 10}


def test_the_table_tells_the_counts_and_the_first_line_of_each_reason(cascade):
    done = cascade("prepare", make("csv"), *ARGS, "--depth", 1)
    assert (done.status, done.out) == (0, "")
    lines = [" ".join(line.split()) for line in done.err.splitlines()]
    assert "kept 100 94.3%" in lines
    told = "another row has the same text and a different label (first: line 203)"
    assert f"conflicting 2 {told}" in lines
    assert "labels cut 100 to level 1" in lines
    assert "train 80 80.0% 3 0" in lines


def test_the_same_seed_gives_the_same_bytes_whatever_the_hash_seed_of_python(here, command):
    make("csv")
    made = []
    for out, hash_seed in (("one", "1"), ("two", "2")):
        os.environ["PYTHONHASHSEED"] = hash_seed
        try:
            done = command(
                "prepare", "rows.csv", "-t", "tax.csv", "--text", "name", "--label", "label",
                "-o", out, "--split", "out-of-sample", "--test", "0.2", "--validation", "0.2",
            )  # fmt: skip
        finally:
            del os.environ["PYTHONHASHSEED"]
        assert done.returncode == 0, done.stderr
        made.append({file.name: file.read_bytes() for file in (here / out).iterdir()})
    assert made[0] == made[1]


def test_another_seed_gives_another_split_and_another_order_of_rows_the_same(here, prepare):
    make("csv")
    prepare("rows.csv")
    first = {name: set(cells(f"out/{name}.csv")) for name in PARTS}
    prepare("rows.csv", "--seed", 1, "--overwrite")
    assert {name: set(cells(f"out/{name}.csv")) for name in PARTS} != first
    make("csv", GOOD[::-1])
    prepare("rows.csv", "--overwrite")
    assert {name: set(cells(f"out/{name}.csv")) for name in PARTS} == first


def test_a_share_of_nothing_leaves_the_part_out(here, prepare):
    report = prepare(make("csv"), "--validation", 0, "--test", 0)
    assert list(report["parts"]) == ["train"]
    assert report["parts"]["train"]["rows"] == len(GOOD)
    assert not (here / "out/test.csv").exists()


def test_only_rows_within_the_limit_are_prepared(prepare):
    report = prepare(make("csv"), "--limit", 50)
    assert (report["input"]["rows"], report["input"]["limit"], report["kept"]) == (50, 50, 50)


def test_labels_after_the_first_that_are_unknown_are_told(here, cascade, caplog):
    odd = ("o1", "a hat for the garden", "", "CLO-HAT|bogus")
    make("csv", (*GOOD, odd, ("o2", "a rake with a hat", "", "GAR-RAK|CLO-HAT")))
    done = cascade("prepare", "rows.csv", *ARGS, "--label-separator", "|")
    assert done.status == 0, done.err
    assert "column 'label': 1 rows have other right answers" in caplog.text
    assert "(first: line 202, 'bogus')" in caplog.text


def test_help_shows_an_example(cascade):
    assert "cascade prepare" in cascade("prepare", "--help").out.partition("Examples")[2]
