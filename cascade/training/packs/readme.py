"""The README of a pack: what it was fitted to, how it measured, and how it is used."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from cascade.training.markdown import table
from cascade.version import __version__


def readme(
    name: str, source: str, command: str, recipe: Mapping[str, Any], report: Mapping[str, Any]
) -> str:
    """Markdown.

    Parameters
    ----------
    name
        Of the pack's folder.
    source
        The rows, their columns and the seed, in words.
    command
        That made the pack; may be empty.
    report
        What was measured, as in the pack's metrics.json.
    """
    rows = report["rows"]
    held = "a validation file" if rows["validation_file"] else "held out, near duplicates together"
    columns = list(report["pack"])
    figures = {**report["scorers"], "this pack": report["pack"]}
    use = f"cascade classify items.csv -c {name} -o out.csv"
    blocks = [
        f"# {name}",
        f"A pack of cascade {__version__}, fitted in {report['seconds']:,} s on "
        f"{rows['fitted']:,} rows of {rows['labels']:,} labels from {source}.",
        "\n".join(["```sh", use, *filter(None, [command]), "```"]),
        f"Measured on {rows['held_out']:,} rows ({held}) on which weights and routing were "
        "chosen, so that figures are a little flattering; parts of the pack had not seen them:",
        table(["", *columns], [[n, *(f.get(c, "") for c in columns)] for n, f in figures.items()]),
    ]
    if curve := report["curve"]:
        points = [list(point.values()) for point in curve[:: max(1, len(curve) // 12)]]
        blocks += [
            "Routing: what the fast path answers alone at a threshold.",
            table(["threshold", "fast", "exact", "rows/s"], points),
        ]
    if report["risk"]:
        blocks += [
            "What `--max-risk` accepts, as shares of the rows: at some level, and as a whole. The "
            "others are marked `review`.",
            table(
                ["max risk", "accepted", "as a whole"],
                [list(row.values()) for row in report["risk"]],
            ),
        ]
    blocks += ["Recipe:", f"```json\n{json.dumps(recipe, indent=1)}\n```"]
    return "\n\n".join(blocks) + "\n"
