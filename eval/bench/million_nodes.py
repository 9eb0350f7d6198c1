"""Narrow over a million nodes: the time beside that of the bare FAISS search, for each index kind.

Run it from the repository's root:

    python eval/bench/million_nodes.py --out eval/results/million_nodes.json

The taxonomy and its vectors are synthetic (`eval/bench/synthetic.py`): encoding a million texts
would take an hour on a laptop and measure the encoder only. Narrowing runs over all levels for a
batch of items whose vectors are ready, its search included; the bare search is that of the same
FAISS index for the same items and as many texts. Both run in turns, with other items each time.
Beside the time that passed stands the processor's, which a machine that is at other work too
changes less. What an approximate search finds of the exact one's nearest is recorded for several
settings.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import platform
import resource
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from recording import command, record
from rich.console import Console
from synthetic import WIDTH, SyntheticEncoder, batch_of, write_taxonomy

from cascade.retrieval import faiss_index
from cascade.retrieval.retriever import HITS, Retriever
from cascade.taxonomy import Taxonomy

K = 10  # children that are kept at each level
KINDS = ("flat", "ivf", "hnsw")
SETTINGS = {"ivf": (8, 16, 32, 64, 128), "hnsw": (256, 512, 1024)}  # nprobe, efSearch
MOST = 1.3  # times the bare search


def peak() -> int:
    """Peak memory of this process so far in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def narrow_all_levels(retriever: Retriever, numbers: range) -> NDArray[np.int32]:
    """The leaf that each item comes to by narrowing alone."""
    batch, taxonomy = batch_of(numbers), retriever.taxonomy
    reached = np.full(len(batch), -1, dtype=np.int32)
    own = np.arange(len(batch), dtype=np.int32)
    while len(own):
        choices = retriever.narrow(batch, own, reached[own], K)
        reached[own] = choices.nodes[choices.offsets[:-1]]
        own = own[taxonomy.end[reached[own]] > reached[own] + 1]
    return reached


def measured(retriever: Retriever, encoder: SyntheticEncoder, args: Any) -> dict[str, Any]:
    """Medians of times in seconds, in turns."""
    searcher = retriever._index.searcher
    found: dict[str, list[NDArray[np.float64]]] = {"search": [], "walk": []}
    for repeat in range(-1, args.repeats):  # the first is not counted
        numbers = range((repeat + 1) * args.items, (repeat + 2) * args.items)
        vectors = encoder.encode([item.text for item in batch_of(numbers).items])
        # Who comes first changes, since the second finds the index in the caches.
        for what in ("search", "walk") if repeat % 2 else ("walk", "search"):
            start = np.array([time.perf_counter(), time.process_time()])
            if what == "search":
                searcher.search(vectors, HITS)
            else:
                narrow_all_levels(retriever, numbers)
            found[what].append(np.array([time.perf_counter(), time.process_time()]) - start)
    bare, narrow = (np.array(found[what][1:]) for what in ("search", "walk"))
    ratios = narrow / bare
    return {
        "bare_search_s": round(float(np.median(bare[:, 0])), 4),
        "narrow_all_levels_s": round(float(np.median(narrow[:, 0])), 4),
        "ratio": round(float(np.median(ratios[:, 0])), 3),
        "ratios": ratios[:, 0].round(3).tolist(),
        "bare_search_cpu_s": round(float(np.median(bare[:, 1])), 4),
        "narrow_all_levels_cpu_s": round(float(np.median(narrow[:, 1])), 4),
        "cpu_ratio": round(float(np.median(ratios[:, 1])), 3),
        "cpu_ratios": ratios[:, 1].round(3).tolist(),
    }


def settings_of(
    searcher: faiss_index.Searcher,
    vectors: NDArray[np.float32],
    exact: NDArray[np.int64],
    repeats: int,
) -> list[dict[str, Any]]:
    """What an approximate search finds of the exact one's nearest, and its time, by setting."""
    import faiss

    found = []
    for setting in SETTINGS[searcher.kind]:
        if searcher.kind == "ivf":
            params = faiss.SearchParametersIVF(nprobe=setting)
        else:
            params = faiss.SearchParametersHNSW(efSearch=setting)
        times = []
        for _ in range(repeats):
            start = time.perf_counter()
            _, text = searcher._index.search(vectors, HITS, params=params)
            times.append(time.perf_counter() - start)
        found.append(
            {
                "nprobe" if searcher.kind == "ivf" else "efSearch": setting,
                "recall_at_10": recall(text, exact, 10),
                f"recall_at_{HITS}": recall(text, exact, HITS),
                "search_s": round(float(np.median(times)), 4),
            }
        )
    return found


