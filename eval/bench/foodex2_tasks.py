r"""What a language model that was tuned on the tasks of FoodEx2 gets right, beside the encoder.

The same rows for all: 400 descriptions of base terms that nothing was fitted to, composed in our
own wording, which the index of names does not hold; thresholds and weights are chosen on 400
others. The encoder's network and the classifier of texts are fitted to 2,000 descriptions of the
training split. Intervals are of 95%, by drawing rows again, paired between methods.

cascade finetune foodex2-tasks --set data.catalogue=MTX.ecf --set prompts.facets=name-facet \
    -o tasks
python eval/bench/foodex2_tasks.py --catalogue MTX.ecf --tuned tasks --out foodex2_tasks
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cascade.foodex2.format import load_catalogue
from cascade.foodex2.parsed_code import ForbiddenProcesses
from cascade.foodex2.rules import Checker
from cascade.generation.engines.transformers_engine import TransformersEngine
from cascade.items import Item
from cascade.pipeline.facets.categories import beside
from cascade.retrieval.encoder import Encoder
from cascade.training.foodex2.categories import (
    best_thresholds,
    category_labels,
    features_and_labels,
    fit_network,
    fit_text_classifier,
)
from cascade.training.foodex2.synthetic import Description
from cascade.training.foodex2.tasks import FoodTasks
from cascade.training.foodex2.tasks_figures import (
    best_threshold,
    best_weight,
    choice_figures,
    chosen_log_p,
    hits,
    micro_f1,
    told_labels,
    told_shares,
)
from cascade.training.foodex2.tasks_recipe import FoodTasksRecipe

DRAWS = 2000
BESIDE = (0.0, 0.1, 0.2, 0.35, 0.5, 0.75, 1.0, 1.5)  # weights of the language model
Taken = NDArray[np.bool_]


def interval(values: NDArray[np.float64]) -> list[float]:
    """The middle 95% of draws."""
    return [round(float(x), 4) for x in np.quantile(values, [0.025, 0.975])]


class Study:
    """Rows, and what was found of them.

    Attributes
    ----------
    taken
        By method, bool [n, n_categories] of the test rows.
    """

    def __init__(self, arguments: argparse.Namespace) -> None:
        self.arguments = arguments
        catalogue = load_catalogue(arguments.catalogue)
        checker = Checker(catalogue, ForbiddenProcesses.load(None, catalogue))
        tuned = arguments.tuned
        self.recipe = FoodTasksRecipe.load(str(Path(tuned) / "recipe.yaml"))
        self.encoder = Encoder.load(self.recipe.candidates.encoder)
        self.tasks = FoodTasks(checker, self.encoder, self.recipe)
        self.rows = {split: self.composed(split) for split in ("validation", "test")}
        self.right = told_labels(self.tasks, self.rows["test"])
        self.taken: dict[str, Taken] = {}
        self.shares: dict[str, NDArray[np.float64]] = {}
        self.results: dict[str, Any] = {"command": " ".join(["python", *sys.argv])}

    def composed(self, split: str, n: int | None = None) -> list[Description]:
        """Descriptions of a split in the words that are asked for."""
        return self.tasks.composed(split, n or self.arguments.rows, self.arguments.words)

    def fitted(self) -> None:
        """The encoder's network, and the classifier of texts, at the thresholds of either kind."""
        rows: dict[str, list[Description]] = {
            "train": self.composed("train", self.arguments.composed),
            **self.rows,
        }
        extractor = self.tasks.extractor
        codes = extractor.codes
        columns = [codes.index(code) for code in self.tasks.codes]
        truth = {s: category_labels(codes, [r.code for r in own]) for s, own in rows.items()}
        made = {
            split: features_and_labels(extractor, own, [r.code.base for r in own])[0]
            for split, own in rows.items()
        }
        network = fit_network(
            *(made["train"], truth["train"], made["validation"], truth["validation"]), codes
        )
        classifier = fit_text_classifier(
            *([r.text for r in rows["train"]], truth["train"]),
            *([r.text for r in rows["validation"]], truth["validation"]),
            *(codes, self.encoder, Path(self.arguments.work)),
        )
        for name, model, of in (
            ("encoder and network", network, lambda split: network.of(made[split])),
            (
                "classifier of texts",
                classifier,
                lambda split: classifier.of([Item({"text": r.text}) for r in rows[split]]),
            ),
        ):
            likely = {split: of(split) for split in ("validation", "test")}
            self.taken[f"{name}, a threshold each"] = (likely["test"] >= model.thresholds)[
                :, columns
            ]
            own = {split: values[:, columns].astype(float) for split, values in likely.items()}
            self.note(f"{name}, one threshold", own)

    def note(self, name: str, shares: dict[str, NDArray[np.float64]]) -> None:
        """Keep what is taken at the threshold that is best on validation."""
        labels = told_labels(self.tasks, self.rows["validation"])
        threshold = best_threshold(shares["validation"], labels)
        self.taken[name] = shares["test"] >= threshold
        np.savez(Path(self.arguments.work) / f"{name}.npz", **shares)
        print(f"{name}: {threshold} {micro_f1(self.taken[name], self.right):.4f}", flush=True)

    def told(self) -> None:
        """The language model, tuned and not, at one threshold and at a threshold each."""
        labels = told_labels(self.tasks, self.rows["validation"])
        for name, adapter in (("tuned", self.arguments.tuned), ("untuned", None)):
            if adapter is None and not self.arguments.untuned:
                continue
            engine = TransformersEngine.load(self.recipe.model.weights, adapter=adapter)
            started = time.perf_counter()
            shares = {s: told_shares(self.tasks, engine, own) for s, own in self.rows.items()}
            self.results[f"{name}: seconds"] = round(time.perf_counter() - started, 1)
            self.note(f"language model, {name}, one threshold", shares)
            known = np.asarray(labels.any(axis=0))
            each = best_thresholds(shares["validation"].astype(np.float32), labels, known)
            self.taken[f"language model, {name}, a threshold each"] = shares["test"] >= each

    def fused(self) -> None:
        """The tuned model beside the network, and beside the classifier, by sums of log-odds."""
        labels = told_labels(self.tasks, self.rows["validation"])
        model = self.kept("language model, tuned, one threshold")
        for name in ("encoder and network", "classifier of texts"):
            other = self.kept(f"{name}, one threshold")

            def together(weight: float, other: dict[str, Any] = other) -> dict[str, Any]:
                return {s: beside(other[s], model[s], weight) for s in other}

            def right(weight: float, both: Any = together) -> float:
                likely = both(weight)["validation"]
                return micro_f1(likely >= best_threshold(likely, labels), labels)

            weight = max(BESIDE, key=right)
            self.results[f"weight beside {name}"] = weight
            self.note(f"language model and {name}", together(weight))

    def kept(self, name: str) -> dict[str, NDArray[np.float64]]:
        """What an earlier stage found of a method."""
        with np.load(Path(self.arguments.work) / f"{name}.npz") as found:
            return {split: found[split] for split in found.files}

    def chosen(self) -> None:
        """Descriptors and base terms among candidates."""
        engine = TransformersEngine.load(self.recipe.model.weights, adapter=self.arguments.tuned)
        n = self.arguments.choices
        table = self.results.setdefault("choices", {})
        for task in ("descriptors", "child"):
            if task not in self.recipe.tasks:
                continue
            found = {}
            for split, own in self.rows.items():
                rows = own if task == "descriptors" else self.tasks.names_of(split)
                choices = self.tasks.choices(task, rows, n)
                found[split] = choices, chosen_log_p(self.tasks, engine, choices)
            weight = best_weight(*found["validation"])
            choices, judged = found["test"]
            figures = choice_figures(choices, judged, weight)
            gain = hits(choices, judged, weight).astype(float) - hits(choices, judged, 0)
            draws = np.random.default_rng(0).integers(0, len(gain), (DRAWS, len(gain)))
            figures["both less retrieval"] = interval(gain[draws].mean(axis=1))
            table[task] = figures
            print(task, figures, flush=True)

    def figures(self) -> None:
        """Micro F1 of each method with its interval, and less that of the encoder's network."""
        n = len(self.right)
        draws = np.random.default_rng(0).integers(0, n, (DRAWS, n))
        table = self.results.setdefault("facet categories", {})
        base = self.taken.get("encoder and network, a threshold each")
        for name, taken in self.taken.items():
            hit, said = (taken & self.right).sum(axis=1), taken.sum(axis=1)
            scores = _f1_of(hit, said, self.right.sum(axis=1), draws)
            own: dict[str, Any] = {
                "precision": round(float(hit.sum() / max(said.sum(), 1)), 4),
                "recall": round(float(hit.sum() / max(self.right.sum(), 1)), 4),
                "f1": round(micro_f1(taken, self.right), 4),
                "interval": interval(scores),
            }
            if base is not None:
                other = _f1_of(
                    (base & self.right).sum(axis=1),
                    base.sum(axis=1),
                    self.right.sum(axis=1),
                    draws,
                )
                own["less the network"] = interval(scores - other)
            table[name] = own
            print(name, own, flush=True)


