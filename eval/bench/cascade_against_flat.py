r"""The cascade (narrow, score, descend, level by level) against flat search with the same scores.

Without labels (`--pairs`): sets of `zero_shot_domains.py` and `merchants`, products under Shopify's
taxonomy at three levels, with one encoder. Flat ways see all nodes at once; a walk sees the
children of one node, by their own texts, by the best text below them, or by the summed probability
of the leaves below them.
With a fitted pack (`--pack`): its walk against longer beams and the likeliest of all leaves.
Prints hF1, exact, the share that is right at each level, how many nodes a walk compares an item
with, and what each way gains over the first, with its 95% interval over rows.

python eval/bench/cascade_against_flat.py --pairs pairs --rows 500 --only SETS
python eval/bench/cascade_against_flat.py --pack packs/quick --test TEST.csv --label label
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import numpy as np
from numpy.typing import NDArray
from zero_shot_domains import Domain, Floats, Part, all_domains, counted, figures, gain

from cascade.config import CascadeConfig, Objective, PathChoice
from cascade.io.tables.opening import TableFile
from cascade.items import Batch, Choices, Item
from cascade.pipeline.descent import Descent, make_descent
from cascade.pipeline.load import load_config, load_taxonomy
from cascade.retrieval.all_children import AllChildren
from cascade.retrieval.retriever import Retriever
from cascade.retrieval.similarities import DenseSimilarities
from cascade.scoring.components import Components
from cascade.scoring.scorer import Scorer
from cascade.taxonomy import Taxonomy
from cascade.training.labelled import read_labelled

BLOCK = 100  # items at a time
BEAMS = (1, 3, 10)
LEVELS = 3  # of a merchant's category
Nodes = NDArray[np.int32]


class ChildTexts(Scorer):
    """Children by similarity alone: of their own texts, or of the best text at or below them."""

    def __init__(self, retriever: Retriever, temperature: float, *, below: bool) -> None:
        self.name = "best text below" if below else "own texts"
        self._retriever, self._temperature, self._below = retriever, temperature, below

    def score(self, batch: Batch, choices: Choices) -> NDArray[np.float64]:
        """Softmax of similarities among the children of a node."""
        similar = dense(self._retriever, batch)
        values = similar.subtree_maximum if self._below else similar.values
        own = values[choices.nodes, choices.rows[choices.question]]
        return choices.log_softmax(own.astype(np.float64) / self._temperature)


def dense(retriever: Retriever, batch: Batch) -> DenseSimilarities:
    """Similarities of all items with all nodes."""
    similar = retriever.compare(batch)
    assert isinstance(similar, DenseSimilarities), "too many texts for this benchmark"
    return similar


@dataclass
class Ways:
    """Ways to answer; the answers of each to a batch, int32 [n_items]."""

    taxonomy: Taxonomy
    walks: dict[str, tuple[Descent, Scorer]]

    def answers(self, batch: Batch) -> dict[str, Nodes]:
        """By name, in the order of the table."""
        found = {}
        for name, (descent, scorer) in self.walks.items():
            codes = [prediction.code for prediction in descent.walk(batch, scorer)]
            nodes = [-1 if code is None else self.taxonomy.index(code) for code in codes]
            found[name] = np.array(nodes, np.int32)
        return found


class WithoutLabels(Ways):
    """Flat search and walks over the similarities of one encoder."""

    def __init__(self, taxonomy: Taxonomy) -> None:
        config = CascadeConfig()
        components = Components(taxonomy, config)
        retrieval = components.scorer("retrieval")
        self._retriever = components.retriever
        temperature, k = config.retrieval.temperature, config.retrieval.candidates

        def walk(beam: int, stop: float = 0.0) -> Descent:
            answer: PathChoice = "walk" if beam == 1 else "likeliest"
            return Descent(taxonomy, self._retriever, k, beam, stop, answer=answer)

        leaf, hf1 = (
            Descent(taxonomy, self._retriever, objective=objective)
            for objective in get_args(Objective)
        )
        walks: dict[str, tuple[Descent, Scorer]] = {
            "flat: the likeliest leaf (`objective: leaf`)": (leaf, retrieval),
            "flat: the best expected hF1 (`objective: hf1`)": (hf1, retrieval),
        }
        for below in (False, True):
            scorer = ChildTexts(self._retriever, temperature, below=below)
            for beam in BEAMS:
                walks[f"walk by {scorer.name}, beam {beam}"] = walk(beam), scorer
        walks["walk by summed leaves (`answer: walk`, `stop: 0`)"] = walk(1), retrieval
        walks["the same, stopping below 0.3 (`answer: walk`)"] = walk(1, 0.3), retrieval
        for beam in BEAMS[1:]:
            name = f"the same, beam {beam} (`answer: likeliest`, `stop: 0`)"
            walks[name] = walk(beam), retrieval
        super().__init__(taxonomy, walks)

    def answers(self, batch: Batch) -> dict[str, Nodes]:
        """With the nearest node of any level, which needs no descent."""
        found = super().answers(batch)
        nearest = dense(self._retriever, batch).values.argmax(axis=0).astype(np.int32)
        first, *others = found
        return {
            first: found[first],
            "flat: the nearest node of any level": nearest,
            **{name: found[name] for name in others},
        }


class Fitted(Ways):
    """The walk of a pack, its path among more, and all leaves at once."""

    def __init__(self, taxonomy: Taxonomy, config: CascadeConfig) -> None:
        components = Components(taxonomy, config)
        tree, fused = components.taxonomy, components.scorer(components.method)
        packed = make_descent(components, fused)

        def descent(
            beam: int = 1, answer: PathChoice = "walk", objective: Objective | None = None
        ) -> Descent:
            every, ends, most = AllChildren(tree), packed.ends, config.descent.depth
            return Descent(tree, every, 10**7, beam, 0.0, most, answer, ends, objective)

        walks: dict[str, tuple[Descent, Scorer]] = {
            "as packs answer (`answer: likeliest`, `beam: 3`)": (packed, fused),
            "walk (`answer: walk`)": (descent(), fused),
        }
        for beam in (BEAMS[-1], len(tree)):
            of_all = "flat: the likeliest of all leaves, by whole paths"
            name = of_all if beam == len(tree) else f"likeliest path, beam {beam}"
            walks[name] = descent(beam, "likeliest"), fused
        for name in config.heads:
            alone = components.scorer(f"ttc.{name}")
            walks[f"flat: heads {name} alone, `leaf`"] = descent(objective="leaf"), alone
            walks[f"flat: heads {name} alone, `hf1`"] = descent(objective="hf1"), alone
            walks[f"walk: heads {name} alone"] = descent(), alone
        super().__init__(tree, walks)


def merchants(folder: Path, most: int) -> Domain:
    """Products that merchants filed, under Shopify's taxonomy cut to three levels, by title."""
    tree = load_taxonomy(str(folder / "categories_2026-01.tsv")).trim(LEVELS)
    with (folder / "merchant_products.jsonl").open(encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    cut = [" > ".join(row["category"].split(" > ")[:LEVELS]) for row in rows]
    found = {label: tree.find(label) for label in dict.fromkeys(cut)}
    drawn = np.random.default_rng(19).permutation(len(rows))[:most]
    kept = [(rows[at]["title"], found[cut[at]]) for at in sorted(drawn.tolist())]
    kept = [(title, node) for title, node in kept if node is not None and title.strip()]
    gold = np.array([node for _, node in kept], np.int32)
    return Domain("merchants", [Part(tree, [title for title, _ in kept], gold, tree.leaves)])


def right_at_levels(part: Part, answers: Nodes) -> Floats:
    """[n_rows, depth], whether the path is right down to each level; NaN where gold has ended."""
    gold, found = part.taxonomy.paths_of(part.gold), part.taxonomy.paths_of(answers)
    return np.where(gold >= 0, gold == found, np.nan).T


def seen_by_walk(part: Part) -> float:
    """Mean number of nodes that a walk to the right answers compares an item with."""
    tree = part.taxonomy
    paths = [(-1, *tree.path_nodes(int(node))) for node in part.gold.tolist()]
    return float(np.mean([sum(len(tree.children(int(n))) for n in path) for path in paths]))


def measure(
    name: str, parts: Sequence[tuple[Part, Ways]], items: Sequence[Sequence[Item]]
) -> dict[str, Floats]:
    """Print a line for each way, over all parts of a set; the counts of its rows by way."""
    n, nodes = sum(map(len, items)), sum(len(part.taxonomy) for part, _ in parts)
    seen = sum(seen_by_walk(part) * len(part.gold) for part, _ in parts) / n
    print(f"\n{name}: {n:,} rows, {nodes:,} nodes, of which a walk sees {seen:,.0f}", flush=True)
    rows: dict[str, list[Floats]] = {}
    levels: dict[str, list[Floats]] = {}
    for (part, ways), own in zip(parts, items, strict=True):
        of: dict[str, list[Nodes]] = {}
        for start in range(0, len(own), BLOCK):
            for way, answers in ways.answers(Batch(own[start : start + BLOCK])).items():
                of.setdefault(way, []).append(answers)
        for way, blocks in of.items():
            answers = np.concatenate(blocks)
            rows.setdefault(way, []).append(counted(part, answers))
            levels.setdefault(way, []).append(right_at_levels(part, answers))
    found = {way: np.concatenate(counts) for way, counts in rows.items()}
    first = next(iter(found.values()))
    for way, counts in found.items():
        by_level = " ".join(f"{share:.3f}" for share in means_by_level(levels[way]))
        cell = "{:.4f} | {:.4f}".format(*figures([counts]))
        print(f"| {way} | {cell} | {by_level} | {gain({'': first}, {'': counts})} |", flush=True)
    return found


def means_by_level(right: Sequence[Floats]) -> Floats:
    """Shares of the rows of several taxonomies, whose depths may differ."""
    depth = max(one.shape[1] for one in right)
    sides = [((0, 0), (0, depth - one.shape[1])) for one in right]
    padded = [np.pad(one, w, constant_values=np.nan) for one, w in zip(right, sides, strict=True)]
    return np.asarray(np.nanmean(np.concatenate(padded), axis=0))


def main() -> None:
    """Measure sets without labels, or a pack."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--pairs", type=Path)
    parser.add_argument("--only", nargs="*", default=[])
    parser.add_argument("--rows", type=int, default=500)
    parser.add_argument("--work", type=Path, default=Path("runs/zero_shot_domains"))
    parser.add_argument("--pack", type=Path)
    parser.add_argument("--test")
    parser.add_argument("--label", default="label")
    arguments = parser.parse_args()
    if arguments.pack is not None:
        config, folder = load_config(arguments.pack)
        tree = load_taxonomy(config.taxonomy or "", folder)
        columns = config.columns.model_copy(update={"label": arguments.label})
        rows = read_labelled(TableFile(arguments.test, arguments.rows), columns, tree)
        part = Part(tree, [], rows.nodes, tree.leaves)
        measure(arguments.pack.name, [(part, Fitted(tree, config))], [rows.items])
        return
    only = [name for name in arguments.only if name != "merchants"]
    domains = all_domains(arguments.pairs, arguments.rows, arguments.work, only) if only else []
    if len(only) < len(arguments.only):
        domains.append(merchants(arguments.pairs.parent / "shopify", arguments.rows))
    found = {}
    for domain in domains:
        items = [[Item({"text": text}) for text in part.texts] for part in domain.parts]
        parts = [(part, WithoutLabels(part.taxonomy)) for part in domain.parts]
        found[domain.name] = measure(domain.name, parts, items)
    ways = list(next(iter(found.values())))
    print("\nmean over sets")
    for way in ways:
        both = [{name: of[one] for name, of in found.items()} for one in (ways[0], way)]
        mean = np.mean([figures([counts]) for counts in both[1].values()], axis=0)
        print(f"| {way} | {mean[0]:.4f} | {mean[1]:.4f} | {gain(*both)} |")


if __name__ == "__main__":
    main()
