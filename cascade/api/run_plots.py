"""A run as a picture: accuracy by level, reliability, and risk against coverage."""

from __future__ import annotations

from typing import Any

from cascade.evaluation.run_metrics import RunMetrics
from cascade.pipeline.doors.drawing import Picture

LINE, SOFT, SPAN = "#1f5fa6", "#5c636b", "#9dbfe3"
SIDE = 3.6  # inches of a panel


def draw(metrics: RunMetrics) -> Picture:
    """A figure with a panel for each of the three that the run allows."""
    panels = [
        paint
        for paint, known in (
            (_levels, _by_level(metrics)),
            (_reliability, metrics.reliability),
            (_risk, metrics.risk_coverage),
        )
        if known
    ]
    figure = Picture(figsize=(SIDE * max(1, len(panels)), SIDE), layout="constrained")
    axes = figure.subplots(1, max(1, len(panels)), squeeze=False)[0]
    for axis, paint in zip(axes, panels, strict=False):
        paint(axis, metrics)
        axis.spines[["top", "right"]].set_visible(False)
        axis.tick_params(labelsize=8, colors=SOFT)
        axis.title.set_fontsize(10)
    return figure


def _by_level(metrics: RunMetrics) -> list[tuple[int, Any]]:
    """The accuracy of each level, from the top."""
    found = []
    for name, interval in metrics.figures.items():
        level = name.removeprefix("accuracy_l")
        if level != name and level.isdigit():
            found.append((int(level), interval))
    return sorted(found, key=lambda pair: pair[0])


def _levels(axis: Any, metrics: RunMetrics) -> None:
    found = _by_level(metrics)
    values = [interval.value for _, interval in found]
    below = [value - interval.low for value, (_, interval) in zip(values, found, strict=True)]
    above = [interval.high - value for value, (_, interval) in zip(values, found, strict=True)]
    axis.bar([f"{level}" for level, _ in found], values, color=SPAN)
    axis.errorbar(range(len(found)), values, [below, above], fmt="none", color=LINE, capsize=3)
    axis.set(ylim=(0, 1), title="accuracy by level")


def _reliability(axis: Any, metrics: RunMetrics) -> None:
    bins = metrics.reliability
    axis.plot([0, 1], [0, 1], color=SOFT, linewidth=1, linestyle="--")
    axis.plot([b.confidence for b in bins], [b.right for b in bins], "o-", color=LINE, markersize=4)
    axis.set(xlim=(0, 1), ylim=(0, 1), title="share right by confidence")


def _risk(axis: Any, metrics: RunMetrics) -> None:
    points = metrics.risk_coverage
    axis.plot([p.coverage for p in points], [p.risk for p in points], color=LINE)
    axis.set(xlim=(0, 1), title="share wrong by share accepted")
    axis.set_ylim(bottom=0)
