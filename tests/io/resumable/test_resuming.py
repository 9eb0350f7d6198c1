"""A run that is cut short goes on, and nothing is replaced that may not be."""

import errno
import itertools
import json
import os
import pkgutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from io_helpers import EXTRA, answer, run

from cascade.errors import OutputError, UsageError
from cascade.io import check_output, open_output, open_table
from cascade.io.resumable import output as outputs
from cascade.io.resumable.output import begun_by, forget
from cascade.io.resumable.row_hashes import digest_of

ROWS = 20


@pytest.fixture
def source(write):
    return write("items.csv", "id,title\n" + "".join(f"{n},item {n}\n" for n in range(ROWS)))


@pytest.fixture(autouse=True)
def _every_chunk_is_committed(monkeypatch):
    monkeypatch.setattr(outputs, "COMMIT_SECONDS", 0.0)


class Stop(Exception):
    pass


def interrupted(source, out, after=3, **options):
    """A run that stops after some chunks of two rows; the chunks that it answered."""
    answered = []
    with (
        pytest.raises(Stop),
        open_table(source) as table,
        open_output(out, table, EXTRA, source=source, **options) as output,
    ):
        for index, rows in enumerate(table.chunks(2)):
            if not output.has(index, rows):
                if len(answered) == after:
                    raise Stop
                output.write(index, rows, [answer(table, row) for row in rows], {"rows": len(rows)})
                answered.append(index)
    return answered


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet", "xlsx"])
def test_a_resumed_run_ends_in_the_bytes_of_one_that_was_never_cut(source, tmp_path, ending):
    whole = run(source, tmp_path / f"whole.{ending}").read_bytes()
    out = tmp_path / f"out.{ending}"
    assert interrupted(source, out) == [0, 1, 2]
    assert not out.exists()
    assert interrupted(source, out, after=2, resume=True) == [3, 4]
    assert check_output(out, resume=True) == "resume"
    assert run(source, out, resume=True).read_bytes() == whole
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "items.csv",
        f"out.{ending}",
        f"whole.{ending}",
    ]


def test_the_summaries_of_resumed_chunks_are_remembered(source, tmp_path):
    interrupted(source, tmp_path / "out.csv")
    with (
        open_table(source) as table,
        open_output(tmp_path / "out.csv", table, EXTRA, resume=True) as output,
    ):
        assert output.resumed_rows == 6
        resumed = []
        for index, rows in enumerate(table.chunks(2)):
            if output.has(index, rows):
                resumed.append(output.summary(index))
            else:
                output.write(index, rows, [{}] * len(rows), {"rows": len(rows)})
        assert resumed == [{"rows": 2}] * 3


def test_chunks_that_come_quickly_share_a_part(source, tmp_path, monkeypatch):
    monkeypatch.setattr(outputs, "COMMIT_SECONDS", 60.0)
    out = tmp_path / "out.csv"
    interrupted(source, out)
    assert [p.name for p in (tmp_path / "out.csv.parts").glob("part-*")] == ["part-000000.csv"]
    assert interrupted(source, out, after=2, resume=True) == [3, 4]


@pytest.mark.parametrize("torn", [b'{"chunks": [{"fir', b"\0\0\0\n", b'{"index": 9}\n'])
def test_a_torn_line_of_the_journal_is_dropped(source, tmp_path, torn):
    whole = run(source, tmp_path / "whole.csv").read_bytes()
    interrupted(source, tmp_path / "out.csv")
    with (tmp_path / "out.csv.parts" / "journal.jsonl").open("ab") as journal:
        journal.write(torn)
    interrupted(source, tmp_path / "out.csv", resume=True)
    assert run(source, tmp_path / "out.csv", resume=True).read_bytes() == whole


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("index", -1),
        ("index", 10**18),
        ("index", "0"),
        ("index", True),
        ("sha256", 5),
        ("chunks", []),
        ("chunks", {"a": 1}),
        ("chunks", "x"),
        ("first_row", "x"),
        ("rows", "x"),
        ("rows", -3),
        ("input", None),
        ("summary", [1]),
        ("summary", None),
        ("more", 1),
    ],
)
def test_a_line_of_the_journal_with_values_of_another_kind_is_made_again(
    source, tmp_path, field, value
):
    whole = run(source, tmp_path / "whole.csv").read_bytes()
    out = tmp_path / "out.csv"
    interrupted(source, out)
    journal = tmp_path / "out.csv.parts" / "journal.jsonl"
    *lines, last = journal.read_text().splitlines()
    entry = json.loads(last)
    at = entry if field in entry else entry["chunks"][0]
    at[field] = value
    journal.write_text("\n".join([*lines, json.dumps(entry), ""]))
    assert run(source, out, resume=True).read_bytes() == whole


