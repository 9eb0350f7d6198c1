"""The figures of a measured run on a terminal."""

from __future__ import annotations

import math

from rich.table import Table
from rich.text import Text

from cascade.cli.console import err, out
from cascade.evaluation.folder import RunFolder
from cascade.evaluation.intervals import Interval
from cascade.evaluation.labels import LabelCounts
from cascade.evaluation.measuring import Measures

HEADLINE = (
    "hf1_micro",
    "hf1_micro_lenient",
    "hf1_sample",
    "exact_match",
    "exact_match_lenient",
    "consistency",
    "ece",
    "aurc",
)
LEVEL = ("accuracy", "f1_weighted", "f1_macro")


def show(measures: Measures, labels: LabelCounts, folder: RunFolder, *, as_json: bool) -> None:
    """Print the headline figures and where the rest is; with JSON all of `metrics.json`."""
    if as_json:
        out.print_json(folder.metrics.read_text("utf-8"))
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("figure", "value", "95% interval"):
        table.add_column(heading, justify="left" if heading == "figure" else "right")
    for name in HEADLINE:
        if name in measures.figures:
            table.add_row(name, *_cells(measures.figures[name]))
    level = 1
    while f"accuracy_l{level}" in measures.figures:
        for kind in LEVEL:
            table.add_row(f"{kind}_l{level}", *_cells(measures.figures[f"{kind}_l{level}"]))
        level += 1
    for name, interval in measures.ranking.items():
        table.add_row(name, *_cells(interval))
    out.print(table)
    rows = measures.rows
    told = Table(box=None, show_header=False, pad_edge=False)
    told.add_row("rows", f"{rows['all']:,}, {rows['measured']:,} measured")
    if labels.empty:
        told.add_row("", Text(f"{labels.empty:,} have no label", "yellow"))
    if labels.unknown:
        first = f"{labels.unknown:,} have a label that is not in the taxonomy (first: "
        told.add_row("", Text(f"{first}{labels.first_unknown})", "yellow"))
    for status in ("review", "partial", "error"):
        if n := rows["status"].get(status):
            told.add_row("", Text(f"{n:,} {status}", "red" if status == "error" else "yellow"))
    if measures.rows_per_second:
        told.add_row("time", f"{measures.seconds:,.1f} s, {measures.rows_per_second:,.1f} rows/s")
    told.add_row("report", Text(str(folder.report)))
    err.print(told)


def _cells(interval: Interval) -> tuple[str, str]:
    if math.isnan(interval.value):
        return "undefined", ""
    return f"{interval.value:.3f}", f"{interval.low:.3f} to {interval.high:.3f}"
