"""The two consoles: answers go to standard output, everything else to standard error."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import typer
from rich.console import Console

out = Console()
err = Console(stderr=True)


@contextmanager
def interruptible(
    then: str = "finished rows are kept, go on with [bold]--resume[/]",
) -> Iterator[None]:
    """End quietly when the user interrupts, or the reader of standard output goes away.

    Typer would take both for itself and say nothing.

    Parameters
    ----------
    then
        What is there, and what to do next.
    """
    try:
        yield
    except KeyboardInterrupt:
        err.print(f"interrupted; {then}")
        raise typer.Exit(130) from None
    except BrokenPipeError:
        # `| head`: keep the interpreter from flushing into the pipe.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(141) from None