@pytest.mark.parametrize("line", ["[" * 200_000, '{"a":' * 5000, "[]", "3", '"x"', "null", "NaN"])
def test_a_line_of_the_journal_that_is_none_is_made_again(source, tmp_path, line):
    whole = run(source, tmp_path / "whole.csv").read_bytes()
    out = tmp_path / "out.csv"
    interrupted(source, out)
    with (tmp_path / "out.csv.parts" / "journal.jsonl").open("a") as file:
        file.write(f"{line}\n")
    assert run(source, out, resume=True).read_bytes() == whole


def test_half_written_and_unlisted_files_are_dropped(source, tmp_path):
    whole = run(source, tmp_path / "whole.csv").read_bytes()
    interrupted(source, tmp_path / "out.csv")
    parts = tmp_path / "out.csv.parts"
    (parts / "part-000003.csv.tmp").write_bytes(b"half")
    (parts / "part-000004.csv").write_bytes(b"unlisted")
    (parts / "output.tmp").write_bytes(b"half")
    assert run(source, tmp_path / "out.csv", resume=True).read_bytes() == whole
    assert not parts.exists()


@pytest.mark.parametrize("damage", ["changed", "gone"])
def test_a_damaged_part_is_made_again(source, tmp_path, damage, monkeypatch):
    whole = run(source, tmp_path / "whole.csv").read_bytes()
    with monkeypatch.context() as slow:
        slow.setattr(outputs, "COMMIT_SECONDS", 60.0)
        interrupted(source, tmp_path / "out.csv")
    part = tmp_path / "out.csv.parts" / "part-000000.csv"
    if damage == "gone":
        part.unlink()
    else:
        part.write_bytes(part.read_bytes().replace(b"c", b"d", 1))
    assert interrupted(source, tmp_path / "out.csv", after=2, resume=True) == [0, 1]
    assert interrupted(source, tmp_path / "out.csv", after=2, resume=True) == [2, 3]
    assert run(source, tmp_path / "out.csv", resume=True).read_bytes() == whole


def test_parts_of_an_interrupted_run_are_not_lost_by_a_plain_start(source, tmp_path):
    out = tmp_path / "out.csv"
    interrupted(source, out)
    with pytest.raises(OutputError, match=r"6 finished rows.*--resume.*--overwrite"):
        run(source, out)
    assert interrupted(source, out, overwrite=True) == [0, 1, 2]


def test_other_settings_are_named(source, tmp_path):
    out = tmp_path / "out.csv"
    interrupted(source, out, fingerprint={"method": "llm", "weights": {"llm": "ab"}, "top": 3})
    with pytest.raises(OutputError) as caught:
        run(source, out, resume=True, fingerprint={"method": "ttc", "weights": {"llm": "ab"}})
    assert 'method ("llm" then, "ttc" now); top (3 then, not set now)' in str(caught.value)
    assert "weights" not in str(caught.value)


@pytest.mark.parametrize("change", ["item 1\n", "shorter"])
def test_an_input_that_changed_is_refused(source, tmp_path, change):
    interrupted(source, tmp_path / "out.csv")
    text = source.read_text()
    source.write_text(text.replace(change, "other\n") if change != "shorter" else text[:30])
    with pytest.raises(OutputError, match="the input changed since the run began"):
        run(source, tmp_path / "out.csv", resume=True)
    assert (tmp_path / "out.csv.parts").exists()


