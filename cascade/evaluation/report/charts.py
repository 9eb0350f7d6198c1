"""Where values lie in a chart: scales, ticks, and points that are few enough to draw."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")

SHARE_ENDS = (0.05, 0.1, 0.25, 0.5, 1.0)
TICKS = 5
Z = 1.96  # of a 95% interval


@dataclass(frozen=True, slots=True)
class Plot:
    """The area of a chart; both axes begin at 0.

    Parameters
    ----------
    left, top, width, height
        The area inside the axes, in units of the drawing.
    x_max, y_max
        What the ends of the axes stand for.
    """

    left: float
    top: float
    width: float
    height: float
    x_max: float = 1.0
    y_max: float = 1.0

    def x(self, value: float) -> float:
        """Where a value lies from the left."""
        return round(self.left + self.width * value / self.x_max, 2)

    def y(self, value: float) -> float:
        """Where a value lies from the top."""
        return round(self.top + self.height * (1 - value / self.y_max), 2)

    @property
    def x_ticks(self) -> list[float]:
        """Values to mark on the lower axis."""
        return _ticks(self.x_max)

    @property
    def y_ticks(self) -> list[float]:
        """Values to mark on the left axis."""
        return _ticks(self.y_max)


def upper_end(greatest: float) -> float:
    """A round end of a scale for figures: 1 for those up to it, else 2, 5, 10, 20, ..."""
    if not greatest > 1:  # nan, too
        return 1.0
    power = 10.0 ** math.floor(math.log10(greatest))
    return next(step * power for step in (1, 2, 5, 10) if greatest <= step * power)


def share_end(greatest: float) -> float:
    """A round end of an axis for shares up to `greatest`."""
    return next(end for end in SHARE_ENDS if greatest <= end)


def along(value: float, most: float) -> float:
    """Where a value lies from `-most` to `most`, in percent; what is beyond lies at the end."""
    return round(50 + 50 * max(-1.0, min(1.0, value / most)), 2)


def thin(points: Sequence[T], most: int) -> list[T]:
    """At most so many points, evenly from the first to the last."""
    if len(points) <= most:
        return list(points)
    return [points[round(i * (len(points) - 1) / (most - 1))] for i in range(most)]


def share_interval(share: float, rows: int) -> tuple[float, float]:
    """95% interval of a share of rows (Wilson 1927, "Probable inference")."""
    middle = (share + Z**2 / (2 * rows)) / (1 + Z**2 / rows)
    spread = Z * math.sqrt(share * (1 - share) / rows + Z**2 / (4 * rows**2)) / (1 + Z**2 / rows)
    return max(0.0, middle - spread), min(1.0, middle + spread)


def _ticks(end: float) -> list[float]:
    return [end * i / TICKS for i in range(TICKS + 1)]
