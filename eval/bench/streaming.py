r"""How many rows a second `cascade classify` streams where judging them costs next to nothing.

The scorer looks its log-probabilities up in a table, by the length of the text, so that what is
measured is all the rest: reading, items, batches, the descent with its beam, predictions, counts,
encoding, the journal, writing. Every run is a process of its own, from an opened input to a
finished output, with few rows and with many: their peaks of memory tell whether it stays flat.

`full` walks the whole descent. `no descent` has a walk that answers at once with one prediction,
so that it shows what rows cost without the tree; the two are never mixed. Limits stand beside
them: `csv.reader` to `csv.writer` row by row, and pyarrow's reader to its writer, each copying the
same file. Runs of all kinds take turns; the figure is the median. Rows for each processor second
tell what other work on the machine hides. With `--before FOLDER`, a checkout of an older state,
`full` runs there too, in turns with ours.

python eval/bench/streaming.py --repeats 5 --out eval/results/streaming.json
python eval/bench/streaming.py --many 100000 --kinds csv --profile
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np
from recording import command, record

from cascade.items import Batch, Choices
from cascade.predictions import Prediction
from cascade.scoring.scorer import Scorer

if TYPE_CHECKING:
    from cascade.pipeline.classifier import Classifier

ROOT = Path(__file__).resolve().parents[2]
KINDS = ("csv", "jsonl", "parquet")
WIDTHS = (5, 4, 5)  # children at each level: 100 leaves
TARGET, GROWTH = 100_000, 1.10
TOGETHER = 1024  # rows that are answered together, as with a first pass, which is as quick
WORDS = (
    *("straw", "hat", "cotton", "ribbon", "oak", "table", "green"),
    *("tea", "steel", "bottle", "wool", "scarf", "paper", "lamp"),
)


class TableScorer(Scorer):
    """Log-probabilities out of a table, by the length of the text: work that costs nothing."""

    name = "table"

    def __init__(self, nodes: int) -> None:
        self._table = np.random.default_rng(0).normal(size=(nodes, 64))

    def score(self, batch: Batch, choices: Choices) -> np.ndarray[Any, np.dtype[np.float64]]:
        """See `Scorer.score`."""
        column = batch.once(
            self, lambda items: np.array([len(item.fields["name"]) % 64 for item in items])
        )
        asked = column[choices.rows[choices.question]]
        return choices.log_softmax(self._table[choices.nodes, asked])


class StraightWalker:
    """Answers at once, without a tree."""

    source = "straight"
    reads_text, reads_pictures, takes_pictures = True, False, False
    holds_all_nodes = False

    def walk(self, batch: Batch) -> list[Prediction]:
        """One and the same prediction but for the item's own identifier."""
        return [Prediction("0", "a", 0.5, "straight", id=item.id) for item in batch.items]


def classifier(descent: bool) -> Classifier:
    """A classifier whose scorer costs nothing; all children are its candidates, as of heads."""
    from cascade.config import CascadeConfig
    from cascade.pipeline.classifier import Classifier
    from cascade.scoring import components
    from cascade.taxonomy import Taxonomy

    a, b, c = map(range, WIDTHS)
    taxonomy = Taxonomy.from_paths(
        f"range {i} > shelf {j} > kind {k}" for i in a for j in b for k in c
    )
    components.make_scorer = lambda name, made: TableScorer(len(made.taxonomy))
    config = CascadeConfig(retrieval={"candidates": max(WIDTHS)}, rows_together=TOGETHER)
    found = Classifier(taxonomy, config)
    if not descent:
        found._walker = StraightWalker()
    return found


def make(folder: Path, kind: str, rows: int) -> Path:
    """A file of rows with an identifier, a name of some words, a brand and a price."""
    path = folder / f"rows-{rows}.{kind}"
    if path.exists():
        return path
    rng = np.random.default_rng(0)
    lengths = rng.integers(2, 8, rows).tolist()
    picks = rng.integers(len(WORDS), size=(rows, 8)).tolist()
    prices = rng.integers(1, 10_000, rows).tolist()
    names = (" ".join([WORDS[at] for at in p[:n]]) for p, n in zip(picks, lengths, strict=True))
    made = zip(
        (f"P{at:07d}" for at in range(rows)),
        names,
        (f"Brand {p[0]}" for p in picks),
        (f"{price / 100:.2f}" for price in prices),
        strict=True,
    )
    keys = ("id", "name", "brand", "price")
    if kind == "parquet":
        import pyarrow as pa
        import pyarrow.parquet as pq

        columns = [list(column) for column in zip(*made, strict=True)]
        pq.write_table(pa.table(dict(zip(keys, columns, strict=True))), path)
        return path
    with path.open("w", newline="", encoding="utf-8") as file:
        if kind == "csv":
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(keys)
            writer.writerows(made)
        else:
            file.writelines(json.dumps(dict(zip(keys, m, strict=True))) + "\n" for m in made)
    return path


