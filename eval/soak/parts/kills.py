"""Kills at random moments, and going on until done.

SIGKILL, SIGTERM and SIGINT to `classify` over four formats, `fit`, `eval` and `foodex2 encode`,
some of them twice. What the resumed run ends in is compared with that of a run that was never
disturbed: all bytes of a table, all values of a pack and of a measured run but dates and times.
"""

from __future__ import annotations

import csv
import json
import random
import shutil
import signal
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import inputs
from attack import ROOT, Row, Run, Soak

SHARE = 0.4
ROWS = 12_000
SIGNALS = (signal.SIGKILL,) * 7 + (signal.SIGTERM, signal.SIGINT, signal.SIGKILL)
MOST = 300.0  # seconds of an undisturbed run
ENDS_WITHIN = 20.0  # seconds, after a signal that a process may answer
WHEN = {
    "seconds",
    "stages",
    "started",
    "finished",
    "date",
    "versions",
    "command",
    "rows_per_second",
    "sha256",
}


@dataclass
class Work:
    """A command to kill: its arguments but the output, where it writes, and how to judge it.

    Parameters
    ----------
    judge
        Given the output of an undisturbed run and that of a disturbed one, what is not right.
    """

    arguments: list[Any]
    out: str
    judge: Callable[[Path, Path], Row]
    env: dict[str, str] = field(default_factory=dict)
    whole: Path = Path()
    took: float = 0.0

    def begin(self, folder: Path, *more: str) -> Run:
        """Start it in a folder."""
        return Run([*self.arguments, "-o", self.out, *more], folder, env=self.env)

    def undisturbed(self, folder: Path) -> None:
        """Run it once without a kill, to compare with."""
        with self.begin(folder) as run:
            status = run.wait(MOST)
            if status not in (0, 3):
                raise RuntimeError(f"undisturbed, it ended with {status}: {run.said[-600:]}")
            self.took = time.monotonic() - run.started
        self.whole = folder / self.out


def run(soak: Soak) -> list[Row]:
    """All kills."""
    base = soak.folder / "inputs"
    base.mkdir()
    inputs.taxonomy(base / "tax.csv")
    inputs.write(base / "labelled.csv", inputs.rows(1000, 1))
    counts = soak.options.kills
    return [
        _killed(soak, "kill of classify", _classify(base), counts[0]),
        _killed(soak, "kill of fit", [_fit(base)], counts[1]),
        _killed(soak, "kill of eval", [_eval(base)], counts[1]),
        _killed(soak, "kill of foodex2 encode", [_encode(base)], counts[1]),
    ]


def _killed(soak: Soak, attack: str, works: Sequence[Work], count: int) -> Row:
    """Kill each of some commands in turn, so often in all."""
    for at, work in enumerate(works):
        work.undisturbed(soak.place(f"whole-{attack.split()[-1]}-{at}"))
    tries = [
        (works[at % len(works)], SIGNALS[at % len(SIGNALS)], random.Random(f"{soak.seed} {at}"))
        for at in range(count)
    ]

    def one(what: tuple[Work, signal.Signals, random.Random]) -> Row:
        return _kill(soak.place("killed"), *what)

    return soak.tries(attack, one, tries)


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
        if status in (0, 3):
            break
    else:
        row.faults.append(f"did not go on: status {status}, {said.strip()[-200:]}")
        return row
    left = [path.name for path in folder.iterdir() if path.name != work.out]
    if left := [name for name in left if not name.endswith(".err")]:
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
        parts = folder / f"{work.out}.parts" / "journal.jsonl"
        if chance.random() < 0.5:  # once a part is safe, rather than at any time
            while run.process.poll() is None and not _has_part(parts):
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


def _has_part(journal: Path) -> bool:
    try:
        return journal.read_bytes().count(b"\n") >= 2  # its head, and a part
    except OSError:
        return False


