"""An explanation as a picture: the candidates of each level as bars, and what each word did."""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence
from textwrap import shorten
from typing import TYPE_CHECKING, Any

from matplotlib.figure import Figure

from cascade.predictions import Prediction

if TYPE_CHECKING:
    from cascade.pipeline.doors.explaining import Word

TAKEN, OTHER, AGAINST = "#1f5fa6", "#9dbfe3", "#d97706"
MOST_BARS, MOST_WORDS = 5, 10
WIDTH, BAR, HEAD = 7.5, 0.26, 0.62  # inches


class Picture(Figure):
    """A figure that a notebook shows, also where pyplot was not imported."""

    def _repr_png_(self) -> bytes:
        buffer = io.BytesIO()
        with warnings.catch_warnings():  # a letter that the font lacks is drawn as a box
            warnings.filterwarnings("ignore", message="Glyph")
            self.savefig(buffer, format="png", dpi=100)
        return buffer.getvalue()


def draw(prediction: Prediction, words: Sequence[Word]) -> Picture:
    """A figure with one row of bars for each level, and one for the words."""
    telling = sorted(words, key=lambda word: -abs(word.weight))[:MOST_WORDS]
    panels: list[tuple[str, list[tuple[str, float, str]]]] = []
    for level in prediction.levels:
        bars = [
            (c.name, c.probability, TAKEN if c.code == level.code else OTHER)
            for c in level.candidates[:MOST_BARS]
        ]
        if all(colour == OTHER for _, _, colour in bars):
            bars = [*bars[: MOST_BARS - 1], (level.name, _share(level), TAKEN)]
        panels.append(
            (f"level {level.level}: {level.confidence:.0%} at or below {level.name}", bars)
        )
    if telling:
        panels.append(
            (
                "what each word adds to the confidence",
                [(w.text, w.weight, TAKEN if w.weight > 0 else AGAINST) for w in telling],
            )
        )
    heights = [HEAD + BAR * len(bars) for _, bars in panels]
    figure = Picture(figsize=(WIDTH, sum(heights) + 0.5), layout="constrained")
    figure.suptitle(shorten(f"{prediction.path} ({prediction.confidence:.0%})", 90), fontsize=10)
    axes = figure.subplots(len(panels), 1, height_ratios=heights, squeeze=False)[:, 0]
    for axis, (title, bars) in zip(axes, panels, strict=True):
        _bars(axis, title, bars)
    return figure


def _share(level: Any) -> float:
    found = [c.probability for c in level.candidates if c.code == level.code]
    return found[0] if found else 1.0


def _bars(axis: Any, title: str, bars: Sequence[tuple[str, float, str]]) -> None:
    places = range(len(bars))
    values = [value for _, value, _ in bars]
    axis.barh(places, values, color=[colour for _, _, colour in bars])
    axis.set_yticks(places, [_plain(shorten(name, 34, placeholder="…")) for name, _, _ in bars])
    axis.invert_yaxis()
    axis.set_xlim(
        min(0.0, *values, 0.0) * 1.15, max(1.0 if min(values) >= 0 else 0.0, *values) * 1.12
    )
    axis.set_title(_plain(shorten(title, 80, placeholder="…")), fontsize=9, loc="left")
    axis.tick_params(labelsize=8, length=0)
    axis.spines[["top", "right", "bottom"]].set_visible(False)
    axis.set_xticks([])
    for place, value in zip(places, values, strict=True):
        axis.annotate(
            f"{value:.0%}",
            (max(value, 0.0), place),
            xytext=(3, 0),
            textcoords="offset points",
            va="center",
            fontsize=8,
        )


def _plain(text: str) -> str:
    """A text that matplotlib does not take for mathematics."""
    return text.replace("$", r"\$")
