"""Confidences without labels: fits the numbers of `cascade/confidence/unlabelled.py`, and measures.

They are fitted on sets with free terms, with an encoder that never learnt from the set: what
`cascade-minilm-1` learnt (the sets of LEARNT, and the rows of `finetune/written`) is read with
`minilm`. Of each row the evidence and the probabilities along the path of the answer are computed
by the program itself. The loss is that of a right or wrong node, at every level of the answer, each
set weighed alike (written rows three times). Prints, for each set, the expected calibration error
(ECE, 15 bins) before and after: sets that count in the fit with numbers fitted without any set of
their kind; all others, which nothing was chosen on, with those that ship. Tables are kept in the
folder `--work`.

python eval/bench/zero_shot_confidence.py --pairs pairs --written finetune/written/items.csv
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from zero_shot_domains import Domain, Part, all_domains, part_of, read_rows
from zero_shot_walk import calibration_error

from cascade.confidence import unlabelled
from cascade.config import RetrievalConfig
from cascade.items import Batch, Item
from cascade.retrieval.encoder import Encoder
from cascade.retrieval.retriever import Retriever
from cascade.scoring.methods.retrieval import RetrievalScorer
from cascade.taxonomy import Taxonomy

KINDS = {
    "noc2016_titles": "jobs",
    "kldb_de": "jobs",
    "rome_fr": "jobs",
    "onet_occupations": "jobs",
    "naics2022_index": "industries",
    "hs_subheadings": "goods",
    "shopify_to_google": "goods",
    "hwu64": "intents",
    "atomic_red_team": "security",
    "emoji": "words",
    "osm_presets": "words",
    "wordnet_nouns": "words",
    "disease_ontology": "science",
    "mesh_descriptors": "science",
    "awesome_lists": "lists",
    "written": "written",
}
"""Sets with free terms, which count in the fit, and what is held out together."""

LEARNT = ("onet_occupations", "naics2022_index", "shopify_to_google", "awesome_lists", "written")
REPORTED = (
    "instacart",
    "wholefoods_us",
    "amazon_uk_toys",
    "fashion_myntra",
    "mind_news",
    "trec_questions",
    "arxiv_math_titles",
    "cpv_es_tenders",
    "gpc",
    "flipkart",
)
ELEVEN = (*REPORTED[:7], "noc2016_titles", "hwu64", "gpc", "flipkart")  # of zero_shot_domains.md
START = (unlabelled.EVERY, unlabelled.COVER, unlabelled.ENTROPY, unlabelled.LEAD)
WRITTEN = 5000  # rows of the written ones
RIDGE = 2e-3  # of the numbers, on evidence from which CENTRE is taken, in units of UNIT
CENTRE = np.array([0.0, 0.3, 2.5, 0.0])
UNIT = np.array([1.0, 1.0, 1.0, 0.2])

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Table:
    """Rows of one set.

    Parameters
    ----------
    evidence
        float64 [n_rows, 5]: cover, entropy, lead, margin, probability of the answer.
    path
        float64 [n_rows, depth], the probability of the answer's node at each level; nan below it,
        and at levels of which the row does not tell whether they are right.
    right
        bool [n_rows, depth]
    exact
        bool [n_rows], whether the answer is right; of rows that are labelled with a leaf.
    leaf
        bool [n_rows], whether the row is labelled with a leaf.
    """

    evidence: Floats
    path: Floats
    right: NDArray[np.bool_]
    exact: NDArray[np.bool_]
    leaf: NDArray[np.bool_]

    def lifted(self, numbers: Floats) -> Floats:
        """`path` with the answer's logit moved."""
        return moved(self.path, self.evidence[:, 4:], self.lift(numbers)[:, None])

    def lift(self, numbers: Floats) -> Floats:
        """What is added to the logit of each answer."""
        return np.maximum(design(self.evidence) @ numbers, -unlabelled.KEPT * self.evidence[:, 3])


def design(evidence: Floats) -> Floats:
    """Columns that the numbers are multiplied with."""
    return np.column_stack([np.ones(len(evidence)), evidence[:, :3]])


def moved(path: Floats, leaf: Floats, lift: Floats) -> Floats:
    """Probabilities of nodes at or above a leaf, when `lift` is added to the leaf's logit."""
    odds = np.exp(lift)
    return (path - leaf + leaf * odds) / (1 - leaf + leaf * odds)


