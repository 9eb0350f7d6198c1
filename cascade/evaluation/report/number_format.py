"""Numbers and texts as the pages show them, each kind in one form everywhere."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

NONE = "–"
MINUS = "−"
TITLE_CHARS = 2_000


def figure(value: float | None) -> str:
    """A metric: three decimals."""
    return _signed(value, ",.3f")


def difference(value: float | None) -> str:
    """A difference of metrics: three decimals and always a sign."""
    return _signed(value, "+,.3f")


def count(value: int) -> str:
    """A number of things, with thousands separated."""
    return f"{value:,}"


def percent(value: float | None) -> str:
    """A share of rows."""
    return _signed(value, ".1%")


def chance(value: float | None) -> str:
    """A p-value: three decimals, and no more than can be told."""
    return "< 0.001" if value is not None and value < 0.001 else figure(value)


def duration(seconds: float) -> str:
    """A time, in the two greatest units that it has."""
    if seconds < 59.95:
        return f"{seconds:.1f} s" if seconds >= 0.95 else f"{seconds * 1000:.0f} ms"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:,} h {minutes} min" if hours else f"{minutes} min {rest} s"


def shorten(text: str, most: int = 140) -> str:
    """A text on one line, cut after `most` characters."""
    line = " ".join(text.split())
    return line if len(line) <= most else line[:most].rstrip() + " …"


def whole(text: str) -> str:
    """A text for a tooltip; one that is very long is cut there too."""
    return text if len(text) <= TITLE_CHARS else text[:TITLE_CHARS] + " …"


def _signed(value: float | None, form: str) -> str:
    if value is None or not math.isfinite(value):
        return NONE
    text = format(value, form)
    zero = not any(digit in text for digit in "123456789")
    return text.lstrip("+-") if zero else text.replace("-", MINUS)


FILTERS: dict[str, Callable[..., Any]] = {
    f.__name__: f for f in (figure, difference, count, percent, chance, duration, shorten, whole)
}
