"""Measure the methods on labelled rows without any training: the zero-shot figures.

Run it from the repository's root, for example:

    python eval/bench/zero_shot.py ../shared/data/gpc_offers/validation.csv \
        -t ../shared/data/gpc_offers/taxonomy.csv --text name --text description \
        --label label --out eval/results/zero_shot_gpc.json

It writes that JSON and a table beside it (.md). A method that the JSON already has with the same
settings and rows is not run again: its predictions are kept in a .predictions.npz, so that an
interrupted run goes on with the same command. Changed code or prompts need --again.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import shlex
import sys
import time
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from comparison import RESAMPLES, RETRIEVAL, SEED, Nodes, Results, compare, lines_of, markdown
from rich.console import Console
from rich.progress import track
from rich.table import Table

import cascade
from cascade.errors import CascadeError, InputError, UsageError
from cascade.io import open_table, require_columns
from cascade.items import Item
from cascade.pipeline.load import load_taxonomy

METHODS = {"retrieval": RETRIEVAL} | {m: [m] for m in (*RETRIEVAL, "rewrite", "llm", "cascade")}

console = Console()


@dataclass
class Rows:
    """Labelled rows; `facts` count and identify them."""

    items: list[Item]
    gold: Nodes
    facts: dict[str, Any]

    @classmethod
    def read(cls, args: argparse.Namespace, taxonomy: cascade.Taxonomy) -> Rows:
        """The first rows of the file whose label is in the taxonomy."""
        items: list[Item] = []
        gold: list[int] = []
        dropped = 0
        with open_table(args.data) as table:
            require_columns(table, [*args.text, args.label])
            for row in table:
                if len(items) == args.limit:
                    break
                node = None if row.problem else taxonomy.find(table.text(row, args.label))
                if node is None:
                    dropped += 1
                else:
                    items.append(Item(table.texts(row, args.text)))
                    gold.append(node)
        if not items:
            raise InputError(f"no {args.label!r} is in {args.taxonomy}", file=args.data)
        content = [[dict(i.fields), taxonomy.codes[g]] for i, g in zip(items, gold, strict=True)]
        digest = hashlib.sha256(json.dumps(content).encode()).hexdigest()
        facts = {"count": len(items), "dropped": dropped, "sha256": digest}
        facts["taxonomy_sha256"] = taxonomy.fingerprint
        return cls(items, np.array(gold), facts)


def shown(path: str) -> str:
    """A path as it may stand in a result: as given, but never absolute."""
    return os.path.relpath(path) if os.path.isabs(path) else path


def settings_of(classifier: cascade.Classifier) -> dict[str, Any]:
    """What decides the answers, but for the taxonomy and the columns."""
    return classifier.config.model_dump(exclude={"taxonomy", "columns"})


def run(classifier: cascade.Classifier, rows: Rows, name: str) -> tuple[dict[str, Any], Nodes]:
    """Classify the rows: how it went, and the predicted nodes."""
    import torch

    arguments = [arg.partition("=") for arg in sys.argv]
    start = time.perf_counter()
    stream = classifier.classify_many(rows.items)
    answers = list(track(stream, name, len(rows.items), console=console))
    seconds = time.perf_counter() - start
    return {
        "settings": settings_of(classifier),
        "command": shlex.join(["python", *(shown(a) + eq + shown(b) for a, eq, b in arguments)]),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "seconds": round(seconds, 3),
        "rows_per_second": round(len(answers) / seconds, 2),
        "cpu_threads": torch.get_num_threads(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "status": dict(Counter(answer.status for answer in answers)),
        "versions": {"python": platform.python_version(), "cascade": cascade.__version__}
        | {package: version(package) for package in ("torch", "transformers")},
    }, np.array([-1 if a.code is None else classifier.taxonomy.index(a.code) for a in answers])


def measure(args: argparse.Namespace) -> Results:
    """Run what is not there yet, and write the results after each method."""
    args.out.parent.mkdir(parents=True, exist_ok=True)
    taxonomy = load_taxonomy(args.taxonomy)
    rows = Rows.read(args, taxonomy)
    console.print("{count:,} rows, {dropped:,} dropped without a known label".format(**rows.facts))
    asked = {"data": shown(args.data), "taxonomy": shown(args.taxonomy), "text": args.text}
    asked |= {
        "label": args.label,
        "rows": rows.facts,
        "bootstrap": {"resamples": RESAMPLES, "seed": SEED},
    }
    results: Results = {}
    if args.out.exists() and (old := json.loads(args.out.read_text("utf-8"))):
        if old["rows"] != rows.facts:
            raise UsageError(f"{args.out} is of other rows, {old['rows']}; name another --out")
        results = old["methods"]
    cache, kept = args.out.with_suffix(".predictions.npz"), {}
    if cache.exists():
        with np.load(cache, allow_pickle=False) as arrays:
            kept = {name: arrays[name] for name in arrays.files if name in results}
    for name in dict.fromkeys(name for method in args.methods for name in METHODS[method]):
        method, _, recipe = name.partition(":")
        settings: dict[str, Any] = {"retrieval": {"texts": recipe}} if recipe else {}
        classifier = cascade.load(shown(args.taxonomy), method=method, **settings)
        settings = json.loads(json.dumps(settings_of(classifier)))
        same = name in kept and results[name]["settings"] == settings
        if same and not args.again:
            console.print(f"{name}: kept from {results[name]['date']}")
        else:
            results[name], kept[name] = run(classifier, rows, name)
        compare(taxonomy, rows.gold, results, kept)
        state = asked | {"methods": results}
        np.savez(cache, **kept)
        args.out.write_text(json.dumps(state, indent=1, ensure_ascii=False) + "\n", "utf-8")
        args.out.with_suffix(".md").write_text(markdown(args.out.stem, state), "utf-8")
    return results


def main() -> None:
    """Read the command line, measure, and show the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", help="labelled rows: CSV, TSV, JSON lines, Parquet or Excel")
    parser.add_argument("-t", "--taxonomy", required=True, help="a file or a shipped name")
    parser.add_argument("--text", action="append", required=True, metavar="COL", help="repeatable")
    parser.add_argument("--label", required=True, metavar="COL", help="a code or a path")
    parser.add_argument("--limit", type=int, metavar="N", help="the first N rows with a label")
    parser.add_argument(
        "--methods",
        nargs="+",
        choices=METHODS,
        default=["retrieval", "llm", "cascade"],
        metavar="METHOD",
        help=f"of {', '.join(METHODS)}; default: retrieval llm cascade",
    )
    parser.add_argument("--again", action="store_true", help="run also what is already there")
    parser.add_argument("--out", type=Path, required=True, help="eval/results/NAME.json")
    args = parser.parse_args()
    if args.out.suffix != ".json":
        parser.error(f"--out: found {args.out}; expected a name that ends in .json")
    try:
        lines = lines_of(measure(args))
    except CascadeError as error:
        console.print(f"error: {error}", markup=False)
        sys.exit(error.exit_status)
    heading, *rest = zip(*lines, strict=True)
    table = Table(*heading)
    for line in rest:
        table.add_row(*(cell.replace(" (", "\n(") for cell in line))
    console.print(table)


if __name__ == "__main__":
    main()