def recall(text: NDArray[np.int64], exact: NDArray[np.int64], k: int) -> float:
    """Share of the exact k nearest that are among the first k, mean over items."""
    pairs = zip(text[:, :k].tolist(), exact[:, :k].tolist(), strict=True)
    return round(float(np.mean([len(set(a) & set(b)) / k for a, b in pairs])), 4)


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """Times in seconds and memory in MiB."""
    faiss_index.MAX_EXACT = min(
        faiss_index.MAX_EXACT, args.nodes - 1
    )  # so that fewer nodes take the same path
    with tempfile.TemporaryDirectory() as name:
        folder = args.indexes or Path(name)
        folder.mkdir(exist_ok=True)
        write_taxonomy(args.nodes, folder / "taxonomy.csv")
        start = time.perf_counter()
        taxonomy = Taxonomy.load(folder / "taxonomy.csv")
        result: dict[str, Any] = {
            "nodes": len(taxonomy),
            "levels": taxonomy.depth,
            "width": WIDTH,
            "items": args.items,
            "texts_found": HITS,
            "children_kept": K,
            "repeats": args.repeats,
            "load_s": round(time.perf_counter() - start, 2),
            "load_peak_mib": peak(),
            "kinds": {},
        }
        encoder = SyntheticEncoder(args.nodes)
        encoder.encode(["name 0"])  # makes all, so that no build counts it
        exact = reached = None
        sampled = range(10**6, 10**6 + args.items)
        sample = encoder.encode([item.text for item in batch_of(sampled).items])
        for kind in args.kinds:
            start = time.perf_counter()
            retriever = Retriever(taxonomy, encoder, "leaf", index=kind, folder=folder)  # type: ignore[arg-type]
            built = seconds_of(folder, kind, args.nodes, time.perf_counter() - start)
            searcher = retriever._index.searcher
            own = {"build_s": round(built, 1), "file_mib": size_of(folder, kind)}
            own |= measured(retriever, encoder, args)
            ends = narrow_all_levels(retriever, sampled)
            if kind == "flat":
                exact, reached = searcher.search(sample, HITS)[1], ends
            elif exact is not None:
                own["same_leaf_as_flat"] = round(float(np.mean(ends == reached)), 4)
                own["settings"] = settings_of(searcher, sample, exact, 3)
            result["kinds"][kind] = own
            Console(stderr=True).print_json(json.dumps({kind: own}))
            del retriever, searcher
            gc.collect()
    return result | {
        "peak_mib": peak(),
        "threads": int(os.environ.get("OMP_NUM_THREADS", os.cpu_count() or 1)),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in ("faiss-cpu", "numpy")},
    }


def seconds_of(folder: Path, kind: str, nodes: int, took: float) -> float:
    """What building took: now, or in the run that first kept the index in the folder."""
    path = folder / "seconds.json"
    known = json.loads(path.read_text("utf-8")) if path.exists() else {}
    seconds = known.setdefault(f"{kind} {nodes}", took)
    path.write_text(json.dumps(known), "utf-8")
    return float(seconds)


def size_of(folder: Path, kind: faiss_index.Kind) -> int:
    """MiB of the file of an index: the greatest, since the folder may hold smaller ones too."""
    files = folder.glob(f"*{faiss_index.file_suffix(kind)}")
    own = [file for file in files if kind != "flat" or file.stem.isalnum()]
    return max(file.stat().st_size for file in own) >> 20


def markdown(command: str, result: dict[str, Any]) -> str:
    """The figures as tables, and the command that made them."""
    lines = [
        "# million_nodes",
        "",
        "| index | bare search (s) | narrowing, all levels (s) | ratio | processor: bare (s) "
        "| narrowing (s) | ratio | build (s) | file (MiB) |",
        "| --- " * 9 + "|",
    ]
    for kind, own in result["kinds"].items():
        lines.append(
            f"| {kind} | {own['bare_search_s']} | {own['narrow_all_levels_s']} | {own['ratio']} "
            f"| {own['bare_search_cpu_s']} | {own['narrow_all_levels_cpu_s']} "
            f"| {own['cpu_ratio']} | {own['build_s']} | {own['file_mib']:,} |"
        )
    hits = result["texts_found"]
    lines += ["", f"| index | setting | recall@10 | recall@{hits} | search (s) |"]
    lines.append("| --- | --- | --- | --- | --- |")
    for kind, own in result["kinds"].items():
        for each in own.get("settings", []):
            (name, setting), *_ = each.items()
            lines.append(
                f"| {kind} | {name} {setting} | {each['recall_at_10']} "
                f"| {each[f'recall_at_{hits}']} | {each['search_s']} |"
            )
    lines += [
        "",
        "{nodes:,} nodes on {levels} levels, {items} items at a time, {texts_found} texts found "
        "for each, {children_kept} children kept at each level; medians of {repeats} in turns, the "
        "ratio that of each pair; threads: {threads}, on a machine that was at other work too. The "
        "bare search is that of the same FAISS index for the same items. Loading the taxonomy took "
        "{load_s} s and {load_peak_mib:,} MiB at its peak. Vectors are synthetic and clustered as "
        "those of a taxonomy, with noise in all directions, which is hard on a graph and easy on "
        "lists. Made by:".format(**result),
        "",
        f"```sh\n{command}\n```",
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure and record; the exit status is 1 where the bound does not hold."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--nodes", type=int, default=1_000_000)
    parser.add_argument("--items", type=int, default=256)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--indexes", type=Path, help="folder to keep them in, for another run")
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    result = measure(args)
    Console().print_json(json.dumps(result))
    if args.out:
        record(args.out, result, markdown(command(), result))
    if max(own["cpu_ratio"] for own in result["kinds"].values()) > MOST:
        sys.exit(1)


if __name__ == "__main__":
    main()
