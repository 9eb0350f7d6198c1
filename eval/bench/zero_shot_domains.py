r"""How right an encoder is, without a label, on many domains, by the texts that a node is read by.

Reads the folders of a collection of pairs (`items.csv` with `text,label`, `taxonomy.csv`, perhaps a
column `taxonomy` that tells taxonomies apart), and GPC and Flipkart where they lie beside it; draws
a fixed sample of each, and prints hF1 and exact of the nearest node: each node by its name, its
path, its name with its parent's (as `retrieval.texts: full`), the direction of their mean
(`forms`), and the last two with shared characters (`retrieval.words`), which are computed as
`retrieval` does.
Vectors are kept in the folder `--work`, for `zero_shot_walk.py` too.

python eval/bench/zero_shot_domains.py --pairs pairs --encoder minilm --encoder runs/encoder/model
"""

from __future__ import annotations

import argparse
import csv
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cascade.evaluation.metrics.gold_and_predicted import GoldAndPredicted
from cascade.evaluation.metrics.hierarchical_f1 import exact_match, hf1_micro
from cascade.retrieval.encoder import Encoder
from cascade.retrieval.words.characters import SharedCharacters
from cascade.taxonomy import Taxonomy
from cascade.training.encoders.forms import NodeForms

csv.field_size_limit(10**9)
FORMS = ("leaf", "path", "parent")
CHARACTERS = 0.1  # weight of shared characters beside the cosine
Floats = NDArray[np.float64]


@dataclass
class Part:
    """Rows of one taxonomy: texts, the right node of each, and the nodes that can be answered."""

    taxonomy: Taxonomy
    texts: list[str]
    gold: NDArray[np.int32]
    answers: NDArray[np.int32]


@dataclass
class Domain:
    """A sample of one set, over one taxonomy or several."""

    name: str
    parts: list[Part]


