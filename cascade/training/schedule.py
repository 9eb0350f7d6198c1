"""Which examples meet in which step of training, and at what rate it learns.

All of it follows from the examples, the recipe and the seed, before the first step.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np
from pydantic import Field

from cascade.config import Section
from cascade.training.instructions import Example

POOL = 512  # examples that are sorted by length together

Precision = Literal["auto", "float32", "bfloat16"]


class LoopRecipe(Section):
    """How the added weights are learnt."""

    epochs: float = Field(1.0, gt=0, description="Times that all examples are seen.")
    most_steps: int | None = Field(
        None, ge=1, description="Steps at the most, whatever the epochs; null for no limit."
    )
    learning_rate: float = Field(3e-4, gt=0, description="Of AdamW, at its highest.")
    warmup: float = Field(
        0.05, ge=0, lt=1, description="Share of the steps in which the rate rises; it then falls."
    )
    weight_decay: float = Field(0.0, ge=0, description="Of AdamW.")
    clip: float = Field(1.0, gt=0, description="Longest gradient; longer ones are cut to it.")
    batch_tokens: int = Field(
        1024, ge=16, description="Tokens of one forward pass, padding included; bounds memory."
    )
    accumulate: int = Field(1, ge=1, description="Forward passes of one step.")
    evaluate_every: int = Field(
        50, ge=1, description="Steps between two looks at the validation loss; also after the last."
    )
    patience: int = Field(
        3, ge=1, description="Looks without a lower validation loss after which training ends."
    )
    checkpoint_every: int = Field(50, ge=1, description="Steps between two checkpoints.")
    precision: Precision = Field(
        "auto",
        description="Numbers that are multiplied, and the model's own weights; auto is bfloat16 "
        "where the hardware has it. The added weights are float32.",
    )
    device: str = Field("auto", description="auto, cpu, cuda, cuda:1, mps.")


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
