"""Measure a million predictions over 10,000 classes: time, memory, and the ratio to a plain loop.

Run it from the repository's root:

    python eval/bench/million_predictions.py --out eval/results/million_predictions.json

The taxonomy has 20, 400 and 10,000 nodes on three levels. 60% of the predictions are right and the
others are any leaf, so that few pairs of predicted and gold node repeat, which is the slow case.
Every prediction has a confidence, and all metrics get their intervals. The plain loop is what a
user would write instead: resample the rows and call scikit-learn for the weighted and the macro F1
of each level. That is only a part of the metrics. It runs a few resamples, and its time for all of
them is extrapolated, since every resample is the same work. The ratio is that of processor times,
which other work on the machine does not change much.

It writes that JSON and a table beside it (.md).
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import shlex
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from cascade.evaluation import Answers, bootstrap
from cascade.taxonomy import Taxonomy

WIDTHS = (20, 20, 25)
RIGHT = 0.6
SECONDS, GIB = 60, 4
"""What a million predictions and 1,000 resamples may take on two cores."""


def peak() -> float:
    """Peak memory of this process so far in GiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2


def draw(rows: int, seed: int) -> tuple[Taxonomy, dict[str, Any]]:
    """A taxonomy, and predicted nodes, gold nodes and confidences for each row."""
    a, b, c = map(range, WIDTHS)
    taxonomy = Taxonomy.from_paths(f"{i} > {j} > {k}" for i in a for j in b for k in c)
    rng = np.random.default_rng(seed)
    gold = rng.choice(taxonomy.leaves, rows)
    right = rng.random(rows) < RIGHT
    confidence = np.where(right, rng.beta(5, 2, rows), rng.beta(2, 3, rows))
    predicted = np.where(right, gold, rng.choice(taxonomy.leaves, rows))
    return taxonomy, {"predicted": predicted, "gold": gold, "confidence": confidence}


def plain_loop(answers: Answers, resamples: int, seed: int) -> float:
    """Processor time in seconds of a resample, of weighted and macro F1 of each level."""
    from sklearn.metrics import f1_score

    rng = np.random.default_rng(seed)
    started = time.process_time()
    for _ in range(resamples):
        rows = rng.integers(len(answers), size=len(answers))
        for level in range(answers.depth):
            gold, predicted = answers.gold[rows, level], answers.predicted[rows, level]
            for average in ("weighted", "macro"):
                f1_score(gold, predicted, average=average, zero_division=0)
    return (time.process_time() - started) / resamples


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """Time and memory of all metrics, and the time of the plain loop."""
    taxonomy, rows = draw(args.rows, args.seed)
    before = peak()
    started, cpu = time.perf_counter(), time.process_time()
    answers = Answers.of(taxonomy, **rows)
    figures = bootstrap(answers, resamples=args.resamples, seed=args.seed)
    seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
    memory = peak()
    each = plain_loop(answers, args.plain, args.seed)
    return {
        "rows": len(answers),
        "classes": len(taxonomy.leaves),
        "levels": taxonomy.depth,
        "metrics": len(figures),
        "resamples": args.resamples,
        "seed": args.seed,
        "seconds": round(seconds, 1),
        "cpu_seconds": round(cpu, 1),
        "peak_gib": round(memory, 2),
        "peak_gib_before": round(before, 2),
        "plain_resamples_run": args.plain,
        "plain_cpu_seconds_each": round(each, 2),
        "plain_cpu_seconds_extrapolated": round(each * args.resamples),
        "times_faster": round(each * args.resamples / cpu, 1),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in ("numpy", "scipy", "scikit-learn")},
    }


def markdown(command: str, result: dict[str, Any]) -> str:
    """The figures as a table, and the command that made them."""
    lines = [
        ("all metrics with intervals", "{metrics} metrics, {resamples:,} resamples"),
        ("wall time", "{seconds} s"),
        ("processor time", "{cpu_seconds} s"),
        ("peak memory", "{peak_gib} GiB, of which {peak_gib_before} GiB before measuring"),
        (
            "processor time of scikit-learn in a loop, weighted and macro F1 of each level only",
            "{plain_cpu_seconds_extrapolated:,} s, extrapolated from {plain_resamples_run} "
            "resamples of {plain_cpu_seconds_each} s",
        ),
        ("ratio of processor times", "{times_faster}"),
    ]
    table = "\n".join(f"| {what} | {value.format(**result)} |" for what, value in lines)
    about = "{rows:,} predictions, {classes:,} classes on {levels} levels, {cores} cores".format(
        **result
    )
    return (
        f"# million_predictions\n\n| {about} | |\n| --- | --- |\n{table}\n\n"
        f"Made by:\n\n```sh\n{command}\n```\n"
    )


def main() -> None:
    """Measure and record; the exit status is 1 where the bounds do not hold."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--resamples", type=int, default=1_000)
    parser.add_argument("--plain", type=int, default=3, help="resamples of the plain loop")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    result = measure(args)
    Console().print_json(json.dumps(result))
    if args.out:
        command = shlex.join(["python", *sys.argv])
        recorded = {"command": command, **result}
        args.out.write_text(json.dumps(recorded, indent=1) + "\n", "utf-8")
        args.out.with_suffix(".md").write_text(markdown(command, result), "utf-8")
    if result["seconds"] > SECONDS or result["peak_gib"] > GIB:
        sys.exit(1)


if __name__ == "__main__":
    main()
