r"""A pack that reads text and pictures against packs that read one of them, and with one missing.

Three packs of one recipe are fitted to the same rows: text alone, picture alone, both. The last
one is measured too on rows of which each has lost its text or its picture, by the toss of a coin.
Losing one should cost no more than its share: at least the mean of the packs that have only one.

python eval/bench/modalities.py --train TRAIN.csv --test VALIDATION.csv --text name \
    --text description --image image --label label --recipe fast --work runs/modalities \
    --out eval/results/modalities
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

import cascade
from cascade.config import Columns
from cascade.evaluation.metrics.gold_and_predicted import GoldAndPredicted
from cascade.evaluation.metrics.metrics_table import all_metrics
from cascade.io.tables.opening import TableFile
from cascade.items import Item
from cascade.pipeline.labels.making import taxonomy_of_labels
from cascade.training.labelled import Labelled, read_labelled
from cascade.training.packs.fit import Fit
from cascade.training.packs.recipe import Recipe

TOSSES = 5


def fitted(folder: Path, source: TableFile, tree: Any, columns: Columns, recipe: str) -> Any:
    """The pack in a folder, fitted if it is not there."""
    if not folder.is_dir():
        job = Fit(source, tree, columns, Recipe.load(recipe), folder)
        job.prepare(resume=job.work.is_dir())
        job.run(lambda *_: None)
    return cascade.load(folder)


def figures(clf: Any, items: list[Item], rows: Labelled, tree: Any) -> dict[str, float]:
    """Exact match, hierarchical F1 and accuracy by level of the answers for items."""
    found = clf.classify_many(items)
    predicted = np.array([-1 if p.code is None else tree.index(p.code) for p in found])
    every = all_metrics(GoldAndPredicted.of(tree, predicted, rows.nodes))
    levels = [name for name in every if name.startswith("accuracy_l")][:3]
    return {name: every[name] for name in ("exact_match", "hf1_micro", *levels)}


def main() -> None:
    """Fit, measure, and write a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--train", required=True)
    parser.add_argument("--test", required=True)
    parser.add_argument("--text", action="append", required=True)
    parser.add_argument("--image", required=True)
    parser.add_argument("--label", required=True)
    parser.add_argument("--recipe", default="fast")
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True, help="without suffix: .json and .md")
    args = parser.parse_args()
    args.work.mkdir(parents=True, exist_ok=True)
    source, test = TableFile(args.train), TableFile(args.test)
    tree = taxonomy_of_labels([source, test], args.label)
    read = {
        "text": Columns(text=args.text, label=args.label),
        "picture": Columns(image=args.image, label=args.label),
        "both": Columns(text=args.text, image=args.image, label=args.label),
    }
    rows = read_labelled(test, read["both"], tree)
    blind = [dataclasses.replace(item, image=None) for item in rows.items]
    mute = [Item({}, image=item.image) for item in rows.items]
    given = {"text": blind, "picture": mute, "both": list(rows.items)}
    table: list[dict[str, Any]] = []

    def add(pack: str, asked: str, found: dict[str, float]) -> None:
        table.append(
            {"pack": pack, "rows have": asked, **{k: round(v, 4) for k, v in found.items()}}
        )
        print(table[-1], flush=True)

    packs = {}
    for name, columns in read.items():
        packs[name] = fitted(args.work / name, source, tree, columns, args.recipe)
        add(name, name, figures(packs[name], given[name], rows, tree))
    both = packs["both"]
    add("both", "text", figures(both, blind, rows, tree))
    add("both", "picture", figures(both, mute, rows, tree))
    tossed = []
    for toss in range(TOSSES):
        heads = np.random.default_rng(toss).random(len(rows)) < 0.5
        some = [b if head else m for b, m, head in zip(blind, mute, heads.tolist(), strict=True)]
        tossed.append(figures(both, some, rows, tree))
    add("both", "one of them", {k: float(np.mean([t[k] for t in tossed])) for k in tossed[0]})
    share = {k: (table[0][k] + table[1][k]) / 2 for k in tossed[0]}
    add("text or picture, the one that is there", "one of them, on average", share)
    command = "python " + " ".join(sys.argv)
    record = {"command": command, "train": source.sha256, "rows": len(rows), "table": table}
    args.out.with_suffix(".json").write_text(json.dumps(record, indent=1))
    heading = list(table[0])
    lines = [f"| {' | '.join(heading)} |", f"|{' --- |' * len(heading)}"]
    lines += [f"| {' | '.join(str(row[c]) for c in heading)} |" for row in table]
    text = "# Text, picture, both, and both with one missing\n\n" + "\n".join(lines)
    text += f"\n\nMeasured on {len(rows):,} rows; `one of them` is the mean of {TOSSES} tosses."
    args.out.with_suffix(".md").write_text(f"{text} Made by:\n\n```sh\n{command}\n```\n")


if __name__ == "__main__":
    main()
