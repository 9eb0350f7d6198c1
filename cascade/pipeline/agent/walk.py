"""The walk of `--method agent`: retrieval first, and the agent where that doubts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property

import numpy as np

from cascade.config import FITTED_METHOD
from cascade.errors import UsageError
from cascade.generation.prompts import PromptTemplate
from cascade.items import Batch
from cascade.pipeline.agent.answers import answer_with, asked, fits_nowhere
from cascade.pipeline.agent.loop import AgentLoop, Ask
from cascade.pipeline.agent.policies import (
    ModelPolicy,
    PlacePrompt,
    Policy,
    RecordedPolicy,
    item_text,
)
from cascade.pipeline.agent.state import WalkState
from cascade.pipeline.agent.tools import NodeTools
from cascade.pipeline.descent import ends_of
from cascade.pipeline.facets.walk import FacetWalk, make_walk
from cascade.pipeline.fallback import FailureLog, by_fallback
from cascade.pipeline.router import Router
from cascade.pipeline.walker import Walker
from cascade.predictions import Prediction, Step
from cascade.predictions.columns import Predictions
from cascade.scoring.components import Components
from cascade.scoring.methods import DEFAULT
from cascade.taxonomy import Taxonomy
from cascade.taxonomy.facets import FacetedTaxonomy

METHOD = "agent"


class AgentWalk:
    """Answers items by another walk, and lets the agent look again at those in doubt.

    Parameters
    ----------
    base
        The other walk.

    Attributes
    ----------
    ask
        Answers the agent's questions.
    """

    def __init__(self, components: Components, base: Walker) -> None:
        self._components, self._base = components, base
        self._config = components.config.agent
        taxonomy = components.taxonomy
        faceted = isinstance(base, FacetWalk)  # there the rules say what may be reported
        ends = np.ones(len(taxonomy), bool) if faceted else ends_of(components)
        self._tools = NodeTools(components.retriever, ends, self._config.shown)
        self._prompt = PlacePrompt(
            PromptTemplate.load(self._config.prompt), self._tools, self._config.descriptions
        )
        self._failures = FailureLog(METHOD, base.source)
        self.ask: Ask | None = None
        self.source, self.reads_text, self.reads_pictures = METHOD, True, base.reads_pictures

    @property
    def takes_pictures(self) -> bool:
        """Whether pictures are of any use."""
        return self._base.takes_pictures

    @property
    def holds_all_nodes(self) -> bool:
        """Whether a batch holds a number for each node and item."""
        return True

    @cached_property
    def _model(self) -> Policy:
        return ModelPolicy(lambda: self._components.engine, self._prompt)

    def walk(self, batch: Batch) -> Predictions:
        """The base's answers where it is sure, else what the agent finds."""
        predictions = self._base.walk(batch)
        doubted = [
            row
            for row, prediction in enumerate(predictions)
            if prediction.code is not None
            and prediction.confidence < self._config.threshold
            and row not in batch.problems
            and batch.items[row].has_text
        ]
        if doubted:
            part = batch.subset(doubted)
            found = self._walked(part, [predictions[row] for row in doubted], self._model, self.ask)
            batch.take_back(part, doubted)
            for row, prediction in zip(doubted, found, strict=True):
                predictions[row] = prediction
        return predictions

    def replay(
        self, batch: Batch, steps: Sequence[Step], ask: Ask | None = None, *, goes_on: bool
    ) -> Prediction:
        """The answer of the one item of a batch by recorded steps.

        Parameters
        ----------
        goes_on
            Whether the model takes further steps after them.

        Raises
        ------
        UsageError
            The steps do not fit the item, the taxonomy or the settings.
        """
        (answer,) = self._base.walk(batch)
        if answer.code is None:
            return answer
        policy = RecordedPolicy(steps, self._model if goes_on else None)
        (found,) = self._walked(batch, [answer], policy, ask)
        return found

    def _walked(
        self, batch: Batch, answers: Sequence[Prediction], policy: Policy, ask: Ask | None
    ) -> list[Prediction]:
        max_chars = self._components.config.llm.max_chars
        nodes = [self._node(answer) for answer in answers]
        with batch.timed("agent"):
            first = self._tools.first(batch, nodes)
            states = [
                WalkState(row, item_text(batch.items[row], max_chars), shown)
                for row, shown in enumerate(first)
            ]
            refusal, coded = self._rules(batch)
            loop = AgentLoop(self._tools, self._config, ask=ask, refusal=refusal)
            loop.run(batch, states, policy)
        found = []
        for state, answer in zip(states, answers, strict=True):
            outcome = state.outcome
            assert outcome is not None
            if outcome.error is not None:
                batch.failures[state.row] = outcome.error
                one = by_fallback(answer, METHOD, outcome.error)
            elif outcome.question:
                one = asked(answer, outcome.question)
            elif outcome.node < 0:
                one = fits_nowhere(answer)
            else:
                chosen = coded(state.row, outcome.node)
                one = answer_with(self._tools.taxonomy, answer, outcome.node, METHOD, chosen)
            found.append(replace(one, steps=tuple(state.steps)))
        if batch.failures:
            self._failures.tell(batch)
        return found

    def _node(self, answer: Prediction) -> int:
        """The node of an answer: of a faceted one the base term."""
        found = self._tools.taxonomy.find(answer.code or "")
        if found is None:
            raise UsageError(f"the answer {answer.code!r} is no node of the taxonomy")
        return found

    def _rules(
        self, batch: Batch
    ) -> tuple[Callable[[int, int], str], Callable[[int, int], Prediction | None]]:
        """Why a node is refused for a row, and the code with facets that it makes there."""
        base = self._base
        if not isinstance(base, FacetWalk):
            return (lambda row, node: ""), (lambda row, node: None)
        walk: FacetWalk = base
        known: dict[tuple[int, int], Prediction] = {}

        def coded(row: int, node: int) -> Prediction:
            if (row, node) not in known:
                (known[row, node],) = walk.with_bases(batch.subset([row]), [node])
            return known[row, node]

        def refusal(row: int, node: int) -> str:
            return walk.refusal(coded(row, node).code or "")

        return refusal, coded


def make_agent_walk(taxonomy: Taxonomy, components: Components) -> AgentWalk:
    """The agent of a config, over what answers there by itself.

    Raises
    ------
    WeightsError, ConfigError
        The language model cannot be loaded, or the settings do not fit it.
    """
    _ = components.engine  # what is missing is told before the first row
    base: Walker
    if isinstance(taxonomy, FacetedTaxonomy) and taxonomy.categories:
        base = make_walk(taxonomy, components, "cascade")
    else:
        base = Router(taxonomy, components, FITTED_METHOD if components.config.heads else DEFAULT)
    return AgentWalk(components, base)
