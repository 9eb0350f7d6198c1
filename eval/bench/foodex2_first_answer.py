r"""What the vectors that ship cost in answers, and how long the first answer and a thousand take.

The same descriptions are answered with the vectors that ship and with those of the encoder itself:
names of foods of FoodEx1 that are called otherwise in FoodEx2, with the code that EFSA gives them.
Then the command is run as a user runs it: one description with an empty cache, again with it full,
and a file of 1,000. Seconds of processor time are told beside those of the clock, since they say
more where other work runs.

python eval/bench/foodex2_first_answer.py --catalogue MTX.ecf \
    --translations foodex1_to_2_translations.csv --out eval/results/foodex2_first_answer.json

With `--before CHECKOUT` only seconds are measured, in turns with those of another version, and
printed: the least of `--rounds`.
"""

from __future__ import annotations

import argparse
import csv
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from foodex2_rows import read_foods
from recording import command, record

from cascade.config import CascadeConfig
from cascade.foodex2.code import FoodCode
from cascade.foodex2.format import load_catalogue
from cascade.foodex2.taxonomy import FoodEx2Taxonomy
from cascade.pipeline.classifier import Classifier
from cascade.pipeline.facets import evidence
from cascade.predictions import Prediction

SHIPPED = evidence.shipped_vectors
RESAMPLES = 2000
HERE = Path(__file__).parents[2]


def answered(tree: FoodEx2Taxonomy, texts: list[str], *, shipped: bool) -> list[Prediction]:
    """The answers with the vectors that ship, or with those of the encoder."""
    evidence.shipped_vectors = SHIPPED if shipped else lambda encoder: None
    return list(Classifier(tree, CascadeConfig()).classify_many(texts))


def compared(tree: FoodEx2Taxonomy, foods: list[tuple[str, FoodCode]]) -> dict[str, Any]:
    """Right base terms and codes either way, and how many answers are the same."""
    texts = [text for text, _ in foods]
    terms = tree.catalogue.terms
    right = [str(code.normalised(terms[code.base].facets)) for _, code in foods]
    whole, base = {}, {}
    ways = {"encoder": False, "shipped": True}
    found = {way: answered(tree, texts, shipped=shipped) for way, shipped in ways.items()}
    for way, own in found.items():
        codes = [prediction.code or "" for prediction in own]
        whole[way] = np.array([a == b for a, b in zip(codes, right, strict=True)])
        base[way] = np.array([a[:5] == b[:5] for a, b in zip(codes, right, strict=True)])
    both = list(zip(found["encoder"], found["shipped"], strict=True))
    draws = np.random.default_rng(0).integers(0, len(foods), (RESAMPLES, len(foods)))

    def difference(one: dict[str, Any]) -> list[float]:
        gains = (one["shipped"].astype(float) - one["encoder"])[draws].mean(axis=1)
        return [round(float(x), 4) for x in np.quantile(gains, [0.025, 0.975])]

    def ten(prediction: Prediction) -> set[str]:
        first = (prediction.code or "")[:5]
        return {first, *(other.code for other in prediction.alternatives)}

    return {
        "rows": len(foods),
        "base term": {way: round(float(own.mean()), 4) for way, own in base.items()},
        "base term, gain": difference(base),
        "whole code": {way: round(float(own.mean()), 4) for way, own in whole.items()},
        "whole code, gain": difference(whole),
        "same base term": round(
            np.mean([(a.code or "")[:5] == (b.code or "")[:5] for a, b in both]), 4
        ),
        "same code": round(np.mean([a.code == b.code for a, b in both]), 4),
        "recall@10 of base terms": round(np.mean([len(ten(a) & ten(b)) / 10 for a, b in both]), 4),
    }


def timed(words: list[str], cache: Path, checkout: Path = HERE) -> dict[str, float]:
    """Seconds of the clock and of processors that a command of a version takes."""
    own = {"CASCADE_CACHE": str(cache), "OMP_NUM_THREADS": "2", "PYTHONPATH": str(checkout)}
    safe = {"PYTHONSAFEPATH": "1"}  # or `-m` would take the package of the working folder first
    environment = {**os.environ, **own, **safe}
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run([sys.executable, "-m", "cascade", *words], env=environment, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"clock": round(time.perf_counter() - started, 1), "processors": round(used, 1)}


