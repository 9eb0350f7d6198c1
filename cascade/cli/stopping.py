"""Ends quietly when the user or the system asks for it, whatever is going on at that moment.

Ctrl-C, SIGTERM and SIGHUP become one exception that no library takes for its own: on the way out
files are closed and temporary ones removed. One line says how to go on, and the exit status is 128
and the number of the signal, as shells count. Asking again hurries nothing until some seconds have
passed; then the process ends at once.
"""

from __future__ import annotations

import atexit
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

from cascade.errors import CascadeError

AGAIN = "begin again with the same command"
PATIENCE = 5.0  # seconds in which what is open is closed
SIGNALS = [
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
]


class Stopped(BaseException):
    """A signal asked to stop.

    Attributes
    ----------
    then
        What is there, and what to do next; set by the first that knows.
    """

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number
        self.then = ""


class _Stopping:
    """What the signals do while a command runs."""

    def __init__(self) -> None:
        self.asked: Stopped | None = None
        self._since = 0.0

    def __call__(self, number: int, frame: FrameType | None) -> None:
        if self.asked is None:
            self.asked, self._since = Stopped(number), time.monotonic()
            raise self.asked
        if time.monotonic() - self._since > PATIENCE:
            os._exit(128 + number)

    def unraisable(self, found: Any) -> None:
        """Ask again where the exception came up in a callback that cannot pass it on."""
        if not isinstance(found.exc_value, Stopped):
            sys.__unraisablehook__(found)
            return
        self.asked = None
        threading.Timer(0.05, os.kill, (os.getpid(), found.exc_value.number)).start()


@contextmanager
def stoppable() -> Iterator[None]:
    """Run a command so that a signal ends the process quietly; see the module."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    stopping, hook = _Stopping(), sys.unraisablehook
    before = {number: signal.getsignal(number) for number in SIGNALS}
    # One that is ignored stays so: `nohup`, or a job in the background of a script.
    caught = [number for number in SIGNALS if before[number] not in (signal.SIG_IGN, None)]
    for number in caught:
        signal.signal(number, stopping)
    sys.unraisablehook = stopping.unraisable
    try:
        yield
    except BaseException as error:
        # What a library made of the exception is no matter of the user's. An error of ours is: it
        # was on its way before.
        if stopping.asked is None or isinstance(error, CascadeError):
            raise
        _end(stopping.asked)
    finally:
        sys.unraisablehook = hook
        for number in caught:
            signal.signal(number, before[number])


def _end(stopped: Stopped) -> None:
    """Say what to do next and end the process, without waiting for threads that still work."""
    word = "interrupted" if stopped.number == signal.SIGINT else "stopped"
    with suppress(OSError, ValueError):
        sys.stdout.flush()
    with suppress(OSError, ValueError):
        print(f"{word}; {stopped.then or AGAIN}", file=sys.stderr, flush=True)  # noqa: T201
    # What is registered for the end (temporary folders, workers) may itself wait for others.
    cleaning = threading.Thread(target=atexit._run_exitfuncs, daemon=True)
    cleaning.start()
    cleaning.join(PATIENCE)
    os._exit(128 + stopped.number)
