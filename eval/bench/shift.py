r"""What the watch over shift finds: false alarms, alarms, and the rows that they take.

Files are drawn from labelled rows that a pack was not fitted to. Of each kind there are 100: rows
as they are, classes with other shares, texts that were changed, and rows of other files. `whole` is
how many raise the alarm at their end, `stream` how many raise that of streams, `rows` after how
many rows these did (median). With `--recalibrate` 200 rows of another file calibrate the pack
again, 20 times, and the others tell what became of confidences and of `--max-risk`.

python eval/bench/shift.py my-pack test.csv --label label --also german=german.csv \
    --recalibrate later.csv
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from recording import command

from cascade.confidence.acceptance import Acceptance
from cascade.confidence.calibration import Calibration
from cascade.confidence.shift import Reference, Watch
from cascade.config import CascadeConfig
from cascade.config.calibration import CalibrationConfig
from cascade.io.tables.opening import TableFile
from cascade.items import Item
from cascade.pipeline.classifier import Classifier
from cascade.pipeline.load import load_config, load_taxonomy
from cascade.taxonomy import Taxonomy
from cascade.training.labelled import Labelled, read_labelled
from cascade.training.packs.recalibration import _ece, _raw, _tried, answered

FILES = 100
CHUNK = 32  # rows after which a stream is counted
DRAWN, TIMES, RISK = 200, 20, 0.05
CUT = 20  # characters

Rows = NDArray[np.int64]


class Bench:
    """A pack, and the cells of labelled rows."""

    def __init__(self, pack: Path, file: str, label: str) -> None:
        config, folder = load_config(pack)
        assert config.taxonomy is not None
        assert config.calibration.reference is not None
        self.config: CascadeConfig = config
        self.taxonomy: Taxonomy = load_taxonomy(config.taxonomy, folder)
        self.reference = Reference.load(Path(config.calibration.reference))
        self.classifier = Classifier(self.taxonomy, _raw(config))
        self.rows = self.read(file, label)

    def read(self, file: str, label: str | None) -> Labelled:
        """The labelled rows of a file."""
        columns = self.config.columns.model_copy(update={"label": label})
        return read_labelled(TableFile(file), columns, self.taxonomy)

    def cells(self, items: Sequence[Item]) -> NDArray[np.int64]:
        """Counts of each row alone, int64 [n_rows, n_cells]."""
        rows = Labelled(items, np.zeros(len(items), np.int32), {})
        _, seen = answered(self.classifier, rows)
        n = len(next(iter(seen.values()))[1])
        values = {name: own for name, (_, own) in seen.items()}
        return np.stack(
            [
                self.reference.count({k: own[i : i + 1] for k, own in values.items()})
                for i in range(n)
            ]
        )

    def measured(self, name: str, cells: NDArray[np.int64], drawn: Callable[[int], Rows]) -> str:
        """A line of the table: files of rows that are drawn."""
        whole, since = [], []
        told: dict[str, int] = {}
        for number in range(FILES):
            own = cells[drawn(number)]
            watch = Watch(self.reference)
            for start in range(0, len(own), CHUNK):
                watch.add(own[start : start + CHUNK].sum(axis=0))
            shift = watch.shift
            whole.append(shift.alarm)
            if shift.since is not None:
                since.append(shift.since)
            for stream in {moved.stream for moved in shift.moved}:
                told[stream] = told.get(stream, 0) + 1
        by = ", ".join(f"{k} {n}" for k, n in sorted(told.items(), key=lambda one: -one[1]))
        rows = f"{np.median(since):.0f}" if since else ""
        return f"| {name} | {len(own)} | {sum(whole)} | {len(since)} | {rows} | {by} |"


def main() -> None:
    """Print a table for a pack."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pack", type=Path)
    parser.add_argument("file")
    parser.add_argument("--label", default="label")
    parser.add_argument("--rows", type=int, default=500)
    parser.add_argument("--also", nargs="*", default=[], metavar="NAME=FILE")
    parser.add_argument("--recalibrate")
    parser.add_argument("--only-recalibrate", action="store_true")
    given = parser.parse_args()
    bench = Bench(given.pack, given.file, given.label)
    rng = np.random.default_rng(0)
    items, nodes = bench.rows.items, bench.rows.nodes
    cells = bench.cells(items)
    n, size = len(items), min(given.rows, len(items) // 2)
    print(f"    {command()}\n")
    streams = ", ".join(f"{s.name} ({s.rows:,.0f})" for s in bench.reference.streams)
    print(f"{bench.reference.rows:,} held-out rows; rows that shares are known from: {streams}.\n")
    print(f"| 100 files of {n:,} rows | rows | whole | stream | rows | what is told |")
    print("| --- | --- | --- | --- | --- | --- |")

    def any_rows(_: int) -> Rows:
        return rng.permutation(n)[:size]

    def in_order(number: int) -> Rows:
        drawn = any_rows(number)
        return drawn[np.argsort(nodes[drawn], kind="stable")]

    if given.only_recalibrate:
        recalibrate(bench, bench.read(given.recalibrate, given.label))
        return
    print(bench.measured("as they are", cells, any_rows), flush=True)
    print(bench.measured("as they are, sorted by class", cells, in_order), flush=True)
    for level in sorted({1, bench.taxonomy.depth}):
        paths = [bench.taxonomy.path_nodes(node) for node in nodes.tolist()]
        classes = np.array([path[min(level, len(path)) - 1] for path in paths])
        for what, draw in (("doubled", doubled), ("drawn twice as often", twice)):
            name = f"shares of half of the classes of level {level} {what}"
            shares = [draw(classes, rng) for _ in range(FILES)]
            line = bench.measured(
                name, cells, lambda i, s=shares: rng.choice(n, given.rows, p=s[i])
            )
            print(line, flush=True)
    columns = bench.config.columns.text
    changed = {
        f"texts cut to {CUT} characters": lambda f: {k: v[:CUT] for k, v in f.items()},
        "letters of words turned around": lambda f: {
            k: " ".join(w[::-1] for w in v.split()) for k, v in f.items()
        },
    }
    if len(columns) > 1:
        swapped = dict(zip(columns, [*columns[1:], columns[0]], strict=True))
        changed["columns swapped"] = lambda f: {k: f.get(swapped[k], "") for k in f}
        changed[f"{columns[1]} empty"] = lambda f: {**f, columns[1]: ""}
    others = {
        name: bench.cells([replace(item, fields=change(item.fields)) for item in items])
        for name, change in changed.items()
    }
    for each in given.also:
        name, file = each.split("=", 1)
        rows = TableFile(file)
        with rows.open() as table:
            found = [Item(table.texts(row, columns)) for part in table.chunks(128) for row in part]
        others[f"rows of {name}"] = bench.cells([item for item in found if item.has_text][:2000])
    for name, own in others.items():
        both = np.concatenate([cells, own])

        def mixed(_: int, share: float, own: NDArray[np.int64] = own) -> Rows:
            k = round(size * share)
            drawn = [n + rng.choice(len(own), k), rng.permutation(n)[: size - k]]
            return rng.permutation(np.concatenate(drawn))

        for share in (1.0, 0.2):
            line = bench.measured(f"{name}: {share:.0%}", both, lambda i, s=share, m=mixed: m(i, s))
            print(line, flush=True)
    if given.recalibrate:
        recalibrate(bench, bench.read(given.recalibrate, given.label))


def doubled(classes: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.float64]:
    """Probabilities of rows at which half of the classes have twice the share that they had."""
    while True:
        chosen = np.isin(classes, rng.permutation(np.unique(classes))[: len(set(classes)) // 2])
        if chosen.mean() < 0.5:
            rest = (1 - 2 * chosen.mean()) / (1 - chosen.mean())
            return np.asarray(np.where(chosen, 2, rest) / len(classes))


def twice(classes: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.float64]:
    """Probabilities of rows, of which half of the classes are drawn twice as often as others."""
    chosen = np.isin(classes, rng.permutation(np.unique(classes))[: len(set(classes)) // 2])
    weight = np.where(chosen, 2.0, 1.0)
    return np.asarray(weight / weight.sum())


def recalibrate(bench: Bench, rows: Labelled) -> None:
    """Print what calibrating does where nothing has moved, and where texts are shorter."""
    items = [
        replace(item, fields={k: v[:CUT] for k, v in item.fields.items()}) for item in rows.items
    ]
    recalibrated(bench, rows, "as they are")
    recalibrated(bench, replace(rows, items=items), f"texts cut to {CUT} characters")


def recalibrated(bench: Bench, rows: Labelled, what: str) -> None:
    """Print what calibrating on some rows does to the others."""
    trial, _ = _tried(bench.classifier, rows)
    assert bench.config.calibration.file is not None
    before = Calibration.load(Path(bench.config.calibration.file))
    whole = bench.reference.judged(bench.cells(rows.items).sum(axis=0))
    told = "an alarm" if whole.alarm else "no alarm"
    print(f"\n{len(rows):,} rows that came later, {what}: {told}.")
    print("".join(f"\n- {moved}" for moved in whole.moved))
    print(f"\nCalibrated on {DRAWN} of them {TIMES} times, measured on the others:\n")
    print(f"| | ECE | wrong at --max-risk {RISK} | at most {RISK} | accepted |")
    print("| --- | --- | --- | --- | --- |")
    rng = np.random.default_rng(1)
    found: dict[str, list[tuple[float, float, float]]] = {"before": [], "after": []}
    for _ in range(TIMES):
        drawn = np.isin(np.arange(len(trial.rows)), rng.permutation(len(trial.rows))[:DRAWN])
        few, rest = part(trial, drawn), part(trial, ~drawn)
        for name, own in (("before", before), ("after", few.fit_calibration(before))):
            found[name].append((_ece(rest, own), *risk(rest, own, bench.taxonomy)))
    for name, values in found.items():
        ece, wrong, accepted = np.array(values).T
        kept = f"{(wrong <= RISK).sum()} of {TIMES}"
        print(
            f"| {name} | {ece.mean():.3f} | {wrong.mean():.3f} | {kept} | {accepted.mean():.3f} |"
        )


def part(trial, wanted):  # noqa: ANN001, ANN201
    """The rows of a trial where `wanted` is true."""
    some = [trial.predictions[row] for row in np.flatnonzero(wanted).tolist()]
    return replace(trial, rows=trial.rows.part(wanted), predictions=some, comes_in=None)


def risk(trial, calibration: Calibration, taxonomy: Taxonomy) -> tuple[float, float]:  # noqa: ANN001
    """Share of wrong answers among the accepted ones, and of accepted ones among all."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "calibration.json"
        calibration.save(file)
        accepting = Acceptance(CalibrationConfig(file=str(file), max_risk=RISK))
    wrong = accepted = 0
    for answer, node in zip(
        accepting.apply(trial.predictions), trial.rows.nodes.tolist(), strict=True
    ):
        if answer.status in ("ok", "partial"):
            accepted += 1
            assert answer.code is not None
            wrong += taxonomy.index(answer.code) not in taxonomy.path_nodes(node)
    return wrong / max(accepted, 1), accepted / len(trial.rows)


if __name__ == "__main__":
    main()
