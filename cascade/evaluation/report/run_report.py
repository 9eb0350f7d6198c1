"""The report of a run: what it shows, as one HTML file."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cascade.evaluation.error_analysis import ErrorAnalysis, analyse_errors
from cascade.evaluation.metrics.bootstrap import Interval
from cascade.evaluation.metrics.calibration import Bin, RiskCoverage
from cascade.evaluation.metrics.descriptions import describe_metric
from cascade.evaluation.report import fill
from cascade.evaluation.report.charts import Plot, share_end, share_interval, thin
from cascade.evaluation.report.icicle import icicle_of
from cascade.evaluation.report.rows import class_rows, level_rows, outcome_rows, overall, stage_rows
from cascade.evaluation.run_metrics import RunMetrics
from cascade.evaluation.run_predictions import RunPredictions

HEADLINE = ("hf1_micro", "exact_match", "mistake_severity", "ece", "coverage_at_risk_5")
CLASSES = 5_000
POINTS = 100


@dataclass(frozen=True)
class RunView:
    """What the report of a run shows.

    Parameters
    ----------
    title
        For example `validation.csv, retrieval`.
    facts
        What was measured and how: data, taxonomy, method, models, command, versions, date.
    counts
        Rows by what became of them, in the order to show them.
    figures, ranking
        Metrics of the answers, and of the ranked leaves (may be empty), by name.
    meanings
        What each metric says, in a line, by name.
    reliability, risk_coverage
        The two curves of confidence; empty where there are no confidences.
    seconds, stages, rows_per_second
        What answering took, None where it was done elsewhere, and what the time went into.
    """

    title: str
    facts: Mapping[str, str]
    counts: Mapping[str, int]
    figures: Mapping[str, Interval]
    ranking: Mapping[str, Interval]
    meanings: Mapping[str, str]
    reliability: Sequence[Bin]
    risk_coverage: Sequence[RiskCoverage]
    breakdown: ErrorAnalysis
    seconds: float | None
    stages: Mapping[str, float]
    rows_per_second: float | None


def view_of(
    predictions: RunPredictions,
    measures: RunMetrics,
    manifest: Mapping[str, Any],
    picture_of: Callable[[int], str] = lambda _: "",
) -> RunView:
    """What the report of a run shows.

    Parameters
    ----------
    picture_of
        A small picture of a row as a data URI, empty where there is none.
    """
    measured = predictions.measured
    return RunView(
        title=f"{Path(manifest['data']['file']).name}, {method_of(manifest)}",
        facts=facts_of(manifest),
        counts=_counts(measures),
        figures=measures.figures,
        ranking=measures.ranking,
        meanings={name: describe_metric(name) for name in (*measures.figures, *measures.ranking)},
        reliability=measures.reliability,
        risk_coverage=measures.risk_coverage,
        breakdown=analyse_errors(
            predictions.taxonomy,
            predictions.predicted[measured],
            predictions.gold[measured],
            predictions.confidence[measured],
            lambda row: predictions.text(int(measured[row])),
            line_of=lambda row: predictions.line(int(measured[row])),
            picture_of=lambda row: picture_of(int(measured[row])),
        ),
        seconds=measures.seconds,
        stages=measures.stages,
        rows_per_second=measures.rows_per_second,
    )


def render(view: RunView) -> str:
    """The report of a run as one HTML file that needs no other."""
    breakdown = view.breakdown
    taxonomy = breakdown.taxonomy
    levels = level_rows(breakdown, view.figures)
    classes = list(class_rows(breakdown, CLASSES))
    bins = [(bin_, share_interval(bin_.right, bin_.rows)) for bin_ in view.reliability if bin_.rows]
    curve = thin(view.risk_coverage, POINTS)
    return fill(
        "run.html",
        view=view,
        taxonomy=taxonomy,
        headline={name: view.figures[name] for name in HEADLINE if name in view.figures},
        others={n: v for n, v in overall(view.figures).items() if n not in HEADLINE},
        levels=levels,
        stems=list(dict.fromkeys(stem for row in levels for stem in row.figures)),
        bins=bins,
        most_in_bin=max((bin_.rows for bin_, _ in bins), default=0),
        reliability_plot=Plot(46, 8, 360, 236),
        curve=curve,
        risk_plot=Plot(46, 8, 360, 292, y_max=share_end(max((p.risk for p in curve), default=0))),
        icicle=icicle_of(breakdown),
        outcomes=outcome_rows(breakdown),
        parting_levels=_levels(pair.parts for pair in breakdown.confusions),
        classes=classes,
        class_levels=_levels(row.level for row in classes),
        coded=any(taxonomy.codes[row.node] != taxonomy.path(row.node) for row in classes),
        stages=stage_rows(view.seconds, view.stages),
    )


def method_of(manifest: Mapping[str, Any]) -> str:
    """The method of a run, or the name of the file that its answers were given in."""
    given = manifest.get("predictions")
    return Path(given["file"]).name if given else str(manifest["method"])


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
    return facts | ({"Command": manifest["command"]} if manifest["command"] else {})


def _counts(measures: RunMetrics) -> dict[str, int]:
    rows = measures.rows
    counts = {"rows": rows["all"], "measured": rows["measured"]}
    left_out = {
        "without a label": rows["without_label"],
        "label not in the taxonomy": rows["label_not_in_taxonomy"],
    }
    return counts | {what: n for what, n in left_out.items() if n} | dict(rows["status"])


def _levels(levels: Iterable[int]) -> dict[int, str]:
    """Different levels with their names, from the top."""
    return {level: f"level {level}" for level in sorted(set(levels))}
