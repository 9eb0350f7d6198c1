"""Real processes that are told to stop, or are killed."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(os.name == "nt", reason="POSIX signals")

# Sends itself a signal, or several, when the module that is named first is about to be imported.
AT_IMPORT = """
import os, sys

module, numbers = sys.argv[1:3]
sys.argv[:3] = ["cascade"]

class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == module and self in sys.meta_path:
            sys.meta_path.remove(self)
            for number in numbers.split(","):
                os.kill(os.getpid(), int(number))

sys.meta_path.insert(0, Finder())
from cascade.cli import main
main()
"""
CLASSIFY = ("classify", "items.csv", "-t", "tax.csv", "--text", "name", "--method", "retrieval")


def stopped_at(module, signals, folder, *args):
    return subprocess.run(
        [sys.executable, "-c", AT_IMPORT, module, ",".join(str(int(s)) for s in signals), *args],
        cwd=folder,
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize(
    ("signals", "word"),
    [
        ((signal.SIGINT,), "interrupted"),
        ((signal.SIGTERM,), "stopped"),
        ((signal.SIGHUP,), "stopped"),
        ((signal.SIGINT, signal.SIGINT, signal.SIGTERM), "interrupted"),
    ],
)
def test_a_signal_during_imports_ends_quietly(folder, signals, word):
    done = stopped_at("pydantic", signals, folder, *CLASSIFY, "-o", "out.csv")
    assert done.returncode == 128 + signals[0]
    assert done.stderr == f"{word}; begin again with the same command\n"
    assert {path.name for path in folder.iterdir()} == {"items.csv", "tax.csv"}


@pytest.mark.weights
def test_a_signal_while_models_load_ends_quietly_and_leaves_nothing(folder):
    done = stopped_at("torch", [signal.SIGTERM], folder, *CLASSIFY, "-o", "out.csv")
    assert done.returncode == 143
    assert re.fullmatch(r"stopped; finished rows are kept, go on with --resume\n", done.stderr)
    assert {path.name for path in folder.iterdir()} == {"items.csv", "tax.csv"}


def test_a_signal_that_is_ignored_stays_so(folder):
    code = AT_IMPORT.replace("sys.meta_path.insert", "import signal\nsys.meta_path.insert", 1)
    code = code.replace("\nsys.meta", "\nsignal.signal(signal.SIGHUP, signal.SIG_IGN)\nsys.meta", 1)
    args = ("typer", str(int(signal.SIGHUP)), "taxonomy", "show", "tax.csv")
    done = subprocess.run([sys.executable, "-c", code, *args], cwd=folder, capture_output=True)
    assert (done.returncode, done.stderr) == (0, b"")


def test_a_signal_within_a_callback_is_not_lost(folder):
    code = f"""
import os, signal, sys, time
from cascade.cli.stopping import stoppable

class Late:
    def __del__(self):
        os.kill(os.getpid(), {int(signal.SIGTERM)})
        time.sleep(0.01)

with stoppable():
    late = Late()
    del late
    time.sleep(60)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (143, "stopped; begin again with the same command\n")


@pytest.mark.parametrize("args", [["--help"], ["taxonomy", "show", "store"]])
def test_a_reader_that_goes_away_is_no_error(args):
    reader, writer = os.pipe()
    os.close(reader)
    run = [sys.executable, "-m", "cascade", *args]
    done = subprocess.run(run, stdout=writer, stderr=subprocess.PIPE)
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, b"")


def descendants(pid):
    """The processes below one, by what /proc says."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if fields[0] != "Z" and int(fields[1]) == pid:
            child = int(path.parent.name)
            found += [child, *descendants(child)]
    return found


def until(true, seconds=60):
    """Wait until something is true, and whether it is."""
    ends = time.monotonic() + seconds
    while not (found := true()) and time.monotonic() < ends:
        time.sleep(0.02)
    return found


def is_there(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


WORKERS = """
import numpy as np
from scipy.sparse import random
from cascade.training import linear_heads

linear_heads.FEW = 0
rng = np.random.default_rng(0)
data = random(2000, 200, 0.1, "csr", rng=rng)
problems = [(node, None, rng.random(2000) < 0.5) for node in range(5000)]
for number, _ in enumerate(linear_heads._solutions(data, problems, 1.0, 0)):
    if number == 0:
        print("working", flush=True)
"""
SCRIPT = """
import subprocess, time
from cascade.processes import script_command

print("working", flush=True)
subprocess.run(script_command("sleeper.py", ["30"]))
"""


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
@pytest.mark.parametrize(("code", "least"), [(WORKERS, 2), (SCRIPT, 1)], ids=["fit", "suite"])
def test_what_a_killed_process_began_ends_with_it(folder, code, least):
    (folder / "sleeper.py").write_text("import sys, time\ntime.sleep(float(sys.argv[1]))\n")
    run = subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=os.environ | {"LOKY_MAX_CPU_COUNT": "2"},
    )
    assert run.stdout.readline() == b"working\n"
    assert until(lambda: len(descendants(run.pid)) >= least)
    begun = descendants(run.pid)
    run.kill()
    run.wait()
    run.stdout.close()
    assert until(lambda: not any(map(is_there, begun)), 20), "some are left"
