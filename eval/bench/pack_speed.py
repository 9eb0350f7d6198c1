"""How fast a `quick` pack answers beside the linear model that it contains, by scikit-learn.

The rival is what a user would write instead: TF-IDF of words and of characters inside words, and a
LinearSVC, fitted to the same rows; it answers with one label and nothing more. Both read the same
texts in the same batches, in turns, with one thread (`OMP_NUM_THREADS=1`), and processor time
counts, which other work on the machine changes less than the time that passes. The pack's time is
that of `classify_batch`, confidences, risk and shift included. The rival's tolerance is wide since
only its speed is asked for.

    python eval/bench/pack_speed.py PACK --fit train.csv --rows validation.csv --text name
"""

from __future__ import annotations

import argparse
import os
import platform
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from recording import command, record

import cascade
from cascade.io.tables.opening import open_table
from cascade.items import Item
from cascade.pipeline.classifier import BATCH

TARGET = 1.5


def column(path: Path, name: str) -> list[str]:
    """The cells of one column."""
    with open_table(path) as table:
        at = table.columns.index(name)
        return [str(row.cells[at] or "") for row in table.rows]


def rival(texts: Sequence[str], labels: Sequence[str]) -> Any:
    """Words and characters with a linear model, as scikit-learn has them."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.pipeline import make_pipeline, make_union
    from sklearn.svm import LinearSVC

    words = TfidfVectorizer(
        sublinear_tf=True, ngram_range=(1, 2), token_pattern=r"\w+", dtype=np.float32
    )
    characters = TfidfVectorizer(
        sublinear_tf=True, analyzer="char_wb", ngram_range=(2, 5), min_df=2, dtype=np.float32
    )
    return make_pipeline(make_union(words, characters), LinearSVC(tol=0.1)).fit(texts, labels)


def seconds(answer: Callable[[Sequence[Any]], object], rows: Sequence[Any]) -> float:
    """Processor seconds for all rows, batch by batch."""
    started = time.process_time()
    for at in range(0, len(rows), BATCH):
        answer(rows[at : at + BATCH])
    return time.process_time() - started


def main() -> None:
    """Measure both in turns and print medians."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("pack")
    parser.add_argument("--fit", type=Path, required=True, help="rows for the rival")
    parser.add_argument("--rows", type=Path, required=True, help="rows that are answered")
    parser.add_argument("--text", default="name")
    parser.add_argument("--label", default="label")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    texts = column(args.rows, args.text)
    items = [Item({args.text: text}) for text in texts]
    other = rival(column(args.fit, args.text), column(args.fit, args.label))
    pack = cascade.load(args.pack)
    ways: dict[str, tuple[Callable[[Sequence[Any]], object], Sequence[Any]]] = {
        "cascade": (pack.classify_batch, items),
        "scikit-learn": (other.predict, texts),
    }
    spent: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(args.repeats + 1):
        for name, (answer, rows) in ways.items():
            took = seconds(answer, rows)
            if turn:  # the first warms up
                spent[name].append(took)
    ratio = median(b / a for a, b in zip(spent["cascade"], spent["scikit-learn"], strict=True))
    speeds = {name: round(len(texts) / median(own)) for name, own in spent.items()}
    result = {
        "rows": len(texts),
        "rows_per_cpu_second": speeds,
        "ratio": round(ratio, 3),
        "repeats": args.repeats,
        "load_average": round(os.getloadavg()[0], 1),
        "python": platform.python_version(),
    }
    page = (
        f"# packs of words\n\n{len(texts):,} rows, {args.repeats} turns, one thread, load average "
        f"{result['load_average']}. Rows per processor second: cascade {speeds['cascade']:,}, "
        f"scikit-learn {speeds['scikit-learn']:,}; ratio {ratio:.2f} (wanted: {TARGET}).\n\n"
        f"```sh\n{command()}\n```\n"
    )
    print(page)
    if args.out:
        record(args.out, result, page)


if __name__ == "__main__":
    main()
