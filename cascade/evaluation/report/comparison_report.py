"""The report of a comparison: figures, a page, and every row on which the runs differ."""

from __future__ import annotations

import csv
import json
import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cascade.errors import OutputError
from cascade.evaluation.comparison import Comparison
from cascade.evaluation.metrics.bootstrap import Interval
from cascade.evaluation.metrics.descriptions import describe_metric
from cascade.evaluation.report import fill
from cascade.evaluation.report.charts import share_end, upper_end
from cascade.evaluation.report.run_report import HEADLINE, facts_of
from cascade.io.files import write_json, write_text
from cascade.taxonomy import Taxonomy

LOWER_IS_BETTER = frozenset({"lca_distance_mean", "mistake_severity", "ece", "brier", "aurc"})
COUNTED_IN_LEVELS = frozenset({"lca_distance_mean", "mistake_severity"})
"""Metrics that are no shares from 0 to 1."""
DIFFERING = 500


class ComparisonFolder:
    """`comparison.json`, `comparison.html` and `differences.csv`."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    @property
    def figures(self) -> Path:
        """Figures of each run, paired differences and tests."""
        return self.path / "comparison.json"

    @property
    def report(self) -> Path:
        """The same for people."""
        return self.path / "comparison.html"

    @property
    def differences(self) -> Path:
        """A row for each row of the data on which the runs differ."""
        return self.path / "differences.csv"

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
        page = render_comparison(comparison_view(comparison))
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            with self.differences.open("w", encoding="utf-8", newline="") as file:
                csv.writer(file).writerows(_differences(comparison))
        except OSError as error:
            raise OutputError(f"{self.path} cannot be written: {error.strerror}") from None
        write_text(self.report, page)
        write_json(self.figures, comparison.to_dict())

    def read(self) -> dict[str, Any]:
        """The contents of `comparison.json`."""
        values: dict[str, Any] = json.loads(self.figures.read_text("utf-8"))
        return values


def _differences(comparison: Comparison) -> Iterator[list[Any]]:
    runs = comparison.runs
    heading = ["line", "text", "gold"]
    for run in runs:
        heading += [f"{run.name}: {what}" for what in ("code", "path", "confidence", "right")]
    yield heading
    first = runs[0].predictions
    tree = first.taxonomy
    for shared in comparison.differing.tolist():
        row = int(comparison.rows[0, shared])
        cells = [first.line(row), first.text(row), tree.path(int(first.gold[row]))]
        for run, rows in zip(runs, comparison.rows, strict=True):
            at, predictions = int(rows[shared]), run.predictions
            node = int(predictions.predicted[at])
            confidence = float(predictions.confidence[at])
            cells += [tree.codes[node], tree.path(node)] if node >= 0 else ["", ""]
            cells += [
                "" if confidence != confidence else round(confidence, 4),
                "yes" if node == int(predictions.gold[at]) else "no",
            ]
        yield cells


@dataclass(frozen=True)
class ComparedRun:
    """One of several runs.

    Parameters
    ----------
    facts
        As in `RunView`; those that are not the same for all runs are shown first.
    figures
        Metrics on the rows that all runs share.
    """

    name: str
    facts: Mapping[str, str]
    figures: Mapping[str, Interval]


@dataclass(frozen=True, slots=True)
class Split:
    """Rows by who is right, the first run or another, and the p-value of McNemar's exact test."""

    both: int
    only_first: int
    only_other: int
    neither: int
    p_value: float


@dataclass(frozen=True)
class AgainstFirst:
    """How a run does against the first.

    Parameters
    ----------
    difference
        Each metric of the run minus that of the first, resampled in pairs.
    splits
        Who is right, by the metric that tells it.
    """

    difference: Mapping[str, Interval]
    splits: Mapping[str, Split]


@dataclass(frozen=True, slots=True)
class Answered:
    """What a run says of a row: index of a node (-1 for none), how surely, whether rightly."""

    node: int
    confidence: float | None
    right: bool


@dataclass(frozen=True, slots=True)
class DifferingRow:
    """A row on which runs differ; `answers` has one for each run."""

    line: int
    text: str
    gold: int
    answers: Sequence[Answered]


