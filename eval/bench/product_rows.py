"""Rows of products, as many as a benchmark wants, made of those that ship."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np

PRODUCTS = Path("examples/products.csv")
COLUMNS = {"names": ["name"], "names and descriptions": ["name", "description"]}
MAX_CHARS = 120  # of a column, as in the shipped recipes


def rows(n: int) -> list[dict[str, str]]:
    """Rows whose names and descriptions are cut from those of the products, all different."""
    with PRODUCTS.open(newline="", encoding="utf-8") as file:
        products = list(csv.DictReader(file))
    rng = np.random.default_rng(0)
    picks = rng.integers(len(products), size=(n, 2)).tolist()
    return [
        {
            "name": f"{products[a]['name']} No. {at}",
            "description": products[b]["description"],
            "label": products[a]["label"],
        }
        for at, (a, b) in enumerate(picks)
    ]


def write(path: Path, made: Sequence[dict[str, str]]) -> Path:
    """The rows as a file."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, ["name", "description", "label"])
        writer.writeheader()
        writer.writerows(made)
    return path
