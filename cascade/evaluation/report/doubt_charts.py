"""The charts of a run's report on doubt: levels, information at a risk, and what climbing saved."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from markupsafe import Markup

from cascade.evaluation.metrics.calibration import Bin
from cascade.evaluation.metrics.given import RowsGiven, SetsOfSize
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

GIVEN = {"ok": "whole answer", "review": "for review", "none": "no answer"}
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
        axes.legend(frameon=False, labelcolor=SOFT, loc="upper left", handlelength=4)
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
        for name, some, colour in (
            ("cut to a sure level", climbing, ACCENT),
            ("whole or not at all", whole, BAD),
        ):
            axes.plot(
                [point.risk for point in some],
                [point.information for point in some],
                color=colour,
                label=name,
            )
        axes.set(
            xlim=(0, most),
            ylim=(0, 1),
            xlabel="wrong among accepted answers",
            ylabel="levels kept and right",
        )
        axes.xaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_major_formatter("{x:g}")
        axes.legend(frameon=False, labelcolor=SOFT, loc="lower right")
        ordered = sorted(climbing, key=lambda point: point.risk)
        places = [point.risk / most for point in ordered]
        middles = [(a + b) / 2 for a, b in pairwise(places)]
        ends = list(zip([0, *middles], [*middles, 1], strict=True))
        tips = [
            f"cut, with {metric(point.risk)} wrong\nlevels kept {metric(point.information)}"
            f"\nrows accepted {metric(point.accepted)}"
            for point in ordered
        ]
        label = "Information kept at each risk; its values are in the table below"
        return as_svg(chart, label, ends, tips)


def given_bars(given: Sequence[RowsGiven]) -> Markup:
    """Rows by what was given, each with the part of it that is right."""
    names = [GIVEN.get(each.what, f"down to {each.what}") for each in given]
    rows, right = [each.rows for each in given], [each.right for each in given]
    return _bars(names, rows, right, "right", "Rows by what was given")


def set_bars(sets: Sequence[SetsOfSize]) -> Markup:
    """Rows by the size of their sets, each with the part whose sets hold the known answer."""
    rows, held = [each.rows for each in sets], [each.held for each in sets]
    return _bars([each.what for each in sets], rows, held, "hold it", "Rows by the size of sets")


def _bars(
    names: Sequence[str], rows: Sequence[int], parts: Sequence[int], what: str, label: str
) -> Markup:
    """Bars for kinds of rows, from the top, part of each filled; figures stand beside them."""
    total = max(sum(rows), 1)
    with new_chart() as chart:
        axes = chart.add_axes((0.26, BOTTOM, 0.42, 0.79))
        places = list(range(len(names)))[::-1]
        axes.barh(places, [n / total for n in rows], color=SPAN, height=0.62, label="rows")
        axes.barh(places, [n / total for n in parts], color=ACCENT, height=0.62, label=what)
        beside = axes.get_yaxis_transform()  # x as a share of the axes: clear of every bar
        for place, n, part in zip(places, rows, parts, strict=True):
            share = f"{part / n:.0%} {what}" if n else "-"
            text = f"{n / total:.1%} of rows\n{share}"
            axes.text(1.06, place, text, transform=beside, va="center", color=SOFT, linespacing=1.3)
        axes.set_yticks(places, list(names))
        axes.set(xlim=(0, 1), ylim=(-0.6, max(len(names), 3) - 0.4), xlabel="share of all rows")
        axes.grid(axis="y", visible=False)
        axes.xaxis.set_major_formatter("{x:.0%}")
        axes.set_xticks([0, 0.5, 1])
        chart.legend(frameon=False, labelcolor=SOFT, loc="upper right", ncols=2)
        return as_svg(chart, f"{label}; its values are in the table below", [], [])
