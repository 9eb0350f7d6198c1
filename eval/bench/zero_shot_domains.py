r"""How right an encoder is, without a label, on many domains: the nearest node under several texts.

Reads the folders of a collection of pairs (`items.csv` with `text,label`, `taxonomy.csv`, perhaps a
column `taxonomy` that tells taxonomies apart), and GPC and Flipkart where they lie beside it; draws
a fixed sample of each, and prints hF1 and exact of the nearest node, each node by its name, its
path, and the mean and the greater of both.

python eval/bench/zero_shot_domains.py --pairs pairs --encoder minilm --encoder runs/encoder/model
"""

from __future__ import annotations

import argparse
import csv
import json
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cascade.evaluation.metrics.gold_and_predicted import GoldAndPredicted
from cascade.evaluation.metrics.hierarchical_f1 import exact_match, hf1_micro
from cascade.retrieval.encoder import Encoder
from cascade.retrieval.node_texts import all_paths
from cascade.taxonomy import Taxonomy
from cascade.taxonomy.names import readable_name

csv.field_size_limit(10**9)


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
    """The wanted rows whose labels are known, and all labelled nodes and leaves."""
    found = {row["label"]: taxonomy.find(row["label"]) for row in rows}
    answers = np.union1d(taxonomy.leaves, [n for n in found.values() if n is not None])
    kept = [
        (row[text], found[row["label"]])
        for at, row in enumerate(rows)
        if at in wanted and found[row["label"]] is not None and row[text].strip()
    ]
    return Part(
        taxonomy,
        [t for t, _ in kept],
        np.array([n for _, n in kept], np.int32),
        answers.astype(np.int32),
    )


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


def all_domains(pairs: Path, most: int, work: Path) -> list[Domain]:
    """All sets of pairs, GPC and Flipkart, as they lie beside each other."""
    work.mkdir(parents=True, exist_ok=True)
    domains = [
        read_domain(folder, most, work) for folder in sorted(pairs.iterdir()) if folder.is_dir()
    ]
    gpc, flipkart = pairs.parent / "gpc_offers", pairs.parent / "flipkart"
    if gpc.is_dir():
        tree = Taxonomy.load(gpc / "taxonomy.csv")
        domains.append(read_file("gpc", gpc / "validation.csv", tree, most))
    if flipkart.is_dir():
        labels = [
            r["label"] for f in ("train", "validation") for r in read_rows(flipkart / f"{f}.csv")
        ]
        tree = Taxonomy.from_paths(list(dict.fromkeys(labels)), name="flipkart")
        domains.append(read_file("flipkart", flipkart / "validation.csv", tree, most))
    return domains


FORMS = ("leaf", "path")


def form_texts(taxonomy: Taxonomy) -> dict[str, list[str]]:
    """Names, and paths, of all nodes, in a readable form."""
    names = [readable_name(n) for n in taxonomy.names]
    return {"leaf": names, "path": all_paths(taxonomy)}


def figures(part: Part, chosen: NDArray[np.int32]) -> tuple[float, float, float, float]:
    """Numerator and denominator of hF1, exact answers, rows."""
    answers = GoldAndPredicted.of(part.taxonomy, chosen, part.gold)
    hf1, exact = hf1_micro(answers), exact_match(answers)
    return (hf1.part.sum(), hf1.whole.sum(), exact.part.sum(), exact.whole.sum())


def measure(domain: Domain, encoder: Encoder) -> dict[str, tuple[float, float]]:
    """hF1 and exact of each way to read a node."""
    sums: dict[str, NDArray[np.float64]] = {}
    for part in domain.parts:
        items = encoder.encode(part.texts)
        texts = form_texts(part.taxonomy)
        similar = {
            form: items @ encoder.encode([texts[form][n] for n in part.answers]).T for form in FORMS
        }
        similar["mean"] = (similar["leaf"] + similar["path"]) / 2
        similar["max"] = np.maximum(similar["leaf"], similar["path"])
        for form, values in similar.items():
            found = np.array(figures(part, part.answers[values.argmax(axis=1)]))
            sums[form] = sums.get(form, np.zeros(4)) + found
    return {f: (float(s[0] / s[1]), float(s[2] / s[3])) for f, s in sums.items()}


def main() -> None:
    """Print a line for each domain and encoder."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=Path, required=True)
    parser.add_argument("--encoder", action="append", default=[])
    parser.add_argument("--rows", type=int, default=400)
    parser.add_argument("--work", type=Path, default=Path("runs/zero_shot_domains"))
    parser.add_argument("--only", nargs="*")
    arguments = parser.parse_args()
    domains = all_domains(arguments.pairs, arguments.rows, arguments.work)
    for name in arguments.encoder or ["minilm"]:
        encoder, results, started = Encoder.load(name), {}, time.perf_counter()
        for domain in domains:
            if arguments.only and domain.name not in arguments.only:
                continue
            results[domain.name] = measure(domain, encoder)
            cells = " ".join(f"{f} {h:.3f}/{e:.3f}" for f, (h, e) in results[domain.name].items())
            print(f"{domain.name:20} {cells}", flush=True)
        print(f"{name}: {time.perf_counter() - started:.0f} s")
        out = arguments.work / f"{Path(name).parent.name or name}-{Path(name).name}.json"
        out.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
