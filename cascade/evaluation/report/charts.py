"""The charts of a run's report, drawn by matplotlib: reliability diagram, risk-coverage curve.

They are SVG for a page: in its colours, also the dark ones, and in its font, with a tooltip for
each bin or point. The same values give the same bytes.
"""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from contextlib import AbstractContextManager
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from cascade.evaluation.metrics.calibration import Bin
from cascade.evaluation.metrics.risk_coverage import RiskCoverage
from cascade.evaluation.report.number_format import count, metric
from cascade.tracking.charts import new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ACCENT, SPAN, SOFT, LINE, PAGE = "#1f5fa6", "#9dbfe3", "#5c636b", "#d9dce0", "#ffffff"
BAD = "#b3631b"
VARIABLES = {ACCENT: "accent", SPAN: "span", SOFT: "soft", LINE: "line", PAGE: "page", BAD: "bad"}
"""Colours in which charts are drawn, each with the variable of style.css that replaces it."""

WIDTH, HEIGHT = 420, 336  # units of the SVG, 72 to an inch
LEFT, BOTTOM, RIGHT, TOP = 0.11, 0.11, 0.98, 0.98  # of the axes, as shares of both
STYLE: dict[Any, Any] = {
    "figure.facecolor": "none",
    "font.size": 11,
    "axes.facecolor": "none",
    "axes.labelsize": 12,
    "axes.edgecolor": SOFT,
    "axes.labelcolor": SOFT,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "axes.spines.left": False,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "grid.color": LINE,
    "xtick.color": SOFT,
    "ytick.color": SOFT,
    "lines.linewidth": 1.75,
    "xtick.major.pad": 6,
    "xtick.major.size": 0,
    "ytick.major.pad": 6,
    "ytick.major.size": 0,
    "svg.fonttype": "none",
}


def reliability_diagram(bins: Sequence[Bin], intervals: Sequence[tuple[float, float]]) -> Markup:
    """Share of right rows by confidence, each with its interval, above the rows of each bin."""
    with new_chart() as chart:
        share = chart.add_axes((LEFT, 0.28, RIGHT - LEFT, TOP - 0.28))
        rows = chart.add_axes((LEFT, BOTTOM, RIGHT - LEFT, 0.12), sharex=share)
        confidence = [each.confidence for each in bins]
        right = [each.right for each in bins]
        share.plot([0, 1], [0, 1], color=SOFT, linewidth=1, dashes=(4, 4))
        share.plot(confidence, right, color=ACCENT)
        low, high = zip(*intervals, strict=True)
        share.vlines(confidence, low, high, color=ACCENT, linewidth=1.25)
        share.plot(
            confidence, right, "o", color=ACCENT, markeredgecolor=PAGE, markersize=7, clip_on=False
        )
        share.set(xlim=(0, 1), ylim=(0, 1), ylabel="share right")
        share.yaxis.set_major_formatter("{x:g}")
        share.tick_params(labelbottom=False)
        share.spines.bottom.set_visible(False)
        rows.bar(
            [each.low for each in bins],
            [each.rows for each in bins],
            [each.high - each.low for each in bins],
            align="edge",
            color=SPAN,
            edgecolor=PAGE,
        )
        rows.grid(False)
        most = max(each.rows for each in bins)
        rows.set_yticks([0, most], ["0", count(most)])
        rows.xaxis.set_major_formatter("{x:g}")
        rows.set(xlabel="confidence", ylabel="rows")
        chart.align_ylabels()
        tips = [
            f"confidence {metric(each.low)} to {metric(each.high)}, "
            f"mean {metric(each.confidence)}\n"
            f"right: {metric(each.right)} ({metric(low)}–{metric(high)})\n"
            f"{count(each.rows)} rows"
            for each, (low, high) in zip(bins, intervals, strict=True)
        ]
        ends = [(each.low, each.high) for each in bins]
        return as_svg(chart, "Reliability diagram; its values are in the table below", ends, tips)


def risk_coverage_curve(points: Sequence[RiskCoverage]) -> Markup:
    """Share of errors among the rows that are kept, by the share of rows that is kept."""
    with new_chart() as chart:
        axes = chart.add_axes((LEFT, BOTTOM, RIGHT - LEFT, TOP - BOTTOM))
        coverage = [point.coverage for point in points]
        axes.plot(coverage, [point.risk for point in points], color=ACCENT)
        axes.set(
            xlim=(0, 1), xlabel="share of rows kept, the surest first", ylabel="wrong among them"
        )
        axes.set_ylim(0, min(1, max(0.05, axes.get_ylim()[1])))
        axes.xaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_major_formatter("{x:g}")
        tips = [
            f"coverage {metric(point.coverage)}\nrisk {metric(point.risk)}\n"
            f"confidence from {metric(point.threshold)}"
            for point in points
        ]
        middles = [(a + b) / 2 for a, b in pairwise(coverage)]
        ends = list(zip([0, *middles], [*middles, 1], strict=True))
        return as_svg(chart, "Risk-coverage curve; its values are in the table below", ends, tips)


def new_chart() -> AbstractContextManager[Figure]:
    """An empty figure, in the style of the page."""
    return new_figure(WIDTH / 72, HEIGHT / 72, STYLE)


def as_svg(
    chart: Figure, label: str, ends: Sequence[tuple[float, float]], tips: Sequence[str]
) -> Markup:
    """A chart as SVG inside a page; each stretch of its x-axis, from 0 to 1, has a tooltip."""
    import matplotlib

    buffer = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": label}):
        chart.savefig(buffer, format="svg")
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>|<!--.*?-->", "", text, flags=re.S)
    text = re.sub(r' id="[\w.]+_\d+"', "", text)  # the page may hold two charts
    text = re.sub(r"(font-family:|font: (?=[\d.]+px)) ?[^;\"]*;", "", text)
    for colour, variable in VARIABLES.items():
        text = text.replace(colour, f"var(--{variable})")
    text = re.sub(r"\s*\n\s*", " ", text)
    _, _, body = text.partition(">")
    areas = Markup().join(
        Markup(
            '<rect class="hit" x="{:.2f}" width="{:.2f}" y="0" height="{}" data-tip="{}"/>'
        ).format(
            WIDTH * (LEFT + (RIGHT - LEFT) * start),
            WIDTH * (RIGHT - LEFT) * (end - start),
            HEIGHT * (1 - BOTTOM),
            tip,
        )
        for (start, end), tip in zip(ends, tips, strict=True)
    )
    return Markup(
        f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{label}" '
        f'xmlns:xlink="http://www.w3.org/1999/xlink">{body.removesuffix("</svg> ")}{areas}</svg>'
    )
