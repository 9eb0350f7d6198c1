r"""What each part of a pack is worth on rows that it has not seen, and whether it knows its doubts.

Each scorer alone, their fusion, the fusion without each of them (weights as fitted for that on the
pack's own held-out rows), the fast path, and the pack as it is; differences are paired, over the
same resampled rows. What is right where the fast path doubts; the calibration of the pack; and
accuracy against time over thresholds of its routing.

python eval/bench/pack_parts.py --pack packs/full --test TEST.csv --label label \
    --out eval/results/gpc_full
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import binomtest

from cascade.confidence.calibration import Calibration
from cascade.config import BATCH, CascadeConfig
from cascade.evaluation.metrics.bootstrap import Interval, bootstrap, paired_difference
from cascade.evaluation.metrics.gold_and_predicted import GoldAndPredicted
from cascade.io.tables.opening import TableFile
from cascade.items import Batch
from cascade.pipeline.classifier import Classifier
from cascade.pipeline.descent import make_descent
from cascade.pipeline.load import load_config, load_taxonomy
from cascade.predictions import Prediction
from cascade.scoring.components import Components
from cascade.taxonomy import Taxonomy
from cascade.training.labelled import Labelled, read_labelled
from cascade.training.packs.validation import Trial

RISKS = (0.01, 0.02, 0.05, 0.1)
DOUBTED = (0.05, 0.1, 0.2, 0.4)  # shares of the rows


def without_fast_path(config: CascadeConfig) -> CascadeConfig:
    """The pack where the fusion sees all rows, uncalibrated."""
    return config.model_copy(
        update={
            "routing": config.routing.model_copy(update={"fast": {}}),
            "calibration": config.calibration.model_copy(update={"file": None}),
        }
    )


def tried(
    config: CascadeConfig, metrics: dict[str, Any], rows: Labelled, tree: Taxonomy
) -> dict[str, Trial]:
    """What is to be measured, by name; the last three as they are used, with their time."""
    bare = without_fast_path(config)
    components = Components(tree, bare)
    asked = {name: components.scorer(name) for name in metrics["weights_alone"]}
    for name, weights in metrics["weights_without"].items():
        asked[f"fusion without {name}"] = components.fusion(weights)
    found: dict[str, list[Prediction]] = {name: [] for name in asked}
    for start in range(0, len(rows), BATCH):
        batch = Batch(rows.items[start : start + BATCH])  # keeps what scorers made of the items
        for name, scorer in asked.items():
            found[name] += make_descent(components, scorer).walk(batch, scorer)
        print(f"{start + len(batch):,} rows asked", file=sys.stderr, flush=True)
    trials = {name: Trial(rows, tree, predictions) for name, predictions in found.items()}

    def fused(weights: dict[str, Any]) -> CascadeConfig:
        return bare.model_copy(
            update={"fusion": config.fusion.model_copy(update={"weights": weights})}
        )

    trials["fusion"] = Trial.run(Classifier(tree, fused(metrics["weights_all"])), rows, tree)
    if config.routing.fast:
        trials["fast path"] = Trial.run(
            Classifier(tree, fused(dict(config.routing.fast))), rows, tree
        )
    trials["the pack"] = Trial.run(Classifier(tree, config), rows, tree)
    return trials


def doubts(trials: dict[str, Trial]) -> list[dict[str, Any]]:
    """Share that is right, by how unsure the fast path is."""
    order = np.argsort(trials["fast path"].confidence, kind="stable")
    right = {name: trial.right[order] for name, trial in trials.items()}
    table, ends = [], [round(share * len(order)) for share in (0, *DOUBTED, 1)]
    for first, end in itertools.pairwise(ends):
        part = {name: round(float(own[first:end].mean()), 4) for name, own in right.items()}
        table.append({"rows, the most doubted first": f"{first + 1:,} to {end:,}", **part})
    return table


def answers(trial: Trial, rows: Labelled, tree: Taxonomy) -> GoldAndPredicted:
    """Predictions as the metrics take them."""
    found = [tree.index(p.code) if p.code is not None else -1 for p in trial.predictions]
    return GoldAndPredicted.of(tree, found, rows.nodes, confidence=trial.confidence)


def cell(found: Interval) -> str:
    """A figure with its interval."""
    return f"{found.value:.4f} ({found.low:.4f} to {found.high:.4f})"


def calibration(config: CascadeConfig, trial: Trial) -> list[Any]:
    """For some risks the rows that are accepted whole and the share of them that is wrong."""
    assert config.calibration.file is not None
    right, table = trial.right, []
    whole = Calibration.load(Path(config.calibration.file)).risk
    for risk in RISKS:
        least = whole.least_threshold(risk)
        accepted = trial.confidence >= least
        n, wrong = int(accepted.sum()), int((accepted & ~right).sum())
        interval = binomtest(wrong, n).proportion_ci(0.95, "exact") if n else None
        table.append(
            {
                "max_risk": risk,
                "from_confidence": round(least, 4),
                "coverage": round(n / len(right), 4),
                "accepted": n,
                "error": round(wrong / n, 4) if n else None,
                "low": round(interval.low, 4) if interval else None,
                "high": round(interval.high, 4) if interval else None,
            }
        )
    return table


def main() -> None:
    """Measure, and write a page and its figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pack", type=Path, required=True)
    parser.add_argument("--test", required=True)
    parser.add_argument("--label", help="column of the answers; that of the pack if not given")
    parser.add_argument("--out", type=Path, required=True, help="without suffix: .json and .md")
    args = parser.parse_args()
    config, folder = load_config(args.pack)
    metrics = json.loads((args.pack / "metrics.json").read_text())
    tree = load_taxonomy(config.taxonomy or "", folder)
    columns = config.columns.model_copy(update={"label": args.label or config.columns.label})
    rows = read_labelled(TableFile(args.test), columns, tree)
    trials = tried(config, metrics, rows, tree)
    found = {name: answers(trial, rows, tree) for name, trial in trials.items()}
    table = []
    for name, own in found.items():
        figures = bootstrap(own)
        levels = [figures[f"f1_weighted_l{k + 1}"].value for k in range(tree.depth)]
        against = paired_difference(own, found["fusion"])
        table.append(
            {
                "what": name,
                "exact": cell(figures["exact_match"]),
                "hf1": cell(figures["hf1_micro"]),
                **{f"weighted_f1_l{k + 1}": round(f1, 4) for k, f1 in enumerate(levels)},
                "mean": round(float(np.mean(levels)), 4),
                "exact_over_fusion": cell(against["exact_match"]),
                "rows_per_second": trials[name].figures().get("rows_per_second", ""),
            }
        )
    pack = bootstrap(found["the pack"])
    curve: list[Any] = []
    if "fast path" in trials:
        curve = trials["fast path"].fit_threshold(trials["fusion"], 0.0)[1]
    risks = calibration(config, trials["the pack"]) if config.calibration.file else []
    result = {
        "command": "python " + " ".join(sys.argv),
        "rows": len(rows),
        "fit_seconds": metrics["seconds"],
        "table": table,
        "ece": cell(pack["ece"]),
        "consistency": pack["consistency"].value,
        "threshold": config.routing.threshold if config.routing.fast else None,
        "doubts": doubts(trials) if "fast path" in trials else [],
        "curve": curve,
        "risk": risks,
    }
    args.out.with_suffix(".json").write_text(json.dumps(result, indent=1) + "\n")
    args.out.with_suffix(".md").write_text(page(result))


