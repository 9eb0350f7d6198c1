"""What the baselines share: the words a suite calls them with, rows in, predictions out."""

from __future__ import annotations

import argparse
import csv
import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

import cascade
from cascade.io import open_table, require_columns
from cascade.pipeline.load import load_taxonomy
from cascade.training.sampling import balanced

MISSING = 3  # exit status that tells a suite to skip the row; the last line says why


@dataclass
class Job:
    """Labelled rows to fit on, rows to predict, and where the predictions go.

    Parameters
    ----------
    texts, nodes
        Of the training rows whose label is in the taxonomy: text, and node index.
    tests
        Texts to predict, in the order of the file.
    fields, test_fields
        The same texts, column by column.
    """

    arguments: argparse.Namespace
    taxonomy: cascade.Taxonomy
    texts: list[str]
    nodes: list[int]
    tests: list[str]
    fields: list[tuple[str, ...]]
    test_fields: list[tuple[str, ...]]

    def write(self, predict: Callable[[list[str]], Sequence[Sequence[int]]], fit: float) -> None:
        """Predict the tests, write their codes, and print what it took.

        Parameters
        ----------
        predict
            Texts to nodes: one for each level from the top, or one alone; -1 for none.
        fit
            Seconds that fitting took.
        """
        started = time.perf_counter()
        found = predict(self.tests)
        seconds = time.perf_counter() - started
        width = max(map(len, found))
        heading = (
            ["cascade_code"] if width == 1 else [f"cascade_code_l{i + 1}" for i in range(width)]
        )
        with self.arguments.out.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(heading)
            codes = self.taxonomy.codes
            writer.writerows([codes[n] if n >= 0 else "" for n in nodes] for nodes in found)
        facts = {"fit_seconds": round(fit, 2), "rows_per_second": round(len(found) / seconds, 1)}
        print(json.dumps(facts))


def read_job(description: str, extra: Callable[[argparse.ArgumentParser], None]) -> Job:
    """The job that the command line names; `extra` adds options of its own."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--train", required=True, help="labelled rows to fit on")
    parser.add_argument("--test", required=True, help="rows to predict")
    parser.add_argument("--taxonomy", required=True, help="a file or a shipped name")
    parser.add_argument("--text", action="append", required=True, metavar="COL", help="repeatable")
    parser.add_argument(
        "--only", action="append", metavar="COL", help="of the text columns these alone; repeatable"
    )
    parser.add_argument("--label", required=True, metavar="COL", help="a code or a path")
    parser.add_argument(
        "--per-label", type=int, metavar="N", help="fit on N rows of each label, drawn by the seed"
    )
    parser.add_argument("--seed", type=int, default=0, help="of what is drawn")
    parser.add_argument("--limit", type=int, metavar="N", help="predict the first N rows only")
    parser.add_argument("--out", type=Path, required=True, help="predictions, CSV")
    extra(parser)
    args = parser.parse_args()
    args.text = args.only or args.text
    taxonomy = load_taxonomy(args.taxonomy)
    fields, nodes = [], []
    with open_table(args.train) as table:
        require_columns(table, [*args.text, args.label])
        for row in table:
            node = taxonomy.find(table.text(row, args.label))
            if node is not None and row.problem is None:
                fields.append(tuple(table.texts(row, args.text).values()))
                nodes.append(node)
    chosen = balanced(np.array(nodes, dtype=np.int32), args.per_label, args.seed).tolist()
    fields, nodes = [fields[row] for row in chosen], [nodes[row] for row in chosen]
    with open_table(args.test) as table:
        require_columns(table, args.text)
        tests = [tuple(table.texts(row, args.text).values()) for row in islice(table, args.limit)]
    joined, asked = (["\n".join(texts) for texts in rows] for rows in (fields, tests))
    return Job(args, taxonomy, joined, nodes, asked, fields, tests)


def needs(package: str, error: ImportError) -> None:
    """End so that a suite skips the row and says that a package is missing."""
    print(f"needs {package} ({error}); install it with: pip install {package}", file=sys.stderr)
    sys.exit(MISSING)
