"""What many rows cost, by method: core-hours, machines for one night, and where the first limit is.

Nothing is measured here: the table is made of what `eval/results/*.json` has, each rate in rows per
processor second of one core.

    python eval/bench/scale.py                  # the tables of docs/explanations/scale.md
    python eval/bench/scale.py --check docs/explanations/scale.md
    python eval/bench/scale.py --write docs/explanations/scale.md
    python eval/bench/scale.py --rows 50000000 --cores 8 --hours 2
"""

from __future__ import annotations

import argparse
import json
import math
import signal
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent.parent / "results"
NODES = 10_000
USED = 0.9  # share of the cores that is at work: the rest starts, waits for the last file, writes


@dataclass(frozen=True)
class Method:
    """A way of answering.

    Parameters
    ----------
    name
        As in the table.
    seconds
        Processor seconds of one core for a row, with reading and writing.
    source
        Where that was measured.
    """

    name: str
    seconds: float
    source: str


def recorded(name: str) -> Any:
    """What a benchmark has found."""
    return json.loads((RESULTS / f"{name}.json").read_text("utf-8"))


def files() -> float:
    """Seconds for a row to be read and written, beside an answer that costs nothing."""
    [row] = [
        row
        for row in recorded("streaming")["table"]
        if (row["what"], row["kind"]) == ("no descent", "parquet")
    ]
    return 1 / float(row["rows_per_cpu_second"])


def encoder() -> float:
    """Seconds for a name to become a vector."""
    [names] = [found for found in recorded("ttc_throughput")["found"] if found["texts"] == "names"]
    best = f"batches of {names['best_batches']}"
    [way] = [way for way in names["ways"] if way["way"] == best]
    return 1 / float(way["items_per_cpu_second"])


def walk() -> float:
    """Seconds for an item to be narrowed and to go down a taxonomy of 10,000 nodes."""
    [row] = [row for row in recorded("growth")["rows"] if row["nodes"] == NODES]
    return float(row["hnsw"]["total_ms"]) / 1000


def language_model() -> float:
    """Seconds for an item to be walked down three levels by the language model that ships."""
    found = recorded("cascade_forward")
    return float(found["threads"]) / float(found["items_per_second"])


def pack(name: str) -> dict[str, Any]:
    """The row of `workers.py` for a pack in two processes."""
    [row] = [row for row in recorded(name)["table"] if row["way"] == "2"]
    return dict(row)


def methods() -> list[Method]:
    """All that has been measured, the cheapest first."""
    quick, fast = (pack(name)["us_per_row"] / 1e6 for name in ("workers_quick", "workers_fast"))
    found = [
        Method("pack `quick`", quick, "workers_quick"),
        Method("pack `fast`", fast, "workers_fast"),
        Method("`retrieval`", files() + encoder() + walk(), "streaming, ttc_throughput, growth"),
        Method("`llm`", files() + language_model(), "streaming, cascade_forward"),
    ]
    return sorted(found, key=lambda method: method.seconds)


def parts() -> Iterator[str]:
    """What one core does in a second, part by part."""
    yield "| part | rows/s of one core | recorded in |"
    yield "| --- | --- | --- |"
    rows = [
        ("reading and writing Parquet", files(), "streaming"),
        (f"narrowing and walking, {NODES:,} nodes", walk(), "growth"),
        ("the encoder, names", encoder(), "ttc_throughput"),
        ("the language model, three levels", language_model(), "cascade_forward"),
    ]
    rows += [(f"all of a {m.name}", m.seconds, m.source) for m in methods() if "pack" in m.name]
    for what, seconds, source in rows:
        yield f"| {what} | {_round(1 / seconds):,} | `{source}.json` |"


def costs(rows: int, cores: int, hours: float) -> Iterator[str]:
    """Core-hours of each method, and machines that are done in time."""
    yield f"| method | rows/s of one core | core-hours | machines of {cores} cores, {hours:g} h |"
    yield "| --- | --- | --- | --- |"
    for method in methods():
        core_hours = rows * method.seconds / 3600
        machines = math.ceil(core_hours / (cores * hours * USED))
        told = f"{_round(1 / method.seconds):,} | {_round(core_hours):,} | {machines:,}"
        yield f"| {method.name} | {told} |"


def limits(rows: int) -> Iterator[str]:
    """How many cores one process that reads and writes for all can feed, and how long it takes."""
    first = float(pack("workers_quick")["us_per_row_first"]) / 1e6
    yield "| method | rows/s through one process | cores that it feeds | hours at the least |"
    yield "| --- | --- | --- | --- |"
    for method in methods():
        fed = _round(max(1.0, (method.seconds - first) / first))
        told = f"{_round(1 / first):,} | {fed:,} | {rows * first / 3600:.1f}"
        yield f"| {method.name} | {told} |"


def volumes(rows: int) -> Iterator[str]:
    """Bytes in and out."""
    yield "| rows | bytes of a row, in and out (CSV) | in all, GB |"
    yield "| --- | --- | --- |"
    for name, told in (
        ("workers_quick", "number and name"),
        ("workers_fast", "name, description, category, address"),
    ):
        found = recorded(name)
        both = [float(found[key]) for key in ("bytes_in_per_row", "bytes_out_per_row")]
        sizes = " and ".join(f"{_round(rows * each / 1e9):,}" for each in both)
        yield f"| {told} | {both[0]:.0f} and {both[1]:.0f} | {sizes} |"


def tables(rows: int, cores: int, hours: float) -> list[str]:
    """All tables, each a text."""
    made = parts(), costs(rows, cores, hours), limits(rows), volumes(rows)
    return ["\n".join(lines) for lines in made]


def rewritten(page: str, tables: Sequence[str]) -> str:
    """A page with these tables in the place of those that have the same heads."""
    lines = page.splitlines()
    for table in tables:
        new = table.splitlines()
        first = lines.index(new[0])
        last = first
        while last < len(lines) and lines[last].startswith("|"):
            last += 1
        lines[first:last] = new
    return "\n".join(lines) + "\n"


def _round(number: float) -> int:
    """Two digits, which is what the figures are good for."""
    digits = max(0, math.floor(math.log10(number)) - 1) if number >= 1 else 0
    return round(number / 10**digits) * 10**digits


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the tables, or compare a page with them."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rows", type=int, default=10**9)
    parser.add_argument("--cores", type=int, default=32, help="of a machine")
    parser.add_argument("--hours", type=float, default=8.0)
    parser.add_argument("--check", type=Path, help="page that must have these tables")
    parser.add_argument("--write", type=Path, help="page that gets them, where it has others")
    args = parser.parse_args(arguments)
    made = tables(args.rows, args.cores, args.hours)
    if args.check is not None:
        page = args.check.read_text("utf-8")
        if missing := [table for table in made if table not in page]:
            raise SystemExit(
                f"{args.check} has other tables than these, which figures in eval/results make; "
                f"python eval/bench/scale.py --write {args.check} puts them in, then read the text "
                "around them again:\n\n" + "\n\n".join(missing)
            )
        return
    if args.write is not None:
        args.write.write_text(rewritten(args.write.read_text("utf-8"), made), "utf-8")
        return
    print("\n\n".join(made))


if __name__ == "__main__":
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # as `| head` wants it
    main()
