"""Many nodes, in a process of their own so that its memory can be measured."""

import json
import os
import random
import subprocess
import sys
from pathlib import Path

ROWS, SECONDS, BYTES = 200_000, 3, 200 << 20

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
i = tax.index("N0199999")
print(json.dumps([len(tax), took, peak, tax.path(i), "scipy" in sys.modules]))
"""


def test_many_shuffled_rows_load_in_time_and_memory(tmp_path):
    rows = [
        f"N{i:07},Things of number {i},{f'N{(i - 40) // 9:07}' if i >= 40 else ''}\n"
        for i in range(ROWS)
    ]
    random.Random(7).shuffle(rows)
    path = tmp_path / "many.csv"
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
    assert count == ROWS
    assert found.endswith("> Things of number 199999")
    assert took < SECONDS
    assert peak < BYTES
    assert not scipy, "scipy belongs to transition() alone"


def test_importing_the_package_imports_no_heavy_library():
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [sys.executable, "-c", "import sys, cascade.taxonomy; print(*sys.modules)"],
        env={**os.environ, "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert {"scipy", "yaml", "pyoxigraph", "defusedxml"}.isdisjoint(done.stdout.split())
