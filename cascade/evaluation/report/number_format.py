"""Numbers, texts and the scales of bars as the pages show them, each kind in one form."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

NONE = "–"
MINUS = "−"
TITLE_CHARS = 2_000


def metric(value: float | None) -> str:
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


def p_value(value: float | None) -> str:
    """A p-value: three decimals, or `< 0.001`."""
    return "< 0.001" if value is not None and value < 0.001 else metric(value)


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


def tooltip(text: str) -> str:
    """A text for a tooltip; one that is very long is cut there too."""
    return text if len(text) <= TITLE_CHARS else text[:TITLE_CHARS] + " …"


def upper_end(greatest: float) -> float:
    """A round end of a bar's scale: 1 for figures up to it, else 2, 5, 10, 20, ..."""
    if not greatest > 1:  # nan, too
        return 1.0
    power = 10.0 ** math.floor(math.log10(greatest))
    return next(step * power for step in (1, 2, 5, 10) if greatest <= step * power)


def along(value: float, most: float) -> float:
    """Where a value lies from `-most` to `most`, in percent; what is beyond lies at the end."""
    return round(50 + 50 * max(-1.0, min(1.0, value / most)), 2)


def _signed(value: float | None, form: str) -> str:
    if value is None or not math.isfinite(value):
        return NONE
    text = format(value, form)
    zero = not any(digit in text for digit in "123456789")
    return text.lstrip("+-") if zero else text.replace("-", MINUS)


FILTERS: dict[str, Callable[..., Any]] = {
    f.__name__: f
    for f in (
        metric,
        difference,
        count,
        percent,
        p_value,
        duration,
        shorten,
        tooltip,
        upper_end,
        along,
    )
}
