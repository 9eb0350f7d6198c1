r"""What a pack is worth that learns from an institution's coded descriptions of foods.

Descriptions of people are private data, so 2,000 are composed of the catalogue, in two ways:

noise   base terms and facets of the whole catalogue, half of the facets in our everyday words and
        half in those of the catalogue; slips of the keyboard, lost words, brands, amounts, capitals
house   the same slips in the way of one institution: 400 base terms, 80 descriptors, most of them
        told by abbreviations of its own, and packaging told and not coded

They are split by base term, so that no base term of the test was learnt, and by row. A pack is
fitted to 70%, and the catalogue alone and the pack are measured on the rest, by the doors that a
user has (`cascade foodex2 eval --split-by`).

python eval/bench/foodex2_fit.py --catalogue MTX.ecf --work work --out eval/results/foodex2_fit
"""

from __future__ import annotations

import argparse
import csv
import json
import random
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cascade.config import Columns
from cascade.foodex2.checking import make_checker
from cascade.foodex2.format import load_catalogue
from cascade.foodex2.rules import Checker
from cascade.foodex2.taxonomy import FoodEx2Taxonomy, wording
from cascade.io.tables.opening import TableFile
from cascade.training.foodex2.own.trial import try_out
from cascade.training.foodex2.synthetic import Composer, Description

LETTERS = "abcdefghijklmnopqrstuvwxyz"
BRANDS = ("Kornhof", "Bella Via", "Nordmar", "Delizie", "Casa Lupo", "Montblau", "Tavola", "Oro")
AMOUNTS = ("250 g", "1l", "x2", "ref 3391", "fam. pack", "100g")
STAGES = ("accuracy_at_1", "recall_at_3", "recall_at_10", "mrr_at_10")
COMMAND = (
    "python eval/bench/foodex2_fit.py --catalogue MTX.ecf --work work "
    "--out eval/results/foodex2_fit"
)
ABOUT = (
    "2,000 descriptions, composed of the catalogue since those of people are private data, in",
    "two ways. *noise*: base terms and facets of the whole catalogue, half of the facets in",
    "our everyday words and half in the catalogue's, with slips of the keyboard (a word in a",
    "quarter of the rows), lost words, brands, amounts and capitals. *house*: the same slips",
    "in the way of one institution: 400 base terms, 80 descriptors, most of them told by",
    "abbreviations of its own, and packaging told and not coded. By *base-term* no base term",
    "of the measured rows was learnt; by *row* only equal texts stay together. Catalogue",
    "alone is `cascade foodex2 encode` as it ships; both are measured on the same rows,",
    "differences are paired. What can be gained in *noise* is bounded: where half of the",
    "codes are right already, twice as many cannot be.",
)
UNCODED = ("F18", "F19", "F22", "F23")  # told by the house, and not coded
BASES, DESCRIPTORS = 400, 80  # of the house


def slipped(word: str, rng: random.Random) -> str:
    """A word with a letter lost, swapped or wrong."""
    at = rng.randrange(1, len(word) - 1)
    return rng.choice(
        [
            word[:at] + word[at + 1 :],
            word[:at] + word[at + 1] + word[at] + word[at + 2 :],
            word[:at] + rng.choice(LETTERS) + word[at + 1 :],
        ]
    )


def noisy(text: str, rng: random.Random) -> str:
    """A description as people type it."""
    words = text.split(" ")
    long = [at for at, word in enumerate(words) if len(word) > 4 and word.isalpha()]
    if long and rng.random() < 0.25:
        at = rng.choice(long)
        words[at] = slipped(words[at], rng)
    if len(words) > 3 and rng.random() < 0.08:
        words.pop(rng.randrange(len(words)))
    if rng.random() < 0.15:
        words.insert(0, rng.choice(BRANDS))
    if rng.random() < 0.12:
        words.append(rng.choice(AMOUNTS))
    found = " ".join(words)
    return found.upper() if rng.random() < 0.15 else found


def abbreviation(name: str, rng: random.Random) -> str:
    """What a house calls something: its first letters, its consonants, or its initials."""
    words = [word for word in name.replace("/", " ").split() if word.isalpha()] or [name]
    first = words[0]
    consonants = "".join(letter for letter in first[1:] if letter.lower() not in "aeiou")
    forms = [f"{first[:3]}.", first[0] + consonants[:3], "".join(w[0] for w in words).upper()]
    forms.append(".".join(word[:2] for word in words[:3]))
    return next((own for own in rng.sample(forms, len(forms)) if len(own) > 1), first[:4])


class HouseComposer(Composer):
    """Composes descriptions in the words of one institution."""

    def __init__(self, tree: FoodEx2Taxonomy, checker: Checker, seed: int) -> None:
        super().__init__(tree, tree.catalogue, checker, words="ours", seed=seed)
        rng = random.Random(seed)
        every = sorted({code for own in self._descriptors.values() for code in own})
        kept = set(rng.sample(every, DESCRIPTORS))
        self._descriptors = {
            category: mine
            for category, own in self._descriptors.items()
            if (mine := [code for code in own if code in kept])
        }
        self._categories = {c: own for c, own in self._categories.items() if c in self._descriptors}
        taken: set[str] = set()
        self._house: dict[str, str] = {}
        for code in sorted(kept):
            name = wording()[code][0]
            short = abbreviation(name, rng) if rng.random() < 0.7 else name
            self._house[code] = name if short in taken else short
            taken.add(self._house[code])

    def _names_of_descriptor(self, descriptor: str) -> Sequence[str]:
        known = getattr(self, "_house", None)
        return super()._names_of_descriptor(descriptor) if known is None else [known[descriptor]]


