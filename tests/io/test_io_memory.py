"""Memory stays flat, and importing stays light."""

import subprocess
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

COPY = """
import resource, sys
from pathlib import Path
from cascade.io import open_output, open_table
source, out = sys.argv[1:]
with open_table(source) as table, open_output(out, table, {"cascade_code": str}) as output:
    for index, rows in enumerate(table.chunks(256)):
        output.write(index, rows, [{"cascade_code": "1.2"}] * len(rows))
    output.finish()
status = Path("/proc/self/status")
if status.exists():  # ru_maxrss of a child begins with what its parent had
    print(status.read_text().split("VmHWM:")[1].split()[0])
else:
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
assert "pandas" not in sys.modules  # which pyarrow would import, in 60 MiB
"""


def peak(source, out):
    ran = subprocess.run([sys.executable, "-c", COPY, source, out], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    return int(ran.stdout.split()[0])


@pytest.mark.parametrize(("kind", "growth"), [("csv", 1.1), ("jsonl", 1.1), ("parquet", 1.2)])
def test_peak_memory_does_not_grow_with_the_rows(tmp_path, kind, growth):
    peaks = []
    for rows in (20_000, 120_000):
        source = tmp_path / f"{rows}.{kind}"
        if kind == "parquet":
            ids = [str(n) for n in range(rows)]
            titles = [f"a hat of straw number {n}" for n in range(rows)]
            pq.write_table(pa.table({"id": ids, "title": titles}), source)
            peaks.append(peak(source, tmp_path / f"out{rows}.{kind}"))
            continue
        with source.open("w") as file:
            if kind == "csv":
                file.write("id,title,brand\n")
                file.writelines(f"{n},a hat of straw number {n},Acme café\n" for n in range(rows))
            else:
                file.writelines(
                    f'{{"id": {n}, "title": "a hat of straw {n}"}}\n' for n in range(rows)
                )
        peaks.append(peak(source, tmp_path / f"out{rows}.{kind}"))
    assert peaks[1] < peaks[0] * growth, peaks


def test_importing_brings_no_heavy_package():
    script = (
        "import sys, cascade.io; print(*(set(sys.modules) & {'pyarrow', 'openpyxl', 'pandas'}))"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == ""
