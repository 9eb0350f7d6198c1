r"""What Ray's workers add to `cascade classify`, and what they cost, on one machine.

The same file by `cascade classify --engine local`, with one thread and with all of them, and by
`--engine ray` with workers of one thread each. Every run is a process of its own, from the command
to its end. Rows a second are those beyond the start-up: the difference between many rows and few.
Runs take turns, the figure is the median. Local and ray with one thread must write the same bytes.

python eval/bench/cluster.py --out eval/results/cluster.json
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

from product_rows import rows, write
from recording import command, record


def classify(source: Path, out: Path, threads: int, engine: list[str]) -> float:
    """Seconds of one run of the command."""
    command = [sys.executable, "-m", "cascade", "classify", str(source), "-t", "store", "-o"]
    command += [str(out), "--overwrite", "--text", "name", "--method", "retrieval", *engine]
    started = time.perf_counter()
    environment = os.environ | {"OMP_NUM_THREADS": str(threads)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stderr)
    return time.perf_counter() - started


def measure(folder: Path, args: argparse.Namespace) -> list[dict[str, Any]]:
    """Start-up and rows a second of each way, in turns."""
    cores = os.cpu_count() or 1
    local, ray = ["--engine", "local"], ["--engine", "ray", "--workers"]
    ways = {
        "local, one thread": (1, local),
        f"local, {cores} threads": (cores, local),
        "ray, one worker": (1, [*ray, "1"]),
        f"ray, {cores} workers": (1, [*ray, str(cores)]),
    }
    made = rows(args.many)
    few = write(folder / "few.csv", made[: args.few])
    many = write(folder / "many.csv", made)
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for _ in range(args.repeats):
        for name, (threads, engine) in ways.items():
            outs = [folder / f"{source.stem} {name}.csv" for source in (few, many)]
            seconds = [
                classify(source, out, threads, engine)
                for source, out in zip((few, many), outs, strict=True)
            ]
            taken[name].append((seconds[0], seconds[1]))
            alone = folder / "many local, one thread.csv"
            if threads == 1 and outs[1].read_bytes() != alone.read_bytes():
                raise SystemExit(f"{name}: other bytes than the local run's")
    beyond = args.many - args.few
    rates = {name: [beyond / (many - few) for few, many in pairs] for name, pairs in taken.items()}
    base = rates["local, one thread"]
    return [
        {
            "way": name,
            "seconds_few": round(median(few for few, _ in pairs), 2),
            "seconds_many": round(median(many for _, many in pairs), 2),
            "rows_per_second": round(median(rates[name])),
            "to_local": round(
                median(own / one for own, one in zip(rates[name], base, strict=True)), 2
            ),
        }
        for name, pairs in taken.items()
    ]


def markdown(result: dict[str, Any]) -> str:
    """The figures as a table, and the command that made them."""
    lines = [
        f"| way | {result['few']:,} rows, s | {result['many']:,} rows, s | rows/s beyond start-up "
        "| to local with one thread |",
        "| --- | --- | --- | --- | --- |",
    ]
    lines += [
        f"| {row['way']} | {row['seconds_few']} | {row['seconds_many']} "
        f"| {row['rows_per_second']:,} | {row['to_local']:.2f} |"
        for row in result["table"]
    ]
    rows_of_table = "\n".join(lines)
    repeats = result["repeats"]
    runs = "One run of each" if repeats == 1 else f"Medians of {repeats} runs in turns"
    return (
        "# cluster\n\n`--method retrieval`, names of products under the store taxonomy.\n\n"
        f"{rows_of_table}\n\n{runs}, {result['cores']} "
        f"cores, load average {result['load_average_before']} before, Python {result['python']}. "
        "All runs of one thread wrote the same bytes. Made by:\n\n"
        f"```sh\n{result['command']}\n```\n"
    )


def main() -> None:
    """Measure and record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--few", type=int, default=500)
    parser.add_argument("--many", type=int, default=20_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    load = round(os.getloadavg()[0], 1)
    with tempfile.TemporaryDirectory() as folder:
        table = measure(Path(folder), args)
    result = {
        "command": command(),
        "few": args.few,
        "many": args.many,
        "repeats": args.repeats,
        "load_average_before": load,
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "table": table,
    }
    page = markdown(result)
    print(page)
    if args.out:
        record(args.out, result, page)


if __name__ == "__main__":
    main()
