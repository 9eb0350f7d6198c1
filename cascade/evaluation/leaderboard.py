"""The leaderboard of a suite: one table of all its rows, for people and for programs."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from cascade.evaluation.comparison import compare
from cascade.evaluation.suite import Suite
from cascade.evaluation.suite_run import Outcome
from cascade.io.files import write_json, write_text

_LEVEL = re.compile(r"_l(\d+)(?:_lenient)?$")
NOTE_SMALL = "untrained model of the same architecture made small: shows that the code runs"


def leaderboard(
    suite: Suite, outcomes: Sequence[Outcome], *, resamples: int, seed: int
) -> dict[str, Any]:
    """Figures of every row, and its paired difference to the baseline, as plain values."""
    base = next((o.run for o in outcomes if o.row.name == suite.baseline), None)
    rows = []
    for outcome in outcomes:
        run = outcome.run
        values: dict[str, Any] = {
            "name": outcome.row.name,
            "family": outcome.row.family,
            "skipped": outcome.skipped or None,
            "small": outcome.small,
            "note": outcome.note or None,
            "levels": outcome.row.levels,
        }
        if run is not None:
            figures = {**run.metrics["figures"], **run.metrics["ranking"]}
            time = run.metrics["time"]["rows_per_second"]
            values |= {
                "finished": run.manifest["finished"],
                "versions": run.manifest["versions"],
                "machine": run.manifest["machine"],
                "rows": run.metrics["rows"]["measured"],
                "figures": figures,
                "rows_per_second": time or outcome.facts.get("rows_per_second"),
                "fit_seconds": outcome.facts.get("fit_seconds"),
            }
            first = suite.metrics[0]
            other = run is not base and not outcome.small
            if base is not None and other and _shown(values, figures, first):
                found = compare([base, run], resamples=resamples, seed=seed).against[0].difference
                values["over_baseline"] = asdict(found[first]) if first in found else None
        rows.append(values)
    return {
        "title": suite.title,
        "baseline": suite.baseline,
        "metrics": suite.metrics,
        "rows": rows,
    }


def lines_of(board: dict[str, Any], *, short: bool = False) -> list[list[str]]:
    """The table, its heading first; a column that is empty in all rows is left out.

    Parameters
    ----------
    short
        What fits a screen: without families, times of fitting, differences and notes.
    """
    first, *more = board["metrics"]
    heading = ["family", "row", f"{first} (95%)", *more, "rows/s", "fit s"]
    heading += [f"over {board['baseline']} (95%)", "note"]
    notes = dict(notes_of(board))
    lines = [heading]
    for row in board["rows"]:
        figures = row.get("figures", {})
        lines.append(
            [
                "" if short else row["family"],
                row["name"],
                _interval(_shown(row, figures, first)),
                *(_value(_shown(row, figures, metric)) for metric in more),
                _number(row.get("rows_per_second"), "{:,.1f}"),
                "" if short else _number(row.get("fit_seconds"), "{:,.1f}"),
                "" if short else _interval(row.get("over_baseline"), "+"),
                "" if short else notes.get(row["name"], ""),
            ]
        )
    columns = [column for column in zip(*lines, strict=True) if any(column[1:])]
    return [list(line) for line in zip(*columns, strict=True)]


def notes_of(board: dict[str, Any]) -> list[tuple[str, str]]:
    """Rows of which there is something to say, such as why they were skipped."""
    notes = []
    for row in board["rows"]:
        if row["skipped"]:
            notes.append((row["name"], f"skipped: {row['skipped']}"))
        elif row["small"]:
            notes.append((row["name"], NOTE_SMALL))
        elif row.get("note"):
            notes.append((row["name"], row["note"]))
    return notes


def markdown(board: dict[str, Any], command: str) -> str:
    """The leaderboard as a page, with the command that made it."""
    heading, *lines = lines_of(board)
    cells = (heading, ["---"] * len(heading), *lines)
    table = "\n".join(f"| {' | '.join(_escaped(cell) for cell in line)} |" for line in cells)
    done = next((row for row in board["rows"] if "rows" in row), None)
    summary = "Nothing was measured."
    if done is not None:
        versions = ", ".join(f"{name} {which}" for name, which in done["versions"].items())
        summary = f"{done['rows']:,} rows, on {done['machine']['cores']} cores, with {versions}."
    title = board["title"] or "Leaderboard"
    return f"# {title}\n\n{table}\n\n{summary} Made by:\n\n```sh\n{command}\n```\n"


def write(board: dict[str, Any], folder: Path, command: str) -> Path:
    """Write `leaderboard.json` and `leaderboard.md` into a folder; the path of the latter.

    Raises
    ------
    OutputError
        They cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "leaderboard.json", {**board, "command": command})
    page = folder / "leaderboard.md"
    write_text(page, markdown(board, command))
    return page


def _shown(row: dict[str, Any], figures: dict[str, Any], metric: str) -> dict[str, Any] | None:
    """A figure of a row, unless it is of levels that the row does not answer for."""
    levels = row["levels"]
    if levels is None:
        return figures.get(metric)
    level = _LEVEL.search(metric)
    return figures.get(metric) if level and int(level[1]) <= levels else None


def _interval(figure: dict[str, Any] | None, sign: str = "") -> str:
    if figure is None or figure["value"] is None:
        return ""
    form = f"{{value:{sign}.4f}} ({{low:{sign}.4f}} to {{high:{sign}.4f}})"
    return form.format(**figure)


def _value(figure: dict[str, Any] | None) -> str:
    return "" if figure is None else _number(figure["value"], "{:.4f}")


def _number(value: float | None, form: str) -> str:
    return "" if value is None or math.isnan(value) else form.format(value)


def _escaped(cell: str) -> str:
    return cell.replace("|", "\\|").replace("\n", " ")