def domain_of(name: str, pairs: Path, written: Path, rows: int, work: Path) -> Domain:
    """A fixed sample of a set."""
    if name != "written":
        return all_domains(pairs, rows, work, [name])[0]
    found = read_rows(written)
    drawn = set(np.random.default_rng(5).permutation(len(found))[:WRITTEN].tolist())
    parts = []
    for taxonomy in dict.fromkeys(row["taxonomy"] for row in found):
        own = [at for at, row in enumerate(found) if row["taxonomy"] == taxonomy]
        tree = Taxonomy.from_paths(list(dict.fromkeys(found[at]["label"] for at in own)), name=name)
        chosen = {place for place, at in enumerate(own) if at in drawn}
        parts.append(part_of(tree, [found[at] for at in own], "text", chosen))
    return Domain(name, [part for part in parts if len(part.texts)])


def table_of(domain: Domain, encoder: Encoder, work: Path) -> Table:
    """What the program says of the rows of a set; kept in a file."""
    kept = work / f"{domain.name}.npz"
    if not kept.is_file():
        found = [_rows(part, encoder, work / "index") for part in domain.parts]
        depth = max(own["path"].shape[1] for own in found)
        for own in found:
            missing = ((0, 0), (0, depth - own["path"].shape[1]))
            own["path"] = np.pad(own["path"], missing, constant_values=np.nan)
            own["right"] = np.pad(own["right"], missing)
        np.savez(kept, **{key: np.concatenate([own[key] for own in found]) for key in found[0]})
    return Table(**np.load(kept))


def _rows(part: Part, encoder: Encoder, index: Path) -> dict[str, NDArray[Any]]:
    config, tree = RetrievalConfig(), part.taxonomy
    retriever = Retriever(tree, encoder, config.texts, words=config.words, folder=index)
    scorer = RetrievalScorer(retriever, config.temperature, config.caution)
    batch = Batch([Item({"text": text}) for text in part.texts])
    similarities = retriever.compare(batch)
    logits, temperature = scorer._logits(similarities)
    best, told = scorer.evidence(batch, similarities, logits, temperature)
    answers, paths = tree.paths_of(best.nodes).T, tree.paths_of(part.gold).T
    leaf = np.isin(part.gold, tree.leaves)
    rows, levels = np.nonzero((answers >= 0) & ((paths >= 0) | leaf[:, None]))
    path = np.full(answers.shape, np.nan)
    log_probs = scorer.probabilities(batch).log_prob(rows, answers[rows, levels])
    path[rows, levels] = np.exp(log_probs, dtype=np.float64)
    own = np.exp(scorer.probabilities(batch).log_prob(best.rows, best.nodes), dtype=np.float64)
    evidence = [told.cover, told.entropy, told.lead, told.margin, own.clip(1e-9, 1 - 1e-9)]
    return {
        "evidence": np.stack(evidence, axis=1),
        "path": path.clip(1e-9, 1),
        "right": answers == paths,
        "exact": best.nodes == part.gold,
        "leaf": leaf,
    }


def fitted(tables: dict[str, Table]) -> Floats:
    """The numbers with the least log loss over the levels of answers."""
    design_, path, leaf, right, least, weight = [], [], [], [], [], []
    for name, table in tables.items():
        rows, levels = np.nonzero(~np.isnan(table.path))
        design_.append((design(table.evidence)[rows] - CENTRE) / UNIT)
        path.append(table.path[rows, levels])
        leaf.append(table.evidence[rows, 4])
        right.append(table.right[rows, levels])
        least.append(-unlabelled.KEPT * table.evidence[rows, 3])
        weight.append(np.full(len(rows), (3 if name == "written" else 1) / len(rows)))
    x, p, q, y, low, w = map(np.concatenate, (design_, path, leaf, right, least, weight))
    w /= w.sum()

    def loss(numbers: Floats) -> float:
        p_new = moved(p, q, np.maximum(x @ numbers, low)).clip(1e-6, 1 - 1e-6)
        surprise = -np.where(y, np.log(p_new), np.log1p(-p_new))
        return float(w @ surprise + RIDGE * numbers @ numbers)

    found = minimize(loss, np.zeros(4), method="BFGS").x / UNIT
    return np.array([found[0] - found @ CENTRE, *found[1:]])


