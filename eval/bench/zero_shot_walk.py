r"""What a posterior over leaves gains without labels: temperature, prior of the file, best node.

Over the vectors that `zero_shot_domains.py` keeps. The softmax's scale, and how cautious it is of
a lead (`retrieval.caution`), are fitted on all domains but the one that is measured, and GPC and
Flipkart never count in it. Prints hF1 and exact, the error of calibration (ECE) of the likeliest
answer, for the likeliest answer, for a walk to the likeliest child that stops below 0.3, and for
the node that maximises expected hF1; without caution, with it, and with a prior of the file's own
rows besides (EM with shrinkage).

python eval/bench/zero_shot_walk.py --pairs pairs --encoder runs/encoder/model
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from scipy.optimize import minimize
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


def posterior(similar: Floats, scale: Floats) -> Floats:
    """Softmax of `exp(scale[0] - scale[1] * lead) * similarity`, [n_items, n_answers]."""
    top = -np.partition(-similar, min(1, similar.shape[1] - 1), axis=1)[:, :2]
    lead = top[:, 0] - top[:, -1]
    return softmax(np.exp(scale[0] - scale[1] * lead)[:, None] * similar)


def fitted_scale(sets: list[Scored], *, cautious: bool) -> Floats:
    """The log of the scale and the caution with the best likelihood, each set weighed alike."""

    def loss(scale: Floats) -> float:
        whole = [scale[0], scale[1] if cautious else 0.0]
        return float(np.mean([np.mean(_surprise(scored, whole)) for scored in sets]))

    found = minimize(loss, [3.0, 1.0][: 1 + cautious], method="Nelder-Mead", tol=1e-3).x
    return np.array([found[0], found[1] if cautious else 0.0])


def _surprise(scored: Scored, scale: Floats) -> Floats:
    """Minus the log-probability of the right answer of each row."""
    found = []
    for part, similar in scored:
        p = posterior(similar, scale)
        found.append(-np.log(p[np.arange(len(p)), _gold(part)].clip(1e-12)))
    return np.concatenate(found)


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


def walked_nodes(part: Part, p: Floats, stop: float = 0.3) -> Floats:
    """For each row the node that a walk to the likeliest child reaches."""
    tree = part.taxonomy
    mass = np.zeros((len(tree), len(p)))
    mass[part.answers] = p.T
    own = mass.copy()
    for node in range(len(tree) - 1, -1, -1):
        if (above := int(tree.parent[node])) >= 0:
            mass[above] += mass[node]
    out = np.full(len(p), -1, np.int32)
    for row in range(len(p)):
        node = -1
        while len(children := tree.children(node)):
            best = int(children[mass[children, row].argmax()])
            stays = node >= 0 and (
                mass[best, row] < stop * mass[node, row] or own[node, row] > mass[best, row]
            )
            if stays:
                break
            node = best
        out[row] = node
    return out


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
    """Print a line for each form of the posterior and way to answer."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=Path, required=True)
    parser.add_argument("--encoder", default="minilm")
    parser.add_argument("--way", default="parent+characters")
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
    for title, cautious, prior in (
        ("one scale", False, None),
        ("cautious", True, None),
        ("cautious, EM 1, power 0.5", True, (1.0, 0.5)),
    ):
        ways: dict[str, dict[str, tuple[float, float]]] = {}
        errors, scales = {}, {}
        for name, parts in data.items():
            others = [data[other] for other in chosen if other != name]
            scales[name] = scale = fitted_scale(others, cautious=cautious)
            rows: dict[str, list[Floats]] = {}
            sure, right = [], []
            for part, similar in parts:
                p = posterior(similar, scale)
                p = p if prior is None else with_prior(p, *prior)
                answer = part.answers[p.argmax(axis=1)]
                found = {
                    "likeliest": answer,
                    "walk": walked_nodes(part, p),
                    "best expected hF1": best_nodes(part, p),
                }
                for way, nodes in found.items():
                    rows.setdefault(way, []).append(counted(part, nodes))
                sure.append(p.max(axis=1))
                right.append(answer == part.gold)
            for way, counts in rows.items():
                ways.setdefault(way, {})[name] = figures(counts)
            errors[name] = calibration_error(np.concatenate(sure), np.concatenate(right))
        print(title, "scales", {name: np.round(own, 2).tolist() for name, own in scales.items()})
        for way, by_domain in ways.items():
            print(f"{title}, {way}: {_line(by_domain)}")
        cells = " ".join(f"{name} {error:.3f}" for name, error in errors.items())
        means = [np.mean([errors[name] for name in names]) for names in (chosen, errors)]
        print(f"{title}, ECE: chosen {means[0]:.3f}, all {means[1]:.3f} {cells}")


def _line(found: dict[str, tuple[float, float]]) -> str:
    """Means over the domains that count in choices, and over all; then each domain."""
    names = [name for name in found if name not in REPORTED]
    means = [np.mean([found[name] for name in some], axis=0) for some in (names, list(found))]
    cells = " ".join(f"{name} {h:.3f}/{e:.3f}" for name, (h, e) in found.items())
    told = ", ".join(
        f"{what} {mean[0]:.4f}/{mean[1]:.4f}"
        for what, mean in zip(("chosen", "all"), means, strict=True)
    )
    return f"{told} {cells}"


if __name__ == "__main__":
    main()
