r"""Fits the network of facet categories that ships with the package, on composed descriptions.

Half of the descriptions say descriptors in our own wording and are searched among the catalogue's
names alone, so that likeness counts; the other half are searched as in use.

python eval/bench/fit_categories.py --catalogue MTX.ecf \
    --out cascade/foodex2/recipes/categories.safetensors
"""

from __future__ import annotations

import argparse
import random
import time
from pathlib import Path

import numpy as np

from cascade.foodex2.checking import worst
from cascade.pipeline.facets.evidence import EvidenceFinder
from cascade.pipeline.facets.features import FacetFeatures
from cascade.pipeline.facets.make import rules
from cascade.retrieval.encoder import Encoder
from cascade.taxonomy.efsa.load import load_catalogue
from cascade.taxonomy.efsa.trees import base_terms
from cascade.taxonomy.facets import FacetedTaxonomy
from cascade.training.foodex2.categories import fit_pairs, gathered
from cascade.training.foodex2.composing import Composer


def made(tree: FacetedTaxonomy, encoder: Encoder) -> FacetFeatures:
    """Features over an index."""
    return FacetFeatures(tree, EvidenceFinder(tree, encoder))


def main() -> None:
    """Compose, gather, fit, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--catalogue", required=True, help="MTX.ecf, with BR_Data.csv beside it")
    parser.add_argument("--rows", type=int, default=6000, help="descriptions to train on")
    parser.add_argument("--encoder", default="minilm")
    parser.add_argument("--out", required=True)
    arguments = parser.parse_args()
    started = time.perf_counter()
    catalogue = load_catalogue(arguments.catalogue)
    tree = base_terms(catalogue)
    checker = rules(tree)
    assert checker is not None
    usable = [c for c in tree.codes if worst(checker.check(c)) in (None, "LOW")]
    random.Random(0).shuffle(usable)
    n = len(usable)
    bases = {"test": usable[: n // 5], "held": usable[n // 5 : 3 * n // 10]}
    bases["train"] = usable[3 * n // 10 :]
    encoder = Encoder.load(arguments.encoder)
    ways = [
        (made(base_terms(catalogue, names_only=True), encoder), "ours"),
        (full := made(tree, encoder), "ours"),
        (full, "catalogue"),
    ]
    shares = (2, 1, 1)
    parts = {}
    for split, wanted in (("train", arguments.rows), ("held", 1000), ("test", 1000)):
        rows, right = [], []
        for seed, ((features, said), share) in enumerate(zip(ways, shares, strict=True)):
            composer = Composer(tree, catalogue, checker, said=said, seed=10 * len(parts) + seed)
            described = list(composer.compose(bases[split], wanted * share // sum(shares)))
            own, truth = gathered(features, described)
            rows.append(own)
            right.append(truth)
        parts[split] = np.concatenate(rows), np.concatenate(right)
        print(f"{split}: {len(parts[split][0]):,} rows, {time.perf_counter() - started:.0f} s")
    codes = ways[0][0].codes
    fitted = fit_pairs(*parts["train"], *parts["held"], codes)
    rows, truth = parts["test"]
    taken = fitted.of(rows) >= fitted.thresholds
    hits = (taken & truth).sum()
    print(
        f"test: micro F1 {2 * hits / (taken.sum() + truth.sum()):.3f}, precision "
        f"{hits / taken.sum():.3f}, recall {hits / truth.sum():.3f}"
    )
    fitted.save(Path(arguments.out))


if __name__ == "__main__":
    main()
