"""The loop: actions of many walks at a time, done by tools, until each has ended or is spent."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from cascade.config import AgentConfig
from cascade.errors import EngineError
from cascade.generation.chat_markup import before_markup
from cascade.items import Batch, Item
from cascade.pipeline.agent.actions import Action
from cascade.pipeline.agent.policies import Place, Policy
from cascade.pipeline.agent.state import FOUND, Outcome, WalkState
from cascade.pipeline.agent.tools import NodeTools, one_line
from cascade.predictions import Step

LONGEST_ANSWER = 200  # characters of a person's answer that are read


@dataclass(frozen=True, slots=True)
class AgentQuestion:
    """What the agent asks about an item.

    Parameters
    ----------
    text
        The question.
    codes, paths
        The nodes that it was looking at.
    """

    text: str
    item: Item
    codes: tuple[str, ...]
    paths: tuple[str, ...]


Ask = Callable[[AgentQuestion], str | None]
"""Answers a question; None where there is no answer now, which ends the walk with the question."""

Refusal = Callable[[int, int], str]
"""Why the rules refuse a node as the answer of a row; empty where they accept it."""


class AgentLoop:
    """Walks items with a policy and tools, within a budget.

    Parameters
    ----------
    ask
        Answers questions; without it a question ends the walk.
    refusal
        The rules.
    """

    def __init__(
        self,
        tools: NodeTools,
        config: AgentConfig,
        *,
        ask: Ask | None = None,
        refusal: Refusal = lambda row, node: "",
    ) -> None:
        self._tools, self._config = tools, config
        self._ask, self._refusal = ask, refusal

    def run(self, batch: Batch, states: Sequence[WalkState], policy: Policy) -> None:
        """Walk until every state has an outcome."""
        while open_ := [state for state in states if state.outcome is None]:
            places = [place for place in map(self._place, open_) if place is not None]
            if not places:
                continue
            taken = policy(places)
            looks: list[tuple[WalkState, Action, str]] = []
            for place, one in zip(places, taken, strict=True):
                state = place.state
                state.tokens += one.tokens
                state.dearest = max(state.dearest, one.tokens)
                state.seconds += one.seconds
                if isinstance(one.action, EngineError):
                    state.outcome = Outcome(error=one.action)
                elif one.action.verb in ("search", "open", "up"):
                    looks.append((state, one.action, ""))
                else:
                    self._do(batch, state, one.action, one.answer)
            self._look(batch, looks)

    def _place(self, state: WalkState) -> Place | None:
        """Where a walk is; None, with the outcome set, where its budget allows no more."""
        config = self._config
        for what, left in (
            (f"{config.steps} steps", config.steps - len(state.steps)),
            (f"{config.tokens:,} tokens", config.tokens - state.tokens - state.dearest),
            (f"{config.seconds:g} seconds", config.seconds - state.seconds),
        ):
            if left <= 0:
                state.outcome = Outcome(error=_spent(what))
                return None
        last = len(state.steps) == config.steps - 1
        asks = state.questions < config.questions
        allowed = state.allowed(self._tools, asks=asks, last=last)
        if last and not any(action.startswith("choose") for action in allowed.plain):
            state.outcome = Outcome(error=_spent(f"{config.steps} steps"))
            return None
        return Place(state, allowed, last)

    def _do(self, batch: Batch, state: WalkState, action: Action, known: str) -> None:
        """An answer, a comparison or a question."""
        tools, shown = self._tools, state.shown
        note = answer = ""
        if action.verb == "choose":
            node = shown[action.numbers[0] - 1]
            note = self._refusal(state.row, node)
            if note:
                state.refused |= {node}
                state.notes.append(f"{tools.path(node)} breaks a rule: {one_line(note)}")
            else:
                state.outcome = Outcome(node)
        elif action.verb == "none":
            state.outcome = Outcome()
        elif action.verb == "compare":
            first, second = action.numbers
            state.compared |= {(first, second)}
            for number in (first, second):
                node = shown[number - 1]
                told = tools.about(node) or "nothing more is known"
                state.notes.append(f"{number} {tools.path(node)}: {told}")
        else:
            state.questions += 1
            answer = readable_answer(known or self._asked(batch, state, action.text))
            if answer:
                said = json.dumps(answer, ensure_ascii=False)
                state.notes.append(f'asked "{action.text}", answered {said}')
            else:
                state.outcome = Outcome(question=action.text)
        state.steps.append(self._step(action, shown, note, answer))

    def _asked(self, batch: Batch, state: WalkState, text: str) -> str | None:
        if self._ask is None:
            return None
        codes = self._codes(state.shown)
        paths = tuple(self._tools.path(node) for node in state.shown)
        return self._ask(AgentQuestion(text, batch.items[state.row], codes, paths))

    def _look(self, batch: Batch, looks: Sequence[tuple[WalkState, Action, str]]) -> None:
        """Lists of nodes, for all walks together."""
        searches = [(state, action) for state, action, _ in looks if action.verb == "search"]
        words = [action.text for _, action in searches]
        lists = self._tools.search(words) if words else []
        for (state, action), found in zip(searches, lists, strict=True):
            # Small models search for the same again and again.
            state.searches = str(action) not in (step.action for step in state.steps)
            state.steps.append(self._step(action, state.shown, "" if found else "nothing found"))
            if found:
                state.show(found, FOUND)
        moves = [(state, action) for state, action, _ in looks if action.verb != "search"]
        parents = [self._parent(state, action) for state, action in moves]
        rows = [state.row for state, _ in moves]
        below = self._tools.below(batch, rows, parents)
        for (state, action), parent, nodes in zip(moves, parents, below, strict=True):
            state.steps.append(self._step(action, state.shown))
            state.show(nodes, parent)

    def _parent(self, state: WalkState, action: Action) -> int:
        """The node whose children an action shows; -1 above the top."""
        if action.verb == "open":
            return state.shown[action.numbers[0] - 1]
        return -1 if state.place < 0 else int(self._tools.taxonomy.parent[state.place])

    def _step(self, action: Action, shown: Sequence[int], note: str = "", answer: str = "") -> Step:
        return Step(str(action), self._codes(shown), note, answer)

    def _codes(self, nodes: Sequence[int]) -> tuple[str, ...]:
        codes = self._tools.taxonomy.codes
        return tuple(codes[node] for node in nodes)


def readable_answer(answer: str | None) -> str:
    """What is read of a person's answer: one line, cut, and before markup of chats."""
    return one_line(before_markup((answer or "")[:LONGEST_ANSWER]))


def _spent(what: str) -> EngineError:
    return EngineError(f"the budget of {what} is spent", reason="budget spent")
