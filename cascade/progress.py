"""Progress of long work: a bar on a terminal or in a notebook, else a plain line now and then."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from html import escape
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

FIRST, NEXT = 2.0, 10.0  # seconds until the first plain line, and between two of them
PAINT = 0.2  # seconds between two states of a bar in a notebook


class Work(Protocol):
    """Long work that shows how far it is; what is done may change on the way."""

    def show(self, what: str, done: int = 0, of: int | None = None, amount: str = "") -> None:
        """Show `what` is done, how much of how much, and that amount in words."""


class BarWork:
    """A progress bar on a terminal."""

    def __init__(self, progress: Progress, what: str) -> None:
        self._progress = progress
        self._task = progress.add_task(what, total=None, amount="")

    def show(self, what: str, done: int = 0, of: int | None = None, amount: str = "") -> None:
        """Move the bar."""
        self._progress.update(
            self._task, description=what, completed=done, total=of, amount=amount, refresh=done == 0
        )


class PlainWork:
    """A line after 2 seconds and then every 10, with the time left at the pace since the last.

    Parameters
    ----------
    clock
        Seconds that only grow.
    """

    def __init__(
        self, console: Console, what: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._console = console
        self._clock = clock
        self._due = 0.0
        self._begin(what, 0, FIRST)

    def show(self, what: str, done: int = 0, of: int | None = None, amount: str = "") -> None:
        """Print a line if one is due."""
        if what != self._what:
            self._begin(what, done, FIRST)
        now = self._clock()
        if now < self._due or done <= self._done or done == of:
            return
        line = f"{what} {amount or (f'{done:,} of {of:,}' if of else f'{done:,}')}"
        if of is not None and of > done and not amount.endswith(" left"):  # told once
            left = (of - done) * (now - self._since) / (done - self._done)
            line += f", {_duration(left)} left"
        self._console.print(line, highlight=False, markup=False, soft_wrap=True)
        self._begin(what, done, NEXT)

    def _begin(self, what: str, done: int, wait: float) -> None:
        self._what, self._done, self._since = what, done, self._clock()
        self._due = max(self._due, self._since + wait)


def _duration(seconds: float) -> str:
    if seconds < 100:
        return f"{max(1, round(seconds))} s"
    return f"{round(seconds / 60)} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


class NotebookWork:
    """A bar in a notebook, which goes away when all is done.

    Parameters
    ----------
    show
        Called with HTML, once for each state.
    clock
        Seconds that only grow.
    """

    def __init__(
        self, show: Callable[[str], None], what: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._paint, self._clock = show, clock
        self._what, self._due = "", clock()
        self.show(what)

    def show(self, what: str, done: int = 0, of: int | None = None, amount: str = "") -> None:
        """Paint the bar, at most some times in a second."""
        now = self._clock()
        if what == self._what and now < self._due and done != of:
            return
        self._what, self._due = what, now + PAINT
        bar = f"<progress max='{of}' value='{done}'></progress>" if of else "<progress></progress>"
        told = amount or (f"{done:,} of {of:,}" if of else f"{done:,}" if done else "")
        self._paint(f"<div>{escape(what)} {bar} {escape(told)}</div>")


class Silence:
    """Shows nothing."""

    def show(self, what: str, done: int = 0, of: int | None = None, amount: str = "") -> None:
        """Nothing is shown."""


@contextmanager
def working_on(console: Console, what: str) -> Iterator[Work]:
    """Show long work on a console: a bar that goes away when done, or lines that stay."""
    if not console.is_terminal:
        yield PlainWork(console, what)
        return
    from rich.progress import (
        BarColumn,
        Progress,
        SpinnerColumn,
        TaskProgressColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    with Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[amount]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
    ) as progress:
        yield BarWork(progress, what)


@contextmanager
def working(what: str, *, shown: bool = True) -> Iterator[Work]:
    """Show long work to who called from Python: in the notebook, or on standard error."""
    if not shown:
        yield Silence()
        return
    handle = _notebook_display()
    if handle is None:
        from rich.console import Console

        with working_on(Console(stderr=True), what) as work:
            yield work
        return
    from IPython.display import HTML

    try:
        yield NotebookWork(lambda text: handle.update(HTML(text)), what)
    finally:
        handle.update(HTML(""))


def _notebook_display() -> Any:
    """A place in the cell that runs, whose contents can be replaced; None outside of notebooks."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    if shell is None or not hasattr(shell, "kernel"):
        return None
    from IPython.display import HTML, display

    return display(HTML(""), display_id=True)
