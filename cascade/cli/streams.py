"""The standard streams, whatever state the caller left them in.

A descriptor that is closed would be given to the next file that is opened, and what is printed
would end up in there. So closed ones are opened: standard input with nothing in it, standard output
so that writing to it fails with an error that says so, standard error so that it swallows all. What
is told on standard error is no reason to fail: where it cannot be written, it is lost. A terminal
that is said to have no columns is one of which nothing is known.
"""

from __future__ import annotations

import io
import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

_MODES = (os.O_RDONLY, os.O_RDONLY, os.O_WRONLY)
_STRICT = ("strict", "surrogateescape")  # each fails at some letters


def mend_streams() -> None:
    """Open what is closed, and let neither standard error nor odd letters end the command."""
    if os.environ.get("COLUMNS", "").strip("0 ") == "":
        os.environ.pop("COLUMNS", None)  # of 0 columns Rich makes no text at all
    for number, mode in enumerate(_MODES):
        with suppress(OSError):
            os.fstat(number)
            continue
        opened = os.open(os.devnull, mode)  # the lowest that is free, so this one
        if opened != number:
            os.dup2(opened, number)
            os.close(opened)
        os.set_inheritable(number, True)
    if sys.stdin is None:
        sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115
    if sys.stdout is None:
        sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    elif isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.errors in _STRICT:
        sys.stdout.reconfigure(errors="backslashreplace")  # names of files may be no text
    if sys.stderr is None or sys.stderr is sys.__stderr__:
        encoding = "utf-8" if sys.stderr is None else sys.stderr.encoding
        sys.stderr = io.TextIOWrapper(
            _Lossy(), encoding=encoding, errors="backslashreplace", line_buffering=True
        )


class _Lossy(io.BufferedIOBase):
    """Standard error, of which nothing is said where it cannot be written."""

    name = "<stderr>"

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return 2

    def isatty(self) -> bool:
        return os.isatty(2)

    def write(self, data: ReadableBuffer, /) -> int:
        left = memoryview(data).cast("B")
        size = len(left)
        with suppress(OSError):
            while left:
                left = left[os.write(2, left) :]
        return size
