"""Where the output of a run goes, and whether it can and may be written."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal

from cascade.errors import OutputError, UsageError, unwritable
from cascade.io.resumable.journal import Journal
from cascade.io.tables.detection import kind_of

State = Literal["fresh", "resume", "complete"]


def check_output(
    out: str | Path,
    source: str | Path | None = None,
    *,
    resume: bool = False,
    overwrite: bool = False,
    root: str | Path | None = None,
) -> State:
    """Check, before any work and without changing anything, that an output can be written.

    Parameters
    ----------
    root
        A folder that is there, below which folders are made.

    Returns
    -------
    str
        `fresh`, `resume` (parts of an interrupted run are there) or `complete` (`resume` was
        asked for and there is nothing left to do).

    Raises
    ------
    UsageError, OutputError
        It cannot; tells what to do.
    """
    if resume and overwrite:
        raise UsageError("--resume and --overwrite exclude each other; choose one")
    if str(out) == "-":
        if resume:
            raise UsageError("standard output cannot be resumed; name a file with --out")
        return "fresh"
    kind_of(out)
    path = resolved(Path(out))
    with on_disk(path):
        _check_place(path, source, root)
        return state_of(path, Journal(path), resume=resume, overwrite=overwrite)


def resolved(out: Path) -> Path:
    """The file that an output is, behind all links."""
    return Path(os.path.realpath(out))


def _check_place(out: Path, source: str | Path | None, root: str | Path | None = None) -> None:
    folder = out.parent
    if root is not None and not folder.is_dir() and resolved(Path(root)) in out.parents:
        folder = next(above for above in out.parents if above.is_dir())
    if out.is_dir():
        raise OutputError(f"{out} is a folder; name a file in it, for example {out / 'out.csv'}")
    if root is not None and not Path(root).is_dir():
        folder = Path(root)
    if not folder.is_dir():
        raise OutputError(f"the folder {folder} does not exist; make it: mkdir -p {folder}")
    if out.exists() and not out.is_file():
        raise OutputError(f"{out} is not a regular file; name one, or use - for standard output")
    given = Path(source) if source is not None and str(source) != "-" else None
    if given is not None and out.exists() and given.exists() and out.samefile(given):
        raise OutputError(f"{out} is itself read by this command; name another --out")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise OutputError(f"the folder {folder} may not be written; name another --out")


def state_of(out: Path, found: Journal, *, resume: bool, overwrite: bool) -> State:
    """What is to be done for an output, given the journal beside it."""
    if overwrite:
        return "fresh"
    if not resume:
        if found.parts:
            raise OutputError(
                f"an interrupted run left {found.finished_rows:,} finished rows of {out.name} in "
                f"{found.folder}; go on with --resume, or begin again with --overwrite"
            )
        if out.exists():
            raise OutputError(f"{out} exists; replace it with --overwrite, or name another --out")
        return "fresh"
    if not out.exists():
        return "resume" if found.parts else "fresh"
    if found.header is None:
        if found.folder.exists():
            raise OutputError(
                f"{out} exists, and {found.folder} holds nothing to go on with; "
                "begin again with --overwrite"
            )
        return "complete"
    if found.finished is not None and found.finished.is_of(out):
        return "complete"
    if not found.header.get("overwrite"):
        raise OutputError(
            f"{out} exists and is not of the run that is to be resumed; move it away, or begin "
            "again with --overwrite"
        )
    return "resume"


@contextmanager
def on_disk(out: Path) -> Iterator[None]:
    """Failures of the disk as errors that say what to do; finished parts are safe."""
    try:
        yield
    except OSError as error:
        raise unwritable(out, error, _then(out)) from error


def _then(out: Path) -> str:
    """What to do once an output can be written again."""
    with suppress(OSError):
        if Journal(out).parts:
            return "go on with --resume"
    return "begin again with the same command"
