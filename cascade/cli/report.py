"""The summary at the end of a run: rows, who answered, how sure, how right, how fast."""

from __future__ import annotations

import json
from dataclasses import asdict

from rich.table import Table
from rich.text import Text

from cascade.cli.console import err, out
from cascade.cli.screen import STYLES
from cascade.pipeline.runs.table import Counts


def show(counts: Counts, targets: list[str], *, as_json: bool, label: str | None = None) -> None:
    """Print the counts of a run: a table on standard error, or JSON on standard output.

    With JSON rows on standard output the summary stays on standard error.
    """
    if as_json and targets:
        out.print_json(json.dumps({"out": targets, **asdict(counts)}))
        return
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold")
    table.add_column(justify="right")
    table.add_column()
    table.add_row("rows", f"{counts.rows:,}", "")
    for status in ("ok", "review", "partial", "error"):
        if n := counts.status.get(status):
            table.add_row(Text(f"  {status}", STYLES[status]), f"{n:,}", _share(n, counts.rows))
    for source, n in sorted(counts.source.items()):
        table.add_row("answered by", f"{n:,}", source)
    tenths = [tenth for tenth in range(9, -1, -1) if counts.confidence[tenth]]
    for tenth in tenths:
        n = counts.confidence[tenth]
        bar = "█" * max(1, round(24 * n / max(counts.confidence)))
        heading = "confidence" if tenth == tenths[0] else ""
        table.add_row(heading, f"{n:,}", f"{tenth / 10:.0%}+ [blue]{bar}[/]")
    for level, n in sorted(counts.labelled.items(), key=lambda entry: int(entry[0])):
        right = counts.right.get(level, 0)
        table.add_row(f"right to level {level}", f"{right:,}", f"of {n:,} ({right / n:.1%})")
    if counts.unknown and counts.labelled:
        what = Text(f"no {label} of the taxonomy, not counted as right or wrong", "yellow")
        table.add_row("label unknown", f"{counts.unknown:,}", what)
    if label and not counts.labelled:
        table.add_row("right", "", Text(f"unknown: no {label} is in the taxonomy", "yellow"))
    if counts.seconds:
        rate = f"{counts.rows / counts.seconds:,.1f} rows/s"
        table.add_row("time", f"{counts.seconds:,.1f} s", rate)
    for target in targets:
        table.add_row("written to", "", Text(target))
    err.print(table)


def _share(n: int, of: int) -> str:
    return f"{n / of:.1%}"
