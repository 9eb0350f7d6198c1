"""Measure a million predictions over 10,000 classes: time, memory, and the ratio to a plain loop.

Run it from the repository's root:

    python eval/bench/million_predictions.py --out eval/results/million_predictions.json

The taxonomy has 20, 400 and 10,000 nodes on three levels. 60% of the predictions are right, every
one has a confidence, and all metrics get their intervals. There are two cases. In `mostly siblings`
errors lie where those of a classifier do: 60% are another child of the gold node's parent, 25% lie
elsewhere under its top node and 15% anywhere. In `any leaf` all lie anywhere, so that few pairs of
predicted and gold node repeat, which is the slow case.

The plain loop is what a user would write instead: resample the rows and call scikit-learn for the
accuracy and the weighted and macro F1 of each level. That is only a part of the metrics. It runs a
few resamples, and its time for all of them is extrapolated, since every resample is the same work.
The ratio is that of processor times, which other work on the machine changes less than it does wall
times; the load average before each case says how busy the machine was.

It writes that JSON and a table beside it (.md).
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from recording import command, record
from rich.console import Console

from cascade.evaluation.metrics.bootstrap import bootstrap
from cascade.evaluation.metrics.gold_and_predicted import GoldAndPredicted
from cascade.taxonomy import Taxonomy

WIDTHS = (20, 20, 25)
RIGHT = 0.6
CASES = {"mostly siblings": (0.6, 0.25, 0.15), "any leaf": (0.0, 0.0, 1.0)}
"""Shares of errors under the gold node's parent, under its top node, and anywhere."""

SECONDS, GIB = 60, 4
"""What a million predictions and 1,000 resamples may take on two quiet cores."""


def peak() -> float:
    """Peak memory of this process so far in GiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2


def draw(
    taxonomy: Taxonomy, rows: int, spread: tuple[float, ...], seed: int
) -> dict[str, np.ndarray[Any, Any]]:
    """Predicted nodes, gold nodes and confidences for each row.

    Parameters
    ----------
    spread
        Shares of the errors, as in `CASES`.
    """
    rng = np.random.default_rng(seed)
    gold = rng.integers(len(taxonomy.leaves), size=rows)
    right = rng.random(rows) < RIGHT
    # Leaves lie in depth-first order, so those below a node are a block of neighbours.
    block = rng.choice(np.cumprod(WIDTHS[::-1]), size=rows, p=spread)
    place = gold % block
    wrong = gold - place + (place + rng.integers(1, block)) % block
    return {
        "predicted": taxonomy.leaves[np.where(right, gold, wrong)],
        "gold": taxonomy.leaves[gold],
        "confidence": np.where(right, rng.beta(5, 2, rows), rng.beta(2, 3, rows)),
    }


def measure(answers: GoldAndPredicted, resamples: int, seed: int) -> dict[str, Any]:
    """Time of all metrics with their intervals."""
    load = os.getloadavg()[0]
    started, cpu = time.perf_counter(), time.process_time()
    figures = bootstrap(answers, resamples=resamples, seed=seed)
    seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
    return {
        "metrics": len(figures),
        "distinct_pairs": len(answers.distinct()[0]),
        "seconds": round(seconds, 1),
        "cpu_seconds": round(cpu, 1),
        "load_average_before": round(load, 1),
    }


def plain_loop(answers: GoldAndPredicted, resamples: int, seed: int) -> float:
    """Processor time in seconds of a resample, of accuracy, weighted and macro F1 of each level."""
    from sklearn.metrics import accuracy_score, f1_score

    rng = np.random.default_rng(seed)
    started = time.process_time()
    for _ in range(resamples):
        rows = rng.integers(len(answers), size=len(answers))
        for level in range(answers.depth):
            gold, predicted = answers.gold[rows, level], answers.predicted[rows, level]
            accuracy_score(gold, predicted)
            for average in ("weighted", "macro"):
                f1_score(gold, predicted, average=average, zero_division=0)
    return (time.process_time() - started) / resamples


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Time and memory of all cases, and the time of the plain loop on each."""
    a, b, c = map(range, WIDTHS)
    taxonomy = Taxonomy.from_paths(f"{i} > {j} > {k}" for i in a for j in b for k in c)
    before = peak()
    answers = {
        name: GoldAndPredicted.of(taxonomy, **draw(taxonomy, args.rows, spread, args.seed))
        for name, spread in CASES.items()
    }
    cases = {name: measure(each, args.resamples, args.seed) for name, each in answers.items()}
    memory = peak()  # before scikit-learn adds its own
    for name, each in answers.items():
        plain = plain_loop(each, args.plain, args.seed)
        cases[name] |= {
            "plain_cpu_seconds_each": round(plain, 2),
            "plain_cpu_seconds_extrapolated": round(plain * args.resamples),
            "times_faster": round(plain * args.resamples / cases[name]["cpu_seconds"], 1),
        }
    return {
        "rows": args.rows,
        "classes": len(taxonomy.leaves),
        "levels": taxonomy.depth,
        "resamples": args.resamples,
        "plain_resamples_run": args.plain,
        "seed": args.seed,
        "cases": cases,
        "peak_gib": round(memory, 2),
        "peak_gib_before": round(before, 2),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in ("numpy", "scipy", "scikit-learn")},
    }


def markdown(command: str, result: dict[str, Any]) -> str:
    """The figures as a table, and the command that made them."""
    header = (
        "| errors | distinct pairs | metrics | wall (s) | processor (s) | load before "
        "| scikit-learn, processor (s) | ratio |\n| --- | --- | --- | --- | --- | --- | --- | --- |"
    )
    row = (
        "| {name} | {distinct_pairs:,} | {metrics} | {seconds} | {cpu_seconds} "
        "| {load_average_before} | {plain_cpu_seconds_extrapolated:,} | {times_faster} |"
    )
    rows = "\n".join(row.format(name=name, **case) for name, case in result["cases"].items())
    about = (
        "{rows:,} predictions, {classes:,} classes on {levels} levels, {resamples:,} resamples, "
        "{cores} cores. Peak memory {peak_gib} GiB, of which {peak_gib_before} GiB before any row "
        "was made. scikit-learn computes only the accuracy and the weighted and macro F1 of each "
        "level; its time is extrapolated from {plain_resamples_run} resamples. Made by:"
    ).format(**result)
    return f"# million_predictions\n\n{header}\n{rows}\n\n{about}\n\n```sh\n{command}\n```\n"


def main() -> None:
    """Measure and record; the exit status is 1 where the bounds do not hold."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--resamples", type=int, default=1_000)
    parser.add_argument("--plain", type=int, default=3, help="resamples of the plain loop")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    result = run(args)
    Console().print_json(json.dumps(result))
    if args.out:
        record(args.out, result, markdown(command(), result))
    slowest = max(case["seconds"] for case in result["cases"].values())
    if slowest > SECONDS or result["peak_gib"] > GIB:
        sys.exit(1)


if __name__ == "__main__":
    main()