def rows_of(kind: str, n: int, seed: int, tree: FoodEx2Taxonomy) -> list[tuple[str, str]]:
    """Descriptions and codes."""
    checker = make_checker(tree)
    assert checker is not None
    rng = random.Random(seed)
    bases = [
        code
        for code, may in zip(tree.codes, tree.reportable, strict=True)
        if may and not checker.refusal(code)
    ]
    made: list[Description] = []
    if kind == "house":
        foods = rng.sample(bases, BASES)
        for one in HouseComposer(tree, checker, seed).compose(foods, n):
            coded = tuple(facet for facet in one.code.facets if facet.category not in UNCODED)
            made.append(Description(one.text, type(one.code)(one.code.base, coded)))
    else:
        for at, words in enumerate(("ours", "catalogue")):
            composer = Composer(tree, tree.catalogue, checker, words=words, seed=seed + at)  # type: ignore[arg-type]
            made += composer.compose(bases, n // 2)
    rng.shuffle(made)
    return [
        (noisy(one.text, rng), str(one.code.normalised(tree.implied(one.code.base))))
        for one in made
    ]


def markdown(results: dict[str, Any]) -> str:
    """The record as tables."""
    lines = ["# FoodEx2 codes learnt from coded descriptions", "", *ABOUT, ""]
    for name, own in results.items():
        rows = own["rows"]
        lines += [
            f"## {name}",
            "",
            f"{rows['fitted']:,} rows learnt, {rows['test']:,} measured; {own['seconds']:,} s for "
            "fitting and both runs.",
            "",
            "| figure | catalogue alone | learnt | difference (95%) | ratio |",
            "| --- | --- | --- | --- | --- |",
        ]
        for figure, v in own["figures"].items():
            spread = f"{v['difference']:+.3f} ({v['low']:+.3f} to {v['high']:+.3f})"
            ratio = f"{v['learnt'] / v['catalogue']:.2f}" if v["catalogue"] else ""
            lines.append(
                f"| {figure} | {v['catalogue']:.3f} | {v['learnt']:.3f} | {spread} | {ratio} |"
            )
        lines.append("")
        stages = own.get("stages", {})
        if stages:
            lines += ["| stage | pack | questions | accuracy@1 | recall@3 | recall@10 | MRR |"]
            lines += ["| --- | --- | --- | --- | --- | --- | --- |"]
        for pack, by_stage in stages.items():
            for stage, one in by_stage.items():
                cells = " | ".join(f"{one['figures'][key]['value']:.3f}" for key in STAGES)
                lines.append(f"| {stage} | {pack} | {one['questions']:,} | {cells} |")
        lines.append("")
    return "\n".join([*lines, "Made by:", "", "```sh", COMMAND, "```", ""])


def main() -> None:
    """Compose, fit, measure, and write `OUT.json` and `OUT.md`."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--catalogue", required=True, help="MTX.ecf, with BR_Data.csv beside it")
    parser.add_argument("--sets", nargs="*", default=["noise", "house"])
    parser.add_argument("--by", nargs="*", default=["base-term", "row"])
    parser.add_argument("--rows", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=23)
    parser.add_argument("--work", required=True, help="folder for rows, packs and runs")
    parser.add_argument("--out", required=True, help="where to, without a suffix")
    arguments = parser.parse_args()
    work = Path(arguments.work)
    work.mkdir(parents=True, exist_ok=True)
    tree = FoodEx2Taxonomy.from_catalogue(load_catalogue(arguments.catalogue))
    record = Path(f"{arguments.out}.json")
    results = json.loads(record.read_text("utf-8")) if record.is_file() else {}
    for kind in arguments.sets:
        file = work / f"{kind}.csv"
        rows = rows_of(kind, arguments.rows, arguments.seed, tree)
        with file.open("w", encoding="utf-8", newline="") as stream:
            csv.writer(stream).writerows([("description", "code"), *rows])
        for by in arguments.by:
            started = time.perf_counter()
            found = try_out(
                TableFile(str(file)),
                Columns(text=["description"], label="code"),
                arguments.catalogue,
                work / f"{kind}-{by}",
                by=by,
                seed=arguments.seed,
                overwrite=True,
                notify=print,
            )
            found["seconds"] = round(time.perf_counter() - started)
            found["rows"]["all"] = len(rows)
            found["stages"] = {
                pack: json.loads(
                    (work / f"{kind}-{by}" / pack / "metrics.json").read_text("utf-8")
                )["codes"]["stages"]
                for pack in ("catalogue", "learnt")
            }
            results[f"{kind}, {by}"] = found
            print(kind, by, json.dumps(found), flush=True)
            record.write_text(json.dumps(results, indent=1) + "\n", "utf-8")
            Path(f"{arguments.out}.md").write_text(markdown(results), "utf-8")


if __name__ == "__main__":
    main()
