"""The summary at the end of a run on a terminal."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict

from cascade.cli.console import err, out
from cascade.cli.grid import STYLES, Cell, Grid, styled
from cascade.confidence.shift import Shift
from cascade.pipeline.fallback import reasons_in_words
from cascade.pipeline.runs.languages import in_words
from cascade.pipeline.runs.table import Counts
from cascade.scoring.adaptation import LEAST
from cascade.scoring.first_pass.deciding import LEAST as LEAST_TAUGHT
from cascade.scoring.first_pass.deciding import PART
from cascade.values import printable

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
        _warn(
            f"{foreign}; the encoder was taught English alone, so their answers are right far "
            "less often. Name one of many languages, for example --set retrieval.encoder="
            "intfloat/multilingual-e5-small --allow-download, or fit a pack on labelled rows"
        )
    if by_fallback := sum(counts.fallback.values()):
        why = reasons_in_words(counts.fallback)
        told = f"{by_fallback:,} of {counts.rows:,} items were answered by the fallback: {why}"
        _warn(told)
    if as_json and (targets or failed):
        seen = None if shift is None else shift.to_dict()
        out.print_json(
            json.dumps({"out": targets, **asdict(counts), "shift": seen, "failed": failed or {}})
        )
        return
    grid = Grid()
    grid.add("rows", f"{counts.rows:,}", "")
    for status, style in STYLES.items():
        if n := counts.status.get(status):
            told = f"{n / counts.rows:.1%}{MEANINGS.get(status, '')}"
            grid.add(styled(f"  {status}", style), f"{n:,}", told)
        for level, own in sorted(counts.partial.items()) if status == "partial" else []:
            grid.add("", f"{own:,}", f"{own / counts.rows:.1%} at level {level}")
    if max_risk is not None and (accepted := counts.accepted.get("rows")):
        wrong = counts.accepted.get("expected_wrong", 0) / 1e6
        share = wrong / accepted
        told = f"of them expected wrong {wrong:,.0f} ({share:.1%}), allowed {100 * max_risk:.3g}%"
        if share > max_risk:
            told += ": these rows are harder than those that the pack was tested on"
        what = styled(told, "yellow" if share > max_risk else "")
        grid.add("accepted", f"{accepted:,}", what)
    for source, n in sorted(counts.source.items()):
        grid.add("answered by", f"{n:,}", source)
    if counts.adapted:
        grid.add("adapted", *_adapted(counts.adapted))
    if counts.first_pass:
        grid.add("first pass", *_first_pass(counts.first_pass))
    tenths = [tenth for tenth in range(9, -1, -1) if counts.confidence[tenth]]
    for tenth in tenths:
        n = counts.confidence[tenth]
        bar = "█" * max(1, round(24 * n / max(counts.confidence)))
        heading = "confidence" if tenth == tenths[0] else ""
        grid.add(heading, f"{n:,}", [(f"{tenth / 10:.0%}+ ", ""), (bar, "blue")])
    if known := counts.labelled.get("1"):
        told = f"of {known:,} ({counts.exact / known:.1%})"
        grid.add("exactly right", f"{counts.exact:,}", told)
    for level, n in sorted(counts.labelled.items(), key=lambda entry: int(entry[0])):
        right = counts.right.get(level, 0)
        grid.add(f"right to level {level}", f"{right:,}", f"of {n:,} ({right / n:.1%})")
    if counts.unknown and counts.labelled:
        what = styled(
            f"no {label} of the taxonomy, not counted as right or wrong (first: "
            f"{counts.first_unknown})",
            "yellow",
        )
        grid.add("label unknown", f"{counts.unknown:,}", what)
    if label and not counts.labelled:
        why = f"no {label} is in the taxonomy (first: {counts.first_unknown})"
        why = why if counts.unknown else f"no row has a {label}"
        grid.add("right", "", styled(f"unknown: {why}", "yellow"))
    for mark, n in counts.several.items():
        told = f"have several labels in one cell; read them with --label-separator {mark!r}"
        grid.add("several labels", f"{n:,}", styled(told, "yellow"))
    if counts.seconds:
        rate = f"{counts.rows / counts.seconds:,.1f} rows/s"
        grid.add("time", f"{counts.seconds:,.1f} s", rate)
    for target in targets if len(targets) <= LISTED else []:
        grid.add("written to", "", target)
    if len(targets) > LISTED:
        where = os.path.commonpath([os.path.dirname(target) for target in targets])
        grid.add("written to", f"{len(targets):,}", f"files in {where or '.'}")
    grid.print()
    if counts.status.get("nowhere", 0) > max(MANY * counts.rows, FEW):
        _warn(
            "so many rows that fit no node are a warning: is it the right taxonomy or pack? If "
            "they do belong, the pack knows their words too little; label some and fit it "
            "again, or see their nearest nodes with --set calibration.nowhere=0"
        )


def show_shift(shift: Shift) -> None:
    """Warn that rows are not like those that the pack was measured on."""
    _warn(
        f"these {shift.rows:,} rows differ from the rows that the pack was tested on. The "
        "answers may still be good, but confidences and --max-risk may promise too much. What "
        "differs:"
    )
    for moved in shift.moved:
        _warn(f"  {moved}")
    _warn(
        "what to do: if a column is empty or cut, mend the file. Else label some 200 of these "
        "rows and run cascade eval on them; if it finds the confidences wrong, cascade pack "
        "recalibrate mends them"
    )


def _warn(text: str) -> None:
    err.print(printable(text), style="yellow", highlight=False, markup=False)


def _first_pass(counts: Mapping[str, int]) -> tuple[str, Cell]:
    """What `--first-pass` learnt: a number, and what it means."""
    learnt_from = counts.get("from", 0)
    if not learnt_from:
        needed = f"{PART * LEAST_TAUGHT:,} rows with text are needed; the encoder answered all"
        return "no", styled(needed, "yellow")
    if not (sure := counts.get("sure", 0)):
        return "no", styled(
            "it is sure of too little in these rows; the encoder answered all", "yellow"
        )
    lost = counts.get("loss", 0) / 1e6
    told = f"rows taught it; sure of {sure / learnt_from:.0%} of them, expected to lose"
    told += f" {lost:.3f} of hF1 to the encoder"
    if few := counts.get("too_few", 0):
        told += f"; not for files of too few rows ({few:,} were looked at)"
    return f"{learnt_from:,}", told


def _adapted(counts: Mapping[str, int]) -> tuple[str, Cell]:
    """What `--adapt` did: a number, and what it means."""
    learnt_from, few = counts.get("from", 0), counts.get("too_few", 0)
    if not learnt_from:
        return "no", styled(
            f"{few:,} rows tell too little of a file, {LEAST:,} are needed", "yellow"
        )
    share = counts.get("moved", 0) / learnt_from
    told = f"rows told how frequent nodes are; it files {share:.1%} of them elsewhere"
    if few:
        told += f"; not for files of less than {LEAST:,} rows ({few:,} rows)"
    return f"{learnt_from:,}", told
