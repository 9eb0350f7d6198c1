r"""Whether a pack tells items that belong to no node: other domains, noise, unseen branches.

For each set a `quick` pack is fitted to rows of three quarters of the branches of level 1, with an
eighth of the other branches of level 2 left out too. Then it judges new rows that belong, rows of
the branches that it has never seen, texts of other sets and noise. AUROC is of its evidence, in
brackets of its confidence; "struck" is the share that gets the status `nowhere` by default.

python eval/bench/nowhere.py --pairs pairs --only wholefoods_us instacart fashion_myntra
"""

from __future__ import annotations

import argparse
import csv
import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import cascade
from cascade.config import Columns
from cascade.io.tables.opening import TableFile
from cascade.items import Batch, Item
from cascade.taxonomy import Taxonomy
from cascade.training.packs.fit import Fit
from cascade.training.packs.recipe import Recipe

csv.field_size_limit(10**9)
KINDS = {
    **dict.fromkeys(
        ("wholefoods_us", "instacart", "fashion_myntra", "amazon_uk_toys", "gpc"), "products"
    ),
    **dict.fromkeys(("noc2016_titles", "onet_occupations", "naics2022_index"), "work"),
    **dict.fromkeys(("hwu64", "trec_questions"), "questions"),
    **dict.fromkeys(("disease_ontology", "mesh_descriptors"), "health"),
}
OTHERS = (
    *("wholefoods_us", "noc2016_titles", "naics2022_index", "hwu64", "trec_questions"),
    *("disease_ontology", "arxiv_math_titles", "mind_news", "atomic_red_team"),
)
OF_EACH = 150  # texts of each other set
NOISE = """asdf qwerty|12345|hello how are you|<div class="menu"><a href="#">Home</a></div>|n/a|test
Home > About us > Contact|lorem ipsum dolor sit amet|xxxx|???|qwertyuiop|click here to unsubscribe
page 1 of 3|null|undefined|thanks a lot!|&nbsp;|---|add to cart|login / register|good morning|ok
copyright 2020 all rights reserved|foo bar baz|see above|todo|error 404 not found|aaaaaaa|wait
http://www.example.com|jkljkl jkl|zxcvbnm|blah blah blah|someone@example.com|abc123|0.00|tba"""


def rows_of(name: str, pairs: Path, most: int) -> tuple[Taxonomy, list[tuple[str, int]]]:
    """The taxonomy of a set, and texts with their nodes, in an order drawn once."""
    folder, file, text = pairs / name, "items.csv", "text"
    if name == "gpc":
        folder, file, text = pairs.parent / "gpc_offers", "train.csv", "name"
    taxonomy = Taxonomy.load(folder / "taxonomy.csv")
    with (folder / file).open(encoding="utf-8-sig", newline="") as opened:
        found = [(row[text], taxonomy.find(row["label"])) for row in csv.DictReader(opened)]
    known = [(text, node) for text, node in found if node is not None and text.strip()]
    order = np.random.default_rng(3).permutation(len(known))[:most]
    return taxonomy, [known[at] for at in order.tolist()]


def branch_of(taxonomy: Taxonomy, node: int, level: int) -> int:
    """The node above at a level, or -1."""
    path = taxonomy.path_nodes(node)
    return int(path[level - 1]) if len(path) >= level else -1


