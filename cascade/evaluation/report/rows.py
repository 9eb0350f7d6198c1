"""The rows of the tables of a report, from what was counted."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from cascade.evaluation.error_analysis import ErrorAnalysis
from cascade.evaluation.metrics.bootstrap import Interval

FIRST = ("accuracy", "f1_weighted", "f1_macro")
OF_LEVEL = re.compile(r"(.+)_l(\d+)")


@dataclass(frozen=True, slots=True)
class LevelRow:
    """One level: its classes and rows with gold, and its metrics by name without the level."""

    level: int
    classes: int
    rows: int
    figures: Mapping[str, Interval]


@dataclass(frozen=True, slots=True)
class ClassRow:
    """One class, as `Classes` counts it; shares are nan where they are undefined."""

    node: int
    level: int
    support: int
    predicted: int
    right: int
    precision: float
    recall: float
    f1: float
    confused: int
    confused_rows: int


def overall(figures: Mapping[str, Interval]) -> dict[str, Interval]:
    """The figures that are of no level."""
    return {name: figure for name, figure in figures.items() if not OF_LEVEL.fullmatch(name)}


def level_rows(breakdown: ErrorAnalysis, figures: Mapping[str, Interval]) -> list[LevelRow]:
    """The levels that have gold rows, from the top."""
    by_level: defaultdict[int, dict[str, Interval]] = defaultdict(dict)
    for name, interval in figures.items():
        if found := OF_LEVEL.fullmatch(name):
            by_level[int(found[2])][found[1]] = interval
    classes = breakdown.classes
    gold = classes.support > 0
    level_of = breakdown.taxonomy.level[classes.node]
    rows = []
    for level in range(1, int(level_of[gold].max()) + 1):
        members = classes.support[gold & (level_of == level)]
        here = by_level[level]
        ordered = {stem: here[stem] for stem in (*FIRST, *here) if stem in here}
        rows.append(LevelRow(level, len(members), int(members.sum()), ordered))
    return rows


def class_rows(breakdown: ErrorAnalysis, most: int) -> Iterator[ClassRow]:
    """The classes with the most gold rows, most first, so many at the most."""
    classes = breakdown.classes
    order = np.argsort(-classes.support, kind="stable")[:most]
    columns = (
        classes.node,
        breakdown.taxonomy.level[classes.node],
        classes.support,
        classes.predicted,
        classes.right,
        classes.precision,
        classes.recall,
        classes.f1,
        classes.confused,
        classes.confused_rows,
    )
    values = (column[order].tolist() for column in columns)
    return (ClassRow(*row) for row in zip(*values, strict=True))


def outcome_rows(breakdown: ErrorAnalysis) -> dict[str, int]:
    """Rows by how the predicted node lies to the gold node, in words; those that occur."""
    found = breakdown.outcomes
    rows = {
        "the known answer": found.exact,
        "a node above it": found.above,
        "a node below it": found.below,
        **{f"another branch from level {level}": n for level, n in enumerate(found.parted, 1)},
        "nothing": found.unanswered,
    }
    return {outcome: n for outcome, n in rows.items() if n or outcome == "the known answer"}


def stage_rows(seconds: float | None, stages: Mapping[str, float]) -> dict[str, float]:
    """What the time went into, most first, and the rest."""
    largest = dict(sorted(stages.items(), key=lambda stage: -stage[1]))
    rest = (seconds or 0) - sum(largest.values())
    return largest | ({"everything else": rest} if rest > 0 else {})
