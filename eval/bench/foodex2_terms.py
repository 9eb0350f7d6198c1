r"""Fits and measures the network that ranks base terms of FoodEx2: `terms.safetensors`.

It learns 1,013 foods of FoodEx1, the half of `examples/foods.csv` that is there to choose with,
1,200 composed descriptions, and names of the catalogue, which are left out of the index meanwhile.
What is told of the first two is out of fold, folds by base term; of held-out names (of `cascade
foodex2 rows`), with the names left out of the index, its lists of words and what terms imply, by
the network that ships.

python eval/bench/foodex2_terms.py --catalogue MTX.ecf --rows rows \
    --translations foodex1_to_2_translations.csv --network terms.safetensors \
    --out eval/results/foodex2_terms.json
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
import json
import random
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from foodex2_everyday import read
from foodex2_rows import figures, key, read_foods
from numpy.typing import NDArray

from cascade.config import FITTED_ENCODER
from cascade.foodex2 import taxonomy as catalogues
from cascade.foodex2.catalogue import COMMON_NAMES, SCIENTIFIC_NAMES, Catalogue
from cascade.foodex2.checking import make_checker
from cascade.foodex2.format import load_catalogue
from cascade.foodex2.rules import worst
from cascade.foodex2.taxonomy import FoodEx2Taxonomy
from cascade.items import Batch, Item
from cascade.pipeline.facets.evidence import EvidenceFinder
from cascade.pipeline.facets.naming import words
from cascade.pipeline.facets.terms.features import TermFeatures
from cascade.pipeline.facets.terms.network import TermNetwork
from cascade.pipeline.facets.terms.species import Species, kinds, species_of
from cascade.retrieval.encoder import Encoder
from cascade.taxonomy.names import clean
from cascade.training.foodex2.synthetic import Composer, OtherName

BLOCK = 64
HIDDEN, EPOCHS, ROWS, RATE, DECAY = 24, 15, 64, 1e-2, 0.1
WEIGHTS = {"FoodEx1": 1.0, "everyday": 2.0, "composed": 0.4, "names": 0.5}
NAMES = 1000  # of the catalogue that are learnt
FOLDS, SEEDS = 4, 3
SHOWN = ("accuracy_at_1", "accuracy_at_3", "recall_at_10", "mrr_at_10")


class Pairs(NamedTuple):
    """Features of shortlists, the plain order, and where the right terms are.

    Parameters
    ----------
    values, plain, right
        float32 [n, k, n_features], float32 [n, k], bool [n, k]
    group
        int64 [n], the right term.
    """

    values: NDArray[np.float32]
    plain: NDArray[np.float32]
    right: NDArray[np.bool_]
    group: NDArray[np.int64]


def pairs(
    finder: EvidenceFinder, features: TermFeatures, texts: Sequence[str], right: Sequence[set[int]]
) -> Pairs:
    """The pairs of some texts, whose right terms are rows of the allowed ones."""
    made = []
    for at in range(0, len(texts), BLOCK):
        batch = Batch([Item({"text": text}) for text in texts[at : at + BLOCK]])
        made.append(features.shortlist(finder.of(batch)))
    terms = np.concatenate([own.terms for own in made])
    plain = np.concatenate([np.take_along_axis(own.plain, own.terms, axis=1) for own in made])
    hits = np.array([np.isin(row, list(own)) for row, own in zip(terms, right, strict=True)])
    values = np.concatenate([own.values for own in made])
    return Pairs(values, plain, hits, np.array([min(own) for own in right], dtype=np.int64))


def fit(sets: Sequence[tuple[Pairs, float]], seeds: int) -> TermNetwork:
    """Networks by listwise cross-entropy, as one."""
    import torch

    values = np.concatenate([own.values for own, _ in sets])
    right = np.concatenate([own.right for own, _ in sets])
    weight = np.concatenate([np.full(len(own.group), weight) for own, weight in sets])
    there = right.any(axis=1)
    mean = values.mean(axis=(0, 1))
    scale = np.maximum(values.std(axis=(0, 1)), 1e-3)
    inputs = torch.from_numpy(((values[there] - mean) / scale).astype(np.float32))
    targets = torch.from_numpy(right[there].argmax(axis=1))
    weights = torch.from_numpy(weight[there].astype(np.float32))
    parts = []
    for seed in range(seeds):
        torch.manual_seed(seed)
        first, last = torch.nn.Linear(values.shape[2], HIDDEN), torch.nn.Linear(HIDDEN, 1)
        net = torch.nn.Sequential(first, torch.nn.ReLU(), torch.nn.Dropout(0.1), last)
        optimiser = torch.optim.AdamW(net.parameters(), lr=RATE, weight_decay=DECAY)
        steps = EPOCHS * -(-len(inputs) // ROWS)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, total_steps=steps)
        loss = torch.nn.CrossEntropyLoss(reduction="none", label_smoothing=0.02)
        for _ in range(EPOCHS):
            for rows in torch.randperm(len(inputs)).split(ROWS):
                optimiser.zero_grad()
                own = loss(net(inputs[rows])[..., 0], targets[rows])
                (own * weights[rows]).mean().backward()
                optimiser.step()
                schedule.step()
        hidden = (first.weight.detach().numpy() / scale).T
        bias = first.bias.detach().numpy() - mean @ hidden
        parts.append((hidden, bias, last.weight.detach().numpy()[0] / seeds))
    return TermNetwork(
        *(np.concatenate(own, axis=-1).astype(np.float32) for own in zip(*parts, strict=True))
    )


def read_rows(folder: Path, *splits: str) -> list[OtherName]:
    """Common and scientific names of some splits of `cascade foodex2 rows`."""
    found = []
    for split in splits:
        with (folder / f"{split}.csv").open(encoding="utf-8", newline="") as file:
            found += [OtherName(r["name"], r["code"], r["kind"]) for r in csv.DictReader(file)]
    return [own for own in found if own.kind != "source"]


def by_key(names: Sequence[OtherName], row: Mapping[str, int]) -> tuple[list[str], list[set[int]]]:
    """Names of the same words once, and the rows of all terms that have them."""
    right: dict[str, set[int]] = {}
    for own in names:
        if own.code in row:
            right.setdefault(key(own.text), set()).add(row[own.code])
    texts = {key(own.text): own.text for own in names}
    return [texts[name] for name in right], list(right.values())


def of_names(
    catalogue: Catalogue,
    encoder: Encoder,
    nodes: NDArray[np.int32],
    left_out: Sequence[str],
    texts: Sequence[str],
    right: Sequence[set[int]],
) -> Pairs:
    """The pairs of names, by an index that some names are not in."""
    bare = without_names(catalogue, left_out)
    finder = EvidenceFinder(bare, encoder)
    return pairs(finder, TermFeatures(bare, finder, nodes), texts, right)


def without_names(catalogue: Catalogue, names: Sequence[str]) -> FoodEx2Taxonomy:
    """A catalogue in which no name, no note and no list of ours has some names."""
    keys = {key(name) for name in names}
    told = "|".join(
        re.escape(name) for name in sorted(names, key=len, reverse=True) if len(name) > 4
    )
    pattern = re.compile(rf"(?<!\w)(?:{told})(?!\w)", re.IGNORECASE)
    terms = {}
    for code, term in catalogue.terms.items():
        attributes = {
            name: tuple(v for v in values if key(clean(v)) not in keys)
            if name in (COMMON_NAMES, SCIENTIFIC_NAMES)
            else values
            for name, values in term.attributes.items()
        }
        note = pattern.sub(" ", term.note)
        terms[code] = dataclasses.replace(term, attributes=attributes, note=note)
    usual = catalogues.wording()
    kept = {code: [w for w in own if key(w) not in keys] for code, own in usual.items()}
    before = catalogues.wording
    catalogues.wording = lambda: kept  # type: ignore[assignment]
    try:
        return FoodEx2Taxonomy.from_catalogue(dataclasses.replace(catalogue, terms=terms))
    finally:
        catalogues.wording = before


def ranked(scores: NDArray[np.float32], right: NDArray[np.bool_]) -> dict[str, Any]:
    """Ranking figures of rows; what no shortlist has is nowhere."""
    order = np.argsort(-scores, axis=1, kind="stable").tolist()
    wanted = [np.flatnonzero(row).tolist() or [-1] for row in right]
    return figures(order, wanted)


def held_out(
    texts: Sequence[str], kind: Mapping[str, str], held: Pairs, judged: NDArray[np.float32]
) -> dict[str, Any]:
    """Figures of names by kind, and of those that the table of species does not have."""
    table, names = Species(kinds()), {words(name) for own in kinds() for name in own.names}
    rows = {species_of(name) for own in kinds() for name in own.scientific} - {""}
    strange = [
        words(text) not in names and rows.isdisjoint(table.read(text).kin[0]) for text in texts
    ]
    some = {
        "held-out names": np.ones(len(texts), dtype=bool),
        "held-out common names": np.array([kind[text] == "common" for text in texts]),
        "held-out scientific names": np.array([kind[text] == "scientific" for text in texts]),
        "held-out names that the table of species does not have": np.array(strange),
    }
    return {
        name: {
            "rows": int(own.sum()),
            "in the shortlist": round(float(held.right[own].any(axis=1).mean()), 4),
            "sum": ranked(held.plain[own], held.right[own]),
            "network": ranked(judged[own], held.right[own]),
        }
        for name, own in some.items()
    }


def markdown(results: dict[str, Any]) -> str:
    """The figures as a page."""
    lines = ["# The network that ranks base terms of FoodEx2", ""]
    lines += [
        "Of a shortlist of 40 terms by a plain sum; 95% intervals over rows. Wanted of held-out"
        " names: accuracy@1 0.40, recall@10 0.80.",
        "",
    ]
    lines += [f"| set | way | {' | '.join(SHOWN)} |", "| --- |" + " --- |" * (len(SHOWN) + 1)]
    for name, ways in results.items():
        for way, found in ways.items() if isinstance(ways, dict) else ():
            if isinstance(found, dict):
                cells = ["{:.3f} ({:.3f} to {:.3f})".format(*found[figure]) for figure in SHOWN]
                lines.append(f"| {name} | {way} | {' | '.join(cells)} |")
    return "\n".join([*lines, "", "Made by:", "", "```sh", results["command"], "```", ""])


def main() -> None:
    """Fit, measure, and write the network and its figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--catalogue", required=True, help="MTX.ecf, with BR_Data.csv beside it")
    parser.add_argument("--rows", required=True, type=Path, help="folder of `cascade foodex2 rows`")
    parser.add_argument("--translations", required=True, type=Path, help="foods of FoodEx1")
    parser.add_argument("--foods", type=Path, default=Path("examples/foods.csv"))
    parser.add_argument("--network", required=True, type=Path, help="where the network goes")
    parser.add_argument("--out", type=Path, help="where the figures go")
    arguments = parser.parse_args()
    catalogue = load_catalogue(arguments.catalogue)
    tree = FoodEx2Taxonomy.from_catalogue(catalogue)
    checker = make_checker(tree)
    assert checker is not None
    fine = [worst(checker.check(code)) in (None, "LOW") for code in tree.codes]
    nodes = np.flatnonzero(tree.reportable & np.array(fine)).astype(np.int32)
    row = {tree.codes[node]: at for at, node in enumerate(nodes.tolist())}
    encoder = Encoder.load(FITTED_ENCODER)
    finder = EvidenceFinder(tree, encoder)
    features = TermFeatures(tree, finder, nodes)
    composed = [
        (own.text, own.code)
        for wording, seed in (("ours", 11), ("catalogue", 12))
        for own in Composer(tree, catalogue, checker, words=wording, seed=seed).compose(
            list(row), 600
        )
    ]
    told = {
        "FoodEx1": read_foods(arguments.translations, tree),
        "everyday": read(arguments.foods, "choose", tree),
        "composed": composed,
    }
    sets = {}
    for name, rows in told.items():
        own = [(text, {row[code.base]}) for text, code in rows if code.base in row]
        sets[name] = pairs(finder, features, [t for t, _ in own], [r for _, r in own])
        print(name, len(own), "rows", flush=True)
    results: dict[str, Any] = {"command": " ".join(["python", *sys.argv])}
    test = read_rows(arguments.rows, "test")
    learnt_names = read_rows(arguments.rows, "train", "validation")
    random.Random(3).shuffle(learnt_names)
    learnt_names = learnt_names[:NAMES]
    texts, right = by_key(learnt_names, row)
    left_out = [own.text for own in (*test, *learnt_names)]
    sets["names"] = of_names(catalogue, encoder, nodes, left_out, texts, right)
    print("names", len(texts), "rows", flush=True)
    scores = {name: np.zeros_like(sets[name].plain) for name in ("FoodEx1", "everyday")}
    for fold in range(FOLDS):
        learnt = [(sets[name], WEIGHTS[name]) for name in ("composed", "names")]
        for name in scores:
            kept = sets[name].group % FOLDS != fold
            learnt.append((Pairs(*(own[kept] for own in sets[name])), WEIGHTS[name]))
        network = fit(learnt, SEEDS)
        for name, own in scores.items():
            left = sets[name].group % FOLDS == fold
            own[left] = network.of(sets[name].values[left])
    for name, own in scores.items():
        results[name] = {
            "sum": ranked(sets[name].plain, sets[name].right),
            "network, out of fold": ranked(own, sets[name].right),
        }
        print(name, json.dumps(results[name]), flush=True)
    network = fit([(own, WEIGHTS[name]) for name, own in sets.items()], SEEDS)
    network.save(arguments.network)
    texts, right = by_key(test, row)
    held = of_names(catalogue, encoder, nodes, [own.text for own in test], texts, right)
    judged = network.of(held.values)
    results |= held_out(texts, {own.text: own.kind for own in test}, held, judged)
    print("held-out names", json.dumps(results["held-out names"]), flush=True)
    if arguments.out:
        arguments.out.write_text(json.dumps(results, indent=1), "utf-8")
        arguments.out.with_suffix(".md").write_text(markdown(results), "utf-8")


if __name__ == "__main__":
    main()
