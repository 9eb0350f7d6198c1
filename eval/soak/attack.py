"""What parts share: the row of an attack, the time that is left, and processes with their ends."""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any, TypeVar

ROOT = Path(__file__).parents[2]
MARK = "CASCADE_SOAK"  # in the environment of a run and of all that it starts
GONE_WITHIN = 5.0  # seconds in which the processes of a run that ended must be gone
Kind = TypeVar("Kind")


@dataclass
class Row:
    """What came of one attack.

    Parameters
    ----------
    attack
        In a few words, for the table.
    tries
        How often it was made.
    lost, wrong, invalid
        Rows that are missing or doubled; rows that differ from those of an undisturbed run, or
        files that are not what they should be; codes that the taxonomy does not have.
    left
        Processes that were there five seconds after a run had ended.
    hang_s
        Seconds from the fault to the end of the command (its answer or its error), the longest.
    faults
        What else was not right: tracebacks, messages without a cure; one sentence each.
    """

    attack: str
    tries: int = 0
    lost: int = 0
    wrong: int = 0
    invalid: int = 0
    left: int = 0
    hang_s: float = 0.0
    faults: list[str] = field(default_factory=list)

    @property
    def right(self) -> bool:
        """Whether nothing was found."""
        return not (self.lost or self.wrong or self.invalid or self.left or self.faults)

    def __str__(self) -> str:
        return (
            f"{self.attack}: {self.tries} tries, {self.lost} lost, {self.wrong} wrong, "
            f"{self.invalid} invalid, {self.left} left, {self.hang_s:.1f} s"
        )

    def add(self, other: Row) -> None:
        """Take in what came of more tries."""
        for name in ("tries", "lost", "wrong", "invalid", "left"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.hang_s = max(self.hang_s, other.hang_s)
        self.faults += [fault for fault in other.faults if fault not in self.faults]


class Run:
    """A command of cascade in a process of its own, with all processes that it starts.

    Use it as a context: what is left of it at the end is counted, then killed.
    """

    def __init__(
        self,
        arguments: Sequence[Any],
        folder: Path,
        *,
        env: Mapping[str, str] | None = None,
        prefix: Sequence[str] = (),
        stdin: bytes | None = None,
    ) -> None:
        self.mark = uuid.uuid4().hex
        environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "OMP_NUM_THREADS": "1",
            "NO_COLOR": "1",
            "COLUMNS": "200",
            MARK: self.mark,
            **(env or {}),
        }
        self._err = tempfile.TemporaryFile()  # noqa: SIM115 - not in the folder, whose disk may be full
        self.process = subprocess.Popen(
            [*prefix, sys.executable, "-m", "cascade", *map(str, arguments)],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE,
            stdout=self._err,
            stderr=self._err,
            start_new_session=True,
        )
        if stdin is not None and self.process.stdin is not None:
            self.process.stdin.write(stdin)
            self.process.stdin.close()
        self.started = time.monotonic()

    def __enter__(self) -> Run:
        return self

    def __exit__(self, *error: object) -> None:
        for pid in self.members():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()
        self._err.close()

    def wait(self, timeout: float = 120.0) -> int | None:
        """The exit status; None where the command has not ended in time, and is killed."""
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return None

    @property
    def said(self) -> str:
        """All that it printed."""
        self._err.seek(0)
        return self._err.read().decode("utf-8", "replace")

    def fault(self) -> str | None:
        """A sentence where it ended with a traceback; the last line tells which."""
        said = self.said
        if "Traceback (most recent call last)" not in said:
            return None
        return f"traceback: {said.strip().splitlines()[-1][:200]}"

    def members(self) -> list[int]:
        """The processes of this run that are there."""
        found, sought = [], f"{MARK}={self.mark}".encode()
        for folder in Path("/proc").iterdir():
            if folder.name.isdigit():
                with suppress(OSError):
                    if sought in (folder / "environ").read_bytes().split(b"\0"):
                        found.append(int(folder.name))
        return found

    def left(self) -> int:
        """How many of its processes outlive it by more than some seconds."""
        end = time.monotonic() + GONE_WITHIN
        while (members := self.members()) and time.monotonic() < end:
            time.sleep(0.1)
        return len(members)


class Soak:
    """What a part is given: a folder of its own, seeded chance, its time, and processors.

    Parameters
    ----------
    seconds
        No try begins after them.
    options
        Those of the command: `jobs`, the tries that run at a time, `seed` and what parts have.
    """

    def __init__(self, folder: Path, seconds: float, options: argparse.Namespace) -> None:
        self.folder, self.seconds, self.options = folder, seconds, options
        self.jobs, self.seed = options.jobs, options.seed
        self._end = time.monotonic() + seconds
        self._lock, self._places = Lock(), 0

    @property
    def left_s(self) -> float:
        """Seconds that are left."""
        return self._end - time.monotonic()

    def extend(self, seconds: float) -> None:
        """Take more time than the share."""
        self._end = max(self._end, time.monotonic() + seconds)

    def place(self, name: str) -> Path:
        """A new folder."""
        with self._lock:
            self._places += 1
            made = self.folder / f"{name}-{self._places}"
        made.mkdir(parents=True)
        return made

    def tries(
        self,
        attack: str,
        one: Callable[[Kind], Row],
        kinds: Iterable[Kind],
        *,
        share: float = 1.0,
    ) -> Row:
        """Make an attack in all its kinds, as long as there is time; one row for all.

        No try begins after this share of the time that is left.

        A try that raises is a fault of the row, for it says that an attack was not seen to its end.
        """
        total, end = Row(attack), time.monotonic() + self.left_s * share

        def attempt(kind: Kind) -> Row | None:
            if time.monotonic() >= end:
                return None
            try:
                return one(kind)
            except Exception as error:  # the attack's own defect must not hide what others find
                return Row(attack, 1, faults=[f"{type(error).__name__}: {error}"[:300]])

        with ThreadPoolExecutor(self.jobs) as pool:
            for found in pool.map(attempt, kinds):
                if found is not None:
                    total.add(found)
        print(total, *total.faults, sep="\n    ", flush=True)
        return total
