"""Rows of a set as walks to the right node, and each of their steps as an instruction.

A teacher who knows the right node takes the action that leads there in the fewest steps, with the
agent's own loop and tools: so prompts, lists and results are those of use. Labelled rows show
neither when to ask nor that an item belongs nowhere, so these two are not taught.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from cascade.config import AgentConfig, RetrievalConfig
from cascade.errors import EngineError
from cascade.generation.prompts import PromptTemplate
from cascade.items import Batch, Item
from cascade.pipeline.agent.actions import LONGEST, Action
from cascade.pipeline.agent.loop import AgentLoop
from cascade.pipeline.agent.policies import Place, PlacePrompt, Taken, item_text
from cascade.pipeline.agent.state import WalkState
from cascade.pipeline.agent.tools import NodeTools
from cascade.retrieval.encoder import Encoder
from cascade.retrieval.retriever import Retriever
from cascade.retrieval.text_vectors import Progress
from cascade.scoring.methods.retrieval import RetrievalScorer
from cascade.taxonomy.names import readable_name
from cascade.training.adapters.instructions import Instruction
from cascade.training.agents.recipe import WalksRecipe
from cascade.training.encoders.augmentation import changed
from cascade.training.encoders.sets import EncoderSet

BLOCK = 128  # rows that walk together
MAX_CHARS = 200  # as llm.max_chars in use
_UNSAID = re.compile(r'[\x00-\x1f\x7f"\\<>\[\]{}|]')  # what a search cannot have in it


@dataclass
class Teacher:
    """A policy that knows where each item belongs, and keeps what it did as instructions.

    Parameters
    ----------
    right
        The right node of each row of the batch.
    detours
        Share of the walks that take a wrong turn first.
    """

    tools: NodeTools
    prompt: PlacePrompt
    right: Sequence[int]
    detours: float
    rng: np.random.Generator
    instructions: list[Instruction] = field(default_factory=list)
    _found: dict[str, tuple[int, ...]] = field(default_factory=dict)

    def __call__(self, places: Sequence[Place]) -> list[Taken]:
        """One action for each place; see `Policy`."""
        self._search(places)
        return [self._taken(place) for place in places]

    def _taken(self, place: Place) -> Taken:
        early = len(place.state.steps) < 2 and not place.last
        turns = early and self.rng.random() < self.detours / 2
        if turns and (wrong := self._wrong(place)):
            return Taken(wrong)
        action = self._best(place)
        if action is None or action not in place.allowed:
            return Taken(EngineError("no way to the right node", reason="no way"))
        commands = self.prompt.commands(place)
        self.instructions.append(Instruction(commands.prompt, f"{commands.lead}{action}"))
        return Taken(action)

    def _best(self, place: Place) -> Action | None:
        """The action that leads to the right node in the fewest steps; None where none does."""
        state, right = place.state, self.right[place.state.row]
        if right in state.shown:
            return Action("choose", (state.shown.index(right) + 1,))
        if place.last:
            return None
        ways: list[tuple[int, Action]] = []
        for number, node in enumerate(state.shown, 1):
            if self._is_above(node, right):
                ways.append((self._steps_from(node, right), Action("open", (number,))))
        words = self._words(right)
        search = Action("search", (), words)
        if words and str(search) not in (step.action for step in state.steps):
            shown = self._found[words]
            if right in shown:
                ways.append((2, search))
            elif above := [node for node in shown if self._is_above(node, right)]:
                ways.append((1 + min(self._steps_from(node, right) for node in above), search))
        if "up" in place.allowed.plain:
            ways.append((2 + int(self.tools.taxonomy.level[right]), Action("up")))
        return min(ways, key=lambda way: way[0], default=(0, None))[1]

    def _wrong(self, place: Place) -> Action | None:
        """A turn that leads elsewhere: below another node, or a search for another one."""
        state, right = place.state, self.right[place.state.row]
        wrong: list[Action] = []
        for number, node in enumerate(state.shown, 1):
            if node == right or self._is_above(node, right):
                continue
            if self.tools.openable(node):
                wrong.append(Action("open", (number,)))
            elif words := self._words(node):
                wrong.append(Action("search", (), words))
        return wrong[int(self.rng.integers(len(wrong)))] if wrong else None

    def _search(self, places: Sequence[Place]) -> None:
        """Find what a search for the name of each right node shows."""
        words = dict.fromkeys(self._words(self.right[place.state.row]) for place in places)
        new = [text for text in words if text and text not in self._found]
        self._found |= zip(new, self.tools.search(new) if new else [], strict=True)

    def _is_above(self, node: int, right: int) -> bool:
        return node < right < int(self.tools.taxonomy.end[node])

    def _steps_from(self, node: int, right: int) -> int:
        """Actions from a list that shows a node to the answer: open each below, then choose."""
        level = self.tools.taxonomy.level
        return int(level[right] - level[node]) + 1

    def _words(self, node: int) -> str:
        name = _UNSAID.sub(" ", readable_name(self.tools.taxonomy.names[node]))
        words = " ".join(name.split()).lower()[:LONGEST].strip()
        return words if words[:1].isalnum() else ""


class WalkedSet:
    """A set whose rows become instructions.

    Parameters
    ----------
    progress
        Called while the index of its taxonomy is built.
    """

    def __init__(
        self,
        chosen: EncoderSet,
        encoder: Encoder,
        recipe: WalksRecipe,
        template: PromptTemplate,
        progress: Progress | None = None,
    ) -> None:
        self.name, self._set, self._recipe = chosen.name, chosen, recipe
        usual = RetrievalConfig()
        retriever = Retriever(
            chosen.taxonomy, encoder, recipe.texts, words=usual.words, progress=progress
        )
        self._retrieval = RetrievalScorer(retriever, usual.temperature, usual.caution)
        ends = np.zeros(len(chosen.taxonomy), bool)
        ends[chosen.answers] = True
        self._tools = NodeTools(retriever, ends, recipe.shown)
        self._prompt = PlacePrompt(template, self._tools, recipe.descriptions)

    def walks(
        self, most: int, rng: np.random.Generator, *, learnt: bool
    ) -> tuple[list[Instruction], int]:
        """The steps of walks of at most so many rows, and how many rows were walked.

        Parameters
        ----------
        learnt
            Whether rows are drawn by label, and changed, and take wrong turns; else they are as
            they come.
        """
        made: list[Instruction] = []
        walked = 0
        for rows in np.array_split(self._order(rng, learnt), max(1, len(self._set) // BLOCK)):
            own, count = self._block(rows, most - walked, rng, learnt)
            made += own
            walked += count
            if walked >= most:
                break
        return made, walked

    def _order(self, rng: np.random.Generator, learnt: bool) -> NDArray[np.int64]:
        if not learnt:
            return rng.permutation(len(self._set))
        shares = np.empty(len(self._set))
        for rows in self._set.rows_of:
            shares[rows] = len(rows) ** -0.5
        return rng.choice(len(shares), len(shares), replace=False, p=shares / shares.sum())

    def _block(
        self, rows: NDArray[np.int64], most: int, rng: np.random.Generator, learnt: bool
    ) -> tuple[list[Instruction], int]:
        texts = [self._set.texts[row] for row in rows.tolist()]
        if learnt:
            texts = [changed(text, self._set.augmentation, rng) or text for text in texts]
        batch = Batch([Item({"text": text}) for text in texts])
        nodes, shares = self._retrieval.probabilities(batch).top_ends(1)
        doubted = np.flatnonzero((shares[:, 0] < self._recipe.doubted) & (nodes[:, 0] >= 0))[:most]
        if not len(doubted):
            return [], 0
        part = batch.subset(doubted.tolist())
        shown = self._tools.first(part, nodes[doubted, 0].tolist())
        states = [
            WalkState(row, item_text(part.items[row], MAX_CHARS), first)
            for row, first in enumerate(shown)
        ]
        teacher = Teacher(
            self._tools,
            self._prompt,
            self._set.nodes[rows[doubted]].tolist(),
            self._recipe.detours if learnt else 0.0,
            rng,
        )
        config = AgentConfig(steps=self._recipe.steps, shown=self._recipe.shown)
        AgentLoop(self._tools, config).run(part, states, teacher)
        return teacher.instructions, len(doubted)
