"""How fast the names of a taxonomy become an index, to the bare encoder on the same names.

Run it from the repository's root, with a taxonomy:

    python eval/bench/index_build.py MTX.ecf --out eval/results/index_build.json

The bare encoder gets the different names at once, so that it can put those of one length together.
The index is built in an empty folder: texts made of the taxonomy, blocks saved, the file written
and mapped. Both take turns, on seconds of the processor, which other work changes less.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from importlib.metadata import version
from itertools import chain
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from recording import command, record
from rich.console import Console

from cascade.retrieval.encoder import Encoder
from cascade.retrieval.index import NodeIndex
from cascade.retrieval.node_texts import text_forms
from cascade.taxonomy import Record, Taxonomy
from cascade.taxonomy.facets import FacetedTaxonomy


def cut(taxonomy: Taxonomy, nodes: int) -> Taxonomy:
    """The first nodes of a taxonomy, depth first, with their synonyms."""
    parents = taxonomy.parent.tolist()
    return Taxonomy.from_records(
        [
            Record(
                str(i),
                taxonomy.names[i],
                None if parents[i] < 0 else str(parents[i]),
                taxonomy.description(i),
                taxonomy.synonyms(i),
            )
            for i in range(nodes)
        ]
    )


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """Names a second of both, and seconds to read the index again."""
    taxonomy = Taxonomy.load(args.taxonomy)
    if isinstance(taxonomy, FacetedTaxonomy):
        taxonomy = taxonomy.terms
    if args.nodes:
        taxonomy = cut(taxonomy, args.nodes)
    encoder = Encoder.load(args.encoder)
    texts = list(chain.from_iterable(text_forms(taxonomy, args.texts)[0]))
    different = list(dict.fromkeys(texts))
    encoder.encode(different[:256], half=True)  # its weights are changed to half precision once
    bare: list[float] = []
    built: list[float] = []
    for _ in range(args.repeats):
        start = time.process_time()
        alone = encoder.encode_documents(different, half=True)
        bare.append(time.process_time() - start)
        with tempfile.TemporaryDirectory() as folder:
            start = time.process_time()
            index = NodeIndex.open(taxonomy, encoder, args.texts, folder=Path(folder))
            built.append(time.process_time() - start)
            start = time.process_time()
            NodeIndex.open(taxonomy, encoder, args.texts, folder=Path(folder))
            opened = time.process_time() - start
            assert np.allclose(alone[0], index.vectors[0], atol=1e-2)
    ratios = [b / i for b, i in zip(bare, built, strict=True)]
    return {
        "nodes": len(taxonomy),
        "texts": len(texts),
        "different_texts": len(different),
        "bare_names_per_s": round(len(texts) / median(bare), 1),
        "index_names_per_s": round(len(texts) / median(built), 1),
        "ratio": round(median(ratios), 3),
        "ratios": [round(ratio, 3) for ratio in ratios],
        "read_again_s": round(opened, 3),
        "threads": int(os.environ.get("OMP_NUM_THREADS", os.cpu_count() or 1)),
        "versions": {name: version(name) for name in ("torch", "tokenizers", "numpy")},
    }


def page(result: dict[str, Any]) -> str:
    """The figures as a table, and the command that made them."""
    return (
        "# Names to an index\n\n"
        f"{result['different_texts']:,} different names among {result['texts']:,}, processor "
        f"seconds on {result['threads']} thread(s), no GPU; medians of {len(result['ratios'])}.\n\n"
        "| | names/s |\n| --- | --- |\n"
        f"| bare encoder | {result['bare_names_per_s']} |\n"
        f"| index, built and written | {result['index_names_per_s']} |\n"
        f"| ratio | {result['ratio']} |\n\n"
        f"Read again: {result['read_again_s']} s.\n\nMade by:\n\n```sh\n{command()}\n```\n"
    )


def main() -> None:
    """Measure, print and record."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("taxonomy")
    parser.add_argument("--encoder", default="cascade-minilm-1")
    parser.add_argument("--texts", default="full")
    parser.add_argument("--nodes", type=int, help="the first nodes only")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    result = measure(args)
    Console(stderr=True).print_json(json.dumps(result))
    if args.out:
        record(args.out, result, page(result))


if __name__ == "__main__":
    main()
