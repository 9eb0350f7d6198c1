"""`classify` over a folder of many files, each of which one worker reads, answers and writes."""

import errno
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cascade.config import CascadeConfig
from cascade.errors import unwritable
from cascade.io.resumable.output import ResumableOutput
from cascade.pipeline import pool as pools
from cascade.pipeline.runs.partitions import run as runs

WHAT = ("hat", "rake", "cheese")
ROWS = 150


def rows_of(file, n=ROWS):
    return [f"a {WHAT[(file + at) % 3]} numbered {file}-{at}" for at in range(n)]


def write(path, file, n=ROWS):
    path.parent.mkdir(parents=True, exist_ok=True)
    names = rows_of(file, n)
    if path.suffix == ".parquet":
        size = pa.array([None] * n, pa.int32())
        pq.write_table(pa.table({"name": pa.array(names, pa.string()), "size": size}), path)
    elif path.suffix == ".jsonl":
        path.write_text("".join(json.dumps({"name": name}) + "\n" for name in names))
    else:
        path.write_text("\n".join(["name", *names]) + "\n")
    return path


def bytes_below(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(Path(folder).rglob("*"))
        if path.is_file()
    }


@pytest.fixture
def classify(folder, word_pack, cascade, monkeypatch):
    """`cascade classify` by the pack, with all processes forked, so that they are patched too."""
    monkeypatch.setattr(pools, "may_fork", lambda size: True)

    def run(*args, out="out"):
        (folder / out).mkdir(exist_ok=True)
        return cascade("classify", *args, "-c", word_pack, "--json", "-o", f"{out}/")

    return run


@pytest.fixture
def hundred(folder):
    """A hundred files of three kinds, in folders; one is empty."""
    kinds = ("parquet", "parquet", "csv", "jsonl")
    for at in range(100):
        n = 0 if at == 8 else ROWS
        write(folder / "in" / f"day={at % 3}" / f"part-{at // 3}.{kinds[at % 4]}", at, n)
    return folder / "in"


def counted(end):
    counts = json.loads(end.out)
    return {key: counts[key] for key in counts.keys() - {"out", "seconds", "stages", "asked"}}


def test_workers_that_are_killed_in_the_middle_leave_the_bytes_of_a_run_unharmed(
    hundred, classify, monkeypatch
):
    monkeypatch.setattr(CascadeConfig, "batch", 64)
    unharmed = classify("in", out="expected")
    assert unharmed.status == 0, unharmed.err
    marks = hundred.parent / "marks"
    marks.mkdir()
    whole = runs.answer_partition

    def dying(partition, *args, progress, **options):
        mark = marks / Path(partition.source).name
        name = mark.name.partition(".")[0]

        def die(rows):
            progress(rows)
            if name in ("part-3", "part-20") and not mark.exists():
                mark.touch()
                os.kill(os.getpid(), signal.SIGKILL)

        return whole(partition, *args, progress=die, **options)

    monkeypatch.setattr(runs, "answer_partition", dying)
    done = classify("in", "--workers", 2)
    assert done.status == 0, done.err
    assert len(list(marks.iterdir())) >= 2
    assert bytes_below("out") == bytes_below("expected")
    assert len(bytes_below("out")) == 100
    assert counted(done) == counted(unharmed)
    assert counted(done)["rows"] == 99 * ROWS


def test_a_file_that_kills_its_workers_is_named_and_the_others_are_answered(
    hundred, classify, monkeypatch
):
    whole = runs.answer_partition

    def dying(partition, *args, **options):
        if partition.source.endswith("day=1/part-5.parquet"):
            os.kill(os.getpid(), signal.SIGKILL)
        return whole(partition, *args, **options)

    monkeypatch.setattr(runs, "answer_partition", dying)
    done = classify("in", "--workers", 2)
    assert done.status == 3, done.err
    assert list(json.loads(done.out)["failed"]) == ["in/day=1/part-5.parquet"]
    assert f"a worker died {pools.DEATHS + 1} times over this file" in done.err
    assert len(bytes_below("out")) == 99
    monkeypatch.setattr(runs, "answer_partition", whole)
    mended = classify("in", "--workers", 2, "--resume")
    assert mended.status == 0, mended.err
    assert len(bytes_below("out")) == 100


