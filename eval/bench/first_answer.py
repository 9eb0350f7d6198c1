"""How long the first answer takes: `cascade classify` of three rows, from the shell to its end.

Each run is a process of its own, with the caches of weights and indexes that an earlier run left;
one run beforehand fills them. Beside the time that passed stands the processor's, which other work
on the machine changes less. What no run can be quicker than stands beside it: `import torch` where
a model answers, `import numpy, scipy.sparse` where words do. All take turns, and so do the runs of
`--against`, the root of another checkout, for example of an older commit. `--pack` names a pack of
the recipe `quick` whose text is in the column `name`. Modules are compiled once, by the first run,
whatever the environment says: those of an installed package are, too.

    python eval/bench/first_answer.py --pack packs/quick --out eval/results/first_answer.json
    python eval/bench/first_answer.py --against ../before
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).parents[2]
ROWS = "sku,name\n1,Garden rake 14 teeth\n2,Earl Grey tea bags 80\n3,Handwoven straw Panama hat\n"


def run(command: list[str], root: Path, compiled: Path) -> tuple[float, float]:
    """Wall and processor seconds of a command that imports cascade from a checkout."""
    env = {**os.environ, "PYTHONPATH": str(root), "PYTHONPYCACHEPREFIX": str(compiled)}
    env.pop("PYTHONDONTWRITEBYTECODE", None)
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    # Not from a checkout, which `-m` would take before PYTHONPATH.
    subprocess.run(command, env=env, cwd=tempfile.gettempdir(), check=True, capture_output=True)
    wall, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def commands(rows: Path, args: argparse.Namespace) -> dict[str, list[str]]:
    """What is timed, by name; limits first."""
    start = [sys.executable, "-m", "cascade"]
    out = ["--out", str(rows.with_name("out.csv")), "--overwrite", "--text", "name"]
    classify = [*start, "classify", str(rows), *out]
    found = {
        "import torch": [sys.executable, "-c", "import torch"],
        "import numpy, scipy.sparse": [sys.executable, "-c", "import numpy, scipy.sparse"],
        "help": [*start, "--help"],
        "version": [*start, "--version"],
        "retrieval": [*classify, "-t", "store", "--method", "retrieval"],
    }
    if args.language_model:
        found["cascade"] = [*classify, "-t", "store", "--method", "cascade"]
    if args.pack:
        found["pack"] = [*classify, "-c", str(Path(args.pack).resolve())]
    return found


LIMITS = {  # what no run can be quicker than, and how many times that is wanted
    "retrieval": ("import torch", 1.5),
    "cascade": ("import torch", 1.5),
    "pack": ("import numpy, scipy.sparse", 2.0),
}


def main() -> None:
    """Run all in turns, and print medians with the least and the most."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--against", type=Path, help="root of another checkout")
    parser.add_argument("--pack", help="folder of a pack of words")
    parser.add_argument("--language-model", action="store_true", help="also --method cascade")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    trees = {"now": ROOT, **({"against": args.against.resolve()} if args.against else {})}
    times: dict[tuple[str, str], list[tuple[float, float]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        rows = Path(folder) / "rows.csv"
        rows.write_text(ROWS, "utf-8")
        for turn in range(args.repeats + 1):
            for what, command in commands(rows, args).items():
                for name, root in trees.items():
                    took = run(command, root, Path(folder) / "compiled")
                    if turn:  # the first fills caches
                        times.setdefault((what, name), []).append(took)
    result: dict[str, Any] = {}
    for (what, name), found in times.items():
        told = result.setdefault(what, {}).setdefault(name, {})
        for kind, values in zip(("wall_s", "cpu_s"), zip(*found, strict=True), strict=True):
            told[kind] = {
                "median": round(median(values), 2),
                "least": round(min(values), 2),
                "most": round(max(values), 2),
            }
        if what in LIMITS:
            limit, wanted = LIMITS[what]
            pairs = zip(found, times[limit, name], strict=True)
            ratios = [ours[1] / theirs[1] for ours, theirs in pairs]
            told["cpu_ratio"] = {
                "to": limit,
                "wanted": wanted,
                "median": round(median(ratios), 2),
                "least": round(min(ratios), 2),
                "most": round(max(ratios), 2),
            }
        print(what, name, json.dumps(told), flush=True)
    print(f"processor seconds, medians of {args.repeats}, load {os.getloadavg()[0]:.1f}:")
    for what, trees_told in result.items():
        for name, told in trees_told.items():
            line = f"  {what}, {name}: {told['cpu_s']['median']:.2f} s"
            if ratio := told.get("cpu_ratio"):
                line += (
                    f", {ratio['median']:.2f} ({ratio['least']:.2f} to {ratio['most']:.2f}) times "
                    f"{ratio['to']}; wanted: {ratio['wanted']:g}"
                )
            print(line)
    if args.out:
        load = [round(part, 1) for part in os.getloadavg()]
        about = {"repeats": args.repeats, "cpus": os.cpu_count(), "load": load, "results": result}
        args.out.write_text(json.dumps(about, indent=2) + "\n", "utf-8")


if __name__ == "__main__":
    main()
