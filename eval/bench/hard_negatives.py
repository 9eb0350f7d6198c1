r"""What hard negatives teach an encoder beside random ones, at the same number of texts and steps.

Trains a retriever by `cascade finetune` for each kind of wrong nodes and each seed, on one
taxonomy (GPC's offers by name, or a set of pairs of which rows are held out), and measures the
nearest leaf on rows that were not learnt, and on other taxonomies. Prints hF1 and exact, means over
seeds, and gains over the first kind with 95% intervals over rows.

python eval/bench/hard_negatives.py --pairs pairs --learn gpc --other merchants flipkart \
    --out runs/hard_negatives
"""

from __future__ import annotations

import argparse
import csv
import shutil
from pathlib import Path
from typing import Any

import numpy as np
from cascade_against_flat import merchants
from zero_shot_domains import Domain, Floats, all_domains, counted, figures, gain, read_rows

from cascade.items import Batch, Item
from cascade.models.weights import find_weights
from cascade.retrieval.encoder import Encoder
from cascade.retrieval.retriever import Retriever
from cascade.training.rankers.experiment import RankerExperiment
from cascade.training.rankers.recipe import RankerRecipe

NONE = {"siblings": 0, "near": 0, "similar": 0, "random": 0}
KINDS: dict[str, dict[str, int]] = {  # three wrong nodes beside each right one
    "random": {"random": 3},
    "siblings": {"siblings": 3},
    "near: S(t, v)": {"near": 3},
    "similar: the index's first ten": {"similar": 3},
    "as FEAST: one of each": {"siblings": 1, "near": 1, "similar": 1},
}


def learnt(pairs: Path, name: str, work: Path, most: int) -> tuple[dict[str, Any], Domain]:
    """What a recipe says of the rows that are learnt, and those that are not."""
    if name == "gpc":
        folder = pairs.parent / "gpc_offers"
        data = {"file": str(folder / "train.csv"), "label": "label", "text": ["name"]}
        [held] = all_domains(pairs, most, work, ["gpc"])
        return {**data, "taxonomy": str(folder / "taxonomy.csv")}, held
    [held] = all_domains(pairs, most, work, [name])
    seen = {text for part in held.parts for text in part.texts}
    rows = [row for row in read_rows(pairs / name / "items.csv") if row["text"] not in seen]
    file = work / f"{name}-without-held.csv"
    with file.open("w", encoding="utf-8", newline="") as out:
        writer = csv.DictWriter(out, ["text", "label"], extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
    data = {"file": str(file), "label": "label", "text": ["text"]}
    return {**data, "taxonomy": str(pairs / name / "taxonomy.csv")}, held


def measured(domain: Domain, model: str, kept: Path) -> Floats:
    """Counts of the rows of a set, each answered with the nearest leaf; kept in a folder."""
    file, found = kept / f"counts-{domain.name}.npy", []
    if file.is_file():
        return np.asarray(np.load(file))
    for part in domain.parts:
        retriever = Retriever(part.taxonomy, Encoder.of(find_weights(model)), "full", words=0.0)
        similar = retriever.node_similarity(Batch([Item({"text": t}) for t in part.texts]))
        leaves = part.taxonomy.leaves
        found.append(counted(part, leaves[similar[leaves].argmax(axis=0)].astype(np.int32)))
    kept.mkdir(parents=True, exist_ok=True)
    np.save(file, np.concatenate(found))
    return np.concatenate(found)


def main() -> None:
    """Train, measure, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--pairs", type=Path, required=True)
    parser.add_argument("--learn", default="gpc")
    parser.add_argument("--other", nargs="*", default=["merchants"])
    parser.add_argument("--kinds", nargs="*", default=list(KINDS))
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--rows-per-class", type=int, default=10)
    parser.add_argument("--steps", type=int, default=80)
    parser.add_argument("--batch", type=int, default=12)
    parser.add_argument("--rows", type=int, default=500)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    work = arguments.out / "sets"
    data, held = learnt(arguments.pairs, arguments.learn, work, arguments.rows)
    sets = [held]
    names = [name for name in arguments.other if name != "merchants"]
    sets += all_domains(arguments.pairs, arguments.rows, work, names) if names else []
    if len(names) < len(arguments.other):
        sets.append(merchants(arguments.pairs.parent / "shopify", arguments.rows))
    before = {one.name: measured(one, "minilm", arguments.out / "untrained") for one in sets}
    counts = {"untrained": [before]}
    training = {"epochs": 0.001, "least_steps": arguments.steps, "batch_size": arguments.batch}
    for seed in range(arguments.seeds):
        for kind in arguments.kinds:
            folder = arguments.out / f"{arguments.learn}-{list(KINDS).index(kind)}-{seed}"
            recipe = RankerRecipe.model_validate(
                {
                    "kind": "retriever",
                    "data": {**data, "rows_per_class": arguments.rows_per_class, "max_chars": 80},
                    "validation": {"share": 0.0},
                    "model": {"weights": "minilm"},
                    "negatives": NONE | KINDS[kind],
                    "training": training,
                    "seed": seed,
                }
            )
            if not (folder / "metrics.json").is_file():
                shutil.rmtree(folder, ignore_errors=True)
                RankerExperiment(recipe, folder).run()
            found = {one.name: measured(one, str(folder / "model"), folder) for one in sets}
            counts.setdefault(kind, []).append(found)
            cells = " ".join("{} {:.3f}/{:.3f}".format(n, *figures([c])) for n, c in found.items())
            print(f"seed {seed}, {kind}: {cells}", flush=True)
    mean = {
        kind: {one.name: np.mean([of[one.name] for of in seeds], axis=0) for one in sets}
        for kind, seeds in counts.items()
    }
    for one in sets:
        print(f"\n{one.name}: {len(mean['untrained'][one.name]):,} rows")
        for kind, of in mean.items():
            cell = "{:.4f} | {:.4f}".format(*figures([of[one.name]]))
            over = {"": mean[arguments.kinds[0]][one.name]}, {"": of[one.name]}
            print(f"| {kind} | {cell} | {gain(*over)} |")


if __name__ == "__main__":
    main()
