r"""How often sets of nodes hold the right one, and how large they are, over random resplits.

A pack answers labelled rows that it was not fitted to. Half of them, drawn a hundred times, tell
the thresholds, and on the other half coverage and size are counted: of our sets, with thresholds of
the whole and of each branch, and of sets of leaves alone by the same probabilities: the least
ambiguous (LAC, Sadinle et al. 2019) and adaptive ones (APS, Romano et al. 2020, without
randomisation). At last the pack's own calibration is tried on all rows.

python eval/bench/prediction_sets.py PACK ROWS.csv --coverage 0.95 0.9
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import cascade
from cascade.confidence.calibration import Calibration
from cascade.confidence.sets import LEAST, SetFamily, SetTable, likeliest_branches
from cascade.items import Batch, Item, Spread

csv.field_size_limit(10**9)
Floats = NDArray[np.float64]


def read_rows(path: Path, classifier: cascade.Classifier) -> tuple[list[Item], NDArray[np.int32]]:
    """Items with the columns that the pack reads, and their right nodes in what is scored."""
    columns, items, nodes = classifier.config.columns, [], []
    with path.open(encoding="utf-8-sig", newline="") as file:
        for row in csv.DictReader(file):
            node = classifier.scored.find(row[columns.label or "label"])
            if node is not None:
                items.append(Item({name: row[name] for name in columns.text}))
                nodes.append(node)
    return items, np.array(nodes, np.int32)


def answered(classifier: cascade.Classifier, items: list[Item]) -> tuple[SetFamily, list[Spread]]:
    """The family of sets, and how the probability of all items is spread, opened far down."""
    family, spreads = classifier.open_nodes(LEAST), list[Spread]()

    def told(batch: Batch, at: object) -> None:
        spreads.extend(batch.spreads)

    classifier.classify_batch(items, told)
    return family, spreads


def sizes_of(family: SetFamily, spreads: list[Spread], threshold: Floats) -> Floats:
    """Nodes in each set, and leaves that they stand for, [2, n_items]; an empty one has one."""
    n = np.zeros((2, len(threshold)))
    for spread in spreads:
        chosen = family.chosen(spread, threshold)
        np.add.at(n[0], spread.rows[chosen], 1)
        np.add.at(n[1], spread.rows[chosen], family.n_leaves[spread.nodes[chosen]])
    return np.maximum(n, 1)


def leaf_scores(
    family: SetFamily, spreads: list[Spread], right: NDArray[np.int32]
) -> dict[str, tuple[Floats, list[Floats]]]:
    """For sets of leaves alone: at which threshold the right leaf comes in, and all leaves do."""
    lac, aps = np.zeros(len(right)), np.zeros(len(right))
    all_lac: list[Floats] = [np.zeros(0)] * len(right)
    all_aps = list(all_lac)
    for spread in spreads:
        leaf = np.flatnonzero(family.n_leaves[spread.nodes] == 1)
        order = leaf[np.lexsort((-spread.probability[leaf], spread.rows[leaf]))]
        for row in np.unique(spread.rows[order]).tolist():
            own = order[slice(*np.searchsorted(spread.rows[order], [row, row + 1]))]
            p = spread.probability[own]
            before = 1 - (np.cumsum(p) - p)  # falls as more is taken in
            all_lac[row], all_aps[row] = p, before
            at = np.flatnonzero(spread.nodes[own] == right[row])
            if len(at):
                lac[row], aps[row] = p[at[0]], before[at[0]]
    return {"LAC, leaves": (lac, all_lac), "APS, leaves": (aps, all_aps)}


def figures(covered: list[float], sizes: list[Floats]) -> str:
    """Coverage with its spread over resplits, and sizes."""
    nodes = np.concatenate([s[0] for s in sizes])
    leaves = np.concatenate([s[1] for s in sizes])
    within = np.mean(np.abs(np.array(covered) - np.mean(covered)) < 0.015)
    return (
        f"{np.mean(covered):.4f} | {np.std(covered):.4f} | {within:.2f} | {np.median(nodes):.0f} | "
        f"{nodes.mean():.2f} | {np.quantile(nodes, 0.9):.0f} | {leaves.mean():.2f}"
    )


def main() -> None:
    """Print a table for each coverage."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pack", type=Path)
    parser.add_argument("rows", type=Path)
    parser.add_argument("--coverage", type=float, nargs="*", default=[0.95])
    parser.add_argument("--resplits", type=int, default=100)
    arguments = parser.parse_args()
    classifier = cascade.load(arguments.pack)
    items, right = read_rows(arguments.rows, classifier)
    family, spreads = answered(classifier, items)
    n = len(items)
    comes_in, branch = np.zeros(n), np.full(n, -1, np.int32)
    for spread in spreads:
        comes_in = np.maximum(comes_in, family.comes_in(spread, right, n))
        branch = np.maximum(branch, likeliest_branches(spread, n))
    codes = np.array([*classifier.scored.codes, ""])[branch]
    flat = leaf_scores(family, spreads, right)
    print(f"{n} rows; of a right node that is never held: {np.mean(comes_in == 0):.4f}")
    for coverage in arguments.coverage:
        print(f"\ncoverage {coverage}\n")
        print("| sets | coverage | sd | within 0.015 | median | mean | 90% | leaves |")
        print("| --- | --- | --- | --- | --- | --- | --- | --- |")
        covered: dict[str, list[float]] = {}
        sizes: dict[str, list[Floats]] = {}
        by_branch: dict[str, dict[str, list[tuple[float, int]]]] = {}
        rng = np.random.default_rng(21)
        for _ in range(arguments.resplits):
            known = np.isin(np.arange(n), rng.permutation(n)[: n // 2])
            table = SetTable.fit(comes_in[known], codes[known])
            own, other = table.thresholds(coverage)
            pooled = SetTable({"": tuple(np.sort(comes_in[known]).tolist())}).thresholds(coverage)
            ways = {
                "by branch": np.array([own.get(code, other) for code in codes]),
                "all together": np.full(n, pooled[0].get("", pooled[1])),
            }
            for name, threshold in ways.items():
                held = comes_in[~known] >= threshold[~known]
                covered.setdefault(name, []).append(float(held.mean()))
                found = sizes_of(family, spreads, threshold)[:, ~known]
                sizes.setdefault(name, []).append(found)
                for code in own:
                    mine = codes[~known] == code
                    by_branch.setdefault(name, {}).setdefault(code, []).append(
                        (float(held[mine].mean()), int(mine.sum()))
                    )
            for name, (score, every) in flat.items():
                at = np.sort(score[known])[int((1 - coverage) * (known.sum() + 1)) - 1]
                covered.setdefault(name, []).append(float((score[~known] >= at).mean()))
                n_in = np.array(
                    [max((every[row] >= at).sum(), 1) for row in np.flatnonzero(~known)]
                )
                sizes.setdefault(name, []).append(np.stack([n_in, n_in]))
        for name, values in covered.items():
            print(f"| {name} | {figures(values, sizes[name])} |")
        for name, found in by_branch.items():
            means = [
                np.average([c for c, _ in own], weights=[w for _, w in own])
                for own in found.values()
                if len(own) > arguments.resplits / 2
            ]
            print(
                f"\n{name}: in {len(means)} branches with thresholds of their own coverage lies "
                f"between {min(means):.3f} and {max(means):.3f}"
            )
        file = classifier.config.calibration.file
        kept = Calibration.load(Path(file)).sets if file else None
        if kept is not None:
            own, other = kept.thresholds(coverage)
            threshold = np.array([own.get(code, other) for code in codes])
            found = sizes_of(family, spreads, threshold)
            held = float((comes_in >= threshold).mean())
            print(f"\nthe pack's own thresholds: | {figures([held], [found])} |")


if __name__ == "__main__":
    main()
