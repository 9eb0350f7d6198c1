r"""TTC as published, in two stages, against joint training and against no LoRA, on the same rows.

Trains what recipes of `cascade fit` train (`llama` with `balanced: N`, `null` or `0`), each with as
many steps, and fits heads of every form to all rows on the vectors of each language model as it
then is. Prints hF1 and exact of the likeliest leaf, and what each gains over two stages with
published heads, with 95% intervals over rows; then heads with other importance (pi) and rates.
`--run` adds the answers of `cascade eval` for the same rows. What the layers below LoRA make of an
item is computed once for all.

python eval/bench/ttc_two_stage.py --train TRAIN.csv --test TEST.csv --taxonomy TAXONOMY.csv \
    --text name --limit 2000 --rows 800 --steps 100 --out runs/ttc
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any, get_args

import numpy as np
from zero_shot_domains import Floats, Part, counted, figures, gain

from cascade.config import Columns
from cascade.evaluation.run_predictions import RunPredictions
from cascade.io.tables.opening import TableFile
from cascade.models.runtime import autocast
from cascade.pipeline.load import load_taxonomy
from cascade.scoring.ttc_heads import Form, Heads, HierarchicalSoftmax
from cascade.taxonomy import Taxonomy
from cascade.training.labelled import Labelled, read_labelled
from cascade.training.linear_heads import HeadsRecipe, fit_heads
from cascade.training.loop import Tick
from cascade.training.packs.backbone_training import TuningRecipe, fine_tune
from cascade.training.packs.backbones.llama import TrainableLlama
from cascade.training.packs.recipe import Recipe
from cascade.training.sampling import balanced

BATCH = 64  # items that are read at a time
FIRST = "two stages, published"
IMPORTANCE = ([1.0], [0.5, 0.5, 1.0], [1.0, 0.5, 0.25], [0.0, 0.0, 1.0])
RATES = (0.0003, 0.001, 0.003, 0.01)


def vectors_of(model: TrainableLlama, rows: Labelled) -> Floats:
    """Unit vectors [n_rows, width]."""
    import torch

    read = [model.inputs(item) for item in rows.items]
    order = np.argsort([len(own) for own in read], kind="stable")
    found = []
    with torch.inference_mode(), autocast():
        for start in range(0, len(order), BATCH):
            some = [read[at] for at in order[start : start + BATCH].tolist()]
            found.append(model.vectors(some).float().cpu().numpy())
    return np.concatenate(found)[np.argsort(order)]


def answers(heads: Heads, vectors: Floats, part: Part) -> Floats:
    """Counts of rows that are answered with the likeliest leaf."""
    tree = part.taxonomy
    found = HierarchicalSoftmax(tree, heads.form).log_probs(heads.logits(vectors), heads.nodes)
    return counted(part, tree.leaves[found[tree.leaves].argmax(axis=0)].astype(np.int32))


def of_run(folder: Path, part: Part) -> Floats:
    """Counts of the answers of `cascade eval` to the same rows."""
    columns = Columns(label="label")
    run = RunPredictions.read(folder / "predictions.parquet", part.taxonomy, columns).against_gold()
    assert (run.gold_node == part.gold).all(), f"{folder}: other rows"
    return counted(part, run.predicted_node)


def told(tick: Tick) -> None:
    """A line now and then."""
    if tick.step % 20 == 0:
        print(f"  step {tick.step} of {tick.steps}, loss {tick.loss:.3f}", flush=True)


def main() -> None:
    """Train, measure, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--train", required=True)
    parser.add_argument("--test", required=True)
    parser.add_argument("--taxonomy", required=True)
    parser.add_argument("--text", action="append", required=True)
    parser.add_argument("--label", default="label")
    parser.add_argument("--limit", type=int, default=2000, help="rows that are learnt")
    parser.add_argument("--rows", type=int, default=800, help="rows that are measured")
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--batch", type=int, default=32, help="rows of one step")
    parser.add_argument("--layers", type=int, default=10, help="that LoRA adapts")
    parser.add_argument("--max-chars", type=int, default=120)
    parser.add_argument("--balanced", type=int, default=8)
    parser.add_argument("--only", nargs="*", default=[], help="language models, by name")
    parser.add_argument("--run", action="append", default=[], help="NAME=FOLDER of cascade eval")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    tree: Taxonomy = load_taxonomy(arguments.taxonomy)
    columns = Columns(text=arguments.text, label=arguments.label)
    train = read_labelled(TableFile(arguments.train, arguments.limit), columns, tree)
    test = read_labelled(TableFile(arguments.test, arguments.rows), columns, tree)
    part = Part(tree, [], test.nodes, tree.leaves)
    shipped = Recipe.load("two-stage").llama
    assert shipped is not None
    shape = {"layers": arguments.layers, "max_chars": arguments.max_chars}
    shipped = shipped.model_copy(update=shape)
    chosen = balanced(train.nodes, arguments.balanced, 0)
    subset = train.part(np.isin(np.arange(len(train)), chosen))
    print(f"{len(train):,} rows, {len(subset):,} balanced; measured on {len(test):,}")
    tuning = shipped.tuning.model_copy(
        update={"epochs": 0.001, "least_steps": arguments.steps, "batch_size": arguments.batch}
    )
    models: dict[str, tuple[Labelled | None, dict[str, Any]]] = {
        "no LoRA": (None, {}),
        "two stages": (subset, {}),
        "joint": (train, {}),
        "joint, leaf": (train, {"form": "leaf"}),
        "two stages, rate 0.0003": (subset, {"learning_rate": 0.0003}),
        "two stages, pi 0.5 0.5 1": (subset, {"importance": [0.5, 0.5, 1.0]}),
    }
    memory: dict[Any, Any] = {}  # what the layers below LoRA make of items
    found: dict[str, Floats] = {}
    for name, (rows, how) in models.items():
        if arguments.only and name not in arguments.only:
            continue
        folder, started = arguments.out / name.replace(" ", "-"), time.process_time()
        recipe: TuningRecipe = tuning.model_copy(update=how)
        kept = folder / "vectors.npz"
        if not kept.is_file():
            done = folder / "model" if (folder / "model").is_dir() else None
            model = TrainableLlama("smollm2-135m", arguments.text, shipped, adapter=done)
            model._memory = memory
            if rows is not None:
                fine_tune(model, rows.items, rows.nodes, tree, recipe, folder, progress=told)
            folder.mkdir(parents=True, exist_ok=True)
            np.savez(kept, train=vectors_of(model, train), test=vectors_of(model, test))
        vectors = np.load(kept)
        print(f"{name}: {time.process_time() - started:.0f} s of a core", flush=True)
        if name.startswith("joint"):
            own = Heads.load(folder / "heads.safetensors", tree)
            found[f"{name}, its own heads ({own.form})"] = answers(own, vectors["test"], part)
        for form in get_args(Form):
            heads = fit_heads(
                vectors["train"],
                train.nodes,
                tree,
                shipped.heads.model_copy(update={"form": form}),
            )
            found[f"{name}, {form}"] = answers(heads, vectors["test"], part)
    for pair in arguments.run:
        name, folder_of_run = pair.split("=", 1)
        found[name] = of_run(Path(folder_of_run), part)
    report(found)
    vectors = np.load(arguments.out / FIRST.split(",")[0].replace(" ", "-") / "vectors.npz")
    ablation: dict[str, Floats] = {FIRST: found[FIRST]}
    for form in ("published", "leaf"):
        settings: list[dict[str, Any]] = [{"importance": pi} for pi in IMPORTANCE]
        settings += [{"learning_rate": rate} for rate in RATES]
        for setting in settings:
            heads_recipe: HeadsRecipe = shipped.heads.model_copy(update={"form": form, **setting})
            heads = fit_heads(vectors["train"], train.nodes, tree, heads_recipe)
            ablation[f"heads {form}, {setting}"] = answers(heads, vectors["test"], part)
    report(ablation)


def report(found: dict[str, Floats]) -> None:
    """A line for each, with its gain over two stages with published heads."""
    print()
    for name, counts in found.items():
        cell = "{:.4f} | {:.4f}".format(*figures([counts]))
        print(f"| {name} | {cell} | {gain({'': found[FIRST]}, {'': counts})} |", flush=True)


if __name__ == "__main__":
    main()
