"""The two consoles: answers go to standard output, everything else to standard error."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from json import dumps, loads
from typing import Any

import typer
from rich.console import Console

from cascade.cli.stopping import Stopped
from cascade.errors import unwritable

READER_GONE = 141  # exit status: 128 and the number of SIGPIPE


class Out(Console):
    """Standard output, whose JSON is plain wherever a program reads it.

    Rich colours it also for programs where `FORCE_COLOR` is set, as Jupyter does for all commands.
    """

    def print_json(self, json: str | None = None, **options: Any) -> None:
        """Print JSON, in colours on a terminal alone."""
        if json is None or self.file.isatty():
            super().print_json(json, **options)
            return
        text = dumps(loads(json), indent=2, ensure_ascii=False)
        self.file.write(text + "\n")


out = Out(emoji=False)  # `:tea:` in a text of an item stays what it is
err = Console(stderr=True, emoji=False)


@contextmanager
def interruptible(
    then: str = "finished rows are kept, go on with [bold]--resume[/]",
) -> Iterator[None]:
    """Say what is there and what to do next when the user interrupts; see `cascade.cli.stopping`.

    Ends quietly where the reader of standard output goes away.

    Parameters
    ----------
    then
        The end of the sentence.
    """
    try:
        yield
    except Stopped as stopped:
        stopped.then = stopped.then or err.render_str(then).plain
        raise
    except KeyboardInterrupt:  # where no handler of signals is set
        err.print(f"interrupted; {then}")
        raise typer.Exit(130) from None
    except BrokenPipeError:  # which Typer would take for a failure
        leave_pipe()
        raise typer.Exit(READER_GONE) from None


@contextmanager
def closed_pipe() -> Iterator[None]:
    """End quietly when the reader of standard output goes away, as in `| head`."""
    before = _standard_output()
    try:
        try:
            yield
        finally:
            sys.stdout.flush()
    except (BrokenPipeError, SystemExit) as error:
        # Rich and Typer put something else in the place of a standard output that nobody reads.
        if isinstance(error, SystemExit) and _standard_output() == before:
            raise
        leave_pipe()
        sys.exit(READER_GONE)
    except OSError as error:
        if error.filename is not None:  # of a file, so not of a stream
            raise
        leave_pipe()
        raise unwritable("standard output", error) from None


def _standard_output() -> tuple[Any, ...]:
    """What standard output is at the moment."""
    try:
        found = os.fstat(sys.stdout.fileno())
    except (OSError, ValueError):  # it is no file
        return (id(sys.stdout),)
    return id(sys.stdout), found.st_dev, found.st_ino


def leave_pipe() -> None:
    """Keep the interpreter from flushing into a pipe that nobody reads."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
