r"""What reading descriptions of other languages as English brings, and what it costs English ones.

Base terms of everyday foods that are right with and without the glossary, by language; and names of
foods of FoodEx1, all of them English, whose reading or whose answer it changes.

python eval/bench/foodex2_languages.py --catalogue MTX.ecf --foods examples/foods.csv \
    --split choose --translations foodex1_to_2_translations.csv \
    --out eval/results/foodex2_languages.json
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path
from typing import Any

import numpy as np
from foodex2_rows import read_foods
from recording import command, record

from cascade.config import CascadeConfig
from cascade.foodex2.format import load_catalogue
from cascade.foodex2.taxonomy import FoodEx2Taxonomy
from cascade.pipeline.classifier import Classifier


def bases(tree: FoodEx2Taxonomy, texts: list[str], *, gloss: bool) -> list[str]:
    """The base term of each text."""
    config = CascadeConfig.parse({"facets": {"gloss": gloss}})
    found = Classifier(tree, config).classify_many(texts)
    return [(prediction.code or "").partition("#")[0] for prediction in found]


def interval(gain: np.ndarray[Any, np.dtype[np.float64]]) -> list[float]:
    """The 95% interval of a mean of paired gains, by bootstrap."""
    draws = np.random.default_rng(0).integers(0, len(gain), (2000, len(gain)))
    return [round(float(x), 4) for x in np.quantile(gain[draws].mean(axis=1), [0.025, 0.975])]


def main() -> None:
    """Run and record."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--catalogue", required=True)
    parser.add_argument("--foods", type=Path, required=True)
    parser.add_argument("--split", choices=["choose", "report"], default="choose")
    parser.add_argument("--translations", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    tree = FoodEx2Taxonomy.from_catalogue(load_catalogue(arguments.catalogue))
    with arguments.foods.open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["split"] == arguments.split]
    sets = {
        language: [(row["text"], row["code"][:5]) for row in rows if row["language"] in own]
        for language, own in {"en": ["en"], "others": ["it", "de", "fr", "es", "pt", "pl"]}.items()
    }
    named = read_foods(arguments.translations, tree)
    sets["FoodEx1"] = [(text, code.base) for text, code in named]
    every = [pair for own in sets.values() for pair in own]
    texts = [text for text, _ in every]
    without, glossed = (bases(tree, texts, gloss=on) for on in (False, True))
    lines = ["| foods | rows | without | with | gain | answers changed |", "| --- " * 6 + "|"]
    result: dict[str, Any] = {}
    start = 0
    for name, own in sets.items():
        part = slice(start, start + len(own))
        start += len(own)
        right = [code for _, code in own]
        a, b = (
            np.array([x == y for x, y in zip(f[part], right, strict=True)])
            for f in (without, glossed)
        )
        changed = sum(x != y for x, y in zip(without[part], glossed[part], strict=True))
        gain = interval(b.astype(float) - a)
        result[name] = {
            "rows": len(own),
            "without": round(float(a.mean()), 4),
            "with": round(float(b.mean()), 4),
            "gain": gain,
            "changed": changed,
        }
        told = result[name]
        lines.append(
            f"| {name} | {len(own)} | {told['without']} | {told['with']} | {gain[0]} to {gain[1]} "
            f"| {changed} |"
        )
        print(name, told, flush=True)
    page = [
        "# FoodEx2 in other languages",
        "",
        f"Right base terms, with and without reading food words as English; everyday foods of the "
        f"split `{arguments.split}`, gains are 95% paired intervals. FoodEx1's names are English.",
        "",
        *lines,
        "",
        "Encoders of many languages (E5, BGE-M3) were not measured: none ships, and none could be "
        "fetched. Their prompts are told by the model's name or its own config, and tested; read "
        "with them, switch the glossary off: `--set facets.gloss=false`.",
        "",
        "Made by:",
        "",
        "```sh",
        command(),
        "```",
        "",
    ]
    record(arguments.out, result, "\n".join(page))


if __name__ == "__main__":
    main()
