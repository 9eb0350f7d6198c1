"""The router: a fast path where it is sure, else the method, a fallback where that fails."""

from __future__ import annotations

import logging
from dataclasses import replace

from cascade.errors import EngineError
from cascade.items import Batch
from cascade.pipeline.methods import Parts
from cascade.predictions import Prediction
from cascade.scoring.scorer import Scorer
from cascade.taxonomy import Taxonomy

logger = logging.getLogger(__name__)


class Router:
    """Decides which scorer answers which item, and walks it down the taxonomy.

    Attributes
    ----------
    source
        The scorer of the method.
    reads_text, reads_pictures
        Whether it judges items by their text, and by their pictures.
    takes_pictures
        Whether pictures are of any use, if only for narrowing.
    holds_all_nodes
        Whether a batch takes a number for every node and item.

    Raises
    ------
    UsageError
        The method is unknown.
    WeightsError
        Weights that the method needs are not found.
    """

    def __init__(self, taxonomy: Taxonomy, parts: Parts) -> None:
        self._taxonomy = taxonomy
        self._config = parts.config
        self._parts = parts
        self._scorer = parts.scorer(parts.config.method)
        self._fast = self._fast_path()
        self._descent = parts.descent
        self.source = self._scorer.name
        self.reads_text = self._scorer.reads_text
        self.reads_pictures = self._scorer.reads_pictures
        self.takes_pictures = self.reads_pictures or parts.narrows_by_pictures
        self.holds_all_nodes = parts.holds_all_nodes

    def walk(self, batch: Batch) -> list[Prediction]:
        """The fast path's answers where it sees the item and is sure, the method's for others."""
        if self._fast is None:
            return self._ranked(batch, self._answers(batch))
        predictions = self._descent.walk(batch, self._fast)
        doubted = [
            row
            for row, prediction in enumerate(predictions)
            if prediction.confidence < self._config.routing.threshold
            or not self._fast.can_read(batch.items[row])
        ]
        if doubted:
            rest = batch.subset(doubted)
            for row, prediction in zip(doubted, self._answers(rest), strict=True):
                predictions[row] = prediction
            batch.take_back(rest, doubted)
        return predictions

    def _fast_path(self) -> Scorer | None:
        """Who answers first, where the method routes."""
        routing = self._config.routing
        if self._config.method != "cascade" or not routing.fast or routing.threshold == 1:
            return None
        return self._parts.ttc

    def _answers(self, batch: Batch) -> list[Prediction]:
        """The method's answers, or where its model fails those of the fallback, as `partial`."""
        try:
            return self._descent.walk(batch, self._scorer)
        except EngineError as error:
            fallback = self._fast or self._parts.retrieval
            if self._scorer is fallback:
                raise
            logger.warning("%s failed, %s answers: %s", self._scorer.name, fallback.name, error)
            message = f"{self._scorer.name} failed ({error}); {fallback.name} answered"
            return [
                replace(prediction, status="partial", message=message)
                for prediction in self._descent.walk(batch, fallback)
            ]

    def _ranked(self, batch: Batch, predictions: list[Prediction]) -> list[Prediction]:
        """The predictions with the scorer's ranking of leaves, where one is asked for."""
        wanted = self._config.retrieval.ranking
        ranked = self._scorer.rank(batch, wanted) if wanted else None
        if ranked is None:
            return predictions
        codes = self._taxonomy.codes
        return [
            replace(prediction, ranking=tuple([codes[node] for node in nodes if node >= 0]))
            for prediction, nodes in zip(predictions, ranked.tolist(), strict=True)
        ]