@pytest.fixture
def by_row(monkeypatch):
    """Hashes of rows as older journals have them; undone by calling it."""
    monkeypatch.setattr(outputs, "digest", lambda rows: digest_of(rows, ""))
    return monkeypatch.undo


def test_a_run_begun_with_older_hashes_is_gone_on_with(source, tmp_path, by_row):
    whole, out = run(source, tmp_path / "whole.csv"), tmp_path / "out.csv"
    interrupted(source, out)
    by_row()
    assert run(source, out, resume=True).read_bytes() == whole.read_bytes()


def test_an_input_that_changed_is_refused_by_older_hashes_too(source, tmp_path, by_row):
    interrupted(source, tmp_path / "out.csv")
    by_row()
    source.write_text(source.read_text().replace("item 1\n", "other\n"))
    with pytest.raises(OutputError, match="the input changed since the run began"):
        run(source, tmp_path / "out.csv", resume=True)


@pytest.mark.parametrize("cut", [False, True])
def test_a_finished_output_with_older_hashes_is_compared(source, tmp_path, by_row, cut):
    out = tmp_path / "out.csv"
    if cut:
        interrupted(source, out, lasting=True)
        by_row()  # the other half is hashed as now
    run(source, out, lasting=True, resume=True)
    by_row()
    os.utime(source, ns=(1, 1))
    with (
        open_table(source) as table,
        open_output(out, table, EXTRA, source=source, lasting=True, resume=True) as output,
    ):
        chunks = list(table.chunks(2))
        output.check_input(chunks)
        with pytest.raises(OutputError, match="changed since it was answered"):
            output.check_input([*chunks[1:], chunks[0]])


def test_an_output_that_exists_needs_overwrite(source, tmp_path):
    out = tmp_path / "out.csv"
    out.write_text("mine")
    for check in (lambda: check_output(out, source), lambda: run(source, out)):
        with pytest.raises(OutputError, match="exists; replace it with --overwrite"):
            check()
    assert out.read_text() == "mine"
    run(source, out, overwrite=True)
    assert out.read_text().startswith("id,title")


def test_a_finished_run_has_nothing_to_resume(source, tmp_path):
    out = run(source, tmp_path / "out.csv")
    before = out.stat().st_mtime_ns
    assert check_output(out, source, resume=True) == "complete"
    with open_table(source) as table, open_output(out, table, EXTRA, resume=True) as output:
        assert output.complete
        output.finish()
    assert out.stat().st_mtime_ns == before
    assert not (tmp_path / "out.csv.parts").exists()


def test_resume_without_parts_starts(source, tmp_path):
    assert check_output(tmp_path / "out.csv", resume=True) == "fresh"
    assert run(source, tmp_path / "out.csv", resume=True).exists()


def test_resuming_a_run_that_replaces_an_output_replaces_it(source, tmp_path):
    whole = run(source, tmp_path / "whole.csv").read_bytes()
    out = tmp_path / "out.csv"
    out.write_text("old")
    interrupted(source, out, after=0, overwrite=True)
    interrupted(source, out, resume=True)
    assert out.read_text() == "old"
    assert run(source, out, resume=True).read_bytes() == whole


def test_an_output_that_appeared_meanwhile_is_not_replaced(source, tmp_path):
    out = tmp_path / "out.csv"
    interrupted(source, out)
    out.write_text("mine")
    with pytest.raises(OutputError, match="is not of the run that is to be resumed"):
        run(source, out, resume=True)


def test_a_run_killed_after_its_output_took_its_place_is_complete(source, tmp_path, monkeypatch):
    out = tmp_path / "out.csv"
    with monkeypatch.context() as killed:
        killed.setattr("cascade.io.resumable.journal.Journal.remove", lambda self: None)
        run(source, out)
    assert (tmp_path / "out.csv.parts").exists()
    assert check_output(out, resume=True) == "complete"
    with open_table(source) as table, open_output(out, table, EXTRA, resume=True) as output:
        assert output.complete
    assert not (tmp_path / "out.csv.parts").exists()


