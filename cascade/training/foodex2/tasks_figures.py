"""How right a language model is on the tasks of FoodEx2, beside retrieval."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cascade.errors import EngineError
from cascade.generation.engine import Engine, Question
from cascade.pipeline.facets.categories import beside
from cascade.pipeline.facets.questions import category_question
from cascade.training.foodex2.categories import category_figures, category_labels
from cascade.training.foodex2.synthetic import Description
from cascade.training.foodex2.tasks import FoodTasks, TermChoice

THRESHOLDS = np.round(np.arange(0.05, 0.651, 0.025), 3)
WEIGHTS = (0.0, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0)
"""Of the model beside retrieval, as `facets.descriptors.weight`; 0 leaves it out."""


def told_shares(
    tasks: FoodTasks, engine: Engine, descriptions: Sequence[Description]
) -> NDArray[np.float64]:
    """float64 [n, n_categories], the probability that the model names a category; see `FoodTasks`.

    Raises
    ------
    EngineError
        The model failed.
    """
    full = tasks.full
    questions = [
        category_question(
            tasks.facets_template,
            tasks.text(one),
            full.names[full.index(one.code.base)],
            tasks.names,
        )
        for one in descriptions
    ]
    return np.exp(np.array(_scores(engine, questions)))[:, :-1]


def told_labels(tasks: FoodTasks, descriptions: Sequence[Description]) -> NDArray[np.bool_]:
    """bool [n, n_categories], what descriptions tell."""
    return category_labels(tasks.codes, [one.code for one in descriptions])


def best_threshold(shares: NDArray[np.floating[Any]], labels: NDArray[np.bool_]) -> float:
    """The threshold for all categories with the highest micro F1; of several the middle one."""
    f1 = [micro_f1(shares >= threshold, labels) for threshold in THRESHOLDS.tolist()]
    best = np.flatnonzero(np.array(f1) == max(f1))
    return float(THRESHOLDS[best[len(best) // 2]])


def told_figures(
    shares: Mapping[str, NDArray[np.float64]],
    likely: Mapping[str, NDArray[np.float32]],
    labels: Mapping[str, NDArray[np.bool_]],
) -> dict[str, Any]:
    """Precision, recall and F1 on the test split, at what is best on the validation split.

    Parameters
    ----------
    shares, likely, labels
        By split, [n, n_categories]: probabilities by the model and by the network, and what is
        right.

    Returns
    -------
    dict
        Of the model and the network together, with `weight` and `threshold`; under `alone` of the
        model, and under `network` of the other.
    """

    def at_best(p: Mapping[str, NDArray[Any]]) -> tuple[dict[str, Any], float]:
        threshold = best_threshold(p["validation"], labels["validation"])
        figures = category_figures(p["test"] >= threshold, labels["test"])
        return {"threshold": threshold} | figures, micro_f1(
            p["validation"] >= threshold, labels["validation"]
        )

    def together(weight: float) -> dict[str, NDArray[Any]]:
        return {split: beside(likely[split], own, weight) for split, own in shares.items()}

    weight = max(WEIGHTS[1:], key=lambda weight: at_best(together(weight))[1])
    return {
        "rows": len(labels["test"]),
        "weight": weight,
        **at_best(together(weight))[0],
        "alone": at_best(shares)[0],
        "network": at_best(likely)[0],
    }


def micro_f1(taken: NDArray[np.bool_], labels: NDArray[np.bool_]) -> float:
    """Micro F1 of what is taken, bool [n, n_categories]."""
    return float(2 * (taken & labels).sum() / max(taken.sum() + labels.sum(), 1))


def chosen_log_p(
    tasks: FoodTasks, engine: Engine, choices: Sequence[TermChoice]
) -> list[NDArray[np.float64]]:
    """Log-probability of each candidate of each choice by the model.

    Raises
    ------
    EngineError
        The model failed.
    """
    return _scores(engine, [tasks.question(choice) for choice in choices])


def hits(
    choices: Sequence[TermChoice], judged: Sequence[NDArray[np.float64]], weight: float
) -> NDArray[np.bool_]:
    """bool [n_choices], whether the likeliest term is right, by both together."""
    return np.array(
        [
            bool(len(own.terms)) and int((own.log_p + weight * log_p).argmax()) == own.right
            for own, log_p in zip(choices, judged, strict=True)
        ],
        dtype=bool,
    )


def best_weight(choices: Sequence[TermChoice], judged: Sequence[NDArray[np.float64]]) -> float:
    """The weight of the model with the most right answers; of several the lowest."""
    return max(WEIGHTS, key=lambda weight: (hits(choices, judged, weight).sum(), -weight))


def choice_figures(
    choices: Sequence[TermChoice], judged: Sequence[NDArray[np.float64]], weight: float
) -> dict[str, Any]:
    """Shares of choices that are right: listed at all, by retrieval, by the model, by both."""
    alone = [int(log_p.argmax()) == own.right for own, log_p in zip(choices, judged, strict=True)]
    return {
        "rows": len(choices),
        "listed": _share([own.right < len(own.terms) for own in choices]),
        "retrieval": _share(hits(choices, judged, 0)),
        "model": _share(alone),
        "weight": weight,
        "both": _share(hits(choices, judged, weight)),
    }


def _scores(engine: Engine, questions: Sequence[Question]) -> list[NDArray[np.float64]]:
    found = engine.score(questions, "local")
    for own in found:
        if isinstance(own, EngineError):
            raise own
    return [own for own in found if not isinstance(own, EngineError)]


def _share(values: Sequence[bool] | NDArray[np.bool_]) -> float:
    return round(float(np.mean(values)), 4) if len(values) else 0.0
