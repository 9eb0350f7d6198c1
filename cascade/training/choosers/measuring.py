"""How right choices from lists are, alone and beside retrieval."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from cascade.errors import EngineError
from cascade.scoring.listed.choosers import Chooser
from cascade.training.choosers.lists import Choice

WEIGHTS = (0.1, 0.25, 0.5, 1.0, 2.0)
"""Of the model beside retrieval, as `choose.weight`."""


def figures_of(choices: Sequence[Choice], chooser: Chooser, weight: float) -> dict[str, Any]:
    """Shares of rows whose answer is the right leaf, each of all choices.

    `listed`: it was among what is listed; `retrieval`: retrieval's likeliest; `chosen`: the
    model's, none of these being none; `fused`: of both together, by the model's weight:
    that in use, and others.

    Raises
    ------
    EngineError
        The model failed.
    """
    weights = sorted({*WEIGHTS, weight})
    answers = chooser([choice.text for choice in choices], [choice.nodes for choice in choices])
    right: dict[str, list[bool]] = {"listed": [], "retrieval": [], "chosen": []}
    fused: dict[str, list[bool]] = {f"{own:g}": [] for own in weights}
    for choice, answer in zip(choices, answers, strict=True):
        if isinstance(answer, EngineError):
            raise answer
        n = len(choice.nodes)
        right["listed"].append(choice.right < n)
        right["retrieval"].append(int(choice.log_p[:n].argmax()) == choice.right)
        right["chosen"].append(choice.right < n and int(answer.argmax()) == choice.right)
        for weight in weights:
            both = choice.log_p[:n] + weight * answer[:n]
            fused[f"{weight:g}"].append(int(both.argmax()) == choice.right)
    return {
        "rows": len(choices),
        **{name: _share(values) for name, values in right.items()},
        "fused": {weight: _share(values) for weight, values in fused.items()},
    }


def _share(values: Sequence[bool]) -> float:
    return round(float(np.mean(values)), 4)
