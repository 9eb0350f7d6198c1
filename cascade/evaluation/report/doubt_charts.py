"""The charts of a run's report on doubt: levels, information at a risk, and what climbing saved."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from markupsafe import Markup

from cascade.evaluation.metrics.calibration import Bin
from cascade.evaluation.metrics.given import RowsGiven
from cascade.evaluation.metrics.risk_coverage import InformationAtRisk
from cascade.evaluation.report.charts import (
    ACCENT,
    BAD,
    BOTTOM,
    LEFT,
    PAGE,
    RIGHT,
    SOFT,
    SPAN,
    TOP,
    as_svg,
    new_chart,
)
from cascade.evaluation.report.number_format import count, metric

DASHES: tuple[tuple[float, ...], ...] = ((), (6, 2), (2, 2), (6, 2, 2, 2))


def level_reliability_diagram(levels: Sequence[Sequence[Bin]]) -> Markup:
    """Share of rows that are right down to a level, by the confidence of that level."""
    with new_chart() as chart:
        axes = chart.add_axes((LEFT, BOTTOM, RIGHT - LEFT, TOP - BOTTOM))
        axes.plot([0, 1], [0, 1], color=SOFT, linewidth=1, dashes=(4, 4))
        for at, bins in enumerate(levels):
            shade = ACCENT if at % 2 == 0 else BAD
            (line,) = axes.plot(
                [each.confidence for each in bins],
                [each.right for each in bins],
                color=shade,
                marker="o",
                markersize=5,
                markeredgecolor=PAGE,
                label=f"level {at + 1}",
                clip_on=False,
            )
            if dashes := DASHES[at // 2 % len(DASHES)]:
                line.set_dashes(dashes)
        axes.set(xlim=(0, 1), ylim=(0, 1), xlabel="confidence of the level", ylabel="share right")
        axes.xaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_major_formatter("{x:g}")
        axes.legend(frameon=False, labelcolor=SOFT, loc="upper left", handlelength=2.5)
        edges = sorted({edge for bins in levels for each in bins for edge in (each.low, each.high)})
        ends = list(pairwise(edges))
        tips = [_of_levels(levels, low) for low, _ in ends]
        label = "Reliability of each level; its values are in the table below"
        return as_svg(chart, label, ends, tips)


def _of_levels(levels: Sequence[Sequence[Bin]], low: float) -> str:
    lines = [
        f"level {at}: {metric(each.right)} right at {metric(each.confidence)}, {count(each.rows)} "
        "rows"
        for at, bins in enumerate(levels, 1)
        for each in bins
        if each.low <= low < each.high
    ]
    return "\n".join([f"confidence from {metric(low)}", *lines])


def information_curve(points: Sequence[InformationAtRisk]) -> Markup:
    """Information kept by the share of accepted answers that is wrong, climbing and as a whole."""
    climbing = [point for point in points if point.climbs]
    whole = [point for point in points if not point.climbs]
    most = max([point.risk for point in points] + [0.05])
    with new_chart() as chart:
        axes = chart.add_axes((LEFT, BOTTOM, RIGHT - LEFT, TOP - BOTTOM))
        for name, some, colour in (("climbing", climbing, ACCENT), ("as a whole", whole, BAD)):
            axes.plot(
                [point.risk for point in some],
                [point.information for point in some],
                color=colour,
                label=name,
            )
        axes.set(xlim=(0, most), ylim=(0, 1), xlabel="risk", ylabel="information kept")
        axes.xaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_major_formatter("{x:g}")
        axes.legend(frameon=False, labelcolor=SOFT, loc="lower right")
        ordered = sorted(climbing, key=lambda point: point.risk)
        places = [point.risk / most for point in ordered]
        middles = [(a + b) / 2 for a, b in pairwise(places)]
        ends = list(zip([0, *middles], [*middles, 1], strict=True))
        tips = [
            f"climbing at a risk of {metric(point.risk)}\ninformation {metric(point.information)}"
            f"\naccepted {metric(point.accepted)}"
            for point in ordered
        ]
        label = "Information kept at each risk; its values are in the table below"
        return as_svg(chart, label, ends, tips)


def given_bars(given: Sequence[RowsGiven]) -> Markup:
    """Rows by what was given, each with the part of it that is right."""
    total = max(sum(each.rows for each in given), 1)
    with new_chart() as chart:
        axes = chart.add_axes((0.17, BOTTOM, RIGHT - 0.17, TOP - BOTTOM))
        places = list(range(len(given)))[::-1]
        shares = [each.rows / total for each in given]
        axes.barh(places, shares, color=SPAN, height=0.62, label="rows")
        right = [each.right / total for each in given]
        axes.barh(places, right, color=ACCENT, height=0.62, label="right")
        for place, share, each in zip(places, shares, given, strict=True):
            axes.text(
                share + 0.01,
                place,
                f"{each.rows / total:.0%}, {each.right / max(each.rows, 1):.0%} right",
                va="center",
                color=SOFT,
            )
        axes.set_yticks(places, [each.what for each in given])
        axes.set(xlim=(0, min(1.0, max([*shares, 0.1]) * 1.45 + 0.12)), xlabel="share of rows")
        axes.grid(axis="y", visible=False)
        axes.xaxis.set_major_formatter("{x:g}")
        axes.legend(frameon=False, labelcolor=SOFT, loc="lower right")
        label = "Rows by what was given; its values are in the table below"
        return as_svg(chart, label, [], [])
