"""The interface of what answers a batch: the router, the walk of facets, or the agent."""

from __future__ import annotations

from typing import Protocol

from cascade.items import Batch
from cascade.predictions.columns import Predictions


class Walker(Protocol):
    """Answers a batch: the router, or the walk of facets.

    Attributes
    ----------
    source
        Name of the scorer that answers, for messages.
    reads_text, reads_pictures
        Whether it reads the text of items, and their pictures.
    """

    source: str
    reads_text: bool
    reads_pictures: bool

    @property
    def takes_pictures(self) -> bool:
        """Whether pictures are of any use, if only for narrowing."""

    @property
    def holds_all_nodes(self) -> bool:
        """Whether a batch holds a number for each node and item, so that it must not be large."""

    def walk(self, batch: Batch) -> Predictions:
        """A prediction for each item."""
        ...
