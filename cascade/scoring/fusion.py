"""Fusion: a log-linear combination (product of experts) of other scorers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from cascade.errors import ConfigError
from cascade.items import Batch, Choices
from cascade.scoring.scorer import Scorer


class FusionScorer(Scorer):
    """`log p(c) = sum_s w_s log p_s(c)`, normalised over the candidates of a question.

    Parameters
    ----------
    scorers
        What is combined.
    weights
        One for each scorer, not negative, not all zero.
    """

    def __init__(self, scorers: Sequence[Scorer], weights: Sequence[float]) -> None:
        if len(scorers) != len(weights):
            raise ConfigError(
                f"{len(scorers)} scorers but {len(weights)} weights; expected one each"
            )
        if min(weights) < 0 or not any(weights):
            raise ConfigError(f"weights {list(weights)}: expected none below 0 and one above")
        self.name = "+".join(scorer.name for scorer in scorers)
        self._scorers = list(zip(scorers, weights, strict=True))

    def score(self, batch: Batch, choices: Choices) -> NDArray[np.float64]:
        """Log-probability of each candidate; see `Scorer.score`."""
        return self.score_parts(batch, choices)[self.name]

    def score_parts(self, batch: Batch, choices: Choices) -> dict[str, NDArray[np.float64]]:
        """The combination first, then each scorer's own log-probabilities."""
        parts: dict[str, NDArray[np.float64]] = {}
        total = np.zeros(len(choices.nodes))
        for scorer, weight in self._scorers:
            own = scorer.score_parts(batch, choices)
            parts.update(own)
            total += weight * own[scorer.name]
        return {self.name: choices.log_softmax(total), **parts}