def _f1_of(
    hit: NDArray[np.int64], said: NDArray[np.int64], right: NDArray[np.int64], draws: NDArray[Any]
) -> NDArray[np.float64]:
    """Micro F1 of each draw of rows."""
    return np.asarray(
        2 * hit[draws].sum(axis=1) / np.maximum((said + right)[draws].sum(axis=1), 1), float
    )


def main() -> None:
    """Measure, and write `OUT.json`; what an earlier run measured and this one not is kept."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--catalogue", required=True, help="MTX.ecf, with BR_Data.csv beside it")
    parser.add_argument("--tuned", required=True, help="folder of `cascade finetune foodex2-tasks`")
    parser.add_argument("--rows", type=int, default=400, help="of each held-out split")
    parser.add_argument("--words", choices=["ours", "catalogue"], default="ours")
    parser.add_argument("--composed", type=int, default=2000, help="descriptions to fit others to")
    parser.add_argument("--choices", type=int, default=200, help="choices of terms to measure")
    parser.add_argument("--untuned", action="store_true", help="also the model without adapter")
    parser.add_argument(
        "--stages", nargs="*", default=["fitted", "told", "fused", "figures", "chosen"]
    )
    parser.add_argument("--work", default=".", help="folder for what is fitted and found")
    parser.add_argument("--out", required=True, help="where to, without a suffix")
    arguments = parser.parse_args()
    Path(arguments.work).mkdir(parents=True, exist_ok=True)
    study = Study(arguments)
    kept = Path(arguments.work) / "taken.npz"
    if kept.is_file():
        with np.load(kept) as before:
            study.taken = {name: before[name] for name in before.files}
    for stage in arguments.stages:
        getattr(study, stage)()
        np.savez(kept, **study.taken)
    made = Path(f"{arguments.out}.json")
    before = json.loads(made.read_text("utf-8")) if made.is_file() else {}
    made.write_text(json.dumps(before | study.results, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
