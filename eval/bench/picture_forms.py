r"""Heads of every form of TTC over a vision model as it is and fine-tuned.

Two estimates: fitted on the training file and measured on the validation file, and by
cross-validation over both. Where the validation file was photographed elsewhere, the second one
flatters: pictures of one shelf lie on both sides. Nothing is chosen on what is measured; a model
is fine-tuned in the form of its recipe, and heads of the other forms are fitted to its features.

python eval/bench/picture_forms.py --train TRAIN.csv --test VALIDATION.csv --image image \
    --label label --recipe pictures --folds 3 --work runs/pictures --out eval/results/pictures

With --part K (0 for the validation file, from 1 on the folds) only that part is trained and
measured, so that parts can run side by side; without it the parts that are done are put together.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray
from ttc_forms import features, measured

from cascade.config import Columns
from cascade.features.pictures import PictureFeatures
from cascade.io.tables.opening import TableFile
from cascade.pipeline.labels.making import taxonomy_of_labels
from cascade.scoring.ttc_heads import Form, HierarchicalSoftmax
from cascade.training.labelled import Labelled, read_labelled
from cascade.training.linear_heads import HeadsRecipe, fit_heads
from cascade.training.packs.backbone_training import fine_tune
from cascade.training.packs.backbones.vision import TrainableVision
from cascade.training.packs.recipe import Recipe


@dataclass(frozen=True)
class Part:
    """Rows to fit to and rows to measure on."""

    name: str
    fitted: Labelled
    asked: Labelled


def join(rows: Labelled, more: Labelled) -> Labelled:
    """All rows."""
    return Labelled(
        [*rows.items, *more.items], np.concatenate([rows.nodes, more.nodes]), rows.skipped
    )


def folds(rows: Labelled, n: int) -> list[NDArray[np.bool_]]:
    """Which rows are asked in each fold, drawn evenly from each label."""
    order = np.random.default_rng(0).permutation(len(rows))
    order = order[np.argsort(rows.nodes[order], kind="stable")]
    return [np.isin(np.arange(len(rows)), order[fold::n]) for fold in range(n)]


def forms(backbone: Any, part: Part, tree: Any, how: dict[str, Any]) -> list[dict[str, Any]]:
    """The figures of heads of each form."""
    fit_on, ask = features(backbone, part.fitted), features(backbone, part.asked)
    table = []
    for form in get_args(Form):
        heads = fit_heads(fit_on, part.fitted.nodes, tree, HeadsRecipe(form=form, **how))
        read = HierarchicalSoftmax(tree, form).log_probs(heads.logits(ask), heads.nodes)
        table.append({"form": form, **measured(read, tree, part.asked)})
    return table


def done(part: Part, tree: Any, recipe: Recipe, work: Path) -> list[dict[str, Any]]:
    """What was measured in a part, with and without fine-tuning; kept in the work folder."""
    kept = work / f"{part.name}.json"
    if kept.is_file():
        table: list[dict[str, Any]] = json.loads(kept.read_text("utf-8"))
        return table
    stage = recipe.picture
    assert stage is not None
    how = {"epochs": 60, "weight_decay": 0.05}
    name = stage.model or "efficientnet-lite0"
    started = time.perf_counter()
    table = [
        {"model": "frozen", **row} for row in forms(PictureFeatures.load(name), part, tree, how)
    ]
    print(part.name, *table, sep="\n", flush=True)
    frozen = time.perf_counter() - started
    folder = work / part.name
    tunable = TrainableVision(name, stage)
    heads = fine_tune(
        tunable,
        part.fitted.items,
        part.fitted.nodes,
        tree,
        stage.tuning,
        folder,
        progress=lambda tick: (
            print(part.name, tick.step, tick.steps, flush=True) if tick.step % 50 == 0 else None
        ),
    )
    tuned = PictureFeatures.load(str(folder / "model"), keep=False)
    read = HierarchicalSoftmax(tree, heads.form).log_probs(
        heads.logits(features(tuned, part.asked)), heads.nodes
    )
    own = {"model": "tuned", "form": f"{heads.form}, its own", **measured(read, tree, part.asked)}
    took = time.perf_counter() - started - frozen
    others = [{"model": "tuned", **row} for row in forms(tuned, part, tree, how)]
    table += [own, *others]
    table = [{**row, "rows": len(part.asked), "minutes": round(took / 60, 1)} for row in table]
    kept.write_text(json.dumps(table, indent=1), "utf-8")
    print(*table[-6:], sep="\n", flush=True)
    return table


def main() -> None:
    """Measure a part, or put all parts together."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--train", required=True)
    parser.add_argument("--test", required=True)
    parser.add_argument("--image", required=True)
    parser.add_argument("--label", required=True)
    parser.add_argument("--recipe", default="pictures")
    parser.add_argument("--folds", type=int, default=3)
    parser.add_argument("--part", type=int)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True, help="without suffix: .json and .md")
    args = parser.parse_args()
    args.work.mkdir(parents=True, exist_ok=True)
    sources = TableFile(args.train), TableFile(args.test)
    tree = taxonomy_of_labels(sources, args.label)
    columns = Columns(image=args.image, label=args.label)
    train, test = (read_labelled(source, columns, tree) for source in sources)
    everything = join(train, test)
    parts = [Part("validation", train, test)]
    parts += [
        Part(f"fold-{at}", everything.part(~asked), everything.part(asked))
        for at, asked in enumerate(folds(everything, args.folds), start=1)
    ]
    recipe = Recipe.load(args.recipe)
    if args.part is not None:
        done(parts[args.part], tree, recipe, args.work)
        return
    ready = [part for part in parts if (args.work / f"{part.name}.json").is_file()]
    found = [done(part, tree, recipe, args.work) for part in ready or parts]
    table = [{"estimate": "validation file", **row} for row in found[0]]
    for rows in zip(*found[1:], strict=True):
        weight = np.array([row["rows"] for row in rows], dtype=float)
        mean = {
            key: round(float(np.average([row[key] for row in rows], weights=weight)), 4)
            for key in rows[0]
            if key not in ("model", "form", "rows")
        }
        told = f"{len(rows)} of {args.folds} folds"
        first = {"estimate": told, "model": rows[0]["model"]}
        table.append({**first, "form": rows[0]["form"], **mean, "rows": int(weight.sum())})
    write(args.out, table, len(train), len(test))


def write(out: Path, table: list[dict[str, Any]], n_train: int, n_test: int) -> None:
    """The table as JSON and as Markdown."""
    for row in table:
        if row["model"] == "frozen":
            row["minutes"] = ""  # heads take seconds
    command = "python " + " ".join(sys.argv)
    record = {"command": command, "train": n_train, "validation": n_test, "table": table}
    out.with_suffix(".json").write_text(json.dumps(record, indent=1))
    heading = list(table[0])
    lines = [f"| {' | '.join(heading)} |", f"|{' --- |' * len(heading)}"]
    lines += [f"| {' | '.join(str(row[c]) for c in heading)} |" for row in table]
    text = "# Heads over a vision model, as it is and fine-tuned\n\n" + "\n".join(lines)
    text += (
        f"\n\n{n_train:,} rows to fit to and {n_test:,} of the validation file; `minutes` is what "
        "fine-tuning took, on one core beside another part. In cross-validation pictures of one "
        "shelf lie on both sides, so that it flatters. Made, part by part with --part, by:"
    )
    out.with_suffix(".md").write_text(f"{text}\n\n```sh\n{command}\n```\n")


if __name__ == "__main__":
    main()
