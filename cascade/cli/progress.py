"""Progress of long work on standard error: a bar on a terminal, else a plain line now and then."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from cascade.cli.console import err
from cascade.errors import InputError
from cascade.io import Row, Table
from cascade.progress import Silence, Work, working_on, working_plainly

if TYPE_CHECKING:
    from cascade.config import CascadeConfig
    from cascade.pipeline.classifier import Classifier
    from cascade.taxonomy import Taxonomy

COUNTED = 2 << 30  # bytes; the lines of a larger file are not counted to know the time left


@contextmanager
def working(what: str, shown: bool = True) -> Iterator[Work]:
    """Show long work on standard error: a bar that goes away when done, or lines that stay."""
    if not shown:
        yield Silence()
        return
    with working_on(err.rich, what) if err.is_terminal else working_plainly(err, what) as work:
        yield work


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


def files_told(work: Work, files: int, size: int) -> Callable[[int, int, int], None]:
    """A function that is told how many bytes of files are done, how many files, and rows."""

    def told(done: int, finished: int, rows: int) -> None:
        if rows or finished:
            what = f"{finished:,} of {files:,} files"
            work.show("classifying", done, size or None, f"{what}, {rows:,} rows" if rows else what)

    return told


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
