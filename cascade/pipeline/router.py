"""The router: a fast path where it is sure, else the method, a fallback where that fails."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from cascade.config import FITTED_METHOD
from cascade.errors import ConfigError, EngineError
from cascade.items import Batch
from cascade.pipeline.descent import make_descent
from cascade.pipeline.fallback import FailureLog, by_fallback
from cascade.pipeline.first_pass.answers import FirstAnswers
from cascade.predictions import Prediction
from cascade.predictions.columns import PredictionColumns, Predictions
from cascade.scoring.all_nodes import of_all_nodes
from cascade.scoring.components import Components
from cascade.scoring.first_pass.deciding import FirstPass
from cascade.scoring.scorer import Scorer, SupportScorer
from cascade.taxonomy import Taxonomy

SPREADING = "spreading"  # the stage that sets take


class Router:
    """Decides which scorer answers which item, and walks it down the taxonomy.

    Parameters
    ----------
    method
        In place of that of the components.

    Attributes
    ----------
    source
        Name of the method's scorer.
    reads_text, reads_pictures
        Whether that scorer reads the text of items, and their pictures.
    opens
        Where sets are asked for: batches keep how the probability of items is spread over nodes
        with at least so much of it.

    Raises
    ------
    UsageError
        The method is unknown.
    WeightsError
        Weights that the method needs are not found.
    """

    def __init__(
        self, taxonomy: Taxonomy, components: Components, method: str | None = None
    ) -> None:
        self._codes = components.taxonomy.codes
        self._routing = components.config.routing
        self._ranking = components.config.retrieval.ranking
        self._components = components
        self._method = method or components.method
        self._scorer = components.scorer(self._method)
        self._fast = self._fast_path()
        self._descent = make_descent(components, self._scorer)
        self.source = self._scorer.name
        self.reads_text = self._scorer.reads_text
        self.reads_pictures = self._scorer.reads_pictures
        self.opens: float | None = None
        self._judge: SupportScorer | None = None
        self._first: FirstAnswers | None = None

    @cached_property
    def takes_pictures(self) -> bool:
        """Whether pictures are of any use, if only for narrowing."""
        return (
            self.reads_pictures
            or self._descent.retriever.reads_pictures
            or self._components.narrows_by_pictures(self._scorer)
        )

    @property
    def is_end(self) -> NDArray[np.bool_]:
        """bool [n_nodes], where paths end."""
        return self._descent.is_end

    @property
    def holds_all_nodes(self) -> bool:
        """Whether a batch holds a number for each node and item."""
        return self._components.holds_all_nodes

    def walk(self, batch: Batch) -> Predictions:
        """The fast path's answers where it can read the item and is sure, else the method's."""
        predictions = self._walk(batch)
        if self._judge is not None:
            with batch.timed(self._judge.name):
                batch.evidence = self._judge.support(batch)
        return predictions

    def judge_by(self, name: str) -> None:
        """Keep with each batch the evidence of this scorer that its items belong anywhere.

        Raises
        ------
        ConfigError
            There is none that has evidence.
        """
        scorer = self._components.scorer(name)
        if not isinstance(scorer, SupportScorer):
            raise ConfigError(f"{name} tells nothing about what is nowhere; fit the pack again")
        self._judge = scorer

    def _walk(self, batch: Batch) -> Predictions:
        first = self._components.first_pass
        if first is not None and first.applies:
            return self._after_first_pass(first, batch)
        if self._fast is None:
            return self._by_method(batch)
        predictions = self._answered_by(self._fast, batch)
        unsure = self._unsure(self._fast, batch, predictions)
        self._spread(self._fast, batch, unsure)
        if unsure:
            rest = batch.subset(unsure)
            for row, prediction in zip(unsure, self._by_method(rest), strict=True):
                predictions[row] = prediction
            batch.take_back(rest, unsure)
        return predictions

    def _after_first_pass(self, first: FirstPass, batch: Batch) -> Predictions:
        """The first pass's answers where it is sure, else the method's."""
        predictions, unsure = self._first_answers(first).of(batch)
        if unsure:
            rest = batch.subset(unsure)
            for row, prediction in zip(unsure, self._by_method(rest), strict=True):
                predictions[row] = prediction
            batch.take_back(rest, unsure)
        return predictions

    def _first_answers(self, first: FirstPass) -> FirstAnswers:
        if self._first is None or self._first.first is not first:
            config = self._components.config
            self._first = FirstAnswers(
                self._components.taxonomy,
                first,
                config.descent.beam,
                config.retrieval.candidates,
                self._ranking,
            )
        return self._first

    def _unsure(self, fast: Scorer, batch: Batch, predictions: Sequence[Prediction]) -> list[int]:
        """Rows that the fast path cannot read, or is not sure about."""
        return [
            row
            for row, sure in enumerate(PredictionColumns.of(predictions).confidence)
            if sure < self._routing.threshold or not fast.can_read(batch.items[row])
        ]

    @property
    def ends(self) -> NDArray[np.int64]:
        """int64 [n_ends], where paths end: each leaf, or the first node above it that is one."""
        return self._descent.first_ends

    def probabilities(self, batch: Batch) -> NDArray[np.float64]:
        """float64 [n_items, n_nodes], the probability of each node by what answers the item.

        Raises
        ------
        UsageError
            The method does not know that of every node.
        """
        parts = {self._scorer: list(range(len(batch)))}
        if self._fast is not None:
            unsure = self._unsure(self._fast, batch, self._answered_by(self._fast, batch))
            sure = np.setdiff1d(np.arange(len(batch)), unsure).tolist()
            parts = {self._fast: sure, self._scorer: unsure}
        found = np.zeros((len(batch), len(self._components.taxonomy)))
        for scorer, rows in parts.items():
            if rows:
                found[rows] = of_all_nodes(scorer, batch.subset(rows), self._components.taxonomy)
        return found

    @property
    def _fallback(self) -> Scorer:
        return self._fast or self._components.scorer("retrieval")

    @cached_property
    def _failures(self) -> FailureLog:
        return FailureLog(self._scorer.name, self._fallback.name)

    def _fast_path(self) -> Scorer | None:
        """The scorer that answers first, if the method routes."""
        routes = self._method == FITTED_METHOD and self._routing.threshold < 1
        return self._components.scorer("ttc") if routes and self._routing.fast else None

    def _by_method(self, batch: Batch) -> Predictions:
        """The method's answers; for items that its model failed on the fallback's, as `partial`."""
        predictions: Predictions = []
        try:
            predictions = self._answered_by(self._scorer, batch)
        except EngineError as error:
            batch.failures = dict.fromkeys(range(len(batch)), error)
        self._spread(self._scorer, batch, batch.failures)
        if not batch.failures:
            return predictions
        fallback = self._fallback
        if self._scorer is fallback:
            batch.raise_failure()
        rows = sorted(batch.failures)
        self._failures.tell(batch)
        rest = batch.subset(rows)
        answers = self._answered_by(fallback, rest)
        self._spread(fallback, rest)
        batch.take_back(rest, rows)
        by_row = dict(enumerate(predictions)) | {
            row: by_fallback(answer, self._scorer.name, batch.failures[row])
            for row, answer in zip(rows, answers, strict=True)
        }
        return [by_row[row] for row in range(len(batch))]

    def _spread(self, scorer: Scorer, batch: Batch, but: Collection[int] = ()) -> None:
        """Keep how a scorer spreads the probability of all items but some, if that is wanted."""
        if self.opens is None or len(but) == len(batch):
            return
        with batch.timed(SPREADING):
            rows = np.setdiff1d(np.arange(len(batch)), list(but)).astype(np.int32)
            batch.spreads.append(self._descent.spread(batch, scorer, rows, self.opens))

    def _answered_by(self, scorer: Scorer, batch: Batch) -> Predictions:
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