def stream(clf: Classifier, path: Path, out: Path) -> None:
    """What `cascade classify FILE --text name --id id -o OUT` does once its models are loaded."""
    from cascade.config import Columns
    from cascade.io import open_output, open_table
    from cascade.pipeline.runs.answer_form import AnswerForm
    from cascade.pipeline.runs.fingerprint import fingerprint
    from cascade.pipeline.runs.table import classify_table

    form, columns = AnswerForm(), Columns(text=["name"], id="id")
    told = fingerprint(clf.taxonomy, clf.config, columns, form, None)
    with (
        open_table(path) as table,
        open_output(
            out, table, form.columns, source=path, fingerprint=told, overwrite=True
        ) as sink,
    ):
        counts = classify_table(clf, table, sink, columns, form)
    assert "error" not in counts.status, counts.status


def copy_rows(path: Path, out: Path) -> None:
    """The plainest stream of rows in Python: `csv.reader` to `csv.writer`."""
    with (
        path.open(newline="", encoding="utf-8") as source,
        out.open("w", newline="", encoding="utf-8") as target,
    ):
        writer = csv.writer(target)
        for row in csv.reader(source):
            writer.writerow(row)


def copy_arrow(path: Path, out: Path) -> None:
    """The fastest stream of a CSV file that Python has: pyarrow's reader to its writer."""
    from pyarrow import csv as arrow

    with arrow.open_csv(path) as reader, arrow.CSVWriter(out, reader.schema) as writer:
        for batch in reader:
            writer.write_batch(batch)


