"""Where the walk of one item is: what is shown, what was done, what it has cost."""

from __future__ import annotations

from dataclasses import dataclass, field

from cascade.errors import EngineError
from cascade.pipeline.agent.actions import Allowed, allowed
from cascade.pipeline.agent.tools import NodeTools
from cascade.predictions import Step

FOUND, TOP = -2, -1  # places of a list: what a search found, and the nodes of level 1


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a walk ended: with a node, with none, with a question, or not by itself.

    Parameters
    ----------
    node
        The answer; -1 where there is none.
    question
        What nobody has answered.
    error
        Why the walk has no end of its own: the model failed, or the budget is spent.
    """

    node: int = -1
    question: str = ""
    error: EngineError | None = None


@dataclass
class WalkState:
    """The walk of one item.

    Parameters
    ----------
    row
        The item's place in the batch.
    item
        Its text as prompts show it.
    shown
        Nodes that are shown.
    place
        The node whose children they are, `TOP`, or `FOUND`.
    notes
        What comparisons, rules and people told.
    refused
        Nodes that the rules refused.
    searches
        Whether a search may find something new: not after one that was made before.
    tokens, seconds
        What it has cost so far; `dearest` is the most that one action cost in tokens.
    """

    row: int
    item: str
    shown: tuple[int, ...]
    place: int = FOUND
    steps: list[Step] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    compared: frozenset[tuple[int, int]] = frozenset()
    refused: frozenset[int] = frozenset()
    searches: bool = True
    questions: int = 0
    tokens: int = 0
    dearest: int = 0
    seconds: float = 0.0
    outcome: Outcome | None = None

    def show(self, nodes: tuple[int, ...], place: int) -> None:
        """Put another list in place of the one that is shown."""
        self.shown, self.place = nodes, place
        self.compared = frozenset()

    def allowed(self, tools: NodeTools, *, asks: bool, last: bool) -> Allowed:
        """The actions that are allowed here."""
        return allowed(
            [tools.openable(node) for node in self.shown],
            [tools.choosable(node) and node not in self.refused for node in self.shown],
            above=self.place != TOP,
            compared=self.compared,
            searches=self.searches,
            asks=asks,
            last=last,
        )
