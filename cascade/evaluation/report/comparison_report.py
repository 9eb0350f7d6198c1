"""The folder of a comparison: figures, a page, and every row on which the runs differ."""

from __future__ import annotations

import csv
import io
import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cascade.errors import OutputError
from cascade.evaluation.comparison import Comparison
from cascade.evaluation.metrics.bootstrap import Interval
from cascade.evaluation.report.html import fill
from cascade.evaluation.report.number_format import upper_end
from cascade.evaluation.report.run_report import HEADLINE, costs_of, facts_of
from cascade.io.files import write_json, write_text

LOWER_IS_BETTER = frozenset({"lca_distance_mean", "mistake_severity", "ece", "brier", "aurc"})
COUNTED_IN_LEVELS = frozenset({"lca_distance_mean", "mistake_severity"})
"""Metrics that are no shares from 0 to 1."""
SHARE_ENDS = (0.05, 0.1, 0.25, 0.5, 1.0)
DIFFERING = 500  # rows on the page


class ComparisonFolder:
    """`comparison.json`, `comparison.html` and `differences.csv`."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.figures = self.path / "comparison.json"
        self.report = self.path / "comparison.html"
        self.differences = self.path / "differences.csv"

    def check(self, *, overwrite: bool) -> None:
        """Raise OutputError where something lies here that may not be replaced."""
        if self.path.exists() and not self.path.is_dir():
            raise OutputError(f"{self.path} is a file; name a folder with --out")
        if self.path.is_dir() and any(self.path.iterdir()):
            ours = {path.name for path in (self.figures, self.report, self.differences)}
            if not all(path.name in ours for path in self.path.iterdir()):
                raise OutputError(f"{self.path} holds something else; name another --out")
            if not overwrite:
                raise OutputError(
                    f"{self.path} exists; replace it with --overwrite, or name another --out"
                )

    def write(self, comparison: Comparison) -> None:
        """Write everything.

        Raises
        ------
        OutputError
            The folder cannot be written.
        """
        page = comparison_report(comparison)
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"{self.path} cannot be written: {error.strerror}") from None
        differences = io.StringIO(newline="")
        csv.writer(differences).writerows(_differences(comparison))
        write_text(self.differences, differences.getvalue())
        write_text(self.report, page)
        write_json(self.figures, comparison.to_dict())

    def read(self) -> dict[str, Any]:
        """The contents of `comparison.json`."""
        values: dict[str, Any] = json.loads(self.figures.read_text("utf-8"))
        return values


@dataclass(frozen=True, slots=True)
class RowPrediction:
    """What a run predicts for a row: a node (-1 for none), its confidence, whether it is right."""

    node: int
    confidence: float | None
    right: bool


@dataclass(frozen=True, slots=True)
class DifferingRow:
    """A row on which runs differ, with the prediction of each run."""

    line: int
    text: str
    gold: int
    predictions: Sequence[RowPrediction]

    @property
    def who_is_right(self) -> str:
        """A 1 or a 0 for each run."""
        return "".join("01"[each.right] for each in self.predictions)


def comparison_report(comparison: Comparison) -> str:
    """The report of a comparison as one HTML file."""
    names = [run.name for run in comparison.runs]
    rows = list(differing_rows(comparison, DIFFERING))
    who = sorted({row.who_is_right for row in rows}, reverse=True)
    return fill(
        "comparison.html",
        title=" and ".join(names),
        comparison=comparison,
        taxonomy=comparison.runs[0].predictions.taxonomy,
        runs=list(zip(names, comparison.figures, strict=True)),
        others=list(zip(names[1:], comparison.against, strict=True)),
        headline=HEADLINE,
        verdict=verdict,
        scales=_scales(comparison),
        rows=rows,
        right={digits: _named(digits, names) for digits in who},
        facts=_side_by_side(
            [facts_of(run.manifest) | costs_of(run.metrics) for run in comparison.runs]
        ),
    )


def verdict(name: str, difference: Interval) -> str:
    """What the difference of a metric says in a word or two."""
    if not (difference.low > 0 or difference.high < 0):
        return "no clear difference"
    return "better" if (difference.value > 0) != (name in LOWER_IS_BETTER) else "worse"


def differing_rows(comparison: Comparison, most: int | None = None) -> Iterator[DifferingRow]:
    """The rows on which runs differ, in the order to show them, so many at the most."""
    first = comparison.runs[0].predictions
    for shared in comparison.differing[:most].tolist():
        found = []
        for run, rows in zip(comparison.runs, comparison.rows, strict=True):
            row, predictions = int(rows[shared]), run.predictions
            node, confidence = int(predictions.predicted[row]), float(predictions.confidence[row])
            known = None if confidence != confidence else confidence
            found.append(RowPrediction(node, known, node == int(predictions.gold[row])))
        row = int(comparison.rows[0, shared])
        yield DifferingRow(first.line(row), first.text(row), int(first.gold[row]), found)


def _differences(comparison: Comparison) -> Iterator[list[Any]]:
    """The lines of `differences.csv`."""
    heading = ["line", "text", "gold"]
    for run in comparison.runs:
        heading += [f"{run.name}: {what}" for what in ("code", "path", "confidence", "right")]
    yield heading
    tree = comparison.runs[0].predictions.taxonomy
    for row in differing_rows(comparison):
        cells: list[Any] = [row.line, row.text, tree.path(row.gold)]
        for each in row.predictions:
            known = each.node >= 0
            cells += [tree.codes[each.node], tree.path(each.node)] if known else ["", ""]
            cells += [
                "" if each.confidence is None else round(each.confidence, 4),
                "yes" if each.right else "no",
            ]
        yield cells


def _named(who: str, names: Sequence[str]) -> str:
    right = [name for digit, name in zip(who, names, strict=True) if digit == "1"]
    return " and ".join(right) or "none"


def _scales(comparison: Comparison) -> dict[str, float]:
    """A round end for the bars of each metric's differences: one for all that are shares."""
    greatest: defaultdict[str, float] = defaultdict(float)
    for other in comparison.against:
        for name, difference in other.difference.items():
            ends = [abs(end) for end in (difference.low, difference.high) if end == end]
            greatest[name] = max([greatest[name], *ends])
    shares = greatest.keys() - COUNTED_IN_LEVELS
    most = max((greatest[name] for name in shares), default=0)
    common = next(end for end in SHARE_ENDS if most <= end)
    return {name: common if name in shares else upper_end(end) for name, end in greatest.items()}


def _side_by_side(facts: Sequence[dict[str, str]]) -> list[tuple[str, list[str], bool]]:
    """Each fact with its value in each run and whether they are the same; others come first."""
    names = dict.fromkeys(name for each in facts for name in each)
    rows = [(name, [each.get(name, "") for each in facts]) for name in names]
    compared = [(name, values, len(set(values)) == 1) for name, values in rows]
    return sorted(compared, key=lambda row: row[2])