def left_out(taxonomy: Taxonomy, nodes: list[int]) -> tuple[set[int], set[int]]:
    """Branches of level 1 and 2 that the fit does not see."""
    rng = np.random.default_rng(5)
    tops = sorted({branch_of(taxonomy, node, 1) for node in nodes})
    first = set(rng.permutation(tops)[: max(1, len(tops) // 4)].tolist())
    if len(tops) < 3:
        first = set()
    inner = {branch_of(taxonomy, n, 2) for n in nodes if branch_of(taxonomy, n, 1) not in first}
    seconds = sorted(inner - {-1})
    return first, set(rng.permutation(seconds)[: max(1, len(seconds) // 8)].tolist())


def judged(
    classifier: cascade.Classifier, texts: list[str]
) -> tuple[NDArray[np.float32], NDArray[np.bool_], NDArray[np.bool_]]:
    """Evidence of texts, which of them are struck, and which are answered by inner methods."""
    evidence: list[NDArray[np.float32]] = []

    def told(batch: Batch, at: object) -> None:
        assert batch.evidence is not None
        evidence.append(batch.evidence)

    found = classifier.classify_batch([Item({"name": text}) for text in texts], told)
    return np.concatenate(evidence), np.array([p.status == "nowhere" for p in found]), found


def auroc(inside: NDArray[np.float32], outside: NDArray[np.float32]) -> float:
    """Probability that a row that belongs has more evidence than one that does not."""
    below = np.searchsorted(np.sort(outside), inside, "left")
    upto = np.searchsorted(np.sort(outside), inside, "right")
    return float((below + upto).mean() / 2 / len(outside))


def measure(name: str, pairs: Path, most: int) -> None:
    """Fit, judge, and print a line for each kind of texts."""
    taxonomy, rows = rows_of(name, pairs, most)
    first, second = left_out(taxonomy, [node for _, node in rows])
    unseen_first = [r for r in rows if branch_of(taxonomy, r[1], 1) in first]
    unseen_second = [r for r in rows if branch_of(taxonomy, r[1], 2) in second]
    seen = [
        row
        for row in rows
        if branch_of(taxonomy, row[1], 1) not in first
        and branch_of(taxonomy, row[1], 2) not in second
    ]
    n = len(seen) * 3 // 4
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.csv"
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["name", "label"])
            writer.writerows((text, taxonomy.path(node)) for text, node in seen[:n])
        columns = Columns(text=["name"], label="label")
        target = Path(folder) / "pack"
        job = Fit(TableFile(str(path)), taxonomy, columns, Recipe.load("quick"), target)
        job.prepare()
        job.run()
        classifier = cascade.load(target)
        kind = KINDS.get(name, name)
        others = [
            text
            for other in OTHERS
            if KINDS.get(other, other) != kind
            for text, _ in rows_of(other, pairs, OF_EACH)[1]
        ]
        belonging, struck, found = judged(classifier, [text for text, _ in seen[n:]])
        codes = [taxonomy.codes[node] for _, node in seen[n:]]
        wrong = [
            (p.alternatives[0].code if s else p.code) != code
            for p, s, code in zip(found, struck, codes, strict=True)
        ]
        sure = np.array([p.confidence for p in found])
        lost = f"{np.mean(~np.array(wrong)[struck]):.2f}" if struck.any() else "-"
        print(f"| {name} | {n} rows | belong | {len(belonging)} | | {struck.mean():.4f} | {lost} |")
        for what, texts in {
            "unseen branches, level 1": [text for text, _ in unseen_first],
            "unseen branches, level 2": [text for text, _ in unseen_second],
            "other domains": others,
            "noise": NOISE.replace("\n", "|").split("|"),
        }.items():
            if texts:
                evidence, struck, other = judged(classifier, texts)
                ours = auroc(belonging, evidence)
                confidence = auroc(
                    np.where(
                        sure > 0,
                        sure,
                        [p.alternatives[0].confidence if p.code is None else 0 for p in found],
                    ),
                    np.array([p.confidence or p.alternatives[0].confidence for p in other]),
                )
                print(
                    f"| | | {what} | {len(texts)} | {ours:.3f} ({confidence:.3f}) | "
                    f"{struck.mean():.3f} | |",
                    flush=True,
                )


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=Path, required=True)
    parser.add_argument("--only", nargs="*", default=["wholefoods_us", "instacart", "gpc"])
    parser.add_argument("--rows", type=int, default=5000)
    arguments = parser.parse_args()
    print("| set | fitted to | texts | number | AUROC (of confidence) | struck | of these right |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for name in arguments.only:
        measure(name, arguments.pairs, arguments.rows)


if __name__ == "__main__":
    main()