def test_a_killed_run_goes_on_and_answers_nothing_twice(hundred, folder, word_pack, classify):
    expected = classify("in", out="expected")
    (folder / "out").mkdir()
    command = ["classify", "in", "-c", str(word_pack), "-o", "out/", "--workers", "2"]
    with subprocess.Popen(
        [sys.executable, "-m", "cascade", *command], stderr=subprocess.DEVNULL
    ) as process:
        deadline = time.monotonic() + 300
        while len(list(Path("out").glob("*/part*[!s]"))) < 20:
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.02)
        process.kill()
    finished = {
        path: path.stat().st_ino
        for path in Path("out").glob("*/*")
        if path.is_file() and Path(f"{path}.parts", "journal.jsonl").exists()
    }
    assert 20 <= len(finished) < 100
    write(folder / "in" / "day=9" / "new.csv", 500)
    done = classify("in", "--workers", 2, "--resume")
    assert done.status == 0, done.err
    assert f"{len(finished)} of 101 files were answered before" in done.err
    assert {path: path.stat().st_ino for path in finished} == finished
    found = bytes_below("out")
    assert len(found.pop("day=9/new.csv").splitlines()) == ROWS + 1
    assert found == bytes_below("expected")
    assert counted(done)["rows"] == counted(expected)["rows"] + ROWS


def interrupt(monkeypatch, after):
    """End the next run by Ctrl-C once so many files are answered."""
    take = runs.Outcome.take

    def stop(self, partition, done):
        take(self, partition, done)
        if len(self.written) >= after:
            raise KeyboardInterrupt

    monkeypatch.setattr(runs.Outcome, "take", stop)
    return lambda: monkeypatch.setattr(runs.Outcome, "take", take)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_resumed_run_refuses_what_has_changed(workers, folder, classify, monkeypatch):
    for at in range(6):
        write(folder / "in" / f"{at}.csv", at)
    go_on = interrupt(monkeypatch, after=3)
    assert classify("in", "--workers", workers).status == 130
    go_on()
    done = [path for path in Path("out").iterdir() if path.is_file()]
    assert 3 <= len(done) < 6
    other = classify("in", "--workers", workers, "--resume", "--top", 2)
    assert (other.status, "the interrupted run had other settings: " in other.err) == (2, True)
    same, changed = done[0].name, done[1].name
    os.utime(folder / "in" / same, ns=(1, 1))  # as where a file was copied
    write(folder / "in" / changed, 77)
    found = classify("in", "--workers", workers, "--resume")
    assert found.status == 3, found.err
    [(source, why)] = json.loads(found.out)["failed"].items()
    assert source == f"in/{changed}"
    assert f"in/{changed} changed since it was answered; remove" in why
    done[1].unlink()
    assert classify("in", "--workers", workers, "--resume").status == 0
    assert f"{rows_of(77)[0]}" in done[1].read_text()
    assert sorted(bytes_below("out")) == [f"{at}.csv" for at in range(6)]


@pytest.mark.parametrize("workers", [1, 2])
def test_a_killed_run_that_replaces_outputs_takes_none_of_the_old_for_its_own(
    workers, folder, classify, monkeypatch
):
    for at in range(5):
        write(folder / "in" / f"{at}.csv", at)
    assert classify("in").status == 0
    form = ("in", "--workers", workers, "--top", 1)
    go_on = interrupt(monkeypatch, after=2)
    assert classify(*form, "--overwrite").status == 130
    go_on()
    assert classify(*form, "--resume").status == 0
    assert classify(*form, out="expected").status == 0
    assert bytes_below("out") == bytes_below("expected")


@pytest.mark.parametrize("workers", [1, 2])
def test_files_that_cannot_be_read_are_named_and_the_others_are_answered(workers, folder, classify):
    for at in range(4):
        write(folder / "in" / f"{at}.parquet", at)
    whole = (folder / "in" / "1.parquet").read_bytes()
    (folder / "in" / "1.parquet").write_bytes(whole[:-200])
    pq.write_table(pa.table({"title": ["a hat"]}), folder / "in" / "3.parquet")
    pq.write_table(pa.table({"name": ["a hat"], "weight": [1.5]}), folder / "in" / "4.parquet")
    (folder / "in" / "5.csv").write_text("name,cascade_code\nhat,x\n")
    (folder / "in" / "6.csv").write_text("")
    done = classify("in", "--workers", workers)
    assert done.status == 3, done.err
    assert [Path(name).name for name in json.loads(done.out)["failed"]] == [
        *("1.parquet", "3.parquet", "5.csv", "6.csv")
    ]
    for told in ("may be cut short", "'name'", "looks like the output", "the file is empty"):
        assert told in done.err
    assert "4 of 7 files have no output" in done.err
    assert sorted(bytes_below("out")) == ["0.parquet", "2.parquet", "4.parquet"]
    (folder / "in" / "1.parquet").write_bytes(whole)
    again = classify("in", "--workers", workers, "--resume")
    assert again.status == 3
    assert sorted(bytes_below("out")) == [f"{at}.parquet" for at in (0, 1, 2, 4)]
    nothing_new = classify("in", "--workers", workers, "--resume")
    assert nothing_new.status == 3
    assert len(json.loads(nothing_new.out)["failed"]) == 3


