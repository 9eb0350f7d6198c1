"""What the items are: a word that prompts say of them."""

from __future__ import annotations

from pydantic import Field

from cascade.config.base import Section

PRODUCT = "product"
NEUTRAL = "text"
"""What items are called where nothing is said."""


class ItemConfig(Section):
    """What the items are."""

    kind: str | None = Field(
        None,
        min_length=1,
        max_length=40,
        pattern=r"^[^\W\d_][\w /&'-]*$",
        description="What an item is, in a word or two: product, job title, food, diagnosis, ... "
        "Prompts of language models say it, and for products they have examples; for others the "
        f"examples are drawn from the taxonomy. null: {NEUTRAL}, but {PRODUCT} in packs and where "
        "llm.adapter is set, as those were made.",
    )