@dataclass(frozen=True)
class Figures:
    """Of one set, before or after."""

    leaf: float
    levels: tuple[float, ...]
    bias: float
    aurc: float

    @classmethod
    def of(cls, table: Table, path: Floats) -> Figures:
        """ECE of the answer, and of each level with 100 rows; mean confidence less share right."""
        at = np.where(np.isnan(path), np.inf, path).argmin(axis=1)
        sure, right = path[np.arange(len(path)), at][table.leaf], table.exact[table.leaf]
        levels = [
            calibration_error(path[there, level], table.right[there, level])
            for level in range(path.shape[1])
            if (there := ~np.isnan(path[:, level])).sum() >= 100
        ]
        wrong = ~right[np.argsort(-sure, kind="stable")]
        aurc = (np.cumsum(wrong) / np.arange(1, len(wrong) + 1)).mean()
        return cls(
            calibration_error(sure, right), tuple(levels), float((sure - right).mean()), float(aurc)
        )


def by_chance(table: Table, path: Floats) -> float:
    """The mean ECE of as many rows with exactly these confidences, if they are true."""
    sure = np.nanmin(path, axis=1)[table.leaf]
    draws = np.random.default_rng(0).random((30, len(sure))) < sure
    return float(np.mean([calibration_error(sure, drawn) for drawn in draws]))


def main() -> None:
    """Print the numbers, then a line for each set and means."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=Path, required=True)
    parser.add_argument("--written", type=Path, default=Path("finetune/written/items.csv"))
    parser.add_argument("--rows", type=int, default=1000)
    parser.add_argument("--work", type=Path, default=Path("runs/zero_shot_confidence"))
    arguments = parser.parse_args()
    arguments.work.mkdir(parents=True, exist_ok=True)

    def tables(names: Iterable[str], encoder: Encoder) -> dict[str, Table]:
        found = {}
        for name in names:
            if not (arguments.work / f"{name}.npz").is_file():
                print("reading", name, flush=True)
            domain = Domain(name, [])
            if not (arguments.work / f"{name}.npz").is_file():
                domain = domain_of(
                    name, arguments.pairs, arguments.written, arguments.rows, arguments.work
                )
            found[name] = table_of(domain, encoder, arguments.work)
        return found

    tuned = Encoder.load("cascade-minilm-1")
    known = tables([name for name in KINDS if name not in LEARNT], tuned)
    reported = tables(REPORTED, tuned)
    known |= tables(LEARNT, Encoder.load("minilm"))
    numbers = fitted(known)
    print("EVERY, COVER, ENTROPY, LEAD =", numbers.round(2).tolist(), "shipped", START)
    without = {
        kind: fitted({name: t for name, t in known.items() if KINDS[name] != kind})
        for kind in dict.fromkeys(KINDS.values())
    }
    before, after = {}, {}
    for name, table in (known | reported).items():
        own = without[KINDS[name]] if name in KINDS else numbers
        before[name] = Figures.of(table, table.path)
        after[name] = Figures.of(table, path := table.lifted(own))
        levels = " ".join(
            f"{a:.3f}>{b:.3f}" for a, b in zip(before[name].levels, after[name].levels, strict=True)
        )
        print(
            f"{name} | {table.leaf.sum()} | {before[name].leaf:.3f} | {after[name].leaf:.3f} | "
            f"{by_chance(table, path):.3f} | {before[name].bias:+.3f} | {after[name].bias:+.3f} | "
            f"{levels} | {before[name].aurc:.3f} | {after[name].aurc:.3f}"
        )
    groups = {"fit": KINDS, "reported": REPORTED[:8], "eleven": ELEVEN, "look": REPORTED[8:]}
    for title, names in groups.items():
        told = []
        for found in (before, after):
            own = [found[name] for name in names]
            levels = np.mean([np.mean(f.levels) for f in own])
            top = np.mean([f.levels[0] for f in own])
            leaf, aurc = np.mean([f.leaf for f in own]), np.mean([f.aurc for f in own])
            told.append(f"leaf {leaf:.4f} levels {levels:.4f} level 1 {top:.4f} AURC {aurc:.4f}")
        print(f"{title}: {told[0]} -> {told[1]}")


if __name__ == "__main__":
    main()
