"""What `--workers N` gains on one machine, without Ray: a pack over a file, in N processes.

Each run is the command itself, in turns, over all rows and over a few; the difference is what rows
cost beyond the start. `default` is one process with as many threads as its libraries take, `1` one
process with one thread, and workers have one thread each. Wall seconds tell the gain where the
machine does nothing else. Processor seconds, of the process that reads and writes and of all
workers, tell on any machine what gain is possible: `start + (rest of all) / cores`, and no less
than the rest of the first process. Memory is what all processes hold together (PSS: pages that are
shared count once). The outputs must be the same in every byte, where threads are as many.

    python eval/bench/workers.py PACK FILE --text name --workers 2 --out eval/results/workers.json
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from recording import command

COMMAND = """
import os, resource, sys
from cascade.cli import main
try:
    main()
finally:
    kinds = resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN
    used = [resource.getrusage(kind) for kind in kinds]
    with open(os.environ["USED"], "w") as file:
        file.write(" ".join(str(u.ru_utime + u.ru_stime) for u in used))
"""
SAMPLE = 0.3  # seconds between two looks at memory


def tree(root: int) -> list[int]:
    """A process and all below it."""
    found, at = [root], 0
    while at < len(found):
        try:
            for task in Path(f"/proc/{found[at]}/task").iterdir():
                found += map(int, (task / "children").read_text().split())
        except OSError:
            pass
        at += 1
    return found


def pss(root: int) -> float:
    """MiB that a process and those below it hold, pages that several share counted once."""
    total = 0
    for process in tree(root):
        try:
            lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        total += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total / 1024


def run(
    pack: str, file: str, text: Sequence[str], way: str, limit: int | None, out: Path
) -> dict[str, float]:
    """One run: seconds on the wall and of processors, and the most memory."""
    run_it = [sys.executable, "-c", COMMAND, "classify", file, "-c", pack]
    run_it += [word for column in text for word in ("--text", column)]
    run_it += ["-o", str(out), "--overwrite"]
    run_it += ["--limit", str(limit)] if limit else []
    environment = {k: v for k, v in os.environ.items() if not k.endswith("_NUM_THREADS")}
    if way != "default":
        run_it += ["--workers", way]
        environment["OMP_NUM_THREADS"] = "1"
    used = out.with_suffix(".used")
    started = time.perf_counter()
    with subprocess.Popen(
        run_it,
        env=environment | {"USED": str(used)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        most = [0.0]

        def watch() -> None:
            while process.poll() is None:
                most[0] = max(most[0], pss(process.pid))
                time.sleep(SAMPLE)

        watcher = threading.Thread(target=watch)
        watcher.start()
        status = process.wait()
        wall = time.perf_counter() - started
        watcher.join()
    if status not in (0, 3):
        raise SystemExit(f"the command ended with {status}: {' '.join(run_it[3:])}")
    first, others = map(float, used.read_text().split())
    return {"wall": wall, "first": first, "workers": others, "mib": most[0]}


def row(way: str, few: dict[str, float], all_: dict[str, float], rows: int) -> dict[str, object]:
    """The figures of a way, and the wall seconds that a free machine would need at the least."""
    cores = 1 if way in ("1", "default") else int(way)
    start = few["first"]
    rest_first = max(0.0, all_["first"] - few["first"])
    rest = rest_first + all_["workers"]
    return {
        "way": way,
        "wall_s": round(all_["wall"], 1),
        "wall_s_few": round(few["wall"], 1),
        "cpu_s_first": round(all_["first"], 2),
        "cpu_s_first_few": round(few["first"], 2),
        "cpu_s_workers": round(all_["workers"], 2),
        "us_per_row": round(1e6 * (rest - few["workers"]) / rows, 1),
        "us_per_row_first": round(1e6 * rest_first / rows, 1),
        "least_wall_s": round(start + max(rest / cores, rest_first), 1),
        "mib_pss": round(all_["mib"]),
    }


def main() -> None:
    """Run in turns and print a row for each way."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("pack")
    parser.add_argument("file")
    parser.add_argument("--text", action="append", default=None)
    parser.add_argument("--workers", type=int, nargs="+", default=[2])
    parser.add_argument("--few", type=int, default=1000, help="rows of the short run")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    ways = ["1", "default", *map(str, args.workers)]
    found: dict[tuple[str, int | None], list[dict[str, float]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        outs = {way: Path(folder) / f"{way}.csv" for way in ways}
        for _ in range(args.repeats):
            for way in ways:
                for limit in (args.few, None):  # all rows last: their output is compared
                    one = run(args.pack, args.file, args.text or ["name"], way, limit, outs[way])
                    found.setdefault((way, limit), []).append(one)
        same = len({outs[way].read_bytes() for way in ways if way != "default"}) == 1
        with outs["1"].open(newline="") as written:
            rows = sum(1 for _ in csv.reader(written)) - 1
        bytes_out = outs["1"].stat().st_size / rows
    middle = {
        key: {name: median(one[name] for one in runs) for name in runs[0]}
        for key, runs in found.items()
    }
    more = rows - args.few
    table = [row(way, middle[way, args.few], middle[way, None], more) for way in ways]
    for each in table:
        each["gain"] = round(middle["1", None]["wall"] / middle[str(each["way"]), None]["wall"], 2)
        each["gain_possible"] = round(
            float(str(table[0]["least_wall_s"])) / float(str(each["least_wall_s"])), 2
        )
    told = {
        "command": command(),
        "rows": rows,
        "bytes_in_per_row": round(os.stat(args.file).st_size / rows, 1),
        "bytes_out_per_row": round(bytes_out, 1),
        "few": args.few,
        "repeats": args.repeats,
        "cores": os.cpu_count(),
        "load_average": round(os.getloadavg()[0], 1),
        "same_bytes": same,
        "table": table,
    }
    if args.out:
        args.out.write_text(json.dumps(told, indent=1) + "\n")
    print(f"load average {told['load_average']}; same bytes: {same}")
    print("| " + " | ".join(table[0]) + " |\n|" + " --- |" * len(table[0]))
    for each in table:
        print("| " + " | ".join(map(str, each.values())) + " |")


if __name__ == "__main__":
    main()
