"""A million nodes, in a process of its own so that its memory can be told."""

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

SECONDS, GIB = 15, 1

MEASURE = """
import json, resource, sys, time
started = time.process_time()
from cascade.taxonomy import Taxonomy
tax = Taxonomy.load(sys.argv[1])
took = time.process_time() - started
try:
    # ru_maxrss of a child begins with what its parent had; VmHWM is its own.
    status = open("/proc/self/status").read()
    peak = int(status.split("VmHWM:")[1].split()[0]) * 1024
except OSError:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
i = tax.index("N0999999")
print(json.dumps([len(tax), took, peak, tax.path(i), "scipy" in sys.modules]))
"""


def test_a_million_shuffled_rows_load_in_time_and_memory(tmp_path):
    rows = [
        f"N{i:07},Things of number {i},{f'N{(i - 40) // 9:07}' if i >= 40 else ''}\n"
        for i in range(1_000_000)
    ]
    random.Random(7).shuffle(rows)
    path = tmp_path / "million.csv"
    path.write_text("code,name,parent\n" + "".join(rows))
    del rows
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, str(path)],
        env={**os.environ, "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        check=True,
    )
    count, took, peak, found, scipy = json.loads(done.stdout)
    assert count == 1_000_000
    assert found.endswith("> Things of number 999999")
    assert took < SECONDS
    assert peak < GIB * 2**30
    assert not scipy, "scipy belongs to transition() alone"


@pytest.mark.parametrize("heavy", ["scipy", "yaml", "rdflib", "defusedxml"])
def test_importing_the_package_does_not_import(heavy):
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [sys.executable, "-c", "import sys, cascade.taxonomy; print(*sys.modules)"],
        env={**os.environ, "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert heavy not in done.stdout.split()
