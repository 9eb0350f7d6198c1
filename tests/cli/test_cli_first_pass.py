"""`classify --first-pass`: a table of words goes first over a large file."""

import csv
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from cascade.cli import classify_run
from cascade.config import CascadeConfig
from cascade.pipeline import pool as pools
from cascade.pipeline.doors import hastening
from cascade.pipeline.runs import adapting
from cascade.retrieval.student.pieces import PieceVectors
from cascade.scoring.first_pass import learning

pytestmark = pytest.mark.weights
KINDS = ("panama hat", "leather boots", "leaf rake", "garden hose", "gouda cheese", "whole milk")
LIST = ["-t", "tax.csv", "--text", "name"]


@pytest.fixture
def many(folder, loaded, monkeypatch):
    for module in (hastening, learning, adapting):
        monkeypatch.setattr(module, "LEAST", 20)
    monkeypatch.setattr(hastening, "PART", 2)
    monkeypatch.setattr(PieceVectors, "open", classmethod(lambda *given: None))
    monkeypatch.setattr(CascadeConfig, "batch", 25)
    rows = [f"{kind} {n}" for n in range(14) for kind in KINDS] + ["?!"]
    Path("many.csv").write_text("\n".join(["name", *rows, ""]))
    return len(rows)


def sources(file):
    with open(file, newline="") as stream:
        return [row["cascade_source"] for row in csv.DictReader(stream)]


def test_it_tells_what_it_learnt_and_who_answered(many, cascade):
    first = "retrieval.first_pass_loss=0.1"
    end = cascade("classify", "many.csv", *LIST, "-o", "o.csv", "--first-pass", "--set", first)
    assert end.status == 0, end.err
    assert "rows taught it; sure of" in " ".join(end.err.split())
    found = sources("o.csv")
    assert found.count("first_pass") > many / 2
    assert found[-1] == "retrieval"


@pytest.mark.parametrize("fork", [True, False])
def test_two_processes_write_the_bytes_of_one(fork, many, cascade, monkeypatch):
    monkeypatch.setattr(pools, "may_fork", lambda size: fork)
    first = ["--first-pass", "--set", "retrieval.first_pass_loss=0.1", "--top", 1]
    for n in (1, 2):
        asked = ["classify", "many.csv", *LIST, "-o", f"{n}.csv", *first, "--workers", n]
        assert cascade(*asked).status == 0
    assert Path("1.csv").read_bytes() == Path("2.csv").read_bytes()
    assert sources("2.csv").count("first_pass") > many / 2


def test_few_rows_are_answered_by_the_encoder_and_it_says_so(many, cascade):
    end = cascade("classify", "items.csv", *LIST, "-o", "o.csv", "--first-pass")
    assert end.status == 0
    assert "rows with text are needed; the encoder answered all" in " ".join(end.err.split())
    assert set(sources("o.csv")) == {"retrieval"}


def test_rows_that_come_once_are_refused(folder, cascade):
    end = cascade("classify", "-", *LIST, "--first-pass")
    assert end.status == 2
    assert "--first-pass reads rows twice, and standard input" in " ".join(end.err.split())


def test_a_cluster_is_refused(folder, cascade):
    end = cascade("classify", "items.csv", *LIST, "-o", "o.csv", "--first-pass", "--engine", "ray")
    assert end.status == 2
    assert "--first-pass goes with --engine local" in " ".join(end.err.split())


def test_other_methods_are_refused(folder, cascade):
    asked = ["classify", "items.csv", *LIST, "-o", "o.csv", "--first-pass", "--method", "nli"]
    end = cascade(*asked)
    assert end.status == 2
    assert "does not go with the method nli" in " ".join(end.err.split())
    assert not Path("o.csv").exists()


def test_it_is_named_where_a_file_is_large(many, cascade, monkeypatch):
    plain = ["classify", "many.csv", *LIST, "-o", "o.csv", "--overwrite"]
    assert "--first-pass" not in cascade(*plain).err
    monkeypatch.setattr(classify_run, "LARGE", 80)
    told = " ".join(cascade(*plain).err.split())
    assert "the encoder reads each of about 86 rows; where many are alike --first-pass" in told
    assert "where many are alike" not in cascade(*plain, "--limit", 5).err
    assert "where many are alike" not in cascade(*plain, "--first-pass").err
    assert "where many are alike" not in cascade(*plain, "--set", "descent.depth=1").err


def test_it_is_measured_on_labelled_rows(many, cascade):
    with open("many.csv", newline="") as stream:
        names = [row["name"] for row in csv.DictReader(stream)]
    labels = {"hat": "Clothing > Hats", "cheese": "Food > Cheese", "milk": "Food > Milk"}
    rows = [(name, next((of for w, of in labels.items() if w in name), "")) for name in names]
    with open("labelled.csv", "w", newline="") as stream:
        csv.writer(stream).writerows([("name", "label"), *(row for row in rows if row[1])])
    first = ["--first-pass", "--set", "retrieval.first_pass_loss=0.1", "--json"]
    asked = ["eval", "labelled.csv", *LIST, "--label", "label", "-o", "run", *first]
    end = cascade(*asked)
    assert end.status == 0, end.err
    found = pq.read_table("run/predictions.parquet")["cascade_source"].to_pylist()
    assert found.count("first_pass") > len(found) / 2
