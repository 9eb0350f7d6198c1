"""What `--workers N` gains on one machine, without Ray: a pack over a file, in N processes.

Each run is the command itself, in turns. Wall seconds tell the gain where the machine does nothing
else; processor seconds, all processes together, tell what the others cost (start, loading, rows on
their way). The outputs must be the same in every byte.

    python eval/bench/workers.py PACK FILE --text name --workers 1 2
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median


def run(pack: str, file: str, text: str, workers: int, out: Path) -> tuple[float, float]:
    """Wall and processor seconds of one run."""
    command = [sys.executable, "-m", "cascade", "classify", file, "-c", pack, "--text", text]
    command += ["--workers", str(workers), "-o", str(out), "--overwrite"]
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    wall, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    """Run in turns and print a row for each number of workers."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("pack")
    parser.add_argument("file")
    parser.add_argument("--text", default="name")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--repeats", type=int, default=5)
    args = parser.parse_args()
    found: dict[int, list[tuple[float, float]]] = {n: [] for n in args.workers}
    with tempfile.TemporaryDirectory() as folder:
        outs = {n: Path(folder) / f"{n}.csv" for n in args.workers}
        for _ in range(args.repeats):
            for n in args.workers:
                found[n].append(run(args.pack, args.file, args.text, n, outs[n]))
        same = len({out.read_bytes() for out in outs.values()}) == 1
    one = median(wall for wall, _ in found[args.workers[0]])
    print(f"load average {os.getloadavg()[0]:.1f}; same bytes: {same}")
    print("| workers | wall s | processor s, all | gain in wall time |\n| --- | --- | --- | --- |")
    for n, runs in found.items():
        wall, cpu = median(w for w, _ in runs), median(c for _, c in runs)
        print(f"| {n} | {wall:.1f} | {cpu:.1f} | {one / wall:.2f} |")


if __name__ == "__main__":
    main()
