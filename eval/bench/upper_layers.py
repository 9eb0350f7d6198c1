"""How many upper layers of a sentence encoder a pack should train, and at what rate.

An encoder is fine-tuned with its heads as the recipe `fast` does it, in several forms,
`LAYERS:RATE` (`all` for all weights); other rows tell how often heads, labelled neighbours, and
both together are right. The first form is what the others are compared with, row by row.

    python eval/bench/upper_layers.py train.csv other.csv --text text all:1e-4 2:4e-4 3:2e-4
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cascade.config import Columns
from cascade.io.tables.opening import TableFile, open_table
from cascade.scoring.methods.neighbours import BACKGROUND
from cascade.taxonomy import Taxonomy
from cascade.training.labelled import Labelled, read_labelled
from cascade.training.packs.backbone_training import fine_tune
from cascade.training.packs.backbones.encoders import TrainablePackedEncoder, trainable_encoder
from cascade.training.packs.recipe import Recipe

NEIGHBOURS, TEMPERATURE = 20, 0.05
SHARE = 0.5  # of the neighbours' log-probabilities beside those of the heads

Right = list[NDArray[np.bool_]]
"""Which rows heads, neighbours, and both are right about, [n_rows] each."""


def tried(
    form: str, columns: list[str], train: Labelled, other: Labelled, tree: Taxonomy
) -> tuple[float, Right]:
    """Processor seconds of a training, and what it is right about."""
    stage, (layers, _, rate) = Recipe.load("fast").sentence, form.partition(":")
    assert stage is not None
    own = stage.model_copy(update={"layers": None if layers == "all" else int(layers)})
    tuning = stage.tuning.model_copy(update={"learning_rate": float(rate)})
    encoder = trainable_encoder("minilm", columns, own)
    assert isinstance(encoder, TrainablePackedEncoder)
    started = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        heads = fine_tune(encoder, train.items, train.nodes, tree, tuning, Path(folder))
    took = time.process_time() - started
    known, asked = (encoder.encode(rows.items, lambda *_: None) for rows in (train, other))
    logits = heads.logits(asked)
    by_heads = logits - np.log(np.exp(logits - logits.max(0)).sum(0)) - logits.max(0)
    similar = asked @ known.T
    nearest = np.argpartition(-similar, NEIGHBOURS, axis=1)[:, :NEIGHBOURS]
    top = np.take_along_axis(similar, nearest, axis=1)
    votes = np.exp((top - top.max(axis=1, keepdims=True)) / TEMPERATURE)
    shares = np.full((len(tree), len(asked)), BACKGROUND / len(tree))
    item = np.broadcast_to(np.arange(len(asked))[:, None], nearest.shape)
    np.add.at(shares, (train.nodes[nearest], item), votes / votes.sum(axis=1, keepdims=True))
    by_neighbours = np.log(shares[heads.nodes])
    judged = (by_heads, by_neighbours, by_heads + SHARE * by_neighbours)
    return took, [heads.nodes[found.argmax(axis=0)] == other.nodes for found in judged]


def against(own: NDArray[np.bool_], first: NDArray[np.bool_]) -> str:
    """Share right, and its difference from the first form with its 95% interval."""
    gain = own.astype(float) - first
    return f"{own.mean():.4f} ({gain.mean():+.4f} ± {1.96 * gain.std() / len(gain) ** 0.5:.4f})"


def main() -> None:
    """Train each form and print a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("train", type=Path)
    parser.add_argument("other", type=Path, help="rows that are not learnt")
    parser.add_argument("forms", nargs="+", metavar="LAYERS:RATE")
    parser.add_argument("--text", default="text")
    parser.add_argument("--label", default="label")
    parser.add_argument("--limit", type=int, help="rows of each file")
    args = parser.parse_args()
    with open_table(args.train) as table:
        at = table.columns.index(args.label)
        tree = Taxonomy.from_paths(sorted({str(row.cells[at]) for row in table.rows}))
    columns = Columns(text=[args.text], label=args.label)
    train, other = (
        read_labelled(TableFile(str(file), args.limit), columns, tree)
        for file in (args.train, args.other)
    )
    print(f"{len(train):,} rows, {len(other):,} others, {len(tree.leaves)} labels\n")
    print(
        "| layers:rate | processor s | heads | neighbours | both |\n| --- | --- | --- | --- | --- |"
    )
    first: Right | None = None
    for form in args.forms:
        took, found = tried(form, [args.text], train, other, tree)
        first = first or found
        told = " | ".join(against(own, base) for own, base in zip(found, first, strict=True))
        print(f"| {form} | {took:.0f} | {told} |", flush=True)


if __name__ == "__main__":
    main()
