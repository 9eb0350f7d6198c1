"""Progress of long work on standard error: a bar on a terminal, else a plain line now and then."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    SpinnerColumn,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from cascade.cli.console import err
from cascade.errors import InputError
from cascade.io import Row, Table

if TYPE_CHECKING:
    from cascade.config import CascadeConfig
    from cascade.pipeline.classifier import Classifier
    from cascade.taxonomy import Taxonomy

COUNTED = 2 << 30  # bytes; the lines of a larger file are not counted to know the time left
FIRST, NEXT = 2.0, 10.0  # seconds until the first plain line, and between two of them


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


@contextmanager
def working(what: str, shown: bool = True) -> Iterator[Work]:
    """Show long work on standard error: a bar that goes away when done, or lines that stay."""
    if not err.is_terminal or not shown:
        yield PlainWork(err if shown else Console(quiet=True), what)
        return
    with Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[amount]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=err,
        transient=True,
    ) as progress:
        yield BarWork(progress, what)


def load_classifier(taxonomy: Taxonomy, config: CascadeConfig, work: Work) -> Classifier:
    """The classifier; building its index is shown."""
    from cascade.pipeline.classifier import Classifier

    def indexed(done: int, of: int) -> None:
        work.show("indexing", done, of, f"{done:,} of {of:,} names")

    work.show("loading models")
    return Classifier(taxonomy, config, progress=indexed)


@contextmanager
def classifying(
    lines: Sequence[int | None], limit: int | None, shown: bool
) -> Iterator[Callable[[Sequence[Row]], None]]:
    """A function that is given the rows of each finished chunk, in any order, and shows them.

    Parameters
    ----------
    lines
        Of each file, as `lines_of` counts them.
    limit
        Rows of each file.
    """
    known = [count for count in lines if count is not None]
    of = sum(known) if len(known) == len(lines) else None
    if limit is not None:
        of = limit * len(lines)
    done = rows_done = 0
    with working("loading models", shown) as work:

        def finished(rows: Sequence[Row]) -> None:
            nonlocal done, rows_done
            rows_done += len(rows)
            done += len(rows) if limit is not None else rows[-1].line - rows[0].line + 1
            work.show("classifying", done, of, f"{rows_done:,} rows")

        yield finished


def lines_of(table: Table, source: str) -> int | None:
    """Lines of a text file, as the measure of progress; None where they are not counted."""
    path = Path(source)
    if table.kind not in ("csv", "tsv", "jsonl") or not path.is_file():
        return None
    if path.stat().st_size > COUNTED:
        return None
    try:
        with path.open("rb") as file:
            return sum(block.count(b"\n") for block in iter(lambda: file.read(1 << 20), b""))
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", file=source) from None
