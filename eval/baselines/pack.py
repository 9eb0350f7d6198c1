"""A pack of `cascade fit`, fitted and asked as a baseline is.

python eval/baselines/pack.py --train TRAIN.csv --test TEST.csv --taxonomy TAXONOMY.csv \
    --text name --text description --label label --recipe fast --out predictions.csv
"""

from __future__ import annotations

import argparse
import csv
import tempfile
import time
from pathlib import Path

from tables import read_job

import cascade
from cascade.config import Columns
from cascade.io.tables.opening import TableFile
from cascade.items import Item
from cascade.training.packs.fit import Fit
from cascade.training.packs.recipe import Recipe


def main() -> None:
    """Fit on the training rows and predict the others."""

    def extra(parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--recipe", default="fast", help="a shipped name or a YAML file")

    job = read_job(__doc__ or "", extra)
    given, depth = job.arguments, job.taxonomy.depth
    with tempfile.TemporaryDirectory() as folder:
        train = Path(folder) / "train.csv"
        with train.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow([*given.text, given.label])
            codes = job.taxonomy.codes
            writer.writerows(
                [*row, codes[node]] for row, node in zip(job.fields, job.nodes, strict=True)
            )
        fit = Fit(
            TableFile(str(train)),
            job.taxonomy,
            Columns(text=given.text, label=given.label),
            Recipe.load(given.recipe),
            Path(folder) / "pack",
        )
        started = time.perf_counter()
        fit.prepare()
        fit.run(lambda *_: None)
        fitted = time.perf_counter() - started
        classifier = cascade.load(fit.folder)
        items = [Item(dict(zip(given.text, row, strict=True))) for row in job.test_fields]

        def predict(_: list[str]) -> list[list[int]]:
            found = []
            for prediction in classifier.classify_many(items):
                path = [job.taxonomy.index(level.code) for level in prediction.levels]
                found.append(path + [-1] * (depth - len(path)))
            return found

        job.write(predict, fitted)


if __name__ == "__main__":
    main()
