"""Which examples meet in which step of training, and at what rate it learns.

All of it follows from the examples, the recipe and the seed, before the first step.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from cascade.training.adapters.instructions import Example
from cascade.training.adapters.recipe import LoopRecipe

POOL = 512  # examples that are sorted by length together


def batches_of(
    examples: Sequence[Example], batch_tokens: int, rng: np.random.Generator | None = None
) -> list[list[int]]:
    """Places of examples in batches of like length, each within a budget of padded tokens.

    The examples of a batch have the same shared prefix, which counts once, and for no more than
    half of the budget. An example that is longer than what is left has a batch of its own.

    Parameters
    ----------
    rng
        Draws who meets whom, and in which order; without it all are sorted by length.
    """
    n = len(examples)
    order = list(range(n)) if rng is None else rng.permutation(n).tolist()
    groups: dict[tuple[int, ...], list[int]] = {}
    for at in order:
        groups.setdefault(examples[at].shared, []).append(at)
    batches: list[list[int]] = []
    for shared, members in groups.items():
        pool = len(members) if rng is None else POOL
        budget = max(batch_tokens - len(shared), batch_tokens // 2)
        for start in range(0, len(members), pool):
            batch: list[int] = []
            for at in sorted(members[start : start + pool], key=lambda at: len(examples[at])):
                if batch and (len(batch) + 1) * len(examples[at]) > budget:
                    batches.append(batch)
                    batch = []
                batch.append(at)
            batches.append(batch)
    return batches if rng is None else [batches[at] for at in rng.permutation(len(batches))]


def plan(examples: Sequence[Example], recipe: LoopRecipe, seed: int) -> list[list[list[int]]]:
    """The batches of each step of a whole run, as places of examples."""
    batches: list[list[int]] = []
    for epoch in range(math.ceil(recipe.epochs)):
        own = batches_of(examples, recipe.batch_tokens, np.random.default_rng((seed, epoch)))
        share = min(1.0, recipe.epochs - epoch)
        batches += own[: max(1, math.ceil(share * len(own)))]
    size = recipe.accumulate
    steps = [batches[at : at + size] for at in range(0, len(batches), size)]
    return steps[: recipe.most_steps]


def learning_rate(step: int, steps: int, recipe: LoopRecipe) -> float:
    """The rate of a step from 0: rises linearly, then falls as half a cosine."""
    rising = math.ceil(recipe.warmup * steps)
    if step < rising:
        return recipe.learning_rate * (step + 1) / rising
    done = (step - rising) / max(1, steps - rising)
    return recipe.learning_rate * 0.5 * (1 + math.cos(math.pi * done))
