"""Several methods on the same rows: their figures, how far they differ, and that as a table."""

from __future__ import annotations

from dataclasses import asdict
from math import isnan
from typing import Any

import numpy as np
from numpy.typing import NDArray

import cascade
from cascade.evaluation import Answers, Interval, bootstrap, paired_difference

RETRIEVAL = [f"retrieval:{texts}" for texts in ("leaf", "path", "path+description", "full")]
RESAMPLES, SEED = 1000, 0

Nodes = NDArray[np.int64]  # [n_rows], indices of nodes, -1 where there is no prediction
Results = dict[str, dict[str, Any]]  # by method, as in the JSON


def compare(
    taxonomy: cascade.Taxonomy, gold: Nodes, results: Results, kept: dict[str, Nodes]
) -> None:
    """Add the figures of each method, and its difference to the best retrieval row."""
    answers = {name: Answers.of(taxonomy, nodes, gold) for name, nodes in kept.items()}
    for name, ours in answers.items():
        figures = bootstrap(ours, resamples=RESAMPLES, seed=SEED)
        results[name]["figures"] = {metric: rounded(i) for metric, i in figures.items()}
    best = max(
        (name for name in RETRIEVAL if name in kept),
        key=lambda name: results[name]["figures"]["hf1_micro"]["value"],
        default=None,
    )
    for name, ours in answers.items():
        results[name]["hf1_micro_difference"] = None
        if best and name != best:
            found = paired_difference(ours, answers[best], resamples=RESAMPLES, seed=SEED)
            results[name]["hf1_micro_difference"] = {"to": best, **rounded(found["hf1_micro"])}


def rounded(interval: Interval) -> dict[str, float | None]:
    """An interval as plain numbers to 5 digits, None where it is undefined."""
    return {k: None if isnan(v) else round(v, 5) for k, v in asdict(interval).items()}


def lines_of(results: Results) -> list[list[str]]:
    """The table of all methods, its heading first."""
    names = dict.fromkeys(name for result in results.values() for name in result["figures"])
    single = [
        "hp_micro",
        "hr_micro",
        "exact_match",
        *(n for n in names if n.startswith("f1_weighted_")),
    ]
    lines = [["method", "hf1_micro (95%)", *single, "rows/s", "over best retrieval (95%)"]]
    for name, result in results.items():
        hf1, over = result["figures"]["hf1_micro"], result["hf1_micro_difference"]
        line = [name, "{value:.4f} ({low:.4f} to {high:.4f})".format(**hf1)]
        line += [f"{result['figures'][metric]['value']:.4f}" for metric in single]
        line.append(f"{result['rows_per_second']:.1f}")
        line.append("{value:+.4f} ({low:+.4f} to {high:+.4f})".format(**over) if over else "")
        lines.append(line)
    return lines


def markdown(title: str, state: dict[str, Any]) -> str:
    """The table, the rows it is about, and the commands that made it."""
    heading, *lines = lines_of(state["methods"])
    table = "\n".join(f"| {' | '.join(x)} |" for x in (heading, ["---"] * len(heading), *lines))
    rows = "{count:,} rows; {dropped:,} more have no label in the taxonomy.".format(**state["rows"])
    commands = dict.fromkeys(result["command"] for result in state["methods"].values())
    made_by = "\n".join(commands)
    return f"# {title}\n\n{table}\n\n{rows} Made by:\n\n```sh\n{made_by}\n```\n"
