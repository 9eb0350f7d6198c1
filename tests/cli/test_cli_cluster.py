"""`classify --engine ray`, on a real cluster of two workers on this machine."""

import csv
import json
import os
import signal
import subprocess
import sys
import threading
import time
from importlib.util import find_spec
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cascade.config import BATCH

pytestmark = [
    pytest.mark.weights,
    pytest.mark.ray,
    pytest.mark.skipif(find_spec("ray") is None, reason="needs the extra ray"),
]

COMMAND = Path(sys.executable).with_name("cascade")
NOUNS = ("straw hat", "leather boot", "leaf rake", "gouda cheese", "oat milk")
RAY = ("--engine", "ray", "--workers", 2)


@pytest.fixture(scope="module")
def cluster():
    """Two CPUs of Ray for all runs of this module, however many there are."""
    from cascade.pipeline.runs import cluster as clusters

    def start(ray, address, folder):
        ray.init("local", num_cpus=2, include_dashboard=False, log_to_driver=False)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(clusters, "_start", start)
        patch.setenv("OMP_NUM_THREADS", "1")  # as the encoder of this process
        patch.setenv("RAY_worker_niceness", "0")  # other tests run beside these
        with clusters.connected(clusters.Cluster(workers=2)):
            yield


@pytest.fixture
def both(folder, retrieve, cluster):
    """Runs a command in this process and on the cluster: the two ends, and where each wrote."""

    def run(*args, out):
        ends = []
        for name, more in (("local", ()), ("ray", RAY)):
            (folder / name).mkdir()
            ends.append(retrieve(*args, "-o", f"{name}/{out}", *more))
        return *ends, folder / "local" / out, folder / "ray" / out

    return run


def rows(n):
    """Rows of several batches, each its own text; some are empty."""
    for i in range(n):
        text = f"{NOUNS[i % 5]} number {i} " + "in its box " * (i % 7)
        yield {"id": i, "name": "" if i % 50 == 49 else text, "label": "Clothing > Hats"}


def write_csv(path, n):
    with path.open("w", newline="") as file:
        out = csv.DictWriter(file, ["id", "name", "label"])
        out.writeheader()
        out.writerows(rows(n))
    return path


def counted(end):
    """The summary of a run but for the time that it took."""
    counts = json.loads(end.out)
    return {key: counts[key] for key in counts.keys() - {"out", "seconds", "stages", "asked"}}


def descendants(root):
    """Processes below one, with their command lines."""
    listed = subprocess.run(
        ["ps", "-A", "-o", "pid=,ppid=,args="], capture_output=True, text=True, check=True
    )
    table = [line.split(None, 2) for line in listed.stdout.splitlines()]
    found, grown = {root: ""}, True
    while grown:
        new = {int(p[0]): p[-1] for p in table if int(p[1]) in found and int(p[0]) not in found}
        found |= new
        grown = bool(new)
    return found


def running():
    """All processes that there are."""
    listed = subprocess.run(["ps", "-A", "-o", "pid=,stat="], capture_output=True, text=True)
    return {int(pid) for pid, stat in map(str.split, listed.stdout.splitlines()) if stat[0] != "Z"}


def wait_for(what, seconds=300):
    deadline = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)
    return found


def parts_in(journal):
    return journal.exists() and journal.read_bytes().count(b"\n") >= 2  # its head and a part


def test_a_folder_of_tables_comes_out_file_by_file(both, folder):
    inputs = folder / "in"
    inputs.mkdir()
    write_csv(inputs / "a.csv", BATCH + 5)
    lines = [json.dumps(row) for row in rows(BATCH * 2)]
    (inputs / "b.jsonl").write_text("\n".join([*lines, "no object"]) + "\n")
    pq.write_table(pa.Table.from_pylist(list(rows(BATCH * 2 + 1))), inputs / "c.parquet")
    (inputs / "d.csv").write_text("id,name\n")
    (inputs / "_SUCCESS").touch()
    local, ray, expected, found = both("in", "--text", "name", "--json", out="")
    assert (local.status, ray.status) == (3, 3), ray.err
    names = ["a.csv", "b.jsonl", "c.parquet", "d.csv"]
    assert sorted(p.name for p in found.iterdir()) == names
    for name in names:
        assert (found / name).read_bytes() == (expected / name).read_bytes()
    assert counted(ray) == counted(local)


def test_rows_on_standard_output_are_in_order(retrieve, folder, cluster):
    write_csv(folder / "in.csv", BATCH * 4)
    ray = retrieve("in.csv", "--text", "name", "--limit", BATCH * 3 + 1, *RAY)
    ids = [row["id"] for row in csv.DictReader(ray.out.splitlines())]
    assert ids == [str(i) for i in range(BATCH * 3 + 1)]


