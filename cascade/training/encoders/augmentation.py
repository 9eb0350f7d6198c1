"""Changes to items that leave their node as it is: typing errors, lost words, titles of a shop."""

from __future__ import annotations

import re

import numpy as np
from pydantic import Field

from cascade.config import Section
from cascade.training.encoders.titles import title_of

PARTS = re.compile(r": | [-–] ")
LETTERS = "abcdefghijklmnopqrstuvwxyz"


class AugmentationRecipe(Section):
    """Shares of the items that are changed in each way."""

    typos: float = Field(0.1, ge=0, le=1, description="A letter is lost, doubled or swapped.")
    lost_words: float = Field(0.1, ge=0, le=1, description="A word in five is left out.")
    shortened: float = Field(
        0.1,
        ge=0,
        le=1,
        description="Only the first words are kept, or those before a dash or colon.",
    )
    trade: float = Field(
        0.0, ge=0, le=1, description="Brands, models, colours, sizes are added, for products."
    )


def changed(text: str, recipe: AugmentationRecipe, rng: np.random.Generator) -> str:
    """The text with changes drawn by their shares."""
    draw = rng.random(4)
    words = text.split()
    if draw[0] < recipe.shortened:
        words = _shortened(text, rng)
    if draw[1] < recipe.lost_words and len(words) > 3:
        kept = rng.random(len(words)) > 0.2
        words = [word for word, keep in zip(words, kept.tolist(), strict=True) if keep] or words
    if draw[2] < recipe.typos and words:
        at = int(rng.integers(len(words)))
        words[at] = _misspelt(words[at], rng)
    text = " ".join(words)
    return title_of(text, rng) if draw[3] < recipe.trade else text


def _shortened(text: str, rng: np.random.Generator) -> list[str]:
    """What stands before a dash or a colon, or else the first words."""
    start = PARTS.split(text, maxsplit=1)[0].split()
    words = text.split()
    if 0 < len(start) < len(words):
        return start
    return words[: int(rng.integers(3, len(words)))] if len(words) > 5 else words


def _misspelt(word: str, rng: np.random.Generator) -> str:
    if len(word) < 4:
        return word
    at = int(rng.integers(1, len(word) - 1))
    kind = int(rng.integers(4))
    if kind == 0:
        return word[:at] + word[at + 1 :]
    if kind == 1:
        return word[:at] + word[at] + word[at:]
    if kind == 2:
        return word[:at] + word[at + 1] + word[at] + word[at + 2 :]
    return word[:at] + LETTERS[int(rng.integers(26))] + word[at + 1 :]
