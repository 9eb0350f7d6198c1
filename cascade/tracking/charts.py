"""An empty matplotlib figure, whatever the style of the user is."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@contextmanager
def new_figure(
    width: float, height: float, style: Mapping[Any, Any] | None = None
) -> Iterator[Figure]:
    """A figure of some inches, in the default style with what is given in its place."""
    log = logging.getLogger("matplotlib")
    level = log.level
    log.setLevel(logging.ERROR)  # not a word on the building of its font cache
    try:
        import matplotlib
        from matplotlib.figure import Figure

        with matplotlib.rc_context():
            matplotlib.rcdefaults()
            matplotlib.rcParams.update(dict(style or {}))
            yield Figure(figsize=(width, height))
    finally:
        log.setLevel(level)