def test_a_folder_of_which_no_file_can_be_read_is_refused_before_models_are_loaded(
    folder, classify, monkeypatch
):
    for at in range(4):
        write(folder / "in" / f"{at}.csv", at)
    monkeypatch.setattr("cascade.cli.classify_run.load_classifier", None)
    done = classify("in", "--workers", 2, "--text", "titel")
    assert (done.status, "column 'titel' is not in in/0.csv" in done.err) == (2, True)
    assert bytes_below("out") == {}


def test_a_full_disk_ends_the_run_and_resume_completes_it(folder, classify, monkeypatch):
    for at in range(8):
        write(folder / "in" / f"{at}.csv", at)
    write_bytes = ResumableOutput.write_bytes

    def full(self, index, rows, data, *args, **options):
        if self.path.name == "5.csv" and index:
            error = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            raise unwritable(self.path, error, "begin again with the same command") from error
        write_bytes(self, index, rows, data, *args, **options)

    monkeypatch.setattr(CascadeConfig, "batch", 64)
    monkeypatch.setattr(ResumableOutput, "write_bytes", full)
    done = classify("in", "--workers", 2)
    assert (done.status, "make room on the disk, and go on with --resume" in done.err) == (2, True)
    monkeypatch.setattr(ResumableOutput, "write_bytes", write_bytes)
    assert classify("in", "--workers", 2, "--resume").status == 0
    assert classify("in", out="expected").status == 0
    assert bytes_below("out") == bytes_below("expected")


def test_outputs_keep_their_paths_and_may_lie_in_the_folder_of_inputs(folder, classify):
    for at in range(4):
        write(folder / "in" / f"day={at}" / "part.csv", at)
    assert classify("in", "--workers", 2, out="in/answered").status == 0
    names = [f"day={at}/part.csv" for at in range(4)]
    assert list(bytes_below("in/answered")) == names
    again = classify("in", "--workers", 2, "--resume", out="in/answered")
    assert (again.status, "there is nothing to resume" in again.err) == (0, True)
    assert classify("in/day=*/*.csv", "--workers", 2).status == 0
    assert bytes_below("out") == bytes_below("in/answered")
    assert classify("in/day=2*", out="one").status == 0
    assert list(bytes_below("one")) == ["day=2/part.csv"]
    both = classify("in/day=1/part.csv", "in/day=2/part.csv", out="other")
    assert (both.status, "paths below it are kept" in both.err) == (2, True)


def test_an_output_never_replaces_another_input(folder, classify):
    write(folder / "a" / "sub" / "x.csv", 1)
    precious = write(folder / "b" / "sub" / "x.csv", 2)
    write(folder / "in" / "1.csv", 3)
    linked = write(folder / "in" / "2.csv", 4)
    (folder / "out").mkdir()
    (folder / "out" / "1.csv").symlink_to(linked)
    before = precious.read_bytes(), linked.read_bytes()
    for inputs, out in ((("a", "b/sub"), "b"), (("in",), "out")):
        done = classify(*inputs, "--overwrite", out=out)
        assert (done.status, "which this command reads too" in done.err) == (2, True), done.err
    assert (precious.read_bytes(), linked.read_bytes()) == before


def test_what_is_passed_over_in_a_folder_is_told(folder, classify):
    write(folder / "in" / "a.csv", 1)
    (folder / "in" / "b.csv.gz").write_bytes(b"")
    (folder / "in" / "c.csv").symlink_to(folder / "gone.csv")
    (folder / "more").mkdir()
    (folder / "in" / "days").symlink_to(folder / "more")
    done = classify("in")
    assert done.status == 3
    told = " ".join(done.err.split())
    assert "passed over, as no tables or links to folders: in/b.csv.gz, in/days/ (2 in all)" in told
    assert list(json.loads(done.out)["failed"]) == ["in/c.csv"]


def test_rows_are_shared_out_where_files_are_few_or_of_very_different_sizes():
    assert runs.shares_well([10] * 8, 2)
    assert runs.shares_well([10, 9, 1], 2)
    assert not runs.shares_well([10], 2)
    assert not runs.shares_well([90, 1, 1, 1, 1, 1], 2)
