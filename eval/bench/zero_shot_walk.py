r"""What a posterior over leaves gains without labels: temperature, prior of the file, best node.

Over the vectors that `zero_shot_domains.py` keeps. The softmax's scale is fitted on all domains but
the one that is measured, and GPC and Flipkart never count in it. Prints hF1 and exact, the error of
calibration (ECE) of the likeliest answer, for the likeliest answer and for the node that maximises
expected hF1; without a prior, and with that of the file's own rows (EM with shrinkage).

python eval/bench/zero_shot_walk.py --pairs pairs --encoder runs/encoder/model
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from scipy.optimize import minimize_scalar
from zero_shot_domains import (
    Domain,
    Floats,
    Part,
    all_domains,
    counted,
    figures,
    similarities,
    vectors,
)

from cascade.retrieval.encoder import Encoder

REPORTED = ("gpc", "flipkart", "flipkart20k")  # nothing is fitted on them
BINS = 15
Scored = list[tuple[Part, Floats]]


def softmax(logits: Floats) -> Floats:
    """Over the last axis."""
    e = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(e / e.sum(axis=-1, keepdims=True))


def fitted_scale(sets: list[Scored]) -> float:
    """The scale of similarities with the best likelihood, each set weighed alike."""

    def loss(log_scale: float) -> float:
        return float(
            np.mean(
                [
                    np.mean(
                        np.concatenate(
                            [
                                -np.log(p[np.arange(len(p)), _gold(part)].clip(1e-12))
                                for part, s in scored
                                for p in [softmax(np.exp(log_scale) * s)]
                            ]
                        )
                    )
                    for scored in sets
                ]
            )
        )

    return float(np.exp(minimize_scalar(loss, bounds=(0, 4), method="bounded").x))


def _gold(part: Part) -> Floats:
    return np.searchsorted(part.answers, part.gold)


def with_prior(p: Floats, shrinkage: float, power: float, rounds: int = 20) -> Floats:
    """Posteriors under a prior that EM estimates on the rows themselves, drawn to uniform."""
    n = p.shape[1]
    prior, found = np.full(n, 1 / n), p
    for _ in range(rounds):
        found = p * (prior * n)[None] ** power
        found /= found.sum(axis=1, keepdims=True)
        prior = (found.mean(axis=0) + shrinkage / n) / (1 + shrinkage)
    return found


def best_nodes(part: Part, p: Floats) -> Floats:
    """For each row the node with the greatest expected 2 |P & G| / (|P| + |G|)."""
    tree, depth = part.taxonomy, part.taxonomy.depth
    mass = np.zeros((depth + 1, len(tree), len(p)), np.float32)  # below a node, by level of answer
    mass[tree.level[part.answers], part.answers] = p.T
    for node in range(len(tree) - 1, -1, -1):
        if (above := int(tree.parent[node])) >= 0:
            mass[:, above] += mass[:, node]
    expected = np.zeros((len(tree), len(p)), np.float32)
    for level in range(1, depth + 1):
        worth = np.array([0.0, *(2 / (level + other) for other in range(1, depth + 1))])
        shared = np.tensordot(worth, mass, (0, 0))
        for node in range(len(tree)):  # parents come first
            if (above := int(tree.parent[node])) >= 0:
                shared[node] += shared[above]
        own = tree.level == level
        expected[own] = shared[own]
    return expected.argmax(axis=0).astype(np.int32)


def calibration_error(sure: Floats, right: Floats) -> float:
    """Expected calibration error in bins of equal width."""
    at = np.clip((sure * BINS).astype(int), 0, BINS - 1)
    return float(
        sum(
            abs(sure[at == b].mean() - right[at == b].mean()) * (at == b).mean()
            for b in np.unique(at)
        )
    )


def main() -> None:
    """Print a line for each prior."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=Path, required=True)
    parser.add_argument("--encoder", default="minilm")
    parser.add_argument("--way", default="sum+characters")
    parser.add_argument("--rows", type=int, default=250)
    parser.add_argument("--work", type=Path, default=Path("runs/zero_shot_domains"))
    parser.add_argument("--only", nargs="*", default=[])
    arguments = parser.parse_args()
    domains = all_domains(arguments.pairs, arguments.rows, arguments.work, arguments.only)
    encoder = Encoder.load(arguments.encoder)
    folder = arguments.work / encoder.identity.replace(":", "-")

    def scored(domain: Domain) -> Scored:
        owns = vectors(domain, encoder, folder)
        pairs = zip(domain.parts, owns, strict=True)
        return [(part, similarities(part, own)[arguments.way]) for part, own in pairs]

    data = {domain.name: scored(domain) for domain in domains}
    chosen = [name for name in data if name not in REPORTED]
    scale = {name: fitted_scale([data[s] for s in chosen if s != name]) for name in data}
    print("scales", {name: round(value, 1) for name, value in scale.items()})
    for title, prior in {"no prior": None, "EM 1, power 0.5": (1.0, 0.5)}.items():
        likeliest, best, errors = {}, {}, {}
        for name, parts in data.items():
            rows, walked, sure, right = [], [], [], []
            for part, similar in parts:
                p = softmax(scale[name] * similar)
                p = p if prior is None else with_prior(p, *prior)
                answer = part.answers[p.argmax(axis=1)]
                rows.append(counted(part, answer))
                walked.append(counted(part, best_nodes(part, p)))
                sure.append(p.max(axis=1))
                right.append(answer == part.gold)
            likeliest[name], best[name] = figures(rows), figures(walked)
            errors[name] = calibration_error(np.concatenate(sure), np.concatenate(right))
        for what, found in (("likeliest", likeliest), ("best expected hF1", best)):
            mean = np.mean(list(found.values()), axis=0)
            cells = " ".join(f"{name} {h:.3f}/{e:.3f}" for name, (h, e) in found.items())
            print(f"{title}, {what}: mean {mean[0]:.4f}/{mean[1]:.4f} {cells}")
        cells = " ".join(f"{name} {error:.3f}" for name, error in errors.items())
        print(f"{title}, ECE: mean {np.mean(list(errors.values())):.3f} {cells}")


if __name__ == "__main__":
    main()
