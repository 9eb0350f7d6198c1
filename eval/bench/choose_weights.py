"""Choose the weights of `cascade` without labels: what each does to accuracy and likelihood.

Run it from the repository's root, on training rows and on several taxonomies, for example:

    python eval/bench/choose_weights.py ../shared/data/gpc_offers/train.csv \
        -t ../shared/data/gpc_offers/taxonomy.csv --text name --label label --rows 300 \
        --out eval/results/weights_gpc.json

Two tables. The first varies the weight of the language model's words in retrieval and the
temperature: mean negative log-likelihood of the right leaf, and how often the walk finds it.
The second asks, at the right parent of each row, how a weight of the language model's choice
changes both, level by level: a weight helps where it lowers the likelihood's loss on all data.
Without -t the taxonomy is made of the labels.
"""

from __future__ import annotations

import argparse
import json
import random
import shlex
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from cascade.config import CascadeConfig
from cascade.io import open_table, require_columns
from cascade.items import Batch, Choices, Item
from cascade.pipeline.load import load_taxonomy
from cascade.scoring.components import Components
from cascade.scoring.scorer import Scorer
from cascade.taxonomy import Taxonomy

REWRITE = (0.0, 0.15, 0.25, 0.35)
TEMPERATURE = (0.035, 0.045, 0.055)
LLM = (0.0, 0.05, 0.1, 0.2, 0.3, 0.5)


def rows_of(args: argparse.Namespace) -> tuple[Taxonomy, list[Item], NDArray[np.int64]]:
    """The taxonomy, and a seeded sample of rows with their nodes."""
    with open_table(args.data) as table:
        require_columns(table, [*args.text, args.label])
        pairs = [(Item(table.texts(row, args.text)), table.text(row, args.label)) for row in table]
    labels = [label for _, label in pairs if label]
    taxonomy = load_taxonomy(args.taxonomy) if args.taxonomy else Taxonomy.from_paths(labels)
    found = [(item, node) for item, label in pairs if (node := taxonomy.find(label)) is not None]
    random.Random(args.seed).shuffle(found)
    kept = found[: args.rows]
    return taxonomy, [item for item, _ in kept], np.array([node for _, node in kept])


def at_parents(
    taxonomy: Taxonomy, gold: NDArray[np.int64], level: int
) -> tuple[Choices, NDArray[np.int64]]:
    """At the right parent of a level: all its children for each row, and which one is right."""
    rows: list[int] = []
    parents: list[int] = []
    nodes: list[int] = []
    right: list[int] = []
    offsets = [0]
    for row, node in enumerate(gold.tolist()):
        path = [-1, *taxonomy.path_nodes(node).tolist()]
        children = taxonomy.children(path[level - 1]).tolist() if len(path) > level else []
        if len(children) > 1:
            rows.append(row)
            parents.append(path[level - 1])
            right.append(offsets[-1] + int(np.searchsorted(children, path[level])))
            nodes.extend(children)
            offsets.append(len(nodes))
    columns = [np.array(c, dtype=np.int32) for c in (rows, parents, nodes)]
    return Choices(columns[0], columns[1], np.array(offsets), columns[2]), np.array(right)


def quality(
    choices: Choices, scores: NDArray[np.float64], right: NDArray[np.int64]
) -> dict[str, float]:
    """Share of right choices, and mean negative log-likelihood."""
    logprob = choices.log_softmax(scores)
    return {
        "accuracy": round(float(np.mean(choices.first_best(logprob) == right)), 4),
        "nll": round(float(-logprob[right].mean()), 4),
    }


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """Both tables."""
    taxonomy, items, gold = rows_of(args)
    config = CascadeConfig()
    config.llm.reading = args.reading
    components = Components(taxonomy, config)
    batch = Batch(items)
    nearest = components.retriever.node_similarity(batch)
    words = components.retriever.name_similarity(components.rewriter.types(batch))
    subtrees, columns = components.retriever.subtrees, np.arange(len(items))
    found: list[dict[str, Any]] = []
    for temperature in TEMPERATURE:
        for weight in REWRITE:
            logits = np.asarray((nearest + weight * words) / temperature, dtype=np.float32)
            mass = subtrees.log_softmax(logits)
            walked = [walk(taxonomy, mass[:, column]) for column in columns]
            exact = np.mean([node == right for node, right in zip(walked, gold, strict=True)])
            found.append(
                {
                    "temperature": temperature,
                    "rewrite_weight": weight,
                    "nll": round(float(-mass[gold, columns].mean()), 4),
                    "exact": round(float(exact), 4),
                }
            )
    levels: list[dict[str, Any]] = []
    for level in range(1, taxonomy.depth + 1):
        choices, right = at_parents(taxonomy, gold, level)
        if len(choices) < 30:
            continue
        scorers: list[Scorer] = [components.scorer("rewrite"), components.scorer("llm")]
        rewrite, llm = (scorer.score(batch, choices) for scorer in scorers)
        by_weight = {str(w): quality(choices, rewrite + w * llm, right) for w in LLM}
        alone = quality(choices, llm, right)
        levels.append({"level": level, "rows": len(choices), "llm_alone": alone, **by_weight})
    return {"rows": len(items), "retrieval": found, "llm_weight": levels}


def walk(taxonomy: Taxonomy, mass: NDArray[np.float32]) -> int:
    """The leaf that the greedy walk ends at."""
    node = -1
    while len(children := taxonomy.children(node)):
        node = int(children[mass[children].argmax()])
    return node


def main() -> None:
    """Measure, print and record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("data")
    parser.add_argument("-t", "--taxonomy")
    parser.add_argument("--text", action="append", required=True)
    parser.add_argument("--label", required=True)
    parser.add_argument("--rows", type=int, default=300)
    parser.add_argument("--reading", choices=("local", "global"), default="local")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    result = {"command": shlex.join(["python", *sys.argv]), **measure(args)}
    Console().print_json(json.dumps(result))
    if args.out:
        args.out.write_text(json.dumps(result, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
