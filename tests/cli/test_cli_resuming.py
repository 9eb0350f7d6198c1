import csv
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cascade.config import BATCH

pytestmark = pytest.mark.weights

COMMAND = Path(sys.executable).with_name("cascade")
ARGS = ("-t", "tax.csv", "--method", "retrieval", "--text", "name", "--top", "1")


@pytest.fixture
def many(folder):
    """A file of some batches of rows, each its own text."""
    with (folder / "many.csv").open("w", newline="") as file:
        out = csv.writer(file)
        out.writerow(["id", "name"])
        nouns = ("straw hat", "leather boot", "leaf rake", "gouda cheese", "oat milk")
        for i in range(BATCH * 5):
            out.writerow([i, f"{nouns[i % 5]} number {i} " + "in its box " * (i % 7)])
    return folder / "many.csv"


def killed(folder):
    """Start a real run and kill it once a part of it is safe; whether it was in the middle."""
    journal = folder / "killed.csv.parts" / "journal.jsonl"
    run = subprocess.Popen(
        [COMMAND, "classify", "many.csv", *ARGS, "-o", "killed.csv"],
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 120
    while run.poll() is None and time.monotonic() < deadline:
        if journal.exists() and journal.read_bytes().count(b"\n") >= 2:  # its head and a part
            break
        time.sleep(0.01)
    run.send_signal(signal.SIGKILL)
    return run.wait() == -signal.SIGKILL


def test_a_killed_run_goes_on_to_the_bytes_of_one_that_never_was(many, folder, retrieve):
    whole = retrieve("many.csv", *ARGS, "-o", "whole.csv")
    assert whole.status == 0, whole.err
    assert killed(folder), "the run ended before it could be killed"
    assert not (folder / "killed.csv").exists()

    again = retrieve("many.csv", *ARGS, "-o", "killed.csv")
    assert again.status == 2
    assert "--resume" in again.err
    other = retrieve("many.csv", *ARGS, "-o", "killed.csv", "--resume", "--top", "2")
    assert other.status == 2
    assert "other settings: " in other.err
    assert "top" in other.err

    done = retrieve("many.csv", *ARGS, "-o", "killed.csv", "--resume")
    assert done.status == 0, done.err
    assert "going on after" in done.err
    assert (folder / "killed.csv").read_bytes() == (folder / "whole.csv").read_bytes()
    assert not (folder / "killed.csv.parts").exists()

    idle = retrieve("many.csv", *ARGS, "-o", "killed.csv", "--resume")
    assert idle.status == 0
    assert "nothing to resume" in idle.err


def test_a_finished_output_of_other_rows_is_refused(folder, retrieve):
    def resumed(*args):
        return retrieve("items.csv", "-t", "tax.csv", "--text", "name", *args, "--resume")

    for ending in ("csv", "jsonl", "parquet", "xlsx"):
        out = ("-o", f"out.{ending}")
        assert resumed(*out, "--limit", "3").status == 0
        same = resumed(*out, "--limit", "3")
        assert (same.status, "settings of a finished run" in " ".join(same.err.split())) == (
            0,
            True,
        )
        for args, told in (
            ((), "it has 3 rows, not 5"),
            (("--limit", "2"), "it has 3 rows, not 2"),
        ):
            done = resumed(*out, *args)
            assert (done.status, told in done.err, "--overwrite" in done.err) == (2, True, True)
    more = resumed("-o", "out.csv", "--limit", "3", "--top", "2")
    assert (more.status, "has no column 'cascade_code_2'" in more.err) == (2, True)
    whole = (folder / "out.csv").read_bytes()
    (folder / "out.csv").write_bytes(whole[:-3])
    cut = resumed("-o", "out.csv", "--limit", "3")
    assert (cut.status, "its end is missing" in cut.err) == (2, True)
    (folder / "out.csv").write_bytes(whole.replace(b"leather", b"rubber"))
    other = resumed("-o", "out.csv", "--limit", "3")
    assert (other.status, "row 2 is of another input: column 'name'" in other.err) == (2, True)


def test_a_finished_output_of_the_same_odd_rows_is_accepted(folder, retrieve):
    rows = [
        b"\xef\xbb\xbfid;name;;note;note\r\n",
        b' 007 ;"hat ""a""\r\nb";x;;#N/A\r\n1e5;\xc3\xa9t\xc3\xa9 hat;;2024-01-02;TRUE\r\n',
        b"9007199254740993;bad \xff;;;\r\n;;;;\r\n1;short\r\n_x000D_;=1+1;;\xc2\xa0;\r\n",
    ]
    (folder / "odd.csv").write_bytes(b"".join(rows))
    lines = [{"name": "hat", "n": 5, "big": 1 << 60}, {"name": "\ud83d", "n": 2.5, "x": [1]}, 3]
    (folder / "odd.jsonl").write_text("\n".join(map(json.dumps, lines)) + "\n")
    for source, *more in (("odd.csv", "--encoding", "utf-8"), ("odd.jsonl",)):
        for ending in ("csv", "tsv", "jsonl", "parquet", "xlsx"):
            args = (source, "-t", "tax.csv", "--text", "name", *more, "--resume")
            first = retrieve(*args, "-o", f"{source}.{ending}")
            assert "written to" in first.err, first.err
            again = retrieve(*args, "-o", f"{source}.{ending}")
            assert "nothing to resume" in again.err, (source, ending, again.err)


def test_redo_keeps_an_earlier_output_but_for_what_failed(many, folder, retrieve):
    whole = retrieve("many.csv", *ARGS, "-o", "whole.csv")
    assert whole.status == 0, whole.err
    spoilt = (folder / "whole.csv").read_text().splitlines()
    cells = next(csv.reader([spoilt[3]]))
    at = next(csv.reader([spoilt[0]])).index("cascade_status")
    cells[at : at + 2] = "partial", "llm failed (status 500); retrieval answered"
    spoilt[3] = ",".join(f'"{cell.replace(chr(34), chr(34) * 2)}"' for cell in cells)
    (folder / "old.csv").write_text("\n".join(spoilt) + "\n")
    again = retrieve("many.csv", *ARGS, "--redo", "old.csv", "-o", "old.csv", "--overwrite")
    assert again.status == 0, again.err
    assert (folder / "old.csv").read_bytes() == (folder / "whole.csv").read_bytes()
    several = retrieve("many.csv", "items.csv", *ARGS, "--redo", "old.csv", "-o", "out/")
    assert (several.status, "--redo goes with one file" in several.err) == (2, True)
    missing = retrieve("many.csv", *ARGS, "--redo", "gone.csv", "-o", "new.csv")
    assert (missing.status, "gone.csv" in missing.err) == (2, True)
    other = retrieve(
        "items.csv", "-t", "tax.csv", "--text", "name", "--redo", "old.csv", "--top", "1"
    )
    assert (other.status, "row 1 is not that of" in other.err) == (2, True)