@dataclass(frozen=True)
class ComparisonView:
    """What the page of a comparison shows.

    Parameters
    ----------
    compared
        Rows that all runs share.
    runs
        Two or more; the first is what the others are held against.
    against
        One for each run but the first.
    rows
        Rows on which the runs differ, the first to show first; the page shows 500.
    differing
        How many there are in all.
    meanings
        What each metric says, in a line, by name.
    """

    title: str
    compared: int
    taxonomy: Taxonomy
    runs: Sequence[ComparedRun]
    against: Sequence[AgainstFirst]
    rows: Sequence[DifferingRow]
    differing: int
    meanings: Mapping[str, str]


def comparison_view(comparison: Comparison) -> ComparisonView:
    """What the page of a comparison shows."""
    first = comparison.runs[0]
    names = list(dict.fromkeys(name for figures in comparison.figures for name in figures))
    return ComparisonView(
        title=" and ".join(run.name for run in comparison.runs),
        compared=comparison.rows.shape[1],
        taxonomy=first.predictions.taxonomy,
        runs=[
            ComparedRun(run.name, facts_of(run.manifest), figures)
            for run, figures in zip(comparison.runs, comparison.figures, strict=True)
        ],
        against=[
            AgainstFirst(
                other.difference,
                {
                    name: Split(
                        test.both, test.only_theirs, test.only_ours, test.neither, test.p_value
                    )
                    for name, test in other.mcnemar.items()
                },
            )
            for other in comparison.against
        ],
        rows=[_differing(comparison, row) for row in comparison.differing[:DIFFERING].tolist()],
        differing=len(comparison.differing),
        meanings={name: describe_metric(name) for name in names},
    )


def _differing(comparison: Comparison, shared: int) -> DifferingRow:
    """One of the shared rows, with what each run says of it."""
    answers = []
    for run, rows in zip(comparison.runs, comparison.rows, strict=True):
        row, predictions = int(rows[shared]), run.predictions
        node, confidence = int(predictions.predicted[row]), float(predictions.confidence[row])
        answers.append(
            Answered(
                node,
                None if math.isnan(confidence) else confidence,
                node == int(predictions.gold[row]),
            )
        )
    row, predictions = int(comparison.rows[0, shared]), comparison.runs[0].predictions
    return DifferingRow(
        predictions.line(row), predictions.text(row), int(predictions.gold[row]), answers
    )


def render_comparison(view: ComparisonView) -> str:
    """The page of a comparison as one HTML file that needs no other."""
    names = [run.name for run in view.runs]
    rows = [(row, who_is_right(row)) for row in view.rows[:DIFFERING]]
    return fill(
        "comparison.html",
        view=view,
        others=list(zip(view.runs[1:], view.against, strict=True)),
        headline=HEADLINE,
        verdict=verdict,
        scales=_scales(view),
        rows=rows,
        right={who: _named(who, names) for who in sorted({who for _, who in rows}, reverse=True)},
        facts=_side_by_side([run.facts for run in view.runs]),
    )


def verdict(name: str, difference: Interval) -> str:
    """What the difference of a metric says in a word or two."""
    if not (difference.low > 0 or difference.high < 0):
        return "no clear difference"
    return "better" if (difference.value > 0) != (name in LOWER_IS_BETTER) else "worse"


def who_is_right(row: DifferingRow) -> str:
    """A 1 or a 0 for each run."""
    return "".join("01"[answer.right] for answer in row.answers)


def _named(who: str, names: Sequence[str]) -> str:
    right = [name for digit, name in zip(who, names, strict=True) if digit == "1"]
    return " and ".join(right) or "none"


def _scales(view: ComparisonView) -> dict[str, float]:
    """A round end for the bars of each metric's differences: one for all that are shares."""
    greatest: defaultdict[str, float] = defaultdict(float)
    for other in view.against:
        for name, difference in other.difference.items():
            ends = [abs(end) for end in (difference.low, difference.high) if end == end]
            greatest[name] = max([greatest[name], *ends])
    shares = greatest.keys() - COUNTED_IN_LEVELS
    common = share_end(max((greatest[name] for name in shares), default=0))
    return {name: common if name in shares else upper_end(most) for name, most in greatest.items()}


def _side_by_side(
    facts: Sequence[Mapping[str, str]],
) -> list[tuple[str, list[str], bool]]:
    """Each fact with its value in each run and whether they are the same; others come first."""
    names = dict.fromkeys(name for each in facts for name in each)
    rows = [(name, [each.get(name, "") for each in facts]) for name in names]
    told = [(name, values, len(set(values)) == 1) for name, values in rows]
    return sorted(told, key=lambda row: row[2])