def main() -> None:
    """Run and record."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--catalogue", required=True)
    parser.add_argument("--translations", required=True)
    parser.add_argument("--out", type=Path, help="where to; not with --before")
    parser.add_argument("--before", type=Path, help="a checkout of another version")
    parser.add_argument("--rounds", type=int, default=3, help="with --before")
    parser.add_argument("--rows", type=int, help="foods to compare; all by default")
    arguments = parser.parse_args()
    tree = FoodEx2Taxonomy.from_catalogue(load_catalogue(arguments.catalogue))
    foods = read_foods(Path(arguments.translations), tree)[: arguments.rows]
    if arguments.before is not None:
        in_turns(arguments, [text for text, _ in foods])
        return
    result: dict[str, Any] = {"answers": compared(tree, foods), "seconds": {}}
    print(result["answers"], flush=True)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "foods.csv"
        with file.open("w", encoding="utf-8", newline="") as stream:
            texts = [text for text, _ in foods]
            csv.writer(stream).writerows([["food"], *([text] for text in (texts * 2)[:1000])])
        encode = ["foodex2", "encode", "-t", arguments.catalogue]
        cache, out = Path(folder) / "cache", str(Path(folder) / "coded.csv")
        one = [*encode, "wholemeal bread"]
        result["seconds"]["one description, empty cache"] = timed(one, cache)
        result["seconds"]["one description"] = timed(one, cache)
        many = [*encode, str(file), "--text", "food", "-o", out]
        result["seconds"]["1,000 descriptions"] = timed(many, cache)
        compiling = [sys.executable, "-c", "import torch"]
        before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
        subprocess.run(compiling, check=True)
        used = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before
        result["seconds"]["import torch alone"] = {"processors": round(used, 1)}
    record(arguments.out, result, page(result))


def in_turns(arguments: argparse.Namespace, texts: list[str]) -> None:
    """Print the seconds of this version and of another one, the least of some rounds."""
    encode = ["foodex2", "encode", "-t", str(Path(arguments.catalogue).resolve())]
    versions = {"before": arguments.before.resolve(), "now": HERE}
    least: dict[str, dict[str, dict[str, float]]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        file = folder / "foods.csv"
        with file.open("w", encoding="utf-8", newline="") as stream:
            csv.writer(stream).writerows([["food"], *([text] for text in (texts * 2)[:1000])])
        one = [*encode, "wholemeal bread"]
        for at in range(arguments.rounds):
            for version, checkout in versions.items():
                cache = folder / f"cache{at}{version}"
                out = str(folder / f"{at}{version}.csv")
                for kind, words in (
                    ("one description, empty cache", one),
                    ("one description", one),
                    ("1,000 descriptions", [*encode, str(file), "--text", "food", "-o", out]),
                ):
                    took = timed(words, cache, checkout)
                    known = least.setdefault(kind, {}).setdefault(version, took)
                    known.update({unit: min(known[unit], took[unit]) for unit in took})
                    print(kind, version, took, flush=True)
    for kind, own in least.items():
        ratio = own["now"]["processors"] / own["before"]["processors"]
        print(f"| {kind} | {own['before']} | {own['now']} | {ratio:.2f} |")


def page(result: dict[str, Any]) -> str:
    """What was found, as Markdown."""
    answers = result["answers"]
    lines = [
        "# The first answer of FoodEx2",
        "",
        f"{answers['rows']:,} foods of FoodEx1 with the vectors that ship and with those of the "
        "encoder itself; gains are 95% paired intervals.",
        "",
        "| figure | encoder | shipped | gain |",
        "| --- | --- | --- | --- |",
    ]
    for name in ("base term", "whole code"):
        own, (low, high) = answers[name], answers[f"{name}, gain"]
        lines.append(f"| {name} | {own['encoder']} | {own['shipped']} | {low} to {high} |")
    for name in ("same base term", "same code", "recall@10 of base terms"):
        lines.append(f"| {name} | | {answers[name]} | |")
    lines += ["", "| command | seconds | of processors |", "| --- | --- | --- |"]
    for name, own in result["seconds"].items():
        lines.append(f"| {name} | {own.get('clock', '')} | {own['processors']} |")
    lines += ["", "Made by:", "", "```sh", command(), "```", ""]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
