"""Attacks on cascade, made for half an hour: what was lost, wrong, left behind or hung.

Each part is a module in `parts/`. All work in a folder that is removed at the end, with inputs
that are made here, and need no network. The record says what was tried and what came of it; the
exit status is 1 where anything was not right.

    python eval/soak --out eval/results/reliability.json
    python eval/soak --parts kills --minutes 3
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import platform
import shlex
import sys
import tempfile
import time
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any

from attack import ROOT, Row, Soak

sys.path.insert(0, str(ROOT))

PARTS = sorted(
    path.stem for path in (Path(__file__).parent / "parts").glob("*.py") if path.stem != "__init__"
)
ABOUT = """\
Lost are rows that are missing or doubled; wrong are rows that differ from those of an undisturbed
run, and files that are not what they should be; invalid are codes that the taxonomy does not have;
left are processes that outlive their command by five seconds; the hang is the longest time from a
fault to the command's end or error."""


def run(part: str, module: ModuleType, args: argparse.Namespace, share: float) -> dict[str, Any]:
    """The rows of one part, with its title and its time."""
    title = (module.__doc__ or part).partition("\n")[0]
    print(f"## {title}", flush=True)
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix=f"soak-{part}-", ignore_cleanup_errors=True) as folder:
        soak = Soak(Path(folder), share * args.minutes * 60, args)
        rows: list[Row] = module.run(soak)
    seconds = round(time.monotonic() - started)
    date = datetime.now(UTC).strftime("%Y-%m-%d")
    found = [asdict(row) | {"right": row.right} for row in rows]
    made = {"date": date, "seconds": seconds, "command": command()}
    return {"part": part, "title": title, **made, "rows": found}


def command() -> str:
    """What was typed."""
    return shlex.join(["python", "eval/soak", *sys.argv[1:]])


def line(row: dict[str, Any]) -> str:
    """A row of the table."""
    cells = [row["attack"], row["tries"], row["lost"], row["wrong"], row["invalid"], row["left"]]
    other = len(row["faults"]) or ""
    return f"| {' | '.join(map(str, cells))} | {row['hang_s']:.1f} | {other} |"


def markdown(record: dict[str, Any]) -> str:
    """The record as tables, with what was not right below each."""
    parts = record["parts"]
    rows = [row for part in parts for row in part["rows"]]
    made = [row for row in rows if row["tries"]]
    right = sum(row["right"] for row in made)
    missed = len(rows) - len(made)
    lines = [
        "# reliability",
        "",
        f"{right} of {len(made)} attacks found nothing"
        + (f"; {missed} were not made, for want of time" if missed else "")
        + f". {ABOUT}".replace("\n", " "),
        "",
    ]
    for part in parts:
        lines += [f"## {part['title'].removesuffix('.')}", ""]
        lines += [
            "| attack | tries | lost | wrong | invalid codes | processes left | longest hang, s "
            "| other faults |",
            "| --- | --- | --- | --- | --- | --- | --- | --- |",
            *map(line, part["rows"]),
            "",
        ]
        lines += [f"- {row['attack']}: {f}" for row in part["rows"] for f in row["faults"]]
        if any(row["faults"] for row in part["rows"]):
            lines.append("")
        lines += [f"Made on {part['date']} in {part['seconds']} s by `{part['command']}`.", ""]
    about = record["about"]
    lines += [
        f"Python {about['python']} on {about['system']}, {about['cores']} cores, "
        f"{about['jobs']} tries at a time, seed {about['seed']}. All parts together: `make soak`.",
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Run the parts, print their tables, and record them."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--minutes", type=float, default=28, help="for all parts together")
    parser.add_argument("--fuzz-seconds", type=float, help="for each reader; else what fits")
    parser.add_argument(
        "--kills", type=int, nargs=2, default=(30, 10), help="of classify, of each other command"
    )
    parser.add_argument("--jobs", type=int, default=2, help="tries at a time")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="the record; parts not run now stay in it")
    args = parser.parse_args()
    modules = {part: importlib.import_module(f"parts.{part}") for part in args.parts}
    whole = sum(module.SHARE for module in modules.values())
    parts = [run(part, own, args, own.SHARE / whole) for part, own in modules.items()]
    rows = [row for part in parts for row in part["rows"]]
    if args.out:
        kept = json.loads(args.out.read_text("utf-8"))["parts"] if args.out.exists() else []
        merged = {part["part"]: part for part in [*kept, *parts] if part["part"] in PARTS}
        record = {
            "about": {
                "python": platform.python_version(),
                "system": platform.system(),
                "cores": os.cpu_count(),
                "jobs": args.jobs,
                "seed": args.seed,
            },
            "parts": [merged[part] for part in sorted(merged)],
        }
        args.out.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", "utf-8")
        args.out.with_suffix(".md").write_text(markdown(record), "utf-8")
    sys.exit(0 if all(row["right"] for row in rows) else 1)


if __name__ == "__main__":
    main()
