"""Disks and folders: full, read-only, removed, shared by two writers, changed between runs.

A full disk is a small file system in memory where this process may mount one, else a limit on the
size of files. Whatever happens the command ends with one error that says what to do; where it can
go on afterwards, it must end in the bytes of an undisturbed run.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import inputs
import works
from attack import Row, Run, Soak
from works import MOST, Work

SHARE = 0.2
ROWS = 6_000
CURES = ("--", "space", "permission", "folder", "mkdir", "wait", "name", "end")


def run(soak: Soak) -> list[Row]:
    """Everything that a disk can do to a run."""
    base = works.folder(soak)
    tables = works.classify(base, ROWS)
    others = [works.fit(base), works.evaluate(base, ROWS), works.encode(base, 500)]
    every = [*tables, *others]
    for work in every:
        work.undisturbed(soak.place("whole"))
    attacks: list[tuple[str, Callable[[Soak, Work], Row], Sequence[Work]]] = [
        ("disk full, then space", _full, every),
        ("read-only folder", _read_only, every),
        ("folder removed midway", _removed, every),
        ("two writers on one output", _two_writers, every),
        ("input changed between kill and resume", _changed, tables),
        ("parts damaged between kill and resume", _damaged, tables),
    ]

    def bound(attack: Callable[[Soak, Work], Row]) -> Callable[[Work], Row]:
        return lambda work: attack(soak, work)

    return [
        soak.tries(name, bound(attack), tried, share=1 / (len(attacks) - at))
        for at, (name, attack, tried) in enumerate(attacks)
    ]


def _full(soak: Soak, work: Work) -> Row:
    """The disk is full midway: an error; with space again it goes on to the same."""
    row, size = Row("", 1), _size(work.whole)
    place = soak.place("full")
    if not _mount(place, f"size={max(size // 2, 16_384)}"):
        return _full_by_limit(place, work, size)
    try:
        with work.begin(place) as run:
            _refused(run, row, "disk full")
        _mount(place, f"remount,size={size * 8 + 8_000_000}")
        _goes_on(place, work, row)
    finally:
        subprocess.run(["umount", "-l", place], check=False, capture_output=True)
    return row


def _full_by_limit(place: Path, work: Work, size: int) -> Row:
    """As on a full disk, where nothing can be mounted: no file may grow beyond a limit."""
    row, blocks = Row("", 1), max(size // 3 // 1024, 4)
    limited = ("bash", "-c", f'ulimit -f {blocks}; trap "" XFSZ; exec "$0" "$@"')
    with work.begin(place, prefix=limited) as run:
        _refused(run, row, "file too large")
    _goes_on(place, work, row)
    return row


def _read_only(soak: Soak, work: Work) -> Row:
    """Nothing may be written: an error, and nothing is there."""
    row, place = Row("", 1), soak.place("locked")
    with _locked(place) as locked:
        if not locked:
            return Row("")
        with work.begin(place) as run:
            _refused(run, row, "read-only folder")
        row.wrong += len(list(place.iterdir()))
    return row


@contextmanager
def _locked(place: Path) -> Iterator[bool]:
    """A folder that may not be written; root may write all but what is mounted read-only."""
    if os.geteuid():
        place.chmod(0o500)
        yield True
        place.chmod(0o700)
        return
    mounted = _mount(place, "size=1m,ro")
    try:
        yield mounted
    finally:
        subprocess.run(["umount", "-l", place], check=False, capture_output=True)


def _removed(soak: Soak, work: Work) -> Row:
    """The folder goes away while it is written: an error, and it can be made again from nothing."""
    row, around = Row("", 1), soak.place("removed")
    place = around / "inner"
    place.mkdir()
    with Run([*work.arguments, "-o", place / work.out], around) as run:
        _wait_for_parts(run, place, work)
        shutil.rmtree(place, ignore_errors=True)
        gone = not place.exists()
        status = run.wait(MOST)
        row.hang_s = time.monotonic() - run.started - work.took
        row.faults += filter(None, [run.fault()])
        done = (place / work.out).exists()
        if gone and status == 0 and not done:
            row.faults.append("ended with 0, and there is no output")
        row.left += run.left()
    row.hang_s = max(row.hang_s, 0.0)
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    _goes_on(place, work, row)
    return row


def _two_writers(soak: Soak, work: Work) -> Row:
    """Two of the same at once: one is refused, or finds the work done; the output is whole."""
    row, place = Row("", 1), soak.place("two")
    with work.begin(place) as first, work.begin(place, "--resume") as second:
        states = [first.wait(MOST), second.wait(MOST)]
        row.faults += filter(None, [first.fault(), second.fault()])
        row.hang_s = max(0.0, time.monotonic() - first.started - 2 * work.took)
        row.left += first.left() + second.left()
        if 0 not in states:
            said = " / ".join(each.said.strip()[-150:] for each in (first, second))
            row.faults.append(f"both ended with an error: {said}")
    if (place / work.out).exists():
        row.add(work.judge(work.whole, place / work.out))
    elif 0 in states:
        row.faults.append("one ended with 0, and there is no output")
    return row


def _changed(soak: Soak, work: Work) -> Row:
    """Rows change after a kill: refused, with what to do; with the rows as before, it goes on."""
    row, place = Row("", 1), soak.place("changed")
    source = Path(work.arguments[1])
    own = place / source.name
    shutil.copy(source, own)
    mine = Work([work.arguments[0], own, *work.arguments[2:]], work.out, work.judge)
    mine.whole, mine.took = work.whole, work.took
    if not _stopped(place, mine):
        return Row("")
    made = inputs.rows(ROWS)
    chance = random.Random(work.out)
    for change in ("another text", "a row less at the start", "half of the rows"):
        other = [dict(r) for r in made]
        if change == "another text":
            other[chance.randrange(20)]["name"] += " changed"
        elif change == "a row less at the start":
            del other[0]
        else:
            del other[64:]
        inputs.write(own, other)
        with mine.begin(place, "--resume") as run:
            if run.wait(MOST) == 0:
                row.wrong += 1
                row.faults.append(f"{change}: went on as if nothing had changed")
            elif "--overwrite" not in run.said:
                row.faults.append(f"{change}: no cure in: {run.said.strip()[-200:]}")
            row.faults += filter(None, [run.fault()])
    shutil.copy(source, own)
    _goes_on(place, mine, row)
    return row


def _damaged(soak: Soak, work: Work) -> Row:
    """Bytes of parts flip, parts and lines of the journal go: what is damaged is made again.

    A journal whose head tells other settings may be refused, where the message says what to do.
    """
    row = Row("")
    for damage in ("a byte of a part", "a part", "the end of the journal", "a byte of the journal"):
        place = soak.place("damaged")
        if not _stopped(place, work):
            continue
        row.tries += 1
        parts = place / f"{work.out}.parts"
        file = next(iter(sorted(parts.glob("part-*")))) if "part" in damage else None
        file = file or parts / "journal.jsonl"
        data = bytearray(file.read_bytes())
        if damage == "a part":
            file.unlink()
        elif damage == "the end of the journal":
            file.write_bytes(data[: len(data) - 7])
        else:
            data[len(data) * 2 // 3] ^= 0x15
            file.write_bytes(data)
        _goes_on(place, work, row)
        if damage == "a byte of the journal":
            row.faults = [fault for fault in row.faults if "--overwrite" not in fault]
    return row


def _stopped(place: Path, work: Work) -> bool:
    """Start a command and kill it once a part is safe; whether it was in the middle."""
    for _ in range(4):
        with work.begin(place, "--overwrite") as run:
            _wait_for_parts(run, place, work)
            run.process.send_signal(signal.SIGKILL)
            if run.wait() == -signal.SIGKILL and works.has_part(place, work.out):
                return True
    return False


def _wait_for_parts(run: Run, place: Path, work: Work) -> None:
    """Until a first part is safe, or for so long as half of the run takes."""
    while run.process.poll() is None:
        if works.has_part(place, work.out):
            return
        if work.is_folder and time.monotonic() - run.started > work.took * 0.6:
            return
        time.sleep(0.02)


def _refused(run: Run, row: Row, what: str) -> None:
    """The command must end with an error of ours that says what to do."""
    status = run.wait(MOST)
    said = " ".join(run.said.split())
    row.faults += filter(None, [run.fault()])
    if status == 0:
        row.faults.append(f"{what}: ended with 0")
    elif status is None:
        row.faults.append(f"{what}: hung")
    elif "error:" not in said or not any(cure in said for cure in CURES):
        row.faults.append(f"{what}: status {status}, {said[-200:]}")
    row.left += run.left()


def _goes_on(place: Path, work: Work, row: Row) -> None:
    """Go on, and judge what it ends in."""
    with work.begin(place, "--resume") as run:
        status = run.wait(MOST)
        row.faults += filter(None, [run.fault()])
        if status not in (0, 3):
            row.faults.append(
                f"did not go on: status {status}, {' '.join(run.said.split())[-200:]}"
            )
            return
    row.add(work.judge(work.whole, place / work.out))


def _mount(place: Path, options: str) -> bool:
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", place]
    if shutil.which("mount") is None or os.geteuid():
        return False
    return subprocess.run(command, check=False, capture_output=True).returncode == 0


def _size(path: Path) -> int:
    files = [path] if path.is_file() else [p for p in path.rglob("*") if p.is_file()]
    return sum(file.stat().st_size for file in files)