def _classify(base: Path) -> list[Work]:
    """`classify` with a pack of words and characters, over each format."""
    pack, made, known = base / "pack", inputs.rows(ROWS), inputs.codes()
    arguments = ["fit", base / "labelled.csv", "-t", base / "tax.csv", "--text", "name"]
    with Run([*arguments, "--label", "label", "--recipe", "quick", "-o", pack], base) as run:
        if run.wait(MOST) != 0:
            raise RuntimeError(f"no pack: {run.said[-600:]}")

    def judge(whole: Path, killed: Path) -> Row:
        found, right = inputs.read(killed), inputs.read(whole)
        differ = sum(a != b for a, b in zip(found, right, strict=False))
        other_bytes = whole.read_bytes() != killed.read_bytes()
        return Row(
            "",
            lost=inputs.lost(found, made),
            wrong=differ or int(other_bytes),
            invalid=inputs.invalid(found, known),
        )

    works = []
    for kind in inputs.KINDS:
        file = inputs.write(base / f"items.{kind}", made)
        works.append(Work(["classify", file, "-c", pack], f"out.{kind}", judge))
    return works


def _fit(base: Path) -> Work:
    """`fit` of a pack, judged by all values in its files but times."""
    arguments = ["fit", base / "labelled.csv", "-t", base / "tax.csv", "--text", "name"]
    return Work([*arguments, "--label", "label", "--recipe", "quick"], "pack", _judge_folder)


def _eval(base: Path) -> Work:
    """`eval` of the pack, over more rows than it was fitted to."""
    labelled = inputs.write(base / "measured.csv", inputs.rows(ROWS, 2))
    arguments = ["eval", labelled, "-c", base / "pack", "--label", "label", "--resamples", "50"]
    return Work(arguments, "run", _judge_folder)


def _encode(base: Path) -> Work:
    """`foodex2 encode` under a small catalogue in EFSA's form."""
    sys.path.insert(0, str(ROOT / "tests"))
    import toy_catalogue

    catalogue = toy_catalogue.packed(base / "TOY.ecf", toy_catalogue.xml())
    (base / "processes.csv").write_text(toy_catalogue.PROCESSES, "utf-8")
    chance = random.Random(3)
    names = ["oats", "wheat flour", "red wheat", "stew", "drink powder", "milled grain"]
    made = [
        {"id": f"f{at}", "name": f"{chance.choice(names)}, {chance.choice(names)} {at}"}
        for at in range(1500)
    ]
    foods = inputs.write(base / "foods.csv", made)
    known = set(toy_catalogue.TERMS)

    def judge(whole: Path, killed: Path) -> Row:
        found = inputs.read(killed)
        base_terms = [{**row, "cascade_code": row["cascade_code"].split("#")[0]} for row in found]
        differ = sum(a != b for a, b in zip(found, inputs.read(whole), strict=False))
        return Row(
            "",
            lost=inputs.lost(found, made),
            wrong=differ or int(whole.read_bytes() != killed.read_bytes()),
            invalid=inputs.invalid(base_terms, known),
        )

    arguments = ["foodex2", "encode", foods, "--text", "name", "--id", "id", "-t", catalogue]
    return Work(arguments, "coded.csv", judge)


def _judge_folder(whole: Path, killed: Path) -> Row:
    """Files that are missing, or have other values than those of the undisturbed run."""
    names = [{p.relative_to(at) for p in at.rglob("*") if p.is_file()} for at in (whole, killed)]
    row = Row("", lost=len(names[0] ^ names[1]))
    for name in sorted(names[0] & names[1]):
        if _values(whole / name) != _values(killed / name):
            row.wrong += 1
            row.faults.append(f"{name} has other values")
    return row


def _values(path: Path) -> Any:
    """What a file holds, without what tells when it was made."""
    if path.suffix == ".json":
        return _timeless(json.loads(path.read_text("utf-8")))
    if path.suffix in (".md", ".html"):  # for people: made of the others, with times
        return None
    if path.suffix == ".parquet":
        return inputs.read(path)
    if path.suffix == ".csv":
        return list(csv.reader(path.open(encoding="utf-8", newline="")))
    if path.suffix == ".yaml":  # paths are relative to the folder
        return path.read_text("utf-8").replace("../", "")
    return path.read_bytes()


def _timeless(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _timeless(inner) for key, inner in value.items() if key not in WHEN}
    if isinstance(value, list):
        return [_timeless(inner) for inner in value]
    return value
