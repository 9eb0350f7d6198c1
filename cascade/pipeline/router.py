"""The router: a fast path where it is sure, else the method, a fallback where that fails."""

from __future__ import annotations

import logging
from dataclasses import replace
from functools import cached_property

from cascade.errors import EngineError
from cascade.items import Batch
from cascade.pipeline.descent import make_descent
from cascade.predictions import Prediction
from cascade.scoring.components import Components
from cascade.scoring.methods import DEFAULT
from cascade.scoring.scorer import Scorer
from cascade.taxonomy import Taxonomy

logger = logging.getLogger(__name__)


class Router:
    """Decides which scorer answers which item, and walks it down the taxonomy.

    Attributes
    ----------
    source
        Name of the method's scorer.
    reads_text, reads_pictures
        Whether that scorer reads the text of items, and their pictures.

    Raises
    ------
    UsageError
        The method is unknown.
    WeightsError
        Weights that the method needs are not found.
    """

    def __init__(self, taxonomy: Taxonomy, components: Components) -> None:
        self._codes = components.taxonomy.codes
        self._routing = components.config.routing
        self._ranking = components.config.retrieval.ranking
        self._components = components
        self._scorer = components.scorer(components.config.method)
        self._fast = self._fast_path()
        self._descent = make_descent(components, self._scorer)
        self.source = self._scorer.name
        self.reads_text = self._scorer.reads_text
        self.reads_pictures = self._scorer.reads_pictures

    @cached_property
    def takes_pictures(self) -> bool:
        """Whether pictures are of any use, if only for narrowing."""
        return (
            self.reads_pictures
            or self._descent.retriever.reads_pictures
            or self._components.narrows_by_pictures(self._scorer)
        )

    @property
    def holds_all_nodes(self) -> bool:
        """Whether a batch holds a number for each node and item."""
        return self._components.holds_all_nodes

    def walk(self, batch: Batch) -> list[Prediction]:
        """The fast path's answers where it can read the item and is sure, else the method's."""
        if self._fast is None:
            return self._by_method(batch)
        predictions = self._answered_by(self._fast, batch)
        unsure = [
            row
            for row, prediction in enumerate(predictions)
            if prediction.confidence < self._routing.threshold
            or not self._fast.can_read(batch.items[row])
        ]
        if unsure:
            rest = batch.subset(unsure)
            for row, prediction in zip(unsure, self._by_method(rest), strict=True):
                predictions[row] = prediction
            batch.take_back(rest, unsure)
        return predictions

    def _fast_path(self) -> Scorer | None:
        """The scorer that answers first, if the method routes."""
        routes = self._components.config.method == DEFAULT and self._routing.threshold < 1
        return self._components.scorer("ttc") if routes and self._routing.fast else None

    def _by_method(self, batch: Batch) -> list[Prediction]:
        """The method's answers, or where its model fails those of the fallback, as `partial`."""
        try:
            return self._answered_by(self._scorer, batch)
        except EngineError as error:
            fallback = self._fast or self._components.scorer("retrieval")
            if self._scorer is fallback:
                raise
            logger.warning("%s failed, %s answers: %s", self._scorer.name, fallback.name, error)
            message = f"{self._scorer.name} failed ({error}); {fallback.name} answered"
            return [
                replace(prediction, status="partial", message=message)
                for prediction in self._answered_by(fallback, batch)
            ]

    def _answered_by(self, scorer: Scorer, batch: Batch) -> list[Prediction]:
        """The descent's predictions, with the scorer's ranking of leaves where one is asked for."""
        predictions = self._descent.walk(batch, scorer)
        ranked = scorer.rank(batch, self._ranking) if self._ranking else None
        if ranked is None:
            return predictions
        codes = self._codes
        return [
            replace(prediction, ranking=tuple([codes[node] for node in nodes if node >= 0]))
            for prediction, nodes in zip(predictions, ranked.tolist(), strict=True)
        ]
