r"""The forms of TTC over frozen features: which is right how often, and is it consistent?

Each level's likeliest node is taken on its own, so that a form which lets levels contradict each
other shows it. Heads are fitted on the training rows as the recipe says; nothing is chosen on the
rows that are reported.

python eval/bench/ttc_forms.py --train TRAIN.csv --test TEST.csv --taxonomy TAXONOMY.csv \
    --text name --text brand --label label --out eval/results/ttc_forms
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any, get_args

import numpy as np

from cascade.config import Columns
from cascade.features.backbone import JoinedFeatures
from cascade.features.lexical import LexicalFeatures, LexicalRecipe
from cascade.features.text_embeddings import HiddenStates, SentenceFeatures
from cascade.io.tables.opening import TableFile
from cascade.pipeline.load import load_taxonomy
from cascade.retrieval.encoder import Encoder
from cascade.scoring.ttc_heads import Form, HierarchicalSoftmax
from cascade.training.labelled import Labelled, read_labelled
from cascade.training.linear_heads import HeadsRecipe, fit_heads
from cascade.training.packs.backbones.reading import short_columns

BLOCK = 512


def measured(read: Any, tree: Any, rows: Labelled) -> dict[str, float]:
    """Accuracy by level, exact, hierarchical F1 and consistency of each level's likeliest node."""
    best = []
    for level in range(1, tree.depth + 1):
        members = tree.level_nodes(level)
        best.append(members[read[members].argmax(axis=0)])
    right, found, known, shared, agree = [], 0, 0, 0, 0
    levels = np.zeros((len(rows), tree.depth), dtype=bool)
    for row, node in enumerate(rows.nodes.tolist()):
        path = tree.path_nodes(node).tolist()
        said = [int(best[level][row]) for level in range(len(path))]
        levels[row, : len(path)] = [a == b for a, b in zip(said, path, strict=True)]
        agree += all(tree.parent[said[k]] == said[k - 1] for k in range(1, len(said)))
        shared += len(set(said) & set(path))
        found, known = found + len(said), known + len(path)
        right.append(said == path)
    figures = {f"accuracy_l{k + 1}": float(levels[:, k].mean()) for k in range(tree.depth)}
    figures["exact"] = float(np.mean(right))
    figures["hf1_micro"] = 2 * shared / (found + known)
    figures["consistency"] = agree / len(rows)
    return {name: round(value, 4) for name, value in figures.items()}


def features(backbone: Any, rows: Labelled) -> Any:
    """The features of all rows."""
    import scipy.sparse

    made = [backbone.rows(rows.items[k : k + BLOCK]) for k in range(0, len(rows), BLOCK)]
    return scipy.sparse.vstack(made, "csr") if scipy.sparse.issparse(made[0]) else np.vstack(made)


def main() -> None:
    """Fit every form on every backbone, and write a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--train", required=True)
    parser.add_argument("--test", required=True)
    parser.add_argument("--taxonomy", required=True)
    parser.add_argument("--text", action="append", required=True)
    parser.add_argument("--label", required=True)
    parser.add_argument("--limit", type=int, help="fit on the first N rows of the training file")
    parser.add_argument("--out", type=Path, required=True, help="without suffix: .json and .md")
    args = parser.parse_args()
    tree = load_taxonomy(args.taxonomy)
    columns = Columns(text=args.text, label=args.label)
    train = read_labelled(TableFile(args.train, args.limit), columns, tree)
    test = read_labelled(TableFile(args.test), columns, tree)
    short = short_columns(train.items, args.text, 100, 150)
    lexical = LexicalFeatures.fit(train.items, args.text, LexicalRecipe())
    sentence = SentenceFeatures(Encoder.load("minilm"), short, 150)
    backbones = {
        "sentence encoder": (sentence, {}),
        "LLaMA": (HiddenStates.load("smollm2-135m", short, 150), {}),
        "lexical": (lexical, {"epochs": 6, "batch_size": 128, "learning_rate": 0.02}),
        "lexical + sentence": (
            JoinedFeatures([lexical, sentence]),
            {"epochs": 6, "batch_size": 128, "learning_rate": 0.02},
        ),
    }
    table = []
    for name, (backbone, how) in backbones.items():
        fit_on, ask = features(backbone, train), features(backbone, test)
        for form in get_args(Form):
            started = time.perf_counter()
            heads = fit_heads(fit_on, train.nodes, tree, HeadsRecipe(form=form, **how))
            took = time.perf_counter() - started
            read = HierarchicalSoftmax(tree, form).log_probs(heads.logits(ask), heads.nodes)
            row = {"backbone": name, "form": form, **measured(read, tree, test)}
            table.append({**row, "fit_seconds": round(took, 1)})
            print(table[-1], flush=True)
    command = "python " + " ".join(sys.argv)
    args.out.with_suffix(".json").write_text(
        json.dumps(
            {"command": command, "fitted": len(train), "rows": len(test), "table": table}, indent=1
        )
    )
    heading = list(table[0])
    lines = [f"| {' | '.join(heading)} |", f"|{' --- |' * len(heading)}"]
    lines += [f"| {' | '.join(str(row[c]) for c in heading)} |" for row in table]
    text = "# The forms of TTC over frozen features\n\n" + "\n".join(lines)
    text += f"\n\nFitted on {len(train):,} rows, measured on {len(test):,}. Made by:"
    text += f"\n\n```sh\n{command}\n```\n"
    args.out.with_suffix(".md").write_text(text)


if __name__ == "__main__":
    main()
