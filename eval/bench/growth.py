"""How the time of a cascade grows with its taxonomy: in all, of the search, and beyond it.

Run it from the repository's root:

    python eval/bench/growth.py --out eval/results/growth.json

A batch of items walks down taxonomies of a hundred to a million nodes with the retrieval scorer,
three paths kept, predictions and their traces included. Vectors are synthetic and ready
(`eval/bench/synthetic.py`), so that no encoder is measured. `auto` is what the config does by
itself: up to 100,000 texts it compares with every node, which is linear. `hnsw` works on the hits
of a graph at every size, as `auto` does for more texts. What is claimed of it is that beyond the
search the time of an item at a level grows no faster than the logarithm of the number of nodes.
Times are the processor's, which a machine that is at other work too changes less.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from recording import command, record
from rich.console import Console
from synthetic import SyntheticEncoder, batch_of, write_taxonomy

from cascade.pipeline.descent import Descent
from cascade.retrieval import faiss_index
from cascade.retrieval.retriever import HITS, Retriever
from cascade.scoring.methods.retrieval import RetrievalScorer
from cascade.taxonomy import Taxonomy

SIZES = [100, 1_000, 10_000, 100_000, 1_000_000]
TEMPERATURE = 0.04
KINDS = ("auto", "hnsw")
LINES = {"total": "#4c78a8", "search": "#f58518", "beyond": "#54a24b"}


def times_of(retriever: Retriever, encoder: SyntheticEncoder, args: Any) -> dict[str, float]:
    """Medians of milliseconds for an item."""
    descent = Descent(retriever.taxonomy, retriever)
    scorer = RetrievalScorer(retriever, TEMPERATURE)
    found: list[tuple[float, float]] = []
    for repeat in range(-1, args.repeats):  # the first is not counted
        batch = batch_of(range((repeat + 1) * args.items, (repeat + 2) * args.items))
        encoder.encode([item.text for item in batch.items])
        start = time.process_time()
        retriever.compare(batch)
        searched = time.process_time()
        descent.walk(batch, scorer)
        found.append((time.process_time() - start, searched - start))
    total, search = np.array(found[1:]).T * 1000 / args.items
    return {
        "total_ms": round(float(np.median(total)), 4),
        "search_ms": round(float(np.median(search)), 4),
        "beyond_ms": round(float(np.median(total - search)), 4),
    }


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """The times of every size, and how they grow."""
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as name:
        folder = args.indexes or Path(name)
        for n in args.sizes:
            path = Path(name) / f"{n}.csv"
            write_taxonomy(n, path)
            taxonomy, encoder = Taxonomy.load(path), SyntheticEncoder(n)
            own: dict[str, Any] = {}
            for kind in KINDS:
                retriever = Retriever(
                    taxonomy,
                    encoder,  # type: ignore[arg-type]
                    "leaf",
                    index=kind,  # type: ignore[arg-type]
                    folder=folder,
                )
                encoder.encode(["name 0"])
                own[kind] = times_of(retriever, encoder, args)
                own[kind]["beyond_ms_per_level"] = round(own[kind]["beyond_ms"] / taxonomy.depth, 5)
            rows.append({"nodes": n, "levels": taxonomy.depth, **own})
            Console(stderr=True).print_json(json.dumps(rows[-1]))
    return {
        "items": args.items,
        "repeats": args.repeats,
        "texts_found": HITS,
        "rows": rows,
        "growth": {
            "hnsw": growth(rows, "hnsw"),
            "auto": growth([row for row in rows if row["nodes"] <= faiss_index.MAX_EXACT], "auto"),
        },
        "threads": int(os.environ.get("OMP_NUM_THREADS", os.cpu_count() or 1)),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in ("faiss-cpu", "numpy")},
    }


def growth(rows: list[dict[str, Any]], kind: str) -> dict[str, float]:
    """How the time of an item at a level, beyond the search, grows with the number of nodes.

    `exponent` is that of the power of n that fits best (0 is no growth, 1 linear); the logarithm
    alone, fitted over the same sizes, has the exponent `logarithm`.
    """
    nodes = np.log([row["nodes"] for row in rows])
    level = np.array([row[kind]["beyond_ms_per_level"] for row in rows])
    return {
        "exponent": round(float(np.polyfit(nodes, np.log(level), 1)[0]), 4),
        "logarithm": round(float(np.polyfit(nodes, np.log(nodes), 1)[0]), 4),
        "times_from_least_to_most": round(float(level[-1] / level[0]), 3),
        "logarithm_times": round(float(nodes[-1] / nodes[0]), 3),
    }


def markdown(command: str, result: dict[str, Any]) -> str:
    """The figures as a table, and the command that made them."""
    lines = [
        "# growth",
        "",
        "![time for an item by the number of nodes](growth.svg)",
        "",
        "| nodes | levels | index | total (ms) | search (ms) | beyond (ms) | beyond, a level |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for row in result["rows"]:
        for kind in KINDS:
            own = row[kind]
            lines.append(
                f"| {row['nodes']:,} | {row['levels']} | {kind} | {own['total_ms']} "
                f"| {own['search_ms']} | {own['beyond_ms']} | {own['beyond_ms_per_level']} |"
            )
    hits = result["growth"]["hnsw"]
    lines += [
        "",
        f"Milliseconds of processor time for an item in batches of {result['items']}, medians of "
        f"{result['repeats']}; threads: {result['threads']}; {result['texts_found']} texts found "
        "by `hnsw`. Three paths are kept of each item, and predictions have their traces.",
        "",
        "Beyond the search the time of an item at a level grows "
        f"{hits['times_from_least_to_most']} times with `hnsw` from the least to the greatest "
        f"taxonomy (the logarithm of their sizes {hits['logarithm_times']} times); the power of n "
        f"that fits best is {hits['exponent']}, that of the logarithm itself over these sizes "
        f"{hits['logarithm']}. With `auto` every node has a number for each item up to 100,000 "
        f"texts: the power there is {result['growth']['auto']['exponent']}, and rising to 1, which "
        "is linear; beyond, it is `hnsw`. Made by:",
        "",
        f"```sh\n{command}\n```",
    ]
    return "\n".join(lines) + "\n"


def draw(rows: list[dict[str, Any]], file: Path) -> None:
    """Draw the times over the number of nodes, both axes logarithmic."""
    import matplotlib
    from matplotlib.figure import Figure

    matplotlib.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "growth"})
    figure = Figure(figsize=(8, 4), layout="constrained")
    axes = figure.add_subplot()
    nodes = [row["nodes"] for row in rows]
    for kind, style in (("hnsw", "-"), ("auto", "--")):
        for name, colour in LINES.items():
            times = [row[kind][f"{name}_ms"] for row in rows]
            axes.loglog(nodes, times, style, color=colour, label=f"{kind}: {name}")
    axes.set(xlabel="nodes", ylabel="time for an item (ms)")
    axes.grid(axis="y", color="#dddddd")
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside right upper", frameon=False)
    figure.savefig(file, metadata={"Date": None})


def main() -> None:
    """Measure and record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument("--items", type=int, default=128)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--indexes", type=Path, help="folder to keep them in, for another run")
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    result = measure(args)
    Console().print_json(json.dumps(result))
    if args.out:
        record(args.out, result, markdown(command(), result))
        draw(result["rows"], args.out.with_suffix(".svg"))


if __name__ == "__main__":
    main()