def test_a_run_that_fails_before_its_first_row_leaves_nothing(source, tmp_path):
    interrupted(source, tmp_path / "out.csv", after=0)
    assert [p.name for p in tmp_path.iterdir()] == ["items.csv"]


def test_files_of_others_in_the_parts_folder_are_left(source, tmp_path):
    parts = tmp_path / "out.csv.parts"
    parts.mkdir()
    (parts / "notes.txt").write_text("mine")
    run(source, tmp_path / "out.csv")
    assert [p.name for p in parts.iterdir()] == ["notes.txt"]


def test_a_place_that_cannot_be_written_is_told_before_any_work(source, tmp_path):
    with pytest.raises(OutputError, match="does not exist; make it: mkdir -p"):
        check_output(tmp_path / "no" / "out.csv")
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(OutputError, match="is a folder; name a file in it"):
        check_output(tmp_path / "folder.csv")
    with pytest.raises(OutputError, match="is itself read by this command"):
        check_output(source, source, overwrite=True)
    os.symlink(source, tmp_path / "link.csv")
    with pytest.raises(OutputError, match="is itself read by this command"):
        check_output(tmp_path / "link.csv", source, overwrite=True)
    os.mkfifo(tmp_path / "pipe.csv")
    with pytest.raises(OutputError, match="not a regular file"):
        check_output(tmp_path / "pipe.csv", overwrite=True)
    with pytest.raises(UsageError, match="choose one"):
        check_output(tmp_path / "out.csv", resume=True, overwrite=True)
    with pytest.raises(UsageError, match="standard output cannot be resumed"):
        check_output("-", resume=True)


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root writes everywhere"
)
def test_a_folder_that_may_not_be_written_is_told(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(OutputError, match="may not be written"):
        check_output(tmp_path / "out.csv")


def test_a_second_process_on_the_same_output_is_refused(source, tmp_path):
    out = tmp_path / "out.csv"
    script = (
        "import sys; from cascade.io import *\n"
        "with open_table(sys.argv[1]) as t:\n"
        "    open_output(sys.argv[2], t, {}, overwrite=True)\n"
    )
    with open_table(source) as table, open_output(out, table, EXTRA) as output:
        rows = next(table.chunks(2))
        output.write(0, rows, [{}, {}])
        second = subprocess.run(
            [sys.executable, "-c", script, source, out], capture_output=True, text=True
        )
        assert "another process is writing out.csv" in second.stderr
        assert output.has(0, rows)


@pytest.mark.parametrize(
    ("place", "good_calls"),
    [
        ("os.fsync", 4),
        ("cascade.io.resumable.journal.Journal._append", 2),
        ("shutil.copyfileobj", 0),
    ],
)
def test_a_full_disk_costs_no_finished_part(source, tmp_path, monkeypatch, place, good_calls):
    whole = run(source, tmp_path / "whole.csv").read_bytes()
    out = tmp_path / "out.csv"
    works, calls = pkgutil.resolve_name(place), itertools.count()

    def fails(*args):
        if next(calls) >= good_calls:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return works(*args)

    with monkeypatch.context() as disk:
        disk.setattr(place, fails)
        with pytest.raises(OutputError, match=r"No space left.*--resume"):
            run(source, out)
    assert not out.exists()
    assert run(source, out, resume=True).read_bytes() == whole


KILLED = """
import sys, time
from cascade.io import open_output, open_table
from cascade.io.resumable import output as outputs
from cascade.io.resumable.output import begun_by, forget
outputs.COMMIT_SECONDS = 0.002
source, out = sys.argv[1:]
extra = {"cascade_code": str}
with open_table(source) as table, open_output(out, table, extra, resume=True) as output:
    for index, rows in enumerate(table.chunks(16)):
        if not output.has(index, rows):
            time.sleep(0.001)
            output.write(index, rows, [{"cascade_code": f"c{r.number}"} for r in rows])
    print("finishing", flush=True)
    output.finish()
"""


@pytest.mark.parametrize(("ending", "kills"), [("csv", 3), ("parquet", 1)])
def test_a_run_killed_at_any_moment_ends_in_the_same_bytes(write, tmp_path, ending, kills):
    source = write("items.csv", "id,title\n" + "".join(f"{n},item {n}\n" for n in range(640)))
    whole, out = tmp_path / f"whole.{ending}", tmp_path / f"out.{ending}"

    def start(target):
        return subprocess.Popen(
            [sys.executable, "-c", KILLED, source, target],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    process = start(whole)
    assert process.wait(30) == 0, process.stderr.read()
    journal = tmp_path / f"out.{ending}.parts" / "journal.jsonl"
    grown = []
    for attempt in range(kills + 1):
        process = start(out)
        if attempt < kills:
            reached = len(journal.read_bytes()) if journal.exists() else 0
            while process.poll() is None and (
                not journal.exists() or journal.stat().st_size < reached + 500 * (attempt + 1)
            ):
                threading.Event().wait(0.001)
        else:
            process.stdout.readline()
        process.kill()
        process.wait(30)
        if journal.exists():
            grown.append(len(journal.read_bytes()))
    assert len(grown) >= kills and grown == sorted(grown)
    process = start(out)
    assert process.wait(30) == 0, process.stderr.read()
    assert out.read_bytes() == whole.read_bytes()
    assert not journal.parent.exists()


def test_the_journal_is_lines_of_json(source, tmp_path):
    interrupted(source, tmp_path / "out.csv", fingerprint={"seed": 1})
    lines = (tmp_path / "out.csv.parts" / "journal.jsonl").read_text().splitlines()
    header, *parts = map(json.loads, lines)
    assert header["fingerprint"] == {"seed": 1}
    assert [part["chunks"][0]["first_row"] for part in parts] == [1, 3, 5]
    assert all(len(part["sha256"]) == 64 for part in parts)


def test_a_journal_that_outlives_its_output_tells_that_it_is_finished(tmp_path, monkeypatch):
    source, out = tmp_path / "in.csv", tmp_path / "out.csv"
    source.write_text("a\n1\n2\n")

    def finish(**options):
        with open_table(source) as table:
            how = {"lasting": True, "run": "night", **options}
            with open_output(out, table, {"b": str}, source=source, **how) as output:
                for index, rows in enumerate(table.chunks(1) if not output.complete else []):
                    output.write(index, rows, [{"b": "x"}] * len(rows), {"rows": 1})
                if not output.complete:
                    output.finish({"rows": 2})
                return output

    def full(path):
        raise OSError(errno.ENOSPC, "no room")

    finish()
    assert [path.name for path in Path(f"{out}.parts").iterdir() if path.suffix] == [
        "journal.jsonl"
    ]
    again = finish(resume=True)
    assert (again.complete, [*again.finished_summaries]) == (True, [{"rows": 2}])
    os.utime(source, ns=(1, 1))
    again = finish(resume=True)
    again.check_input([rows] for rows in open_table(source).rows)
    source.write_text("a\n1\n3\n")
    with pytest.raises(
        OutputError, match=r"in.csv changed since it was answered; remove .*out.csv"
    ):
        finish(resume=True).check_input([rows] for rows in open_table(source).rows)
    forget(out)
    assert not Path(f"{out}.parts").exists()
    # Where there is no room to shorten it, the long one tells the same.
    monkeypatch.setattr("cascade.io.resumable.journal.sync_file", full)
    finish(overwrite=True)
    again = finish(resume=True)
    assert (again.complete, [*again.finished_summaries]) == (True, [{"rows": 1}, {"rows": 1}])
    out.unlink()
    assert begun_by("night", out)
    monkeypatch.undo()
    assert finish(resume=True).path.read_text() == "a,b\n1,x\n3,x\n"
