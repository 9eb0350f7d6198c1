r"""Whether cosines with the texts of nodes tell items of other domains, without a label.

For each set its own rows belong, and those of sets of other kinds do not. Scores: the greatest
cosine, their mean, the greatest in standard deviations above the mean, and the free energy
`T log mean exp(cos / T)`, which lies between the greatest and the mean. Then what one threshold for
all sets does, below which 1% of all rows that belong are.

python eval/bench/nowhere_zero_shot.py --pairs pairs --only SETS
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from zero_shot_domains import Domain, Floats, all_domains, vectors

from cascade.config import ENCODER
from cascade.retrieval.encoder import Encoder

KINDS = {
    **dict.fromkeys(
        ("amazon_uk_toys", "fashion_myntra", "instacart", "wholefoods_us", "gpc", "flipkart"),
        "products",
    ),
    **dict.fromkeys(("shopify_to_google", "hs_subheadings"), "products"),
    **dict.fromkeys(("noc2016_titles", "onet_occupations"), "occupations"),
    **dict.fromkeys(("disease_ontology", "mesh_descriptors"), "health"),
}


def scores(items: Floats, nodes: Floats) -> dict[str, Floats]:
    """Scores of items, [n_items] each; higher where one belongs."""
    cosines = (items @ nodes.T).astype(np.float64)
    best, mean = cosines.max(axis=1), cosines.mean(axis=1)
    found = {"greatest": best, "mean": mean, "deviations": (best - mean) / cosines.std(axis=1)}
    for t in (0.04, 0.06, 0.08):
        found[f"T={t}"] = t * np.log(np.exp((cosines - best[:, None]) / t).mean(axis=1)) + best
    return found


def auroc(inside: Floats, outside: Floats) -> float:
    """Probability that a row that belongs has the higher score."""
    outside = np.sort(outside)
    below, upto = (np.searchsorted(outside, inside, side) for side in ("left", "right"))
    return float((below + upto).mean() / 2 / len(outside))


def main() -> None:
    """Print AUROC by score and set, and what one threshold for all does."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=Path, required=True)
    parser.add_argument("--encoder", default=ENCODER)
    parser.add_argument("--rows", type=int, default=250)
    parser.add_argument("--work", type=Path, default=Path("runs/zero_shot_domains"))
    parser.add_argument("--only", nargs="*", default=[])
    arguments = parser.parse_args()
    encoder = Encoder.load(arguments.encoder)
    folder = arguments.work / encoder.identity.replace(":", "-")
    domains: list[Domain] = [
        domain
        for domain in all_domains(arguments.pairs, arguments.rows, arguments.work, arguments.only)
        if len(domain.parts) == 1
    ]
    own = {domain.name: vectors(domain, encoder, folder)[0] for domain in domains}
    table: dict[str, dict[str, float]] = {}
    inside, outside = dict[str, Floats](), dict[str, Floats]()
    for name, arrays in own.items():
        others = [o for o in own if KINDS.get(o, o) != KINDS.get(name, name)]
        mine = scores(arrays["items"], arrays["parent"])
        theirs = scores(np.concatenate([own[o]["items"] for o in others]), arrays["parent"])
        for score in mine:
            table.setdefault(score, {})[name] = auroc(mine[score], theirs[score])
        inside[name], outside[name] = mine["T=0.06"], theirs["T=0.06"]
    print("| score | mean | " + " | ".join(own) + " |")
    print("| --- " * (len(own) + 2) + "|")
    for score, by_set in table.items():
        cells = " | ".join(f"{value:.3f}" for value in by_set.values())
        print(f"| {score} | {np.mean(list(by_set.values())):.3f} | {cells} |")
    threshold = float(np.quantile(np.concatenate(list(inside.values())), 0.01))
    for what, values in (("of its own rows", inside), ("of others", outside)):
        shares = [float((found < threshold).mean()) for found in values.values()]
        cells = " | ".join(f"{share:.3f}" for share in shares)
        print(f"| below {threshold:.3f}, {what} | {np.mean(shares):.3f} | {cells} |")
    found = [float((outside[n] < np.quantile(inside[n], 0.01)).mean()) for n in own]
    cells = " | ".join(f"{share:.3f}" for share in found)
    print(f"| below 1% of its own rows, of others | {np.mean(found):.3f} | {cells} |")


if __name__ == "__main__":
    main()