def peak() -> float:
    """Peak memory of this process in MiB; not of getrusage, which counts who started it."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return round(int(next(ln for ln in lines if ln.startswith("VmHWM:")).split()[1]) / 1024, 1)


def inside(what: str, path: Path) -> dict[str, float]:
    """One run, in the process that was started for it."""
    out = path.with_name(f"out-{what.replace(' ', '-')}{path.suffix}")
    clf = classifier(what == "full") if what in ("full", "no descent") else None
    if clf is not None:
        clf.classify({"name": "a straw hat"})
    else:
        import pyarrow.csv  # noqa: F401 - not a part of the run
    started, cpu = time.perf_counter(), time.process_time()
    if clf is not None:
        stream(clf, path, out)
    else:
        {"csv.reader": copy_rows, "pyarrow": copy_arrow}[what](path, out)
    found = {
        "seconds": round(time.perf_counter() - started, 3),
        "cpu_seconds": round(time.process_time() - cpu, 3),
        "peak_mib": peak(),
    }
    out.unlink()
    return found


def run(what: str, path: Path, tree: Path = ROOT) -> dict[str, float]:
    """One run in a process of its own."""
    script = tree / "eval" / "bench" / "streaming.py"
    command = [sys.executable, str(script), "--inside", what, "--file", str(path)]
    own = {**os.environ, "PYTHONPATH": str(tree)}
    told = subprocess.run(command, check=True, capture_output=True, text=True, env=own).stdout
    found: dict[str, float] = json.loads(told.splitlines()[-1])
    return found


def measure(folder: Path, args: argparse.Namespace) -> list[dict[str, Any]]:
    """The median of runs of every kind, few rows and many, in turns."""
    cases = [(what, kind) for kind in args.kinds for what in ("full", "no descent")]
    cases += [("csv.reader", "csv"), ("pyarrow", "csv")]
    if args.before is not None:
        cases += [("before", kind) for kind in args.kinds]
    runs: dict[tuple[str, str, int], list[dict[str, float]]] = {}
    for _ in range(args.repeats):
        for what, kind in cases:
            for rows in (args.few, args.many):
                path = make(folder, kind, rows)
                found = run("full", path, args.before) if what == "before" else run(what, path)
                runs.setdefault((what, kind, rows), []).append(found)
    table = []
    for what, kind in cases:
        few, many = runs[what, kind, args.few], runs[what, kind, args.many]
        seconds = sorted(found["seconds"] for found in many)
        cpu = [median(found["cpu_seconds"] for found in each) for each in (few, many)]
        peaks = [median(found["peak_mib"] for found in each) for each in (few, many)]
        table.append(
            {
                "what": what,
                "kind": kind,
                "rows_per_second": round(args.many / median(seconds)),
                "slowest": round(args.many / seconds[-1]),
                "fastest": round(args.many / seconds[0]),
                "rows_per_cpu_second": round(args.many / cpu[1]),
                "rows_per_cpu_second_beyond": round((args.many - args.few) / (cpu[1] - cpu[0])),
                "rows_per_second_few": round(args.few / median(found["seconds"] for found in few)),
                "peak_mib_few": peaks[0],
                "peak_mib_many": peaks[1],
                "growth": round(peaks[1] / peaks[0], 3),
            }
        )
    limit = {row["what"]: row["rows_per_second"] for row in table}
    beyond = "rows_per_cpu_second_beyond"  # without what a run takes to begin
    before = {row["kind"]: row[beyond] for row in table if row["what"] == "before"}
    for row in table:
        if row["kind"] in before and row["what"] == "full":
            row["times_before"] = round(row[beyond] / before[row["kind"]], 2)
        for name in ("csv.reader", "pyarrow"):
            row[f"share_of_{name}"] = round(row["rows_per_second"] / limit[name], 3)
    return table


def profile(folder: Path, args: argparse.Namespace) -> None:
    """Print where the time of one run goes, by function."""
    import cProfile
    import pstats

    for kind in args.kinds:
        path, clf = make(folder, kind, args.many), classifier(True)
        profiler = cProfile.Profile()
        profiler.runcall(stream, clf, path, path.with_name(f"profiled.{kind}"))
        pstats.Stats(profiler).sort_stats("tottime").print_stats(35)


def markdown(command: str, result: dict[str, Any]) -> str:
    """The figures as a table, and the command that made them."""
    many, few = f"{result['many']:,}", f"{result['few']:,}"
    lines = [
        f"| what | kind | rows/s, {many} rows (slowest to fastest) | rows per processor second "
        f"(beyond the first {few}) | share of csv.reader | share of pyarrow | peak MiB, {few} rows "
        f"| {many} rows | growth |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    lines += [
        f"| {row['what']} | {row['kind']} | {row['rows_per_second']:,} ({row['slowest']:,} to "
        f"{row['fastest']:,}) | {row['rows_per_cpu_second']:,} "
        f"({row['rows_per_cpu_second_beyond']:,}) | {row['share_of_csv.reader']:.0%} "
        f"| {row['share_of_pyarrow']:.1%} | {row['peak_mib_few']} | {row['peak_mib_many']} "
        f"| {row['growth']:.2f} |"
        for row in result["table"]
    ]
    about = (
        f"Medians of {result['repeats']} runs, each a process of its own, {result['cores']} cores, "
        f"Python {result['python']}, load average {result['load_average_before']} before. `full` "
        "has a scorer that costs nothing and the whole descent over three levels with a beam of "
        f"three; `no descent` answers without a tree. Rows are answered {TOGETHER:,} together "
        "(`rows_together`), as they are with a first pass. Wanted: "
        f"{TARGET:,} rows/s of `full` in all formats, and a growth of at most {GROWTH}. Made by:"
    )
    for row in result["table"]:
        if "times_before" in row:
            about = (
                f"From {row['kind']} to {row['kind']}, `full` streams {row['times_before']} times "
                f"the rows of `before` for each processor second beyond the first {few}. {about}"
            )
    rows = "\n".join(lines)
    return f"# streaming\n\n{rows}\n\n{about}\n\n```sh\n{command}\n```\n"


def main() -> None:
    """Measure and record; the exit status is 1 where what is wanted is not reached."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--few", type=int, default=10_000)
    parser.add_argument("--many", type=int, default=1_000_000)
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--profile", action="store_true", help="print a profile of one run instead")
    parser.add_argument("--folder", type=Path, help="where files are made, and kept")
    parser.add_argument("--before", type=Path, help="a checkout of an older state")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--inside", help=argparse.SUPPRESS)
    parser.add_argument("--file", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.inside:
        print(json.dumps(inside(args.inside, args.file)))
        return
    with tempfile.TemporaryDirectory() as made:
        folder = args.folder or Path(made)
        folder.mkdir(parents=True, exist_ok=True)
        if args.profile:
            profile(folder, args)
            return
        load = round(os.getloadavg()[0], 1)
        table = measure(folder, args)
    result = {
        "few": args.few,
        "many": args.many,
        "repeats": args.repeats,
        "load_average_before": load,
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "table": table,
    }
    page = markdown(command(), result)
    print(page)
    if args.out:
        record(args.out, result, page)
    full = [row for row in table if row["what"] == "full"]
    if any(row["rows_per_second"] < TARGET or row["growth"] > GROWTH for row in full):
        sys.exit(1)


if __name__ == "__main__":
    main()
