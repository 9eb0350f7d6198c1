import csv
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpcore
import pytest

from cascade.review import open_folder, open_session
from cascade.review.decisions import decide
from cascade.review.queues import Queue, next_row
from cascade.taxonomy import Taxonomy

ROWS = """\
name,cascade_code,cascade_confidence,cascade_status
straw hat,CLO-HAT,0.9,ok
steel rake,GAR-HOS,0.4,ok
gouda,FOO-CHE,0.8,ok
"""


@pytest.fixture
def reviewed(folder):
    (folder / "out.csv").write_text(ROWS, encoding="utf-8")
    session = open_session("out.csv", taxonomy=Taxonomy.load("tax.csv"), double=1.0)
    tree = session.taxonomy
    for who in ("ann", "bob"):
        for _ in range(2):
            row = next_row(session.db, who, Queue("random")).row
            decide(session.db, tree, who, row, "choose", code="GAR-RAK")
    session.close()
    return folder


def test_export_and_figures_of_a_session(reviewed, cascade):
    done = cascade("review", "export", "out.review", "-o", "reviewed.csv")
    assert done.status == 0 and "2 decided rows" in done.err
    with open("reviewed.csv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert {row["review_path"] for row in rows} == {"Garden > Rakes"}
    assert {row["review_by"] for row in rows} == {"ann, bob"}
    told = cascade("review", "figures", "out.review").out
    assert "2 of 3 rows are decided" in told and "exactly right" in told and "ann and bob" in told
    found = json.loads(cascade("review", "figures", "out.review", "--json").out)
    assert found["estimate"]["exact"]["rows"] == 2


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["review", "items.csv", "-t", "tax.csv", "--no-model"], "holds no answers"),
        (["review", "out.csv", "-t", "tax.csv", "--host", "0.0.0.0"], "token"),
        (["review", "none.csv", "-t", "tax.csv"], "does not exist"),
        (["review", "out.csv", "-t", "tax.csv", "--no-model", "--id", "zzz"], "it began with none"),
        (["review", "new.csv", "-t", "tax.csv", "--no-model", "--id", "zzz"], "it has: name,"),
        (["review", "out.csv"], "say what to file under"),
        (["review", "export", "nothing", "-o", "x.csv"], "holds no session"),
        (["review", "export", "out.review", "-o", "x.csv", "--part", "some"], "no part 'some'"),
    ],
)
def test_what_cannot_be_done_is_told(reviewed, cascade, words, told):
    (reviewed / "new.csv").write_text(ROWS, encoding="utf-8")
    done = cascade(*words)
    assert done.status == 2 and told in done.err and "Traceback" not in done.err


@pytest.mark.parametrize("kind", ["csv", "xlsx", "jsonl"])
def test_reviewed_rows_measure_answers_and_fit_a_pack(folder, cascade, kind, caplog):
    """What `review figures` tells, `cascade eval` does not overstate."""
    import pandas as pd

    tree = Taxonomy.load("tax.csv")
    leaves = ["CLO-HAT", "CLO-SHO", "GAR-RAK", "GAR-HOS", "FOO-CHE", "FOO-MIL"]
    names = ["hat", "shoe", "rake", "hose", "cheese", "milk"]
    frame = pd.DataFrame(
        {
            "name": [f"{names[n % 6]} of kind {n}" for n in range(60)],
            "cascade_code": [leaves[n % 6] for n in range(60)],
            "cascade_confidence": 0.5,
        }
    )
    file = f"out.{kind}"
    if kind == "csv":
        frame.to_csv(file, index=False)
    elif kind == "xlsx":
        frame.to_excel(file, index=False)
    else:
        frame.to_json(file, orient="records", lines=True)
    session = open_session(file, taxonomy=tree)
    for at in range(60):
        row = next_row(session.db, "ann", Queue("random")).row
        decide(session.db, tree, "ann", row, "nowhere" if at < 15 else "accept", comment="\0")
    session.close()
    done = cascade("review", "export", "out.review", "-o", f"r.{kind}", "--part", "random")
    assert "60 decided rows" in done.err and "15 of them fit nowhere" in done.err
    assert "review figures out.review" in done.err
    words = ["-t", "tax.csv", "--label", "review_code", "--predictions", f"r.{kind}"]
    done = cascade("eval", f"r.{kind}", *words, "--out", "run", "--json")
    assert done.status == 0 and "15 rows fit nowhere" in caplog.text and "0.750" in caplog.text
    found = json.loads(done.out)
    figures = json.loads(cascade("review", "figures", "out.review", "--json").out)
    exact = found["figures"]["exact_match_with_nowhere"]
    assert exact["value"] == figures["estimate"]["exact"]["share"] == 0.75
    assert exact["low"] < 0.75 < exact["high"]
    assert (found["rows"]["label_nowhere"], found["rows"]["without_label"]) == (15, 0)
    words = ["--text", "name", "--label", "review_code", "--recipe", "quick", "-o", "pack"]
    done = cascade("fit", f"r.{kind}", "-t", "tax.csv", *words)
    assert done.status == 0, done.err
    assert "15 rows are left out" in done.err


def test_an_export_tells_of_rows_in_conflict(folder, cascade):
    (folder / "out.csv").write_text(ROWS, encoding="utf-8")
    session = open_session("out.csv", taxonomy=Taxonomy.load("tax.csv"), double=1.0)
    for who, row, action in (
        *(("ann", 1, "accept"), ("bob", 1, "accept")),
        *(("ann", 2, "accept"), ("bob", 2, "nowhere")),
    ):
        decide(session.db, session.taxonomy, who, row, action)
    session.close()
    done = cascade("review", "export", "out.review", "-o", "r.csv")
    assert "1 decided rows" in done.err and "reviewers disagree: 1" in done.err


def test_the_page_is_served_until_a_signal_and_goes_on(folder):
    (folder / "out.csv").write_text(ROWS, encoding="utf-8")
    command = [
        Path(sys.executable).with_name("cascade"),
        "review",
        "out.csv",
        "-t",
        "tax.csv",
        "--no-model",
        "--in-order",
        "--port",
        "0",
    ]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        lines = [process.stderr.readline().rstrip("\n") for _ in range(3)]
        address = lines[1]  # alone, so that a click on it opens it
        assert address.startswith("http://") and address.endswith("/review/"), lines
        for _ in range(200):
            try:
                assert httpcore.request("GET", address).status == 200
                break
            except httpcore.ConnectError:
                time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        assert "0 rows are decided" in process.stderr.read()
    assert process.returncode == 0
    session = open_folder("out.review")
    assert next_row(session.db, "ann", Queue("asked")).row == 1
    session.close()
