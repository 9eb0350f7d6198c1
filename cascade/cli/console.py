"""The two consoles: answers go to standard output, everything else to standard error."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from json import dumps, loads
from typing import IO, TYPE_CHECKING, Any

import typer

from cascade.cli.stopping import Stopped
from cascade.errors import unwritable

if TYPE_CHECKING:
    from rich.console import Console

FORCED = frozenset({"FORCE_COLOR", "TTY_COMPATIBLE"})  # make Rich take anything for a terminal
READER_GONE = 141  # exit status: 128 and the number of SIGPIPE


def shown(text: str) -> str:
    """A text of which no control character can reach a terminal."""
    return "".join(c if c.isprintable() or c == "\n" else "\ufffd" for c in text)


class Stream:
    """Standard output or error as Rich prints on it; Rich is imported when it first does.

    That takes as long as reading a pack, and where no person looks it is seldom needed.
    """

    def __init__(self, *, stderr: bool = False) -> None:
        self._stderr = stderr

    @cached_property
    def rich(self) -> Console:
        """The console itself."""
        from rich.console import Console

        return Console(stderr=self._stderr, emoji=False)  # `:tea:` in a text stays what it is

    @property
    def file(self) -> IO[str]:
        """What is written to at the moment."""
        return sys.stderr if self._stderr else sys.stdout

    @property
    def is_terminal(self) -> bool:
        """Whether a person looks."""
        if not self.file.isatty() and os.environ.keys().isdisjoint(FORCED):
            return False
        return self.rich.is_terminal

    @property
    def width(self) -> int:
        """Columns of the terminal, or 80."""
        return self.rich.width

    def print(self, *objects: Any, **options: Any) -> None:
        """As `rich.console.Console.print`."""
        self.rich.print(*objects, **options)

    def write(self, text: str) -> None:
        """Write lines as they are, however long."""
        self.file.write(text + "\n")

    def print_json(self, json: str | None = None, *, data: Any = None) -> None:
        """Print JSON, or data as such, which is plain wherever a program reads it.

        Rich colours it also for programs where `FORCE_COLOR` is set, as Jupyter does for all.
        """
        if self.file.isatty():
            self.rich.print_json(json, data=data)
            return
        text = dumps(data if json is None else loads(json), indent=2, ensure_ascii=False)
        self.file.write(text + "\n")


out = Stream()
err = Stream(stderr=True)


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
        stopped.then = stopped.then or err.rich.render_str(then).plain
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
