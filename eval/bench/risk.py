r"""Whether `--max-risk` keeps its promise, and what climbing saves of what would go to review.

A pack answers rows that it was not fitted to, once, raw and whole. Then they are split at random,
again and again: one half is the held-out rows, on which maps and thresholds are fitted as `cascade
fit` does, the other half are new rows. Prints, for each pack and risk: in how many splits the new
rows keep the risk, what is accepted, how much information is kept (mean share of the known
answer's levels that are accepted and right) by climbing, by one threshold of confidence, and by
accepting or reviewing whole answers; and how much of what goes to review then is saved. Then the
expected calibration error of each level (15 bins).

python eval/bench/risk.py --pack packs/gpc=gpc_offers/validation.csv
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cascade.confidence.calibration import Calibration
from cascade.confidence.climbing import levels_held, paths_of, worth
from cascade.confidence.risk import RiskTable
from cascade.config import CalibrationConfig
from cascade.evaluation.metrics.calibration import BINS
from cascade.io.tables.opening import TableFile
from cascade.pipeline.classifier import Classifier
from cascade.pipeline.load import settled
from cascade.training.labelled import read_labelled
from cascade.training.packs.validation import Trial

RISKS = (0.05, 0.1)
Floats = NDArray[np.float64]


def answered(pack: str, file: str, label: str, work: Path) -> dict[str, NDArray[Any]]:
    """What a pack answers to labelled rows, as arrays; kept in a file."""
    kept = work / f"{Path(pack).name}.npz"
    if not kept.is_file():
        tree, config = settled(pack, None, {})
        config.calibration = CalibrationConfig(least=0.0)
        classifier = Classifier(tree, config)
        columns = classifier.config.columns.model_copy(update={"label": label})
        rows = read_labelled(TableFile(file), columns, tree)
        trial = Trial.run(classifier, rows, tree)
        raw = paths_of(trial.predictions)
        levels = range(1, raw.shape[1] + 1)
        work.mkdir(parents=True, exist_ok=True)
        np.savez(
            kept,
            raw=raw,
            right=np.stack([trial.right_at(level)[1] for level in levels], axis=1),
            exact=trial.right,
            gold=tree.level[rows.nodes],
        )
    return dict(np.load(kept))


def by_one_threshold(sure: Floats, right: NDArray[np.bool_]) -> RiskTable:
    """The risk of answers that climb to the deepest node of some confidence."""
    wrong = np.where(right | np.isnan(sure), -np.inf, sure).max(axis=1)
    return RiskTable.fit(sure[:, 0], wrong)


def split(rows: dict[str, NDArray[Any]], seed: int) -> tuple[dict[Any, list[float]], list[float]]:
    """Figures by risk and way to accept, of one split; and the calibration error of each level."""
    n = len(rows["raw"])
    held = np.zeros(n, bool)
    held[np.random.default_rng(seed).permutation(n)[: n // 2]] = True
    raw, right, exact, gold = (rows[name] for name in ("raw", "right", "exact", "gold"))
    found = Calibration.fit(raw[held], right[held], exact[held])
    sure, known, depth = found.of_paths(raw), right[~held], (~np.isnan(raw[~held])).sum(axis=1)
    used = held & ~np.isnan(raw).all(axis=1)
    least = np.fmin.reduce(sure, axis=1)  # nan of a row without an answer
    ways = {
        "whole": (found.risk, np.where(np.isnan(sure), np.nan, least[:, None])),
        "one threshold": (by_one_threshold(sure[used], right[used]), sure),
        "climbing": (found.climb, worth(sure)),
    }
    figures: dict[Any, list[float]] = {}
    for risk in RISKS:
        kept_whole, review = np.empty(0), np.empty(0, bool)
        for way, (table, scores) in ways.items():
            assert table is not None
            levels = levels_held(scores[~held], table.least_threshold(risk))
            last = known[np.arange(len(known)), np.maximum(levels, 1) - 1]
            good = exact[~held] if way == "whole" else last
            accepted = levels > 0
            wrong = float((~good)[accepted].mean()) if accepted.any() else 0.0
            under = np.arange(known.shape[1]) < levels[:, None]
            kept = np.minimum((known & under).sum(axis=1) / gold[~held], 1)
            if way == "whole":
                kept_whole, review = kept, ~accepted
            saved = (kept - kept_whole).sum() / max(review.sum(), 1)
            there = np.minimum(known[review].sum(axis=1) / gold[~held][review], 1)
            figures[risk, way] = [
                wrong,
                float(accepted.mean()),
                float((levels == depth).mean()),
                float(kept.mean()),
                float(saved),
                float(kept[review].mean()) if review.any() else 0.0,
                float(there.mean()) if review.any() else 0.0,
            ]
    errors = []
    for own, true in zip(sure[~held].T, known.T, strict=True):
        there = ~np.isnan(own)
        errors.append(calibration_error(own[there], true[there]))
    return figures, errors


def calibration_error(sure: Floats, right: NDArray[np.bool_]) -> float:
    """Expected calibration error in bins of equal width."""
    at = np.clip((sure * BINS).astype(int), 0, BINS - 1)
    each = [
        abs(sure[at == b].mean() - right[at == b].mean()) * (at == b).mean() for b in np.unique(at)
    ]
    return float(sum(each))


def main() -> None:
    """Print two tables for each pack."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pack", action="append", required=True, metavar="FOLDER=ROWS")
    parser.add_argument("--label", default="label")
    parser.add_argument("--resplits", type=int, default=100)
    parser.add_argument("--work", type=Path, default=Path("runs/risk"))
    arguments = parser.parse_args()
    for named in arguments.pack:
        pack, _, file = named.partition("=")
        rows = answered(pack, file, arguments.label, arguments.work)
        splits = [split(rows, seed) for seed in range(arguments.resplits)]
        print(f"{Path(pack).name}, {len(rows['raw']):,} rows, {rows['exact'].mean():.4f} exact")
        print(
            "| risk | way | kept in | mean risk | accepted | as a whole | information | "
            "saved of review | kept in rows for review | right there |"
        )
        for key in splits[0][0]:
            table = np.array([figures[key] for figures, _ in splits])
            kept = int((table[:, 0] <= key[0]).sum())
            cells = " | ".join(f"{cell:.4f}" for cell in table.mean(axis=0))
            print(f"| {key[0]} | {key[1]} | {kept} of {len(splits)} | {cells} |")
        errors = np.mean([own for _, own in splits], axis=0)
        print("ECE by level:", " ".join(f"{error:.4f}" for error in errors))


if __name__ == "__main__":
    main()
