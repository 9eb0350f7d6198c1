"""Tables of metrics on a terminal: of a run, a comparison, a leaderboard."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from cascade.cli.console import err, out
from cascade.evaluation.comparison import Comparison
from cascade.evaluation.leaderboard import lines_of, notes_of
from cascade.evaluation.metrics.bootstrap import Interval
from cascade.evaluation.run_folder import RunFolder
from cascade.evaluation.run_metrics import WITH_NOWHERE, RunMetrics

HEADLINE = (
    "hf1_micro",
    "hf1_micro_lenient",
    "hf1_micro_lenient_partial",
    "hf1_sample",
    "exact_match",
    WITH_NOWHERE,
    "exact_match_lenient",
    "coverage",
    "risk_given",
    "exact_match_whole",
    "hf1_micro_given",
    "set_coverage",
    "set_size",
    "set_size_median",
    "facet_f1_micro",
    "exact_match_with_facets",
    "consistency",
    "ece",
    "aurc",
)
RANKING = ("accuracy_at_1", "recall_at_5", "recall_at_10", "mrr_at_10", "ndcg_at_10", "map_at_100")
CODES = ("category_f1_micro", "category_f1_macro", "facet_f1_macro", "facet_set", "whole_code")
STAGES = ("accuracy_at_1", "recall_at_10", "mrr_at_10")
SHOWN = 3  # metrics of a leaderboard
WIDE = 160  # columns where there is no screen
LEVEL = ("accuracy", "f1_weighted", "f1_macro")


def show_run(metrics: RunMetrics, folder: RunFolder, *, as_json: bool) -> None:
    """Print the headline figures and where the rest is; with JSON all of `metrics.json`."""
    if as_json:
        out.print_json(folder.metrics.read_text("utf-8"))
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("metric", "value", "95% interval"):
        table.add_column(heading, justify="left" if heading == "metric" else "right")
    for name in HEADLINE:
        if name in metrics.figures:
            table.add_row(name, *_cells(metrics.figures[name]))
    level = 1
    while f"accuracy_l{level}" in metrics.figures:
        for kind in LEVEL:
            table.add_row(f"{kind}_l{level}", *_cells(metrics.figures[f"{kind}_l{level}"]))
        level += 1
    for name in RANKING:
        if name in metrics.ranking:
            table.add_row(name, *_cells(metrics.ranking[name]))
    for name in CODES:
        if name in metrics.codes.get("figures", {}):
            table.add_row(name, *_cells(Interval(**metrics.codes["figures"][name])))
    for stage, own in metrics.codes.get("stages", {}).items():
        for name in STAGES:
            table.add_row(f"{name}, {stage}", *_cells(Interval(**own["figures"][name])))
    out.print(table)
    rows = metrics.rows
    summary = Table(box=None, show_header=False, pad_edge=False)
    summary.add_row("rows", f"{rows['all']:,}, {rows['measured']:,} measured")
    if n := rows["without_label"]:
        summary.add_row("", Text(f"{n:,} have no label", "yellow"))
    if n := rows.get("label_nowhere"):
        what = f"{n:,} fit nowhere by their label: they count in {WITH_NOWHERE} alone"
        summary.add_row("", Text(what, "yellow"))
    if n := rows["label_not_in_taxonomy"]:
        first = rows["first_label_not_in_taxonomy"]
        what = f"{n:,} with a label that is not in the taxonomy (first: {first})"
        summary.add_row("", Text(what, "yellow"))
    for status in ("review", "partial", "nowhere", "error"):
        if n := rows["status"].get(status):
            summary.add_row("", Text(f"{n:,} {status}", "red" if status == "error" else "yellow"))
    if metrics.rows_per_second:
        summary.add_row("time", f"{metrics.seconds:,.1f} s, {metrics.rows_per_second:,.1f} rows/s")
    if prompts := metrics.asked.get("prompts"):
        tokens = metrics.asked.get("tokens", 0) / rows["all"]
        told = f"{prompts:,} prompts, {prompts / rows['all']:.1f} and {tokens:,.0f} tokens a row"
        summary.add_row("asked", told)
    summary.add_row("report", Text(str(folder.report)))
    err.print(summary)


def show_comparison(found: Comparison) -> None:
    """Print the shared figures of runs, and how each differs from the first."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("metric", no_wrap=True)
    for run in found.runs:
        table.add_column(Text(run.name), justify="right", overflow="fold", max_width=20)
    for run in found.runs[1:]:
        heading = f"{run.name} less {found.runs[0].name} (95%)"
        table.add_column(Text(heading), justify="right", overflow="fold", max_width=26)
    if len(found.runs) == 2:
        table.add_column("McNemar p", justify="right", no_wrap=True)
    for name in found.figures[0]:
        known = [figures.get(name) for figures in found.figures]
        row: list[str | Text] = [name, *("" if i is None else _value(i.value) for i in known)]
        lines = len(found.runs) > 2
        row += [_difference(other.difference.get(name), lines) for other in found.against]
        if len(found.runs) == 2:
            test = found.against[0].mcnemar.get(name)
            row.append("" if test is None else f"{test.p_value:.2g}")
        table.add_row(*row)
    _print(table)
    rows = found.rows.shape[1]
    err.print(f"{rows:,} rows, {len(found.differing):,} answered differently", highlight=False)
    for run, left in zip(found.runs, found.left_out, strict=True):
        if left:
            err.print(Text(f"{left:,} rows of {run.name} are not in the others", "yellow"))


def show_leaderboard(board: dict[str, Any], page: Path, *, as_json: bool) -> None:
    """Print the leaderboard of a suite, or as JSON all of it."""
    if as_json:
        out.print_json(json.dumps(board))
        return
    few = {**board, "metrics": board["metrics"][:SHOWN]}
    heading, *lines = lines_of(few, short=True)
    table = Table(*map(escape, heading), box=None, pad_edge=False, header_style="bold")
    table.columns[0].overflow = "fold"
    for line in lines:
        table.add_row(*(Text(cell.replace(" (", "\n(", 1)) for cell in line))
    _print(table)
    for name, note in notes_of(board):
        err.print(f"{name}: {note}", highlight=False, markup=False)
    err.print(f"all figures are in {page}", highlight=False, markup=False)


def show_rows(heading: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table whose intervals stand below their value."""
    table = Table(*map(escape, heading), box=None, pad_edge=False, header_style="bold")
    for row in rows:
        table.add_row(*(Text(cell.replace(" (", "\n(", 1)) for cell in row))
    _print(table)


def _difference(interval: Interval | None, lines: bool) -> Text:
    if interval is None or math.isnan(interval.value):
        return Text("")
    sure = interval.low > 0 or interval.high < 0
    between = "\n" if lines else " "
    text = f"{interval.value:+.3f}{between}[{interval.low:+.3f}, {interval.high:+.3f}]"
    return Text(text, "bold" if sure else "dim")


def _print(table: Table) -> None:
    """Print a table, wide where there is no screen to fit."""
    console = out.rich if out.is_terminal else Console(width=WIDE)
    console.print(table)


def _value(value: float) -> str:
    return "undefined" if math.isnan(value) else f"{value:.3f}"


def _cells(interval: Interval) -> tuple[str, str]:
    if math.isnan(interval.value):
        return "undefined", ""
    return _value(interval.value), f"{interval.low:.3f} to {interval.high:.3f}"
