"""Other methods combined (`fusion.weights`): with a language model, or as a pack was fitted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cascade.scoring.fusion import FusionScorer

if TYPE_CHECKING:
    from cascade.scoring.components import Components


def make(components: Components) -> FusionScorer:
    """The scorers of `fusion.weights`, combined."""
    fusion = components.config.fusion
    return components.fusion(fusion.weights, fusion.without_text, fusion.without_picture)
