r"""Which confidence an answer should need, without labels: shares of ok, partial, review.

Over the vectors that `zero_shot_domains.py` keeps, with the default posterior of `retrieval`
(`retrieval.temperature`, `retrieval.caution`). For each confidence and set: hF1 of all rows, a
partial one by the node that it is answered with and one for review by its suggestion; exact;
shares of ok, partial and review; and how often ok rows are exactly right, and partial ones filed
at or above the right node.

python eval/bench/least_confidence.py --pairs pairs --encoder cascade-minilm-1 --only SETS
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from zero_shot_domains import Floats, Part, all_domains, counted, figures, similarities, vectors
from zero_shot_walk import REPORTED, posterior

from cascade.config import RetrievalConfig
from cascade.retrieval.encoder import Encoder

LEAST = (0.0, 0.2, 0.3, 0.4, 0.5, 0.6)
COLUMNS = ("hf1", "exact", "ok", "ok right", "partial", "partial right", "review", "review right")


def path_masses(part: Part, p: Floats) -> tuple[Floats, Floats]:
    """Nodes on the path to the likeliest answer and their probabilities, [depth, n_rows] each."""
    tree = part.taxonomy
    mass = np.zeros((len(tree), len(p)))
    mass[part.answers] = p.T
    for node in range(len(tree) - 1, -1, -1):
        if (above := int(tree.parent[node])) >= 0:
            mass[above] += mass[node]
    paths = tree.paths_of(part.answers[p.argmax(axis=1)])
    return paths, np.where(paths >= 0, mass[paths, np.arange(len(p))], np.nan)


def answered(part: Part, p: Floats, least: float) -> tuple[Floats, Floats, Floats]:
    """For each row the node answered with, the status (0 ok, 1 partial, 2 review), and if right."""
    tree, rows = part.taxonomy, np.arange(len(p))
    paths, sure = path_masses(part, p)
    depth = (paths >= 0).sum(axis=0)
    levels = ((sure >= least) & (paths >= 0)).sum(axis=0)
    status = np.where(levels == depth, 0, np.where(levels > 0, 1, 2))
    nodes = paths[np.where(levels > 0, levels, depth) - 1, rows]
    right = np.where(
        status == 1,
        (nodes <= part.gold) & (part.gold < tree.end[nodes]),
        nodes == part.gold,
    )
    return nodes.astype(np.int32), status, right


def main() -> None:
    """Print a table of means over sets, then a line for each set and confidence."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=Path, required=True)
    parser.add_argument("--encoder", default="cascade-minilm-1")
    parser.add_argument("--way", default="parent+characters")
    parser.add_argument("--rows", type=int, default=250)
    parser.add_argument("--work", type=Path, default=Path("runs/zero_shot_domains"))
    parser.add_argument("--only", nargs="*", default=[])
    arguments = parser.parse_args()
    domains = all_domains(arguments.pairs, arguments.rows, arguments.work, arguments.only)
    encoder, usual = Encoder.load(arguments.encoder), RetrievalConfig()
    folder = arguments.work / encoder.identity.replace(":", "-")
    scale = np.array([-np.log(usual.temperature), usual.caution])
    table: dict[float, dict[str, list[float]]] = {least: {} for least in LEAST}
    for domain in domains:
        owns = vectors(domain, encoder, folder)
        pairs = zip(domain.parts, owns, strict=True)
        posteriors = [
            (part, posterior(similarities(part, own)[arguments.way], scale)) for part, own in pairs
        ]
        for least, found in table.items():
            parts = [(part, *answered(part, p, least)) for part, p in posteriors]
            hf1, exact = figures([counted(part, nodes) for part, nodes, _, _ in parts])
            status = np.concatenate([own for _, _, own, _ in parts])
            right = np.concatenate([own for _, _, _, own in parts])
            cells = [hf1, exact]
            for kind in range(3):
                own = status == kind
                cells += [float(own.mean()), float(right[own].mean()) if own.any() else np.nan]
            found[domain.name] = cells
    print("least set", *COLUMNS, sep=" | ")
    for least, found in table.items():
        chosen = [cells for name, cells in found.items() if name not in REPORTED]
        means = {"mean of those chosen on": chosen, "mean of all": list(found.values())}
        rows = {name: np.nanmean(cells, axis=0).tolist() for name, cells in means.items() if cells}
        for name, cells in {**rows, **found}.items():
            print(least, name, *(f"{cell:.3f}" for cell in cells), sep=" | ")


if __name__ == "__main__":
    main()
