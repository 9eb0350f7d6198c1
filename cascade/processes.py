"""Processes beside this one that never outlive it, however it ends.

A killed process can tell no one, so each worker watches whether its parent is still there. As a
program, `python -m cascade.processes PARENT SCRIPT ...` runs a script that ends with PARENT.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from pathlib import Path

EVERY = 0.5  # seconds between two looks at the parent
PR_SET_PDEATHSIG = 1  # of linux/prctl.h

_watched = threading.Event()


def end_with(parent: int) -> None:
    """End this process soon after its parent, whose id is given; further calls do nothing.

    Ctrl-C, which a terminal sends to all of its processes, is left to the parent.
    """
    if _watched.is_set() or os.getpid() == parent:
        return
    _watched.set()
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_watch, args=(parent,), name="parent", daemon=True).start()


def die_with(parent: int) -> None:
    """As `end_with`, and at the same moment as the parent, where the system is Linux.

    For what the main thread of the parent begins: the system looks at that thread.
    """
    end_with(parent)
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:  # it has ended before
            os._exit(1)


def _watch(parent: int) -> None:
    if os.name == "nt":  # there a process keeps the id of its parent for good
        _wait_on_windows(parent)
    else:
        while os.getppid() == parent:
            time.sleep(EVERY)
    os._exit(1)


def _wait_on_windows(parent: int) -> None:
    import _winapi

    synchronize = 0x00100000
    try:
        handle = _winapi.OpenProcess(synchronize, False, parent)  # type: ignore[attr-defined]
    except OSError:
        return  # it is gone
    _winapi.WaitForSingleObject(handle, _winapi.INFINITE)  # type: ignore[attr-defined]


def script_command(script: str, arguments: list[str]) -> list[str]:
    """The command that runs a Python script in a process that ends with this one."""
    return [sys.executable, "-m", "cascade.processes", str(os.getpid()), script, *arguments]


def _run_script() -> None:
    import runpy

    parent, script = int(sys.argv[1]), sys.argv[2]
    end_with(parent)
    sys.argv[:] = sys.argv[2:]
    sys.path[0] = str(Path(script).resolve().parent)
    runpy.run_path(script, run_name="__main__")


if __name__ == "__main__":
    _run_script()
