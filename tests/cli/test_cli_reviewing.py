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
        (["review", "out.csv"], "say what to file under"),
        (["review", "export", "nothing", "-o", "x.csv"], "holds no session"),
        (["review", "export", "out.review", "-o", "x.csv", "--part", "some"], "no part 'some'"),
    ],
)
def test_what_cannot_be_done_is_told(reviewed, cascade, words, told):
    done = cascade(*words)
    assert done.status == 2 and told in done.err and "Traceback" not in done.err


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
        address = next(
            word for word in process.stderr.readline().replace(";", " ").split() if "http" in word
        )
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
