"""The report of a run as one HTML file."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cascade.evaluation.error_analysis import ErrorAnalysis
from cascade.evaluation.foodex2.code_figures import MEANINGS as CODE_MEANINGS
from cascade.evaluation.foodex2.stages import MEANINGS as STAGE_MEANINGS
from cascade.evaluation.metrics.bootstrap import Interval
from cascade.evaluation.report.charts import reliability_diagram, risk_coverage_curve
from cascade.evaluation.report.doubt_charts import (
    given_bars,
    information_curve,
    level_reliability_diagram,
    set_bars,
)
from cascade.evaluation.report.html import fill
from cascade.evaluation.report.icicle import icicle_of
from cascade.evaluation.run_metrics import WITH_NOWHERE, RunMetrics

HEADLINE = (
    "hf1_micro",
    "exact_match",
    WITH_NOWHERE,
    "mistake_severity",
    "ece",
    "coverage_at_risk_5",
)
FIRST_OF_LEVEL = ("accuracy", "f1_weighted", "f1_macro")
OF_LEVEL = re.compile(r"(.+)_l(\d+)")
CLASSES = 5_000


@dataclass(frozen=True, slots=True)
class LevelRow:
    """One level: its classes and rows with gold, and its metrics by name without the level."""

    level: int
    classes: int
    rows: int
    figures: Mapping[str, Interval]


def run_report(manifest: Mapping[str, Any], metrics: RunMetrics, errors: ErrorAnalysis) -> str:
    """The report of a run, from its manifest, its metrics, and where it is right and wrong."""
    taxonomy, figures = errors.taxonomy, metrics.figures
    levels = level_rows(errors, figures)
    classes = class_rows(errors, CLASSES)
    bins = [(each, each.interval()) for each in metrics.reliability]
    return fill(
        "run.html",
        title=f"{Path(manifest['data']['file']).name}, {method_of(manifest)}",
        facts=facts_of(manifest),
        counts=_counts(metrics),
        metrics=metrics,
        taxonomy=taxonomy,
        errors=errors,
        headline={name: figures[name] for name in HEADLINE if name in figures},
        others={
            name: figure
            for name, figure in figures.items()
            if name not in HEADLINE and not OF_LEVEL.fullmatch(name)
        },
        levels=levels,
        stems=list(dict.fromkeys(stem for row in levels for stem in row.figures)),
        bins=bins,
        reliability=reliability_diagram(*zip(*bins, strict=True)) if bins else "",
        curve=risk_coverage_curve(metrics.risk_coverage) if metrics.risk_coverage else "",
        by_level=metrics.level_reliability,
        level_chart=level_reliability_diagram(metrics.level_reliability)
        if metrics.level_reliability
        else "",
        information_chart=information_curve(metrics.information) if metrics.information else "",
        given_chart=given_bars(metrics.given) if metrics.given else "",
        set_chart=set_bars(metrics.sets) if metrics.sets else "",
        icicle=icicle_of(errors),
        outcomes=_outcomes(errors),
        parting_levels=_levels(pair.parts for pair in errors.confusions),
        classes=classes,
        class_levels=_levels(row["level"] for row in classes),
        coded=any(taxonomy.codes[row["node"]] != taxonomy.path(row["node"]) for row in classes),
        stages=_stages(metrics.seconds, metrics.stages),
        codes=metrics.codes,
        code_meanings=CODE_MEANINGS,
        stage_meanings=STAGE_MEANINGS,
    )


def method_of(manifest: Mapping[str, Any]) -> str:
    """The method of a run, or the file of the external predictions that it measured."""
    external = manifest.get("predictions")
    return Path(external["file"]).name if external else str(manifest["method"])


def facts_of(manifest: Mapping[str, Any]) -> dict[str, str]:
    """What was measured and how, by heading."""
    data, taxonomy = manifest["data"], manifest["taxonomy"]
    columns = data["columns"]
    bootstrap = manifest["bootstrap"]
    made = ", made of the labels" if taxonomy["made_of_labels"] else ""
    facts = {
        "Data": data["file"] + (f", first {data['limit']:,} rows" if data["limit"] else ""),
        "Columns": f"text: {', '.join(columns['text']) or 'none'}; "
        + (f"picture: {columns['image']}; " if columns.get("image") else "")
        + f"label: {columns['label']}",
        "Taxonomy": f"{taxonomy['name']}, {taxonomy['nodes']:,} nodes{made}",
        "Method": method_of(manifest),
        "Intervals": f"95%, {bootstrap['resamples']:,} bootstrap resamples, "
        f"seed {bootstrap['seed']}",
        "Finished": manifest["finished"],
        "Versions": ", ".join(f"{k} {v}" for k, v in manifest["versions"].items()),
        "Machine": f"{manifest['machine']['cores']} cores, {manifest['machine']['system']}",
        "Data SHA-256": data["sha256"],
    }
    if manifest.get("prompt"):
        facts["Prompt"] = str(manifest["prompt"])
    return facts | ({"Command": manifest["command"]} if manifest["command"] else {})


def costs_of(metrics: Mapping[str, Any]) -> dict[str, str]:
    """What answering took, by heading, from the values of a metrics.json; what is known of it."""
    found = {}
    rows = (metrics.get("rows") or {}).get("all") or 0
    if rate := (metrics.get("time") or {}).get("rows_per_second"):
        found["Seconds a row"] = f"{1 / rate:.3f}"
    asked = metrics.get("asked") or {}
    if rows and asked.get("prompts"):
        found["Prompts a row"] = f"{asked['prompts'] / rows:.2f}"
        found["Tokens a row"] = f"{asked.get('tokens', 0) / rows:,.0f}"
    return found


def level_rows(errors: ErrorAnalysis, figures: Mapping[str, Interval]) -> list[LevelRow]:
    """The levels that have gold rows, from the top."""
    by_level: defaultdict[int, dict[str, Interval]] = defaultdict(dict)
    for name, interval in figures.items():
        if found := OF_LEVEL.fullmatch(name):
            by_level[int(found[2])][found[1]] = interval
    classes = errors.classes
    gold = classes.support > 0
    level_of = errors.taxonomy.level[classes.node]
    rows = []
    for level in range(1, int(level_of[gold].max()) + 1):
        members = classes.support[gold & (level_of == level)]
        here = by_level[level]
        ordered = {stem: here[stem] for stem in (*FIRST_OF_LEVEL, *here) if stem in here}
        rows.append(LevelRow(level, len(members), int(members.sum()), ordered))
    return rows


def class_rows(errors: ErrorAnalysis, most: int) -> list[dict[str, Any]]:
    """What `Classes` counts of the classes with the most gold rows, so many at the most."""
    classes = errors.classes
    order = np.argsort(-classes.support, kind="stable")[:most]
    columns: dict[str, NDArray[Any]] = {
        "node": classes.node,
        "level": errors.taxonomy.level[classes.node],
        "support": classes.support,
        "predicted": classes.predicted,
        "right": classes.right,
        "precision": classes.precision,
        "recall": classes.recall,
        "f1": classes.f1,
        "confused": classes.confused,
        "confused_rows": classes.confused_rows,
    }
    values = (column[order].tolist() for column in columns.values())
    return [dict(zip(columns, row, strict=True)) for row in zip(*values, strict=True)]


def _counts(metrics: RunMetrics) -> dict[str, int]:
    """Rows by what became of them."""
    rows = metrics.rows
    counts = {"rows": rows["all"], "measured": rows["measured"]}
    left_out = {
        "without a label": rows["without_label"],
        "fit nowhere": rows.get("label_nowhere", 0),
        "label not in the taxonomy": rows["label_not_in_taxonomy"],
    }
    return counts | {what: n for what, n in left_out.items() if n} | dict(rows["status"])


def _outcomes(errors: ErrorAnalysis) -> dict[str, int]:
    """Rows by how the predicted node lies to the gold node, in words; those that occur."""
    found = errors.outcomes
    rows = {
        "the known answer": found.exact,
        "a node above it": found.above,
        "a node below it": found.below,
        **{f"another branch from level {level}": n for level, n in enumerate(found.parted, 1)},
        "nothing": found.unanswered,
    }
    return {outcome: n for outcome, n in rows.items() if n or outcome == "the known answer"}


def _stages(seconds: float | None, stages: Mapping[str, float]) -> dict[str, float]:
    """What the time went into, most first, and the rest."""
    largest = dict(sorted(stages.items(), key=lambda stage: -stage[1]))
    rest = (seconds or 0) - sum(largest.values())
    return largest | ({"everything else": rest} if rest > 0 else {})


def _levels(levels: Iterable[int]) -> dict[int, str]:
    """Different levels with their names, from the top."""
    return {level: f"level {level}" for level in sorted(set(levels))}
