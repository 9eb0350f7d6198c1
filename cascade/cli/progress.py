"""Progress bars on standard error: for loading models, and for the rows of a table."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from rich.progress import (
    BarColumn,
    Progress,
    SpinnerColumn,
    TaskID,
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

COUNTED = 2 << 30  # bytes; the lines of a larger file are not counted for the progress bar


class Bar:
    """One progress bar, whose work may change while it is shown."""

    def __init__(self, progress: Progress, task: TaskID) -> None:
        self._progress = progress
        self._task = task

    def show(self, what: str, done: int = 0, of: int | None = None, rows: str = "") -> None:
        """Show `what` is done, how much of how much, and how many rows in words."""
        self._progress.update(
            self._task, description=what, completed=done, total=of, rows=rows, refresh=done == 0
        )


@contextmanager
def working(what: str, shown: bool = True) -> Iterator[Bar]:
    """A progress bar on standard error that goes away when done."""
    with Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[rows]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=err,
        transient=True,
        disable=not (shown and err.is_terminal),
    ) as progress:
        yield Bar(progress, progress.add_task(what, total=None, rows=""))


def load_classifier(taxonomy: Taxonomy, config: CascadeConfig, bar: Bar) -> Classifier:
    """The classifier, loaded with a sign of life on the terminal."""
    from cascade.pipeline.classifier import Classifier

    bar.show("loading models")
    return Classifier(
        taxonomy, config, progress=lambda done, of: bar.show("building the index", done, of)
    )


@contextmanager
def classifying(
    table: Table, source: str, limit: int | None, shown: bool
) -> Iterator[Callable[[Row], None]]:
    """A function that is told the last finished row and moves a progress bar."""
    lines = None if limit is not None else lines_of(table, source)
    with working("classifying", shown) as bar:
        bar.show("classifying", 0, limit if limit is not None else lines)

        def finished(row: Row) -> None:
            at, of = (row.number, limit) if limit is not None else (row.line, lines)
            bar.show("classifying", at, of, f"{row.number:,} rows")

        yield finished


@contextmanager
def classifying_all(
    lines: Sequence[int | None], limit: int | None, shown: bool
) -> Iterator[Callable[[Sequence[Row]], None]]:
    """As `classifying`, over several files whose chunks are finished in any order.

    Parameters
    ----------
    lines
        Of each file, as `lines_of` counts them.
    """
    known = [count for count in lines if count is not None]
    of = sum(known) if len(known) == len(lines) else None
    if limit is not None:
        of = limit * len(lines)
    done = rows_done = 0
    with working("loading models", shown) as bar:

        def finished(rows: Sequence[Row]) -> None:
            nonlocal done, rows_done
            rows_done += len(rows)
            done += len(rows) if limit is not None else rows[-1].line - rows[0].line + 1
            bar.show("classifying", done, of, f"{rows_done:,} rows")

        yield finished


def lines_of(table: Table, source: str) -> int | None:
    """Lines of a text file, as the measure of progress; None where that is not to be had."""
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
