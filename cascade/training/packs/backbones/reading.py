"""What is read of an item: which columns, and the prompt before them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from cascade.items import Item
from cascade.models.weights import find_weights
from cascade.retrieval.encoder_prompts import prompts_of

if TYPE_CHECKING:
    pass

LONG = 30  # average characters from which a column must be prose to be read
SPACES = 0.05  # share of a text that is spaces, from which it is prose


def with_prompt(model: str, *, allow_download: bool = False) -> dict[str, str]:
    """The field `prompt` of a backbone's config, where a sentence encoder wants one for items."""
    prompt = prompts_of(find_weights(model, allow_download=allow_download)).query
    return {"prompt": prompt} if prompt else {}


def short_columns(
    items: Sequence[Item], columns: Sequence[str], chars: int, most: int
) -> list[str]:
    """The first column, and the others from the shortest on while the average item stays short.

    Columns of long values without spaces, as addresses are, say little to a language model for
    their many tokens, and are left to others.

    An average item may have `chars` characters, of which `most` are read of a column.
    """
    if not columns:
        return []
    read = {
        column: [item.fields.get(column, "").strip()[:most] for item in items] for column in columns
    }
    sizes = {column: sum(map(len, texts)) / max(1, len(texts)) for column, texts in read.items()}
    first, *others = columns
    kept, total = {first}, sizes[first]
    for column in sorted(others, key=lambda name: sizes[name]):
        spaces = sum(text.count(" ") for text in read[column])
        if sizes[column] > LONG and spaces <= SPACES * sizes[column] * len(items):
            continue
        total += sizes[column]
        if total > chars:
            break
        kept.add(column)
    return [column for column in columns if column in kept]
