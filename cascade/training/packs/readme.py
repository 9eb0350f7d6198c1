"""The README of a pack: what it was fitted on, how it measured, and how it is used."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cascade.io.tables.opening import TableFile


def readme(
    name: str,
    identity: Mapping[str, Any],
    source: TableFile,
    report: Mapping[str, Any],
    command: str,
) -> str:
    """The text, in Markdown.

    Parameters
    ----------
    identity
        What the pack depends on; see `training.fit.Fit`.
    report
        What was measured on the held-out rows.
    """
    rows = report["rows"]
    held = "a validation file" if rows["validation_file"] else "held out, near duplicates together"
    figures = {**report["scorers"], "this pack": report["pack"]}
    columns = list(report["pack"])
    read = [*identity["columns"]["text"], *filter(None, [identity["columns"]["image"]])]
    lines = [
        f"# {name}",
        "",
        f"A pack of cascade {identity['version']}, fitted in {report['seconds']:,} s on "
        f"{rows['fitted']:,} rows of {rows['labels']:,} labels from `{Path(source.file).name}` "
        f"(SHA-256 {identity['rows'][:16]}...), columns "
        f"{', '.join(read)}, seed {identity['seed']}.",
        "",
        "```sh",
        f"cascade classify items.csv -c {name} -o out.csv",
        *([command] if command else []),
        "```",
        "",
        f"Measured on {rows['held_out']:,} rows ({held}) on which weights and routing were chosen, "
        "so that figures are a little flattering; parts of the pack had not seen them:",
        "",
        f"| | {' | '.join(columns)} |",
        f"| --- |{' --- |' * len(columns)}",
    ]
    for label, found in figures.items():
        lines.append(f"| {label} | {' | '.join(str(found.get(c, '')) for c in columns)} |")
    if report["curve"]:
        lines += ["", "Routing: what the fast path answers alone at a threshold.", ""]
        lines += ["| threshold | fast | exact | rows/s |", "| --- | --- | --- | --- |"]
        step = max(1, len(report["curve"]) // 12)
        for point in report["curve"][::step]:
            lines.append(
                f"| {point['threshold']} | {point['fast']} | {point['exact']} | "
                f"{point['rows_per_second']} |"
            )
    if report["risk"]:
        lines += ["", "What `--max-risk` accepts; the rest is marked `review`.", ""]
        lines += ["| max risk | from confidence | share accepted |", "| --- | --- | --- |"]
        lines += [f"| {r['max_risk']} | {r['from']} | {r['accepted']} |" for r in report["risk"]]
    lines += ["", "Recipe:", "", "```json", json.dumps(identity["recipe"], indent=1), "```", ""]
    return "\n".join(lines)
