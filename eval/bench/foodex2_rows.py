"""What the FoodEx2 benches share: held-out names, foods of translations, figures of rankings."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cascade.errors import InputError
from cascade.evaluation.metrics.ranking import ranking_figures
from cascade.foodex2.code import FoodCode
from cascade.items import Batch, Item
from cascade.retrieval.words.overlap import words_of
from cascade.taxonomy.facets import FacetedTaxonomy

BLOCK = 64


def key(text: str) -> str:
    """The words of a name, in whatever order."""
    return " ".join(sorted(set(words_of(text))))


def batches(texts: Sequence[str]) -> list[Batch]:
    """Items of texts in blocks."""
    items = [Item({"text": text}) for text in texts]
    return [Batch(items[at : at + BLOCK]) for at in range(0, len(items), BLOCK)]


def figures(ranked: list[list[int]], right: Sequence[Sequence[int]]) -> dict[str, Any]:
    """Ranking figures with the ends of their intervals."""
    found = ranking_figures(ranked, right)
    return {n: [round(x, 4) for x in (v.value, v.low, v.high)] for n, v in found.items()}


def read_names(path: Path) -> list[tuple[str, str]]:
    """Names and codes of a file of `cascade foodex2 rows`."""
    with path.open(encoding="utf-8", newline="") as file:
        return [(row["name"], row["code"]) for row in csv.DictReader(file)]


def read_foods(path: Path, tree: FacetedTaxonomy) -> list[tuple[str, FoodCode]]:
    """Foods of FoodEx1 with their FoodEx2 codes, but for those that are called the same there."""
    found = []
    with path.open(encoding="utf-8-sig", newline="") as file:
        for row in csv.reader(file):
            if len(row) < 3 or not row[0].startswith("A."):
                continue
            try:
                code = FoodCode.parse(row[2])
            except InputError:  # a heading, or a code to be added
                continue
            if code.base not in tree:
                continue
            names = {key(name) for name in tree.own_names(code.base)}
            if key(row[1]) not in names:
                found.append((row[1], code))
    return found