def read_rows(path: Path) -> list[dict[str, str]]:
    """The rows of a CSV file."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def taxonomy_of(rows: Iterable[dict[str, str]], name: str, folder: Path) -> Taxonomy:
    """A taxonomy of the rows of a file that holds several."""
    path = folder / f"{name.replace('/', '--')}.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, ["code", "name", "parent"], extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
    return Taxonomy.load(path)


def part_of(taxonomy: Taxonomy, rows: list[dict[str, str]], text: str, wanted: set[int]) -> Part:
    """The wanted rows whose labels are known; answers are labelled nodes and leaves."""
    found = {row["label"]: taxonomy.find(row["label"]) for row in rows}
    answers = np.union1d(taxonomy.leaves, [n for n in found.values() if n is not None])
    kept = [
        (row[text], found[row["label"]])
        for at, row in enumerate(rows)
        if at in wanted and found[row["label"]] is not None and row[text].strip()
    ]
    texts, gold = [t for t, _ in kept], np.array([n for _, n in kept], np.int32)
    return Part(taxonomy, texts, gold, answers.astype(np.int32))


def read_domain(folder: Path, most: int, work: Path) -> Domain:
    """A fixed sample of a set of pairs."""
    rows, nodes = read_rows(folder / "items.csv"), read_rows(folder / "taxonomy.csv")
    drawn = np.random.default_rng(19).permutation(len(rows))[:most]
    if "taxonomy" not in nodes[0]:
        taxonomy = Taxonomy.load(folder / "taxonomy.csv")
        return Domain(folder.name, [part_of(taxonomy, rows, "text", set(drawn.tolist()))])
    parts = []
    for name in dict.fromkeys(row["taxonomy"] for row in nodes):
        taxonomy = taxonomy_of([n for n in nodes if n["taxonomy"] == name], name, work)
        own = [at for at, row in enumerate(rows) if row["taxonomy"] == name]
        chosen = set(np.flatnonzero(np.isin(own, drawn)).tolist())
        parts.append(part_of(taxonomy, [rows[at] for at in own], "text", chosen))
    return Domain(folder.name, [part for part in parts if len(part.texts)])


def read_file(name: str, file: Path, taxonomy: Taxonomy, most: int) -> Domain:
    """A fixed sample of a labelled file with names."""
    rows = read_rows(file)
    drawn = np.random.default_rng(19).permutation(len(rows))[:most]
    return Domain(name, [part_of(taxonomy, rows, "name", set(drawn.tolist()))])


def all_domains(pairs: Path, most: int, work: Path, only: Iterable[str] = ()) -> list[Domain]:
    """The sets of pairs, GPC and Flipkart, as they lie beside each other."""
    wanted = set(only)
    work.mkdir(parents=True, exist_ok=True)
    domains = [
        read_domain(folder, most, work)
        for folder in sorted(pairs.iterdir())
        if folder.is_dir() and (not wanted or folder.name in wanted)
    ]
    gpc, flipkart = pairs.parent / "gpc_offers", pairs.parent / "flipkart"
    if gpc.is_dir() and (not wanted or "gpc" in wanted):
        tree = Taxonomy.load(gpc / "taxonomy.csv")
        domains.append(read_file("gpc", gpc / "validation.csv", tree, most))
    if flipkart.is_dir() and (not wanted or "flipkart" in wanted):
        files = (flipkart / f"{name}.csv" for name in ("train", "validation"))
        labels = dict.fromkeys(row["label"] for file in files for row in read_rows(file))
        tree = Taxonomy.from_paths(list(labels), name="flipkart")
        domains.append(read_file("flipkart", flipkart / "validation.csv", tree, most))
    shopify = pairs.parent / "shopify"
    if "shopify" in wanted and shopify.is_dir():  # where it is asked for: it came later
        domains.append(read_products(shopify, most))
    return domains


def read_products(folder: Path, most: int) -> Domain:
    """A fixed sample of merchants' products under three levels of Shopify's taxonomy."""
    tree = Taxonomy.load(folder / "categories_2026-01.tsv").trim(3)
    lines = (folder / "merchant_products.jsonl").read_text("utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    for row in rows:
        row["label"] = " > ".join(row["category"].split(" > ")[:3])
    drawn = np.random.default_rng(19).permutation(len(rows))[:most]
    return Domain("shopify", [part_of(tree, rows, "title", set(drawn.tolist()))])


def vectors(domain: Domain, encoder: Encoder, folder: Path) -> list[dict[str, Floats]]:
    """For each part vectors of its items, and of all nodes in each form; kept in a file."""
    path = folder / f"{domain.name}-{sum(len(part.texts) for part in domain.parts)}.npz"
    if not path.is_file():
        arrays = {}
        for at, part in enumerate(domain.parts):
            arrays[f"{at}.items"] = encoder.encode(part.texts, half=True)
            forms, rng = NodeForms(part.taxonomy), np.random.default_rng(0)
            for form in FORMS:
                texts = [forms.text(node, form, rng) for node in range(len(part.taxonomy))]
                different, at_text = np.unique(texts, return_inverse=True)
                arrays[f"{at}.{form}"] = encoder.encode(list(different), half=True)[at_text]
        folder.mkdir(parents=True, exist_ok=True)
        np.savez(path, **arrays)
    kept = np.load(path)
    return [
        {name: kept[f"{at}.{name}"] for name in ("items", *FORMS)}
        for at in range(len(domain.parts))
    ]


def similarities(part: Part, own: dict[str, Floats]) -> dict[str, Floats]:
    """For each way to read a node how like it each item is, [n_items, n_answers]."""
    found = {form: own["items"] @ own[form][part.answers].T for form in FORMS}
    together = np.sum([own[form][part.answers] for form in FORMS], axis=0)
    lengths = np.linalg.norm(together, axis=1, keepdims=True)
    found["forms"] = own["items"] @ (together / lengths).T
    characters = shared_characters(part)
    for way in ("parent", "forms"):
        found[f"{way}+characters"] = found[way] + characters
    return found


def shared_characters(part: Part) -> Floats:
    """What shared characters add to the cosines of items and answers, [n_items, n_answers]."""
    forms, rng = NodeForms(part.taxonomy), np.random.default_rng(0)
    names = [forms.text(int(node), "parent", rng) for node in part.answers]
    return SharedCharacters(names).of(part.texts, CHARACTERS).with_all().T


def counted(part: Part, chosen: NDArray[np.int32]) -> Floats:
    """Part and whole of hF1, and of exact answers, of each row: [n_rows, 4]."""
    found = GoldAndPredicted.of(part.taxonomy, chosen, part.gold)
    hf1, exact = hf1_micro(found), exact_match(found)
    return np.stack([hf1.part, hf1.whole, exact.part, exact.whole], axis=1)


def figures(rows: list[Floats]) -> tuple[float, float]:
    """hF1 and exact of the rows of `counted`."""
    sums = np.concatenate(rows).sum(axis=0)
    return float(sums[0] / sums[1]), float(sums[2] / sums[3])


def resampled(rows: Floats, samples: int, seed: int) -> Floats:
    """hF1 and exact of samples of the rows of `counted`, [1 + samples, 2]; the first is of all."""
    n = len(rows)
    weights = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), samples)
    sums = np.vstack([np.ones(n), weights]) @ rows
    return np.stack([sums[:, 0] / sums[:, 1], sums[:, 2] / sums[:, 3]], axis=1)


def gain(first: dict[str, Floats], second: dict[str, Floats]) -> str:
    """How much the mean over domains gains, with its 95% interval over rows."""
    found = np.mean(
        [
            resampled(second[name], 1000, at) - resampled(first[name], 1000, at)
            for at, name in enumerate(first)
        ],
        axis=0,
    )
    low, high = np.percentile(found[1:], [2.5, 97.5], axis=0)
    return " ".join(
        f"{what} {found[0, at]:+.4f} ({low[at]:+.4f} to {high[at]:+.4f})"
        for at, what in enumerate(("hF1", "exact"))
    )


def main() -> None:
    """Print a line for each encoder, way to read nodes, and domain; and gains over the first."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=Path, required=True)
    parser.add_argument("--encoder", action="append", default=[])
    parser.add_argument("--rows", type=int, default=250)
    parser.add_argument("--work", type=Path, default=Path("runs/zero_shot_domains"))
    parser.add_argument("--only", nargs="*", default=[])
    arguments = parser.parse_args()
    domains = all_domains(arguments.pairs, arguments.rows, arguments.work, arguments.only)
    best: dict[str, Floats] = {}  # of the first encoder, each domain with its better text
    for name in arguments.encoder or ["minilm"]:
        encoder, rows = Encoder.load(name), dict[str, dict[str, Floats]]()
        folder = arguments.work / encoder.identity.replace(":", "-")
        for domain in domains:
            of_parts: dict[str, list[Floats]] = {}
            for part, own in zip(domain.parts, vectors(domain, encoder, folder), strict=True):
                for way, values in similarities(part, own).items():
                    chosen = part.answers[values.argmax(axis=1)]
                    of_parts.setdefault(way, []).append(counted(part, chosen))
            for way, counts in of_parts.items():
                rows.setdefault(way, {})[domain.name] = np.concatenate(counts)
        for way, by_domain in rows.items():
            found = {domain: figures([counts]) for domain, counts in by_domain.items()}
            mean = np.mean(list(found.values()), axis=0)
            cells = " ".join(f"{domain} {hf1:.3f}/{ex:.3f}" for domain, (hf1, ex) in found.items())
            print(f"{name} {way}: mean {mean[0]:.4f}/{mean[1]:.4f} {cells}")
            if best:
                print(f"  over the first with its better text: {gain(best, by_domain)}")
        if not best:
            for domain in rows["leaf"]:
                texts = [rows[way][domain] for way in ("leaf", "path")]
                best[domain] = max(texts, key=lambda counts: figures([counts])[0])


if __name__ == "__main__":
    main()
