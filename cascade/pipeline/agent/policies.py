"""What takes the next action of walks: a language model, or the record of an earlier walk."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

from cascade.errors import EngineError, UsageError
from cascade.generation.engine import Commands, Engine
from cascade.generation.prompts import PromptTemplate
from cascade.items import Item
from cascade.pipeline.agent.actions import LONGEST, Action, Allowed
from cascade.pipeline.agent.state import TOP, WalkState
from cascade.pipeline.agent.tools import NodeTools
from cascade.predictions import Step
from cascade.scoring.item_prompts import one_line_text

WHOLE = "the whole taxonomy"
NOTES = 4  # of the last that a prompt shows


class Place(NamedTuple):
    """Where a walk is, and what it may do there."""

    state: WalkState
    allowed: Allowed
    last: bool


class Taken(NamedTuple):
    """The action that was taken, or why there is none; with what it cost, and a known answer."""

    action: Action | EngineError
    tokens: int = 0
    seconds: float = 0.0
    answer: str = ""


class Policy(Protocol):
    """Takes an action in each of several places."""

    def __call__(self, places: Sequence[Place]) -> list[Taken]:
        """One action for each place, which allows it."""
        ...


class PlacePrompt:
    """Writes where a walk is, for a model.

    Parameters
    ----------
    descriptions
        Characters of a node's description that a list shows.
    """

    def __init__(self, template: PromptTemplate, tools: NodeTools, descriptions: int) -> None:
        self._template, self._tools, self._descriptions = template, tools, descriptions

    def variables(self, place: Place) -> dict[str, Any]:
        """What the template is filled with."""
        state, tools = place.state, self._tools
        where = ""
        if state.place == TOP:
            where = WHOLE
        elif state.place >= 0:
            where = tools.path(state.place)
        return {
            "item": state.item,
            "place": where,
            "nodes": [
                {
                    "number": number,
                    "path": tools.path(node),
                    "opens": tools.openable(node),
                    "about": tools.about(node, self._descriptions) if self._descriptions else "",
                }
                for number, node in enumerate(state.shown, 1)
            ],
            "done": [step.action for step in state.steps],
            "notes": state.notes[-NOTES:],
            "last": place.last,
        }

    def commands(self, place: Place) -> Commands:
        """The prompt with the actions that may follow it."""
        return Commands(
            self._template.render(self.variables(place)),
            place.allowed.plain,
            place.allowed.quoted,
            self._template.head.answer.lead,
            LONGEST,
        )


class ModelPolicy:
    """Asks a language model, about all places at once.

    Parameters
    ----------
    engine
        Gives the model.
    """

    def __init__(self, engine: Callable[[], Engine], prompt: PlacePrompt) -> None:
        self._engine, self._prompt = engine, prompt

    def __call__(self, places: Sequence[Place]) -> list[Taken]:
        """One action for each place; see `Policy`."""
        started = time.perf_counter()
        try:
            written = self._engine().command([self._prompt.commands(place) for place in places])
        except EngineError as error:
            written = [error] * len(places)
        share = (time.perf_counter() - started) / max(len(places), 1)
        return [
            Taken(one, seconds=share)
            if isinstance(one, EngineError)
            else Taken(Action.parse(one.text), one.tokens, share)
            for one in written
        ]


class RecordedPolicy:
    """Takes the steps of an earlier walk again, and goes on with another policy or not at all.

    Parameters
    ----------
    steps
        Of the walk of the one item.
    then
        What takes actions after them.
    """

    def __init__(self, steps: Sequence[Step], then: Policy | None = None) -> None:
        self._steps, self._then = steps, then

    def __call__(self, places: Sequence[Place]) -> list[Taken]:
        """The recorded action.

        Raises
        ------
        UsageError
            It is not allowed there, so the taxonomy or the settings are others.
        """
        (place,) = places
        at = len(place.state.steps)
        if at >= len(self._steps):
            if self._then is not None:
                return self._then(places)
            return [Taken(EngineError("the record has no end", reason="the record has no end"))]
        step = self._steps[at]
        try:
            action = Action.parse(step.action)
        except ValueError as error:
            raise UsageError(f"step {at + 1} of the record: {error}") from None
        if action not in place.allowed:
            raise UsageError(
                f"step {at + 1} of the record, {step.action!r}, is not allowed there; the record "
                "is of another item, taxonomy or setting"
            )
        return [Taken(action, answer=step.answer)]


def item_text(item: Item, max_chars: int) -> str:
    """What prompts show of an item: JSON on one line, so that nothing in it ends the line."""
    return json.dumps(one_line_text(item, max_chars), ensure_ascii=False)
