"""What graphs and lists of FAISS find of the exact nearest texts, and their time, on real vectors.

Run it from the repository's root, with a taxonomy and a file of items:

    python eval/bench/index_kinds.py MTX.ecf recipes.csv --text "Food name" \
        --out eval/results/index_kinds.json

`cascade/retrieval/faiss_index.py` has the settings that were chosen by this.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import random
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray
from recording import command, record
from rich.console import Console

from cascade.retrieval import faiss_index
from cascade.retrieval.encoder import Encoder
from cascade.retrieval.index import NodeIndex
from cascade.retrieval.retriever import HITS
from cascade.taxonomy import Taxonomy
from cascade.taxonomy.facets import FacetedTaxonomy

GRAPHS = [(16, 60), (16, 120)]  # M, efConstruction
SEEN = [256, 512]  # efSearch
LISTS = [2, 4]  # times the root of the number of texts
PROBES = [4, 16, 64]


def built(kind: faiss_index.Kind, vectors: NDArray[np.float32]) -> tuple[Any, float]:
    """An index, and the seconds that it took."""
    start = time.perf_counter()
    return faiss_index.build(kind, vectors), round(time.perf_counter() - start, 1)


def timed(
    index: Any, items: NDArray[np.float32], repeats: int, params: Any = None
) -> tuple[float, NDArray[np.int64]]:
    """Median of seconds, and the texts that were found."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        _, text = index.search(items, HITS, params=params)
        times.append(time.perf_counter() - start)
    return float(np.median(times)), text


def recall(text: NDArray[np.int64], exact: NDArray[np.int64], k: int) -> float:
    """Share of the exact k nearest that are among the first k, mean over items."""
    pairs = zip(text[:, :k].tolist(), exact[:, :k].tolist(), strict=True)
    return round(float(np.mean([len(set(a) & set(b)) / k for a, b in pairs])), 4)


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """Rows of what was found in which time."""
    taxonomy = Taxonomy.load(args.taxonomy)
    if isinstance(taxonomy, FacetedTaxonomy):
        taxonomy = taxonomy.terms
    encoder = Encoder.load("minilm")
    index = NodeIndex.open(taxonomy, encoder, "full")
    vectors = index.vectors
    with open(args.items, newline="", encoding="utf-8", errors="replace") as file:
        texts = sorted({row[args.text] for row in csv.DictReader(file)})
    items = encoder.encode(random.Random(0).sample(texts, min(args.rows, len(texts))))
    flat, took = built("flat", vectors)
    seconds, exact = timed(flat, items, args.repeats)
    rows: list[dict[str, Any]] = []

    def add(kind: str, how: str, build: float, searched: str, seconds: float, text: Any) -> None:
        rows.append(
            {
                "index": kind,
                "built": how,
                "build_s": build,
                "searched": searched,
                "recall_at_10": recall(text, exact, 10),
                f"recall_at_{HITS}": recall(text, exact, HITS),
                "ms_per_item": round(seconds * 1000 / len(items), 3),
            }
        )
        Console(stderr=True).print_json(json.dumps(rows[-1]))

    add("flat", "", took, "", seconds, exact)
    for faiss_index.HNSW_M, faiss_index.HNSW_EF_CONSTRUCTION in GRAPHS:
        graph, took = built("hnsw", vectors)
        for seen in SEEN:
            params = faiss.SearchParametersHNSW(efSearch=seen)
            found = timed(graph, items, args.repeats, params)
            how = f"M {faiss_index.HNSW_M}, efConstruction {faiss_index.HNSW_EF_CONSTRUCTION}"
            add("hnsw", how, took, f"efSearch {seen}", *found)
    for faiss_index.IVF_LISTS in LISTS:
        lists, took = built("ivf", vectors)
        for probes in PROBES:
            params = faiss.SearchParametersIVF(nprobe=probes)
            found = timed(lists, items, args.repeats, params)
            add("ivf", f"nlist {lists.nlist}", took, f"nprobe {probes}", *found)
    return {
        "taxonomy": taxonomy.name,
        "texts": len(vectors),
        "items": len(items),
        "repeats": args.repeats,
        "threads": int(os.environ.get("OMP_NUM_THREADS", os.cpu_count() or 1)),
        "faiss": version("faiss-cpu"),
        "rows": rows,
    }


def markdown(command: str, result: dict[str, Any]) -> str:
    """The rows as a table, and the command that made them."""
    names = list(result["rows"][0])
    lines = ["# index_kinds", "", "| " + " | ".join(names) + " |", "| --- " * len(names) + "|"]
    lines += ["| " + " | ".join(str(row[name]) for name in names) + " |" for row in result["rows"]]
    lines += [
        "",
        f"{result['texts']:,} texts of {result['taxonomy']!r}, {result['items']} items in one "
        f"batch, MiniLM's vectors, {HITS} texts found for each; medians of {result['repeats']}, "
        f"threads: {result['threads']}. Made by:",
        "",
        f"```sh\n{command}\n```",
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure and record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("taxonomy")
    parser.add_argument("items")
    parser.add_argument("--text", required=True)
    parser.add_argument("--rows", type=int, default=512)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    result = measure(args)
    Console().print_json(json.dumps(result))
    if args.out:
        record(args.out, result, markdown(command(), result))


if __name__ == "__main__":
    main()
