"""Kills at random moments, and going on until done.

SIGKILL, SIGTERM and SIGINT to `classify` over four formats, `fit`, `eval` and `foodex2 encode`,
some of them twice. What the resumed run ends in is compared with that of a run that was never
disturbed: all bytes of a table, all values of a pack and of a measured run but dates and times.
"""

from __future__ import annotations

import random
import shutil
import signal
import time
from collections.abc import Sequence
from pathlib import Path

import works
from attack import Row, Soak
from works import MOST, Work

SHARE = 0.4
SIGNALS = (signal.SIGKILL,) * 7 + (signal.SIGTERM, signal.SIGINT, signal.SIGKILL)
ENDS_WITHIN = 20.0  # seconds, after a signal that a process may answer


def run(soak: Soak) -> list[Row]:
    """All kills."""
    base = works.folder(soak)
    counts = soak.options.kills
    return [
        _killed(soak, "kill of classify", works.classify(base), counts[0], 1 / 2),
        _killed(soak, "kill of fit", [works.fit(base)], counts[1], 1 / 3),
        _killed(soak, "kill of eval", [works.evaluate(base)], counts[1], 1 / 2),
        _killed(soak, "kill of foodex2 encode", [works.encode(base)], counts[1], 1),
    ]


def _killed(soak: Soak, attack: str, commands: Sequence[Work], count: int, share: float) -> Row:
    """Kill each of some commands in turn, so often in all, in a share of the time."""
    for at, work in enumerate(commands):
        work.undisturbed(soak.place(f"whole-{attack.split()[-1]}-{at}"))
    tries = [
        (
            commands[at % len(commands)],
            SIGNALS[at % len(SIGNALS)],
            random.Random(f"{soak.seed} {at}"),
        )
        for at in range(count)
    ]

    def one(what: tuple[Work, signal.Signals, random.Random]) -> Row:
        return _kill(soak.place("killed"), *what)

    return soak.tries(attack, one, tries, share=share)


def _kill(folder: Path, work: Work, with_: signal.Signals, chance: random.Random) -> Row:
    """Kill a command once, one time in three twice, and go on until it is done."""
    row = Row("", 1)
    for turn in range(1 + (chance.random() < 1 / 3)):
        _disturb(folder, work, with_, chance, row, ["--resume"] if turn else [])
    for _ in range(3):
        with work.begin(folder, "--resume") as run:
            status = run.wait(MOST)
            row.faults += filter(None, [run.fault()])
            said = run.said
        # A pack that is whole is no longer gone on with.
        if status in (0, 3) or (work.out == "pack" and "exists; replace" in said):
            break
    else:
        row.faults.append(f"did not go on: status {status}, {said.strip()[-200:]}")
        return row
    left = [path.name for path in folder.iterdir() if path.name != work.out]
    if left:
        row.faults.append(f"left behind: {', '.join(sorted(left))[:200]}")
    row.add(work.judge(work.whole, folder / work.out))
    shutil.rmtree(folder, ignore_errors=True)
    return row


def _disturb(
    folder: Path,
    work: Work,
    with_: signal.Signals,
    chance: random.Random,
    row: Row,
    more: list[str],
) -> None:
    """Start a command, and send it a signal at some moment."""
    with work.begin(folder, *more) as run:
        at = chance.uniform(0.1, work.took * 1.1)
        if chance.random() < 0.5:  # once a part is safe, rather than at any time
            while run.process.poll() is None and not works.has_part(folder, work.out):
                time.sleep(0.02)
                if time.monotonic() - run.started > work.took * 3:
                    break
            at = chance.uniform(0, work.took / 4)
        else:
            at -= time.monotonic() - run.started
        if at > 0:
            time.sleep(at)
        sent = time.monotonic()
        run.process.send_signal(with_)
        status = run.wait(ENDS_WITHIN)
        row.hang_s = max(row.hang_s, time.monotonic() - sent)
        if status is None:
            row.faults.append(f"{with_.name} did not end it within {ENDS_WITHIN:.0f} s")
        if status is not None and with_ is not signal.SIGKILL:
            row.faults += filter(None, [run.fault()])
        row.left += run.left()
