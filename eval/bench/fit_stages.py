"""Where the time of `cascade fit` goes: seconds of each stage, as the fit itself names them.

Beside the time that passed stands that of the processor, of this process and of those that it
started, which other work on the machine changes less. `--root` is another checkout to fit with, for
example of an older commit; packs of both are compared on rows that neither saw by `cascade eval`
and `cascade compare`, which give paired intervals.

    python eval/bench/fit_stages.py train.csv -t taxonomy.csv --text name --label label -o packs/a
    python eval/bench/fit_stages.py train.csv ... -o packs/b --root ../before
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


def of_descendants() -> dict[int, float]:
    """Processor seconds of the processes that were started and live on, by their ids."""
    found, parents = {}, {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:  # it has ended
            continue
        parents[int(folder.name)] = int(fields[1])
        found[int(folder.name)] = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    mine = {os.getpid()}
    while own := {pid for pid, parent in parents.items() if parent in mine} - mine:
        mine |= own
    return {pid: found[pid] for pid in mine - {os.getpid()}}


class Stages:
    """Notes what was shown, when, and what the processor had spent by then."""

    def __init__(self) -> None:
        self.seconds: dict[str, tuple[float, float]] = {}
        self._others: dict[int, float] = {}
        self._what, self._since = "loading libraries", time.perf_counter()
        self._spent, self._looked = self._processor(), 0.0

    def _processor(self) -> float:
        """Seconds so far; those of a process that ended count where they were seen last."""
        own = resource.getrusage(resource.RUSAGE_SELF)
        self._others |= of_descendants()
        return own.ru_utime + own.ru_stime + sum(self._others.values())

    def show(self, what: str, done: int = 0, of: int | None = None, amount: object = "") -> None:
        """Take the place of a bar."""
        now = time.perf_counter()
        if what == self._what:
            if now - self._looked > 1:  # workers may end before the stage does
                self._looked = now
                self._others |= of_descendants()
            return
        spent = self._processor()
        wall, processor = self.seconds.get(self._what, (0.0, 0.0))
        took = wall + now - self._since, processor + spent - self._spent
        self.seconds[self._what] = took
        print(f"{self._what}: {took[0]:.1f} s, processor {took[1]:.1f} s", file=sys.stderr)
        self._what, self._since, self._spent = what, now, spent


def main() -> None:
    """Fit, and print a table of stages."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("rows", type=Path)
    parser.add_argument("-t", "--taxonomy", required=True)
    parser.add_argument("--text", action="append")
    parser.add_argument("--label", default="label")
    parser.add_argument("--recipe", default="fast")
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--root", type=Path, default=ROOT, help="the checkout that fits")
    parser.add_argument("--out", type=Path, help="a JSON file for the figures")
    args = parser.parse_args()
    sys.path.insert(0, str(args.root.resolve()))
    stages = Stages()
    from cascade.config import Columns
    from cascade.io.tables.opening import TableFile
    from cascade.training.fit_request import FitRequest
    from cascade.training.packs.recipe import Recipe

    request = FitRequest(
        TableFile(str(args.rows)),
        Columns(text=args.text or [], label=args.label),
        Recipe.load(args.recipe),
        taxonomy=args.taxonomy,
    )
    job = request.job(args.output, print, print)
    job.prepare(overwrite=True)
    report: dict[str, Any] = job.run(stages.show)
    stages.show("")
    totals = [sum(column) for column in zip(*stages.seconds.values(), strict=True)]
    lines = ["| stage | seconds | of the processor |", "| --- | --- | --- |"]
    for what, took in {**stages.seconds, "all": totals}.items():
        lines.append(f"| {what} | {took[0]:.1f} | {took[1]:.1f} |")
    print("\n".join(lines))
    if args.out:
        found = {"stages": stages.seconds, "rows": report["rows"], "pack": report["pack"]}
        args.out.write_text(json.dumps(found, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
