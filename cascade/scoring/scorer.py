"""The one protocol behind which every method stands."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np
from numpy.typing import NDArray

from cascade.items import Batch, Choices, Item


class Scorer(ABC):
    """Judges candidates; never sees files, never descends, never decides.

    Attributes
    ----------
    name
        One word, as in `--method` and in traces.
    reads_text
        Whether it judges items by their text; if not, those without a picture tell it nothing.
    reads_pictures
        Whether an item that has a picture needs no text.
    """

    name: str
    reads_text: bool = True
    reads_pictures: bool = False

    def sees(self, item: Item) -> bool:
        """Whether an item has something that this scorer can judge it by."""
        return (self.reads_text and item.has_text) or (
            self.reads_pictures and item.image is not None
        )

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
        int32 [n_items, at most k], node indices, -1 behind the last where fewer are known; None
        where this scorer does not compare items with all leaves.
        """
        return None
