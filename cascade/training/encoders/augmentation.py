"""Changes to items that leave their node as it is: typing errors, lost words, words of trade."""

from __future__ import annotations

import numpy as np
from pydantic import Field

from cascade.config import Section

SYLLABLES = [c + v for c in "bcdfgklmnprstvz" for v in "aeio"]
ENDS = ("n", "x", "r", "s", "l", "", "tek", "co", "via", "line")
SIZES = (
    "{n} g", "{n} kg", "{n} ml", "{n} l", "{n} oz", "{n} cm", "{n} inch", "{n}mm", "{n} pack",
    "pack of {n}", "set of {n}", "{n} pcs", "{n} x {m} cm", "size {n}", "XL", "L", "M", "S",
    "{n}W", "{n}V", "{n} count", "{n} GB", "{n}-piece",
)  # fmt: skip
PLAIN = (
    "black", "white", "red", "blue", "green", "grey", "new", "classic", "premium", "original",
    "deluxe", "pro", "mini", "large", "assorted", "free shipping", "best price", "limited edition",
)  # fmt: skip
LETTERS = "abcdefghijklmnopqrstuvwxyz"


class AugmentationRecipe(Section):
    """Shares of the items that are changed in each way."""

    typos: float = Field(0.1, ge=0, le=1, description="A letter is lost, doubled or swapped.")
    lost_words: float = Field(0.1, ge=0, le=1, description="A word in five is left out.")
    shortened: float = Field(0.1, ge=0, le=1, description="Only the first words are kept.")
    trade: float = Field(
        0.0, ge=0, le=1, description="A brand, a size or a plain word is added, for products."
    )


def changed(text: str, recipe: AugmentationRecipe, rng: np.random.Generator) -> str:
    """The text with changes drawn by their shares."""
    draw = rng.random(4)
    words = text.split()
    if draw[0] < recipe.shortened and len(words) > 5:
        words = words[: int(rng.integers(3, len(words)))]
    if draw[1] < recipe.lost_words and len(words) > 3:
        kept = rng.random(len(words)) > 0.2
        words = [word for word, keep in zip(words, kept.tolist(), strict=True) if keep] or words
    if draw[2] < recipe.typos and words:
        at = int(rng.integers(len(words)))
        words[at] = _misspelt(words[at], rng)
    if draw[3] < recipe.trade:
        words = _traded(words, rng)
    return " ".join(words)


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


def _traded(words: list[str], rng: np.random.Generator) -> list[str]:
    brand = "".join(rng.choice(SYLLABLES, int(rng.integers(2, 4)))) + str(rng.choice(ENDS))
    n, m = (int(x) for x in rng.integers(1, 60, 2))
    before = [brand.capitalize()] if rng.random() < 0.7 else []
    if rng.random() < 0.3:
        before.append(str(rng.choice(PLAIN)))
    after = [str(rng.choice(SIZES)).format(n=n, m=m)] if rng.random() < 0.6 else []
    if rng.random() < 0.2:
        after.append(str(rng.choice(PLAIN)))
    return [*before, *words, *after]
