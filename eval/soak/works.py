"""Commands that write an output, which attacks disturb, and how to judge what they end in."""

from __future__ import annotations

import csv
import json
import random
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import inputs
from attack import ROOT, Row, Run, Soak

ROWS = 12_000
MOST = 300.0  # seconds of an undisturbed run
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
    whole: Path = Path()
    took: float = 0.0

    @property
    def is_folder(self) -> bool:
        """Whether it writes a folder, and not a table with a journal."""
        return "." not in self.out

    def begin(self, folder: Path, *more: str, prefix: Sequence[str] = ()) -> Run:
        """Start it in a folder."""
        return Run([*self.arguments, "-o", self.out, *more], folder, prefix=prefix)

    def undisturbed(self, folder: Path) -> None:
        """Run it once without a kill, to compare with."""
        with self.begin(folder) as run:
            status = run.wait(MOST)
            if status not in (0, 3):
                raise RuntimeError(f"undisturbed, it ended with {status}: {run.said[-600:]}")
            self.took = time.monotonic() - run.started
        self.whole = folder / self.out


def has_part(folder: Path, out: str) -> bool:
    """Whether a part of an output is safe: the journal has its head and a line more."""
    try:
        return (folder / f"{out}.parts" / "journal.jsonl").read_bytes().count(b"\n") >= 2
    except OSError:
        return False


def folder(soak: Soak) -> Path:
    """A folder with the taxonomy, labelled rows, and a pack of words and characters."""
    base = soak.place("inputs")
    inputs.taxonomy(base / "tax.csv")
    inputs.write(base / "labelled.csv", inputs.rows(1000, 1))
    with Run([*fit(base).arguments, "-o", "pack"], base) as run:
        if run.wait(MOST) != 0:
            raise RuntimeError(f"no pack: {run.said[-600:]}")
    return base


def classify(base: Path, count: int = ROWS) -> list[Work]:
    """`classify` with a pack of words and characters, over each format."""
    made, known = inputs.rows(count), inputs.codes()

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
        works.append(Work(["classify", file, "-c", base / "pack"], f"out.{kind}", judge))
    return works


def fit(base: Path) -> Work:
    """`fit` of a pack, judged by all values in its files but times."""
    arguments = ["fit", base / "labelled.csv", "-t", base / "tax.csv", "--text", "name"]
    return Work([*arguments, "--label", "label", "--recipe", "quick"], "pack", _judge_folder)


def evaluate(base: Path, count: int = ROWS) -> Work:
    """`eval` of the pack, over more rows than it was fitted to."""
    labelled = inputs.write(base / "measured.csv", inputs.rows(count, 2))
    arguments = ["eval", labelled, "-c", base / "pack", "--label", "label", "--resamples", "50"]
    return Work(arguments, "run", _judge_folder)


def encode(base: Path, count: int = 1500) -> Work:
    """`foodex2 encode` under a small catalogue in EFSA's form."""
    sys.path.insert(0, str(ROOT / "tests"))
    import toy_catalogue

    catalogue = toy_catalogue.packed(base / "TOY.ecf", toy_catalogue.xml())
    (base / "processes.csv").write_text(toy_catalogue.PROCESSES, "utf-8")
    chance = random.Random(3)
    names = ["oats", "wheat flour", "red wheat", "stew", "drink powder", "milled grain"]
    made = [
        {"id": f"f{at}", "name": f"{chance.choice(names)}, {chance.choice(names)} {at}"}
        for at in range(count)
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
    if path.suffix == ".yaml":
        return _timeless(path.read_text("utf-8"))
    return path.read_bytes()


def _timeless(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _timeless(inner) for key, inner in value.items() if key not in WHEN}
    if isinstance(value, list):
        return [_timeless(inner) for inner in value]
    return value.replace("../", "") if isinstance(value, str) else value  # paths are relative
