"""What calibration, climbing, what is nowhere and the watch over shift take of `classify_batch`.

    python eval/bench/confidence_cost.py PACK FILE --columns name description --rows 1280

CPU time of each part, as a share of all. The least of some rounds counts for each batch,
since other programs only add.
"""

from __future__ import annotations

import argparse
import time
from collections import defaultdict
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import cascade
from cascade.config import BATCH
from cascade.io.tables.opening import open_table
from cascade.items import Item


def main() -> None:
    """Print a row for each setting."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("pack")
    parser.add_argument("file", type=Path)
    parser.add_argument("--columns", nargs="+", required=True)
    parser.add_argument("--rows", type=int, default=1280)
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args()
    with open_table(asked.file) as table:
        places = [(name, table.columns.index(name)) for name in asked.columns]
        rows = islice(table.rows, asked.rows)
        items = [Item({name: row.cells[at] for name, at in places}) for row in rows]
    print("| asked | us a row, in all | acceptance | nowhere | shift | together |")
    print("| --- | --- | --- | --- | --- | --- |")
    for name, settings in {"nothing": {}, "max_risk=0.05": {"max_risk": 0.05}}.items():
        classifier = cascade.load(asked.pack, calibration=settings)
        print(f"| {name} | {' | '.join(_parts(classifier, items, asked.rounds))} |")


def _parts(classifier: Any, items: list[Item], rounds: int) -> list[str]:
    """The time of a row in microseconds, and the shares of parts."""
    spent: dict[str, float] = defaultdict(float)

    def timed(of: Any, method: str, part: str) -> None:
        call: Callable[..., Any] = getattr(of, method)

        def call_timed(*args: Any) -> Any:
            started = time.process_time()
            found = call(*args)
            spent[part] += time.process_time() - started
            return found

        setattr(of, method, call_timed)

    timed(classifier._acceptance, "apply", "acceptance")
    timed(classifier.sentinel, "see", "shift")
    if classifier._walker._judge is not None:
        timed(classifier._walker._judge, "support", "nowhere")
    timed(classifier, "_classified", "all")
    least: dict[int, dict[str, float]] = {}
    for _ in range(rounds + 1):  # the first warms up
        for start in range(0, len(items), BATCH):
            spent.clear()
            classifier.classify_batch(items[start : start + BATCH])
            known = least.get(start, {})
            least[start] = {part: min(took, known.get(part, took)) for part, took in spent.items()}
    total = {
        part: sum(one.get(part, 0.0) for one in least.values())
        for part in ("all", "acceptance", "nowhere", "shift")
    }
    shares = [total[part] / total["all"] for part in ("acceptance", "nowhere", "shift")]
    return [f"{1e6 * total['all'] / len(items):.0f}", *(f"{s:.2%}" for s in [*shares, sum(shares)])]


if __name__ == "__main__":
    main()
