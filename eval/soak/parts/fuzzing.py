"""Fuzzing of all readers: changed files, of which each is read or refused by an error of ours.

Tries are inputs; lost, wrong and invalid say whether what was read kept its rows, and its codes.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import time
from pathlib import Path

from attack import ROOT, Row, Soak

SHARE = 0.4
START_S = 15.0  # to import what a reader needs, on a busy machine


def run(soak: Soak) -> list[Row]:
    """Each reader for its share of the time, or for as long as was asked."""
    from fuzz.targets import TARGETS

    asked = soak.options.fuzz_seconds
    share = soak.seconds * soak.jobs / len(TARGETS) - START_S
    seconds = asked if asked is not None else max(share, 3.0)
    found = {}

    def one(name: str) -> Row:
        found[name] = row = _fuzz(name, seconds, soak.seed)
        return row

    # What was asked for counts more than the share of time.
    if asked is not None:
        soak.extend(asked * len(TARGETS))
    soak.tries("all", one, TARGETS)
    return [found.get(name, Row(f"reading {name}")) for name in TARGETS]


def _fuzz(name: str, seconds: float, seed: int) -> Row:
    """One reader, in a process of its own."""
    folders = os.pathsep.join([str(ROOT), str(Path(__file__).parents[1])])
    env = {**os.environ, "PYTHONPATH": folders, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "fuzz", name, "--seconds", str(seconds), "--seed", str(seed)]
    row, started = Row(f"reading {name}"), time.monotonic()
    try:
        done = subprocess.run(
            command, env=env, capture_output=True, text=True, timeout=seconds * 2 + 240
        )
    except subprocess.TimeoutExpired:
        row.faults.append("did not end: an input that no alarm could stop")
        row.hang_s = time.monotonic() - started
        return row
    if done.returncode:
        said = done.stderr.strip().splitlines() or [f"status {done.returncode}"]
        row.faults.append(f"the process ended with {done.returncode}: {said[-1][:200]}")
        return row
    found = json.loads(done.stdout.splitlines()[-1])
    row.tries, row.hang_s = found["tries"], found["longest_s"]
    row.faults += [
        f"{fault} (again: {shlex.join([name, '--again', *again])})"
        for fault, again in found["faults"].items()
    ]
    return row
