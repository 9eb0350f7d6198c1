"""The pages of a measured run and of a comparison: what they show, and each as one HTML file."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cascade.evaluation.breakdown import Breakdown
from cascade.evaluation.metrics.intervals import Interval
from cascade.evaluation.pages import fill
from cascade.evaluation.pages.icicle import icicle_of
from cascade.evaluation.pages.plot import Plot, share_end, share_interval, thin, upper_end
from cascade.evaluation.pages.rows import (
    class_rows,
    level_rows,
    outcome_rows,
    overall,
    stage_rows,
)
from cascade.taxonomy import Taxonomy

if TYPE_CHECKING:
    from cascade.evaluation.metrics.confidence import Bin, RiskCoverage

HEADLINE = ("hf1_micro", "exact_match", "mistake_severity", "ece", "coverage_at_risk_5")
LOWER_IS_BETTER = frozenset({"lca_distance_mean", "mistake_severity", "ece", "brier", "aurc"})
COUNTED_IN_LEVELS = frozenset({"lca_distance_mean", "mistake_severity"})
"""Metrics that are no shares from 0 to 1."""

CLASSES = 5_000
POINTS = 100
DIFFERING = 500


@dataclass(frozen=True)
class RunView:
    """What the report of a run shows.

    Parameters
    ----------
    title
        For example `validation.csv, retrieval`.
    facts
        What was measured and how: data, taxonomy, method, models, command, versions, date.
    counts
        Rows by what became of them, in the order to show them.
    figures, ranking
        Metrics of the answers, and of the ranked leaves (may be empty), by name.
    meanings
        What each metric says, in a line, by name.
    reliability, risk_coverage
        The two curves of confidence; empty where there are no confidences.
    seconds, stages, rows_per_second
        What answering took, None where it was done elsewhere, and what the time went into.
    """

    title: str
    facts: Mapping[str, str]
    counts: Mapping[str, int]
    figures: Mapping[str, Interval]
    ranking: Mapping[str, Interval]
    meanings: Mapping[str, str]
    reliability: Sequence[Bin]
    risk_coverage: Sequence[RiskCoverage]
    breakdown: Breakdown
    seconds: float | None
    stages: Mapping[str, float]
    rows_per_second: float | None


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


def render(view: RunView) -> str:
    """The report of a run as one HTML file that needs no other."""
    breakdown = view.breakdown
    taxonomy = breakdown.taxonomy
    levels = level_rows(breakdown, view.figures)
    classes = list(class_rows(breakdown, CLASSES))
    bins = [(bin_, share_interval(bin_.right, bin_.rows)) for bin_ in view.reliability if bin_.rows]
    curve = thin(view.risk_coverage, POINTS)
    return fill(
        "run.html",
        view=view,
        taxonomy=taxonomy,
        headline={name: view.figures[name] for name in HEADLINE if name in view.figures},
        others={n: v for n, v in overall(view.figures).items() if n not in HEADLINE},
        levels=levels,
        stems=list(dict.fromkeys(stem for row in levels for stem in row.figures)),
        bins=bins,
        most_in_bin=max((bin_.rows for bin_, _ in bins), default=0),
        reliability_plot=Plot(46, 8, 360, 236),
        curve=curve,
        risk_plot=Plot(46, 8, 360, 292, y_max=share_end(max((p.risk for p in curve), default=0))),
        icicle=icicle_of(breakdown),
        outcomes=outcome_rows(breakdown),
        parting_levels=_levels(pair.parts for pair in breakdown.confusions),
        classes=classes,
        class_levels=_levels(row.level for row in classes),
        coded=any(taxonomy.codes[row.node] != taxonomy.path(row.node) for row in classes),
        stages=stage_rows(view.seconds, view.stages),
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


def _levels(levels: Iterable[int]) -> dict[int, str]:
    """Different levels with their names, from the top."""
    return {level: f"level {level}" for level in sorted(set(levels))}
