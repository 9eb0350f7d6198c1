"""Load and narrow a taxonomy of a million nodes: time, memory, and the ratio to a bare search.

Run it from the repository's root:

    python eval/bench/million_nodes.py --out eval/results/million_nodes.json

The taxonomy is synthetic, seven levels of ten children each. Its vectors are random too, of
MiniLM's width: encoding a million texts would take an hour on a laptop and measure the encoder
only. Narrowing runs over all levels for a batch of items; the bare search is the matrix product
of the same items with the same vectors and the ten best of each row.
"""

from __future__ import annotations

import argparse
import json
import platform
import resource
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from cascade.items import Batch, Item
from cascade.retrieval.narrow import Retriever
from cascade.taxonomy import Taxonomy

WIDTH, K = 384, 10


class RandomEncoder:
    """Unit vectors from a seeded generator, whatever the texts say."""

    identity = "random"
    width = WIDTH

    def __init__(self) -> None:
        self._generator = np.random.default_rng(0)

    def encode(self, texts: Sequence[str], *, progress: Any = None) -> NDArray[np.float32]:
        """Float32 [n_texts, width]."""
        vectors = self._generator.standard_normal((len(texts), WIDTH), dtype=np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        return vectors


def rows(n: int) -> Iterator[str]:
    """Lines of code,name,parent: node i hangs below node i // 10."""
    yield "code,name,parent\n"
    for i in range(n):
        yield f"{i},name {i},{i // 10 - 1 if i >= 10 else ''}\n"


def peak() -> int:
    """Peak memory of this process so far in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def measure(n: int, items: int, repeats: int) -> dict[str, Any]:
    """Times in seconds (medians) and memory in MiB."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "taxonomy.csv"
        path.write_text("".join(rows(n)), "utf-8")
        start = time.perf_counter()
        taxonomy = Taxonomy.load(path)
        load, load_peak = time.perf_counter() - start, peak()
        retriever = Retriever(taxonomy, RandomEncoder(), "leaf", folder=Path(folder))  # type: ignore[arg-type]
        vectors = retriever._index.vectors
        bare, narrow = [], []
        for _ in range(repeats):
            batch = Batch([Item({"text": "x"})] * items)
            queries = RandomEncoder().encode([""] * items)
            start = time.perf_counter()
            np.argpartition(-(queries @ vectors.T), K, axis=1)
            bare.append(time.perf_counter() - start)
            start = time.perf_counter()
            parents = np.full(items, -1, dtype=np.int32)
            own = np.arange(items, dtype=np.int32)
            while len(own):
                choices = retriever.narrow(batch, own, parents, K)
                parents = choices.nodes[choices.offsets[:-1]]
                inner = taxonomy.end[parents] > parents + 1
                own, parents = own[inner], parents[inner]
            narrow.append(time.perf_counter() - start)
    return {
        "nodes": len(taxonomy),
        "levels": taxonomy.depth,
        "items": items,
        "repeats": repeats,
        "load_s": round(load, 2),
        "load_peak_mib": load_peak,
        "bare_search_s": round(float(np.median(bare)), 3),
        "narrow_all_levels_s": round(float(np.median(narrow)), 3),
        "ratio": round(float(np.median(narrow) / np.median(bare)), 2),
        "python": platform.python_version(),
    }


def main() -> None:
    """Measure and record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--nodes", type=int, default=1_000_000)
    parser.add_argument("--items", type=int, default=32)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    result = measure(args.nodes, args.items, args.repeats)
    Console().print_json(json.dumps(result))
    if args.out:
        command = f"python eval/bench/million_nodes.py --nodes {args.nodes} --items {args.items}"
        args.out.write_text(json.dumps({"command": command, **result}, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
