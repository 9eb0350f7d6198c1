"""The one protocol behind which every method stands."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np
from numpy.typing import NDArray

from cascade.items import Batch, Choices


class Scorer(ABC):
    """Judges candidates; never sees files, never descends, never decides.

    Attributes
    ----------
    name
        One word, as in `--method` and in traces.
    reads_pictures
        Whether an item that has a picture needs no text.
    """

    name: str
    reads_pictures: bool = False

    @abstractmethod
    def score(self, batch: Batch, choices: Choices) -> NDArray[np.float64]:
        """Log-probability of each candidate, normalised inside each question.

        Returns
        -------
        float64 [n_candidates], in the order of `choices.nodes`.

        Raises
        ------
        EngineError
            A model behind the scorer failed to answer.
        """

    def score_parts(self, batch: Batch, choices: Choices) -> dict[str, NDArray[np.float64]]:
        """`score` under this scorer's name, and after it what it was made of, for the trace."""
        with batch.timed(self.name):
            return {self.name: self.score(batch, choices)}

    def rank(self, batch: Batch, k: int) -> NDArray[np.int32] | None:
        """The k likeliest leaves of the whole taxonomy for each item, best first.

        Returns
        -------
        int32 [n_items, at most k], node indices; None where this scorer does not compare items
        with all leaves.
        """
        return None
