r"""Which weights of likeness and shared words find base terms best, on held-out rows.

Names that `cascade foodex2 rows` put into validation.csv, searched among names alone; and composed
descriptions of held-out terms, searched as in use. What is measured elsewhere is not looked at.

python eval/bench/base_weights.py --catalogue MTX.ecf --rows rows
"""

from __future__ import annotations

import argparse
import csv
import itertools
import random
from pathlib import Path
from typing import Any

import numpy as np

from cascade.config import BaseTermConfig
from cascade.foodex2.checking import make_checker
from cascade.foodex2.format import load_catalogue
from cascade.foodex2.rules import worst
from cascade.foodex2.taxonomy import FoodEx2Taxonomy
from cascade.items import Batch, Item
from cascade.pipeline.facets.evidence import EvidenceFinder
from cascade.pipeline.facets.ranking import BaseTermRanker
from cascade.retrieval.encoder import Encoder
from cascade.taxonomy.facets import FacetedTaxonomy
from cascade.training.foodex2.synthetic import Composer

BLOCK = 64
GRID = {
    "first": (0.0, 0.5, 1.0),
    "piece": (0.0, 0.25, 0.5, 1.0),
    "words": (0.0, 0.1, 0.3, 0.6, 1.0),
}


def measured(
    tree: FacetedTaxonomy, allowed: Any, encoder: Encoder, rows: list[tuple[str, str]]
) -> dict[tuple[float, ...], float]:
    """accuracy@1 of every weighting."""
    finder = EvidenceFinder(tree, encoder)
    nodes = np.flatnonzero(allowed)
    right = np.array([tree.index(code) for _, code in rows])
    stages = {
        values: BaseTermRanker(
            tree, finder, BaseTermConfig(whole=1.0, **dict(zip(GRID, values, strict=True))), allowed
        )
        for values in itertools.product(*GRID.values())
    }
    hits = dict.fromkeys(stages, 0)
    for at in range(0, len(rows), BLOCK):
        batch = Batch([Item({"text": text}) for text, _ in rows[at : at + BLOCK]])
        evidence = finder.of(batch)
        for values, stage in stages.items():
            best = nodes[stage.scores(evidence).argmax(axis=0)]
            hits[values] += int((best == right[at : at + BLOCK]).sum())
    return {values: count / len(rows) for values, count in hits.items()}


def main() -> None:
    """Measure all weightings, and print the best by the mean of both kinds of rows."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--catalogue", required=True, help="MTX.ecf, with BR_Data.csv beside it")
    parser.add_argument("--rows", required=True, help="folder of `cascade foodex2 rows`")
    parser.add_argument("--encoder", default="minilm")
    parser.add_argument("--composed", type=int, default=400)
    arguments = parser.parse_args()
    catalogue = load_catalogue(arguments.catalogue)
    tree = FoodEx2Taxonomy.from_catalogue(catalogue)
    bare = FoodEx2Taxonomy.from_catalogue(catalogue, names_only=True)
    checker = make_checker(tree)
    assert checker is not None
    allowed = tree.reportable & np.array(
        [worst(checker.check(code)) in (None, "LOW") for code in tree.codes]
    )
    encoder = Encoder.load(arguments.encoder)
    with (Path(arguments.rows) / "validation.csv").open(encoding="utf-8", newline="") as file:
        names = [(row["name"], row["code"]) for row in csv.DictReader(file)]
    codes = [code for code, ok in zip(tree.codes, allowed, strict=True) if ok]
    held = random.Random(0).sample(codes, len(codes))[len(codes) // 5 : 3 * len(codes) // 10]
    composer = Composer(tree, catalogue, checker, words="ours", seed=7)
    composed = [(d.text, d.code.base) for d in composer.compose(held, arguments.composed)]
    by_name = measured(bare, allowed, encoder, names)
    by_text = measured(tree, allowed, encoder, composed)
    ranked = sorted(by_name, key=lambda values: -(by_name[values] + by_text[values]))
    print(", ".join(GRID), "| names | composed")
    for values in [*ranked[:8], (0.0, 0.0, 0.0)]:
        print(values, f"| {by_name[values]:.3f} | {by_text[values]:.3f}")


if __name__ == "__main__":
    main()
