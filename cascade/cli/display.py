"""The summary at the end of a run on a terminal."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict

from rich.table import Table as RichTable
from rich.text import Text

from cascade.cli.answer_table import STYLES
from cascade.cli.console import err, out
from cascade.confidence.shift import Shift
from cascade.pipeline.fallback import reasons_in_words
from cascade.pipeline.runs.languages import in_words
from cascade.pipeline.runs.table import Counts
from cascade.scoring.adaptation import LEAST
from cascade.scoring.first_pass.deciding import LEAST as LEAST_TAUGHT
from cascade.scoring.first_pass.deciding import PART

MEANINGS = {
    "partial": "  as deep as they are sure",
    "review": "  too unsure, the code is a suggestion",
    "nowhere": "  fit no node",
}
MANY, FEW = 0.1, 10  # rows that fit nowhere: more than such a share, and such a number, is a sign


LISTED = 8  # outputs that are named one by one


def show_counts(
    counts: Counts,
    targets: list[str],
    *,
    as_json: bool,
    label: str | None = None,
    shift: Shift | None = None,
    max_risk: float | None = None,
    failed: Mapping[str, str] | None = None,
) -> None:
    """Print the counts of a run: a table on standard error, or JSON on standard output.

    With JSON rows on standard output the summary stays on standard error. What has moved is told
    before, on standard error in any case.
    """
    if shift is not None and shift.alarm:
        show_shift(shift)
    if foreign := in_words(counts.languages, counts.rows):
        err.print(
            Text(
                f"{foreign}; the encoder was taught English alone, so their answers are right far "
                "less often. Name one of many languages, for example --set retrieval.encoder="
                "intfloat/multilingual-e5-small --allow-download, or fit a pack on labelled rows",
                "yellow",
            )
        )
    if by_fallback := sum(counts.fallback.values()):
        why = reasons_in_words(counts.fallback)
        told = f"{by_fallback:,} of {counts.rows:,} items were answered by the fallback: {why}"
        err.print(Text(told, "yellow"), highlight=False)
    if as_json and (targets or failed):
        seen = None if shift is None else shift.to_dict()
        out.print_json(
            json.dumps({"out": targets, **asdict(counts), "shift": seen, "failed": failed or {}})
        )
        return
    table = RichTable(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold")
    table.add_column(justify="right")
    table.add_column()
    table.add_row("rows", f"{counts.rows:,}", "")
    for status, style in STYLES.items():
        if n := counts.status.get(status):
            told = f"{n / counts.rows:.1%}{MEANINGS.get(status, '')}"
            table.add_row(Text(f"  {status}", style), f"{n:,}", told)
        for level, own in sorted(counts.partial.items()) if status == "partial" else []:
            table.add_row("", f"{own:,}", f"{own / counts.rows:.1%} at level {level}")
    if max_risk is not None and (accepted := counts.accepted.get("rows")):
        wrong = counts.accepted.get("expected_wrong", 0) / 1e6
        share = wrong / accepted
        told = f"of them expected wrong {wrong:,.0f} ({share:.1%}), allowed {100 * max_risk:.3g}%"
        if share > max_risk:
            told += ": these rows are harder than those that the pack was tested on"
        what = Text(told, "yellow" if share > max_risk else "")
        table.add_row("accepted", f"{accepted:,}", what)
    for source, n in sorted(counts.source.items()):
        table.add_row("answered by", f"{n:,}", source)
    if counts.adapted:
        table.add_row("adapted", *_adapted(counts.adapted))
    if counts.first_pass:
        table.add_row("first pass", *_first_pass(counts.first_pass))
    tenths = [tenth for tenth in range(9, -1, -1) if counts.confidence[tenth]]
    for tenth in tenths:
        n = counts.confidence[tenth]
        bar = "█" * max(1, round(24 * n / max(counts.confidence)))
        heading = "confidence" if tenth == tenths[0] else ""
        table.add_row(heading, f"{n:,}", f"{tenth / 10:.0%}+ [blue]{bar}[/]")
    if known := counts.labelled.get("1"):
        told = f"of {known:,} ({counts.exact / known:.1%})"
        table.add_row("exactly right", f"{counts.exact:,}", told)
    for level, n in sorted(counts.labelled.items(), key=lambda entry: int(entry[0])):
        right = counts.right.get(level, 0)
        table.add_row(f"right to level {level}", f"{right:,}", f"of {n:,} ({right / n:.1%})")
    if counts.unknown and counts.labelled:
        what = Text(
            f"no {label} of the taxonomy, not counted as right or wrong (first: "
            f"{counts.first_unknown})",
            "yellow",
        )
        table.add_row("label unknown", f"{counts.unknown:,}", what)
    if label and not counts.labelled:
        why = f"no {label} is in the taxonomy (first: {counts.first_unknown})"
        why = why if counts.unknown else f"no row has a {label}"
        table.add_row("right", "", Text(f"unknown: {why}", "yellow"))
    for mark, n in counts.several.items():
        told = f"have several labels in one cell; read them with --label-separator {mark!r}"
        table.add_row("several labels", f"{n:,}", Text(told, "yellow"))
    if counts.seconds:
        rate = f"{counts.rows / counts.seconds:,.1f} rows/s"
        table.add_row("time", f"{counts.seconds:,.1f} s", rate)
    for target in targets if len(targets) <= LISTED else []:
        table.add_row("written to", "", Text(target))
    if len(targets) > LISTED:
        where = os.path.commonpath([os.path.dirname(target) for target in targets])
        table.add_row("written to", f"{len(targets):,}", Text(f"files in {where or '.'}"))
    err.print(table)
    if counts.status.get("nowhere", 0) > max(MANY * counts.rows, FEW):
        err.print(
            Text(
                "so many rows that fit no node are a warning: is it the right taxonomy or pack? If "
                "they do belong, the pack knows their words too little; label some and fit it "
                "again, or see their nearest nodes with --set calibration.nowhere=0",
                "yellow",
            )
        )


def show_shift(shift: Shift) -> None:
    """Warn that rows are not like those that the pack was measured on."""
    err.print(
        Text(
            f"these {shift.rows:,} rows differ from the rows that the pack was tested on. The "
            "answers may still be good, but confidences and --max-risk may promise too much. What "
            "differs:",
            "yellow",
        )
    )
    for moved in shift.moved:
        err.print(Text(f"  {moved}", "yellow"))
    err.print(
        Text(
            "what to do: if a column is empty or cut, mend the file. Else label some 200 of these "
            "rows and run cascade eval on them; if it finds the confidences wrong, cascade pack "
            "recalibrate mends them",
            "yellow",
        )
    )


def _first_pass(counts: Mapping[str, int]) -> tuple[str, Text]:
    """What `--first-pass` learnt: a number, and what it means."""
    learnt_from = counts.get("from", 0)
    if not learnt_from:
        needed = f"{PART * LEAST_TAUGHT:,} rows with text are needed; the encoder answered all"
        return "no", Text(needed, "yellow")
    if not (sure := counts.get("sure", 0)):
        return "no", Text(
            "it is sure of too little in these rows; the encoder answered all", "yellow"
        )
    lost = counts.get("loss", 0) / 1e6
    told = f"rows taught it; sure of {sure / learnt_from:.0%} of them, expected to lose"
    told += f" {lost:.3f} of hF1 to the encoder"
    if few := counts.get("too_few", 0):
        told += f"; not for files of too few rows ({few:,} were looked at)"
    return f"{learnt_from:,}", Text(told)


def _adapted(counts: Mapping[str, int]) -> tuple[str, Text]:
    """What `--adapt` did: a number, and what it means."""
    learnt_from, few = counts.get("from", 0), counts.get("too_few", 0)
    if not learnt_from:
        return "no", Text(f"{few:,} rows tell too little of a file, {LEAST:,} are needed", "yellow")
    share = counts.get("moved", 0) / learnt_from
    told = f"rows told how frequent nodes are; it files {share:.1%} of them elsewhere"
    if few:
        told += f"; not for files of less than {LEAST:,} rows ({few:,} rows)"
    return f"{learnt_from:,}", Text(told)
