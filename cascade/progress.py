"""Progress of long work: a bar on a terminal or in a notebook, else a plain line now and then.

`Stages` numbers the stages of work that has several, and says how long all will take.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from html import escape
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

FIRST, NEXT = 2.0, 10.0  # seconds until the first plain line, and between two of them
LATER = 30.0  # seconds between two of them once work has taken that long
SURE = 20.0  # seconds that say as much about a machine as those expected do
Amount = str | Callable[[], str]
"""How much is done, in words, or what says so when it is shown."""
PAINT = 0.2  # seconds between two states of a bar in a notebook


class Work(Protocol):
    """Long work that shows how far it is; what is done may change on the way."""

    def show(self, what: str, done: int = 0, of: int | None = None, amount: Amount = "") -> None:
        """Show `what` is done, how much of how much, and that amount in words."""


def in_words(amount: Amount) -> str:
    """How much is done, as it is now."""
    return amount if isinstance(amount, str) else amount()


class Printer(Protocol):
    """What lines are printed on, such as a console of Rich."""

    def print(self, *objects: Any, **options: Any) -> None:
        """Print a line."""


class BarWork:
    """A progress bar on a terminal."""

    def __init__(self, progress: Progress, what: str) -> None:
        self._progress = progress
        self._task = progress.add_task(what, total=None, amount="")

    def show(self, what: str, done: int = 0, of: int | None = None, amount: Amount = "") -> None:
        """Move the bar."""
        self._progress.update(
            self._task,
            description=what,
            completed=done,
            total=of,
            amount=in_words(amount),
            refresh=done == 0,
        )


class PlainWork:
    """A line after 2 seconds and then every 10, later 30, with the time left at the last pace.

    Where nothing can be counted a line says at times that the work goes on.

    Parameters
    ----------
    clock
        Seconds that only grow.
    """

    def __init__(
        self, console: Printer, what: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._console = console
        self._clock = clock
        self._lock = threading.Lock()
        self._due, self._started = 0.0, clock()
        self._amount: Amount = ""
        self._entered = self._started
        self._begin(what, 0, FIRST)

    def show(self, what: str, done: int = 0, of: int | None = None, amount: Amount = "") -> None:
        """Print a line if one is due."""
        with self._lock:
            self._show(what, done, of, amount)

    def _show(self, what: str, done: int, of: int | None, amount: Amount) -> None:
        if what != self._what:
            self._entered = self._clock()
            self._begin(what, done, FIRST)
        now, self._amount = self._clock(), amount
        if now < self._due or done <= self._done or done == of:
            return
        told = in_words(amount)
        line = f"{what} {told or (f'{done:,} of {of:,}' if of else f'{done:,}')}"
        if of is not None and of > done and not told.endswith(" left"):  # told once
            left = (of - done) * (now - self._since) / (done - self._done)
            line += f", {duration(left)} left"
        self._print(line)
        self._begin(what, done, self._wait)

    def still(self) -> None:
        """Print that the work goes on, where nothing was counted for long."""
        with self._lock:
            now = self._clock()
            if now < max(self._due, self._since + self._wait):
                return
            told = in_words(self._amount)
            since = f"for {duration(now - self._entered)}"
            self._print(f"{self._what} {since}{f', {told}' if told else ''}")
            self._due = now + self._wait

    @contextmanager
    def beating(self) -> Iterator[None]:
        """Let a thread call `still` meanwhile."""
        ended = threading.Event()

        def beat() -> None:
            while not ended.wait(1.0):
                self.still()

        thread = threading.Thread(target=beat, name="cascade-progress", daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    @property
    def _wait(self) -> float:
        return NEXT if self._clock() - self._started < 2 * LATER else LATER

    def _print(self, line: str) -> None:
        self._console.print(line, highlight=False, markup=False, soft_wrap=True)

    def _begin(self, what: str, done: int, wait: float) -> None:
        self._what, self._done, self._since = what, done, self._clock()
        self._due = max(self._due, self._since + wait)


def duration(seconds: float) -> str:
    """A time span as `45 s`, `12 min` or `3.5 h`."""
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

    def show(self, what: str, done: int = 0, of: int | None = None, amount: Amount = "") -> None:
        """Paint the bar, at most some times in a second."""
        now = self._clock()
        if what == self._what and now < self._due and done != of:
            return
        self._what, self._due = what, now + PAINT
        bar = f"<progress max='{of}' value='{done}'></progress>" if of else "<progress></progress>"
        told = in_words(amount) or (f"{done:,} of {of:,}" if of else f"{done:,}" if done else "")
        self._paint(f"<div>{escape(what)} {bar} {escape(told)}</div>")


class Silence:
    """Shows nothing."""

    def show(self, what: str, done: int = 0, of: int | None = None, amount: Amount = "") -> None:
        """Nothing is shown."""


class Stages:
    """Shows which of several stages is under way, and about how long all will take.

    Parameters
    ----------
    show
        Shows work, as `Work.show` does.
    clock
        Seconds that only grow.
    """

    def __init__(
        self,
        show: Callable[[str, int, int | None, Amount], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._show, self._clock = show, clock
        self._names, self._expected, self._at = list[str](), list[float](), 0
        self._what, self._first, self._counted, self._warm = "", (0.0, 0), 0.0, False
        self._started = self._since = clock()

    def expect(self, seconds: Mapping[str, float]) -> None:
        """Take the stages, in order, with the seconds that each takes on some machine.

        What the first ones took tells how much slower or quicker this one is.
        """
        self._names, self._expected, self._at = list(seconds), list(seconds.values()), 0
        self._started = self._since = self._clock()

    def begin(self, stage: str) -> None:
        """Go on with a stage of this name; those before it are done."""
        self._at, self._since = self._names.index(stage), self._clock()

    def show(self, what: str, done: int = 0, of: int | None = None, amount: Amount = "") -> None:
        """Show what is done in the stage that is under way."""
        if not self._names:
            self._show(what, done, of, amount)
            return
        self._note(what, done, of)
        numbered = f"{self._at + 1} of {len(self._names)}, {what}"

        def told() -> str:
            counted = in_words(amount) or (f"{done:,} of {of:,}" if of and done else "")
            left = f"all about {duration(self.seconds_left())} left"
            return f"{counted}; {left}" if counted else left

        self._show(numbered, done, of, told)

    def _note(self, what: str, done: int, of: int | None) -> None:
        """Take the seconds left of what is counted, at its own pace; it ends before its stage.

        The first of them says nothing of the pace: what all need is made with it.
        """
        now = self._clock()
        if what != self._what:
            self._what, self._first, self._counted, self._warm = what, (now, done), 0.0, False
        began, first = self._first
        if of is None or done <= first:
            return
        if self._warm:
            self._counted = (of - done) * (now - began) / (done - first)
        else:
            self._first, self._warm = (now, done), True

    def seconds_left(self) -> float:
        """About how many seconds it is to the end of the last stage."""
        now, before = self._clock(), sum(self._expected[: self._at])
        pace = (self._since - self._started + SURE) / (before + SURE)
        own = max(pace * self._expected[self._at] - (now - self._since), self._counted)
        return own + pace * sum(self._expected[self._at + 1 :])


@contextmanager
def working_plainly(console: Printer, what: str) -> Iterator[Work]:
    """Show long work where nobody looks at a terminal: by lines that stay."""
    work = PlainWork(console, what)
    with work.beating():
        yield work


@contextmanager
def working_on(console: Console, what: str) -> Iterator[Work]:
    """Show long work on a console: a bar that goes away when done, or lines that stay."""
    if not console.is_terminal:
        with working_plainly(console, what) as work:
            yield work
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