def test_a_file_comes_out_in_the_bytes_of_a_local_run_though_a_worker_is_killed(both, folder):
    write_csv(folder / "in.csv", BATCH * 10)
    with (folder / "in.csv").open("ab") as file:
        file.write(b"x,rake \xff of steel,\ny,straw hat,,surplus\n")
    killed = []

    def kill():
        wait_for(lambda: parts_in(folder / "ray" / "out.csv.parts" / "journal.jsonl"))
        found = descendants(os.getpid()).items()
        worker = next(pid for pid, line in found if line.startswith("ray::MapWorker"))
        os.kill(worker, signal.SIGKILL)
        killed.append(worker)

    killer = threading.Thread(target=kill, daemon=True)
    killer.start()
    form = ("--text", "name", "--label", "label", "--top", 2, "--explain", "--json")
    local, ray, expected, found = both("in.csv", *form, out="out.csv")
    assert killed, "the run ended before a worker could be killed"
    assert (local.status, ray.status) == (3, 3), ray.err  # rows in error
    assert found.read_bytes() == expected.read_bytes()
    assert counted(ray) == counted(local)
    assert not list(found.parent.glob("*.parts"))


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_stopped_run_leaves_no_process_and_goes_on_to_the_same_bytes(
    how, folder, retrieve, cluster
):
    write_csv(folder / "in.csv", BATCH * 12)
    args = ("in.csv", "-t", "tax.csv", "--method", "retrieval", "--text", "name")
    with (folder / "said.txt").open("w") as said:
        run = subprocess.Popen(
            [COMMAND, "classify", *args, "-o", "out.csv", "--engine", "ray", "--workers", "1"],
            cwd=folder,
            stderr=said,
            start_new_session=True,
        )
        wait_for(lambda: run.poll() is not None or parts_in(folder / "out.csv.parts/journal.jsonl"))
        below = descendants(run.pid)
        if how == signal.SIGINT:
            os.killpg(run.pid, how)  # as a terminal does
        else:
            run.send_signal(how)
        assert run.wait() == (130 if how == signal.SIGINT else -how)
    assert any("raylet" in line for line in below.values())
    if how == signal.SIGINT:
        assert "--resume" in (folder / "said.txt").read_text()
    if how == signal.SIGKILL:  # two agents of Ray, which are idle, find out later than the others
        below = {pid: line for pid, line in below.items() if "agent" not in line.lower()}
    wait_for(lambda: not below.keys() & running(), 60)
    assert not (folder / "out.csv").exists()

    whole = retrieve("in.csv", "--text", "name", "-o", "whole.csv")
    assert whole.status == 3
    engine = RAY if how == signal.SIGKILL else ()
    done = retrieve("in.csv", "--text", "name", "-o", "out.csv", "--resume", *engine)
    assert done.status == 3, done.err
    assert "going on after" in done.err
    assert (folder / "out.csv").read_bytes() == (folder / "whole.csv").read_bytes()
    idle = retrieve("in.csv", "--text", "name", "-o", "out.csv", "--resume", *RAY)
    assert (idle.status, "nothing to resume" in idle.err) == (0, True)


def test_what_stops_a_local_run_stops_one_on_a_cluster_in_the_same_words(both, folder, monkeypatch):
    monkeypatch.undo()  # the encoder that is loaded already hides that another one is missing
    monkeypatch.chdir(folder)
    local, ray, _, found = both(
        "items.csv", "--text", "name", "--set", "retrieval.encoder=no/such", out="out.csv"
    )
    assert (local.status, ray.status) == (2, 2)
    assert local.err.strip() and ray.err.endswith(local.err)  # work that takes long is told
    assert list(found.parent.iterdir()) == []


def test_workers_take_whole_files_and_one_that_is_killed_changes_no_byte(both, folder, monkeypatch):
    for at in range(12):
        below = folder / "in" / f"day={at % 2}"
        below.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.Table.from_pylist(list(rows(BATCH + at % 2))), below / f"{at}.parquet")
    killed = []

    def kill():
        wait_for(lambda: list((folder / "ray").rglob("*.parquet")))
        found = descendants(os.getpid()).items()
        worker = next(pid for pid, line in found if line.startswith("ray::_FileWorker.answer"))
        os.kill(worker, signal.SIGKILL)
        killed.append(worker)

    killer = threading.Thread(target=kill, daemon=True)
    killer.start()
    local, ray, expected, found = both("in", "--text", "name", "--json", out="")
    assert killed, "the run ended before a worker could be killed"
    assert (local.status, ray.status) == (3, 3), ray.err  # rows in error
    names = sorted(path.relative_to(expected) for path in expected.rglob("*.*"))
    assert names == sorted(path.relative_to(found) for path in found.rglob("*.*"))
    assert len(names) == 12
    for name in names:
        assert (found / name).read_bytes() == (expected / name).read_bytes()
    assert counted(ray) == counted(local)


def test_files_that_another_machine_does_not_see_are_read_where_the_run_began(
    retrieve, folder, cluster, monkeypatch
):
    from cascade.pipeline.runs.partitions import on_ray

    (folder / "in").mkdir()
    for at in range(2):
        write_csv(folder / "in" / f"{at}.csv", BATCH)
    for name in ("expected", "seen", "unseen"):
        (folder / name).mkdir()
    there = (*RAY, "--ray-address", "auto")
    seen = retrieve("in", "--text", "name", "-o", "seen/", *there)
    looked = []
    monkeypatch.setattr(on_ray, "_sees", lambda *given: False)
    monkeypatch.setattr(on_ray, "_answered", lambda *given: looked.append(given))
    unseen = retrieve("in", "--text", "name", "-o", "unseen/", *there)
    local = retrieve("in", "--text", "name", "-o", "expected/")
    assert (seen.status, unseen.status, local.status, looked) == (3, 3, 3, []), unseen.err
    for name in ("0.csv", "1.csv"):
        expected = (folder / "expected" / name).read_bytes()
        assert (folder / "seen" / name).read_bytes() == expected
        assert (folder / "unseen" / name).read_bytes() == expected
