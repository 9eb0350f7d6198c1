"""One input read under guard: its time and memory, and what it raised that is not ours."""

from __future__ import annotations

import resource
import shutil
import signal
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fuzz.targets import Target

HANG_S = 20.0  # a file of 200 kB must be read by then, on a machine that is busy too
MEMORY_MIB = 1_500  # that one input may need beyond what was there
LIMIT_GIB = 12  # of address space, beyond which the system gives no more


class Hang(BaseException):
    """No error of a reader's, so that none takes it for one."""


@dataclass(frozen=True)
class Outcome:
    """What one input came to: refused by a message of ours, or a fault, or read."""

    seconds: float
    refusal: str | None = None
    fault: str | None = None


def attempt(target: Target, seed: str, changes: list[int], folder: Path) -> Outcome:
    """Make the file of a seed with some changes, and read it."""
    from cascade.errors import CascadeError

    for old in folder.iterdir():
        shutil.rmtree(old) if old.is_dir() else old.unlink()
    path = target.make(seed, changes, folder)
    before, started = _resident(), time.monotonic()
    refusal = fault = None
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    try:
        with alarm():
            target.read(path)
    except CascadeError as error:
        refusal = str(error)
        fault = None if refusal.strip() else "a refusal without a message"
    except Hang as error:
        fault = f"hang of more than {HANG_S:.0f} s {place(error)}"
    except Exception as error:  # every other exception is what is looked for
        fault = f"{type(error).__name__} {place(error)}: {error}"[:240]
    seconds = time.monotonic() - started
    if (grown := _resident("VmHWM") - before) > MEMORY_MIB:
        fault = fault or f"memory: {grown:,.0f} MiB for {path.stat().st_size:,} bytes"
    return Outcome(seconds, refusal, fault)


def limit_memory() -> None:
    """Let this process fail rather than the machine."""
    resource.setrlimit(resource.RLIMIT_AS, (LIMIT_GIB << 30, LIMIT_GIB << 30))


@contextmanager
def alarm() -> Iterator[None]:
    """Raise `Hang` where the block takes too long."""

    def ring(*_: Any) -> None:
        raise Hang

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, HANG_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def place(error: BaseException) -> str:
    """The last line of ours that an error passed."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [f for f in frames if "/cascade/" in f.filename] or list(frames)
    return f"at {'/'.join(Path(ours[-1].filename).parts[-3:])}:{ours[-1].lineno}"


def _resident(what: str = "VmRSS") -> float:
    """Memory of this process in MiB, or its peak."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{what}:"):
            return int(line.split()[1]) / 1024
    return 0.0