def page(result: dict[str, Any]) -> str:
    """The figures as Markdown."""

    def grid(rows: list[dict[str, Any]]) -> list[str]:
        heading = list(rows[0])
        lines = [f"| {' | '.join(heading)} |", f"|{' --- |' * len(heading)}"]
        return lines + [f"| {' | '.join(str(row[c]) for c in heading)} |" for row in rows]

    lines = ["# What the parts of a pack are worth", ""]
    lines += [f"{result['rows']:,} rows that the pack has not seen; it was fitted in "]
    lines[-1] += f"{result['fit_seconds']:,.0f} s. Intervals are of 95%, from resampled rows."
    lines += ["", *grid(result["table"]), "", f"Consistency {result['consistency']:.4f}. Expected "]
    lines[-1] += f"calibration error of the pack {result['ece']}."
    if result["doubts"]:
        lines += ["", "Share that is exactly right, by how unsure the fast path is:", ""]
        lines += grid(result["doubts"])
    if result["risk"]:
        lines += ["", "What `--max-risk` accepts, and the share of it that is wrong:", ""]
        lines += grid(result["risk"])
    if result["curve"]:
        lines += ["", "Routing: accuracy against time over thresholds of the fast path (the pack "]
        lines[-1] += f"has {result['threshold']}):"
        lines += ["", *grid(result["curve"][:: max(1, len(result["curve"]) // 15)])]
    lines += ["", "Made by:", "", "```sh", result["command"], "```", ""]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
