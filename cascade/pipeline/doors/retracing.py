"""What a classifier can do with the steps of its agent: take them again, and go on after them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from cascade.errors import UsageError
from cascade.items import Batch, as_text
from cascade.pipeline.doors.asked import Asked
from cascade.pipeline.intake import Intake
from cascade.predictions import Prediction, Step
from cascade.values import is_visible

if TYPE_CHECKING:
    from cascade.pipeline.agent.walk import AgentWalk


class Retracing(Asked):
    """The part of `Classifier` that is about steps of the agent."""

    @property
    def _agent(self) -> AgentWalk:
        from cascade.pipeline.agent.walk import AgentWalk

        if not isinstance(self._walker, AgentWalk):
            raise UsageError(
                "only the agent asks questions and takes steps, and here answers "
                f'{self._walker.source}; set method="agent"'
            )
        return self._walker

    def replay(self, item: Any, steps: Iterable[Step | Mapping[str, Any]]) -> Prediction:
        """The answer that recorded steps of the agent lead to, without asking the model.

        Parameters
        ----------
        item
            As for `classify`.
        steps
            `Prediction.steps`, or those of a trace.

        Raises
        ------
        UsageError
            The method is not `agent`, or the steps do not fit the item, taxonomy or settings.
        """
        return self._retraced(item, steps, goes_on=False)

    def resume(
        self, item: Any, steps: Iterable[Step | Mapping[str, Any]], answer: str
    ) -> Prediction:
        """The prediction after the agent's question, the last of its steps, was answered.

        Parameters
        ----------
        item, steps
            As for `replay`.
        answer
            One line; what is longer than 200 characters is not read.

        Raises
        ------
        UsageError
            The last step is no question; or as for `replay`.
        """
        known = [_step_of(step) for step in steps]
        if not known or not known[-1].action.startswith("ask ") or known[-1].answer:
            raise UsageError("the last step is no question without an answer")
        if not is_visible(answer):
            raise UsageError("the answer is empty")
        known[-1] = replace(known[-1], answer=as_text(answer))
        return self._retraced(item, known, goes_on=True)

    def _retraced(
        self, item: Any, steps: Iterable[Step | Mapping[str, Any]], *, goes_on: bool
    ) -> Prediction:
        agent, known = self._agent, [_step_of(step) for step in steps]
        found = Intake(self.config).one(item)
        found = found if isinstance(found, Prediction) else self._refuse(found) or found
        if isinstance(found, Prediction):
            return found
        with self._turn:
            return agent.replay(Batch([found]), known, agent.ask, goes_on=goes_on)


def _step_of(value: Step | Mapping[str, Any]) -> Step:
    """A step, perhaps as `predictions.steps_as_dicts` gives it.

    Raises
    ------
    UsageError
        It is none.
    """
    if isinstance(value, Step):
        return value
    found = value if isinstance(value, Mapping) else {}
    action, shown = found.get("action"), found.get("shown", ())
    texts: list[Any] = [action, found.get("note", ""), found.get("answer", "")]
    codes: list[Any] = list(shown) if isinstance(shown, list | tuple) else [None]
    if not all(isinstance(text, str) for text in [*texts, *codes]):
        raise UsageError(f"no step of an agent: {value!r:.100}")
    return Step(texts[0], tuple(codes), texts[1], texts[2])
