"""All that a run tells of FoodEx2 codes beside the metrics of any taxonomy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cascade.evaluation.foodex2.code_figures import category_rows, code_figures, plain
from cascade.evaluation.foodex2.coverage import category_coverage, coverage
from cascade.evaluation.foodex2.stages import stage_figures
from cascade.evaluation.run_predictions import RunPredictions
from cascade.foodex2.code import FoodCode
from cascade.foodex2.repair import repair
from cascade.pipeline.classifier import Classifier
from cascade.pipeline.facets.own.codes import LearntCodes
from cascade.taxonomy.facets import FacetedTaxonomy


def measure_codes(
    predictions: RunPredictions,
    taxonomy: FacetedTaxonomy,
    classifier: Callable[[], Classifier] | None,
    *,
    resamples: int,
    seed: int,
    progress: Callable[[int, int], None] = lambda *_: None,
) -> dict[str, Any]:
    """What `metrics.json` has under `codes`.

    Parameters
    ----------
    classifier
        Ranks the stages; None for predictions of another program.

    Returns
    -------
    `figures` with intervals; `by_category`; `coverage` and `category_coverage`; `stages` where a
    classifier answered; `seen` where it learnt of coded descriptions: rows whose base term it knew,
    and the others.
    """
    rows = predictions.measured.tolist()
    known: list[int] = []
    gold: list[FoodCode] = []
    for row in rows:
        if (read := repair(predictions.gold_code(row), taxonomy)).code is not None:
            known.append(row)
            gold.append(read.code)
        else:  # a path or a name
            known.append(row)
            gold.append(FoodCode(taxonomy.codes[int(predictions.gold[row])]))
    answers = [predictions.code(row) for row in known]
    said = [None if not text else repair(text, taxonomy).code for text in answers]
    found: dict[str, Any] = {
        "rows": len(gold),
        "rows_with_facets": sum(bool(code.facets) for code in gold),
        "figures": plain(code_figures(taxonomy, said, gold, resamples=resamples, seed=seed)),
        "by_category": category_rows(taxonomy, said, gold),
        "coverage": coverage(taxonomy, gold),
        "category_coverage": category_coverage(taxonomy, gold),
    }
    if classifier is None:
        return found
    asked = classifier()
    if (walk := asked.facet_walk) is not None:
        texts = [predictions.text(row) for row in known]
        found["stages"] = stage_figures(
            taxonomy, walk, texts, gold, resamples=resamples, seed=seed, progress=progress
        )
    if asked.config.facets.learnt:
        bases = LearntCodes.load(Path(asked.config.facets.learnt)).uses.bases
        found["seen"] = _by_seen(gold, said, set(bases))
    return found


def _by_seen(
    gold: Sequence[FoodCode], said: Sequence[FoodCode | None], bases: set[str]
) -> dict[str, Any]:
    """Shares of right base terms and whole codes, by whether the base term was learnt."""
    found: dict[str, Any] = {}
    for name, wanted in (("seen", True), ("unseen", False)):
        pairs = [(g, s) for g, s in zip(gold, said, strict=True) if (g.base in bases) is wanted]
        found[name] = {
            "rows": len(pairs),
            "base_term": _mean([s is not None and s.base == g.base for g, s in pairs]),
            "whole_code": _mean(
                [
                    s is not None and s.base == g.base and set(s.facets) == set(g.facets)
                    for g, s in pairs
                ]
            ),
        }
    return found


def _mean(hits: Sequence[bool]) -> float | None:
    return round(float(np.mean(hits)), 4) if hits else None
