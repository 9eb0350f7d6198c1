"""Labelled items as instructions: a prompt as it is in use, and the answer that is right.

The tasks of a plain taxonomy are choosing a child among candidates, writing the path, and writing
the kind of thing that an item is; those of FoodEx2 are in `cascade.training.foodex2`. Prompts are
rendered and encoded by what asks them in use, so that training sees the same tokens.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from cascade.errors import UsageError
from cascade.generation.engine import Prompt
from cascade.generation.prompt_encoding import PromptEncoder
from cascade.generation.prompts import PromptTemplate
from cascade.items import Batch, Item
from cascade.retrieval.retriever import Retriever
from cascade.scoring.item_prompts import make_question, prompt_text
from cascade.taxonomy import Taxonomy
from cascade.taxonomy.names import PATH_SEPARATOR, readable_name
from cascade.training.labelled import path_choices

Task = Literal["child", "path", "type"]
"""What is learnt of a plain taxonomy: choose a child at each level, write the whole path, say what
kind of thing an item is."""

BLOCK = 256  # items whose similarities to all nodes are in memory together


@dataclass(frozen=True, slots=True)
class Example:
    """Token ids of an instruction.

    Parameters
    ----------
    shared
        What prompts of one kind begin with; may be empty.
    prompt, answer
        What follows of the prompt, and the answer with its end; neither is empty.
    """

    shared: tuple[int, ...]
    prompt: tuple[int, ...]
    answer: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.prompt) + len(self.answer)


@dataclass(frozen=True, slots=True)
class Instruction:
    """A prompt, and the right answer in the form that continues it."""

    prompt: Prompt
    answer: str

    def encode(self, encoder: PromptEncoder) -> Example:
        """Token ids, the same that scoring the answer sees.

        Raises
        ------
        EngineError
            The model has no chat template for a prompt of messages, or no end of turn.
        """
        shared, rest = encoder.prompt(self.prompt)
        return Example(shared, tuple(rest), tuple(encoder.answer(self.answer, self.prompt.end)))


def choose_child(
    template: PromptTemplate,
    taxonomy: Taxonomy,
    item: str,
    type_: str,
    parent: int,
    candidates: NDArray[np.int32],
    right: int,
) -> Instruction:
    """Which of the candidates, children of a parent (-1 above the top), an item belongs to.

    Item and type are one line each.
    """
    question = make_question(template, taxonomy, item, type_, parent, candidates)
    place = np.flatnonzero(candidates == right)
    if not len(place):
        raise UsageError(f"the right node {taxonomy.path(right)!r} is not among the candidates")
    return Instruction(question.prompt, question.answers[int(place[0])])


def write_path(template: PromptTemplate, taxonomy: Taxonomy, item: str, node: int) -> Instruction:
    """All names from the top down to an item's node."""
    names = [readable_name(taxonomy.names[step]) for step in taxonomy.path_nodes(node).tolist()]
    return Instruction(template.render({"item": item}), template.answer(PATH_SEPARATOR.join(names)))


def say_type(template: PromptTemplate, item: str, type_: str) -> Instruction:
    """What kind of thing an item is."""
    return Instruction(template.render({"item": item}), template.answer(type_))


class CandidateSampler:
    """Children to choose among in training, as in use: those that retrieval finds, and harder ones.

    Hard negatives are siblings whose names are most like the right one's, whatever the item says.

    Parameters
    ----------
    retriever
        What narrows in use.
    shown
        CandidateSampler of a question, the right one and the hard ones among them.
    hard
        Hard negatives of a question, as far as there are other children.
    """

    def __init__(self, retriever: Retriever, shown: int = 10, hard: int = 2) -> None:
        self._retriever = retriever
        self._taxonomy = retriever.taxonomy
        self._shown = max(shown, 2)
        self._hard = min(hard, self._shown - 1)
        self._alike: dict[int, NDArray[np.int32]] = {}

    def draw(
        self, batch: Batch, rows: NDArray[np.int32], right: NDArray[np.int32], seed: int
    ) -> list[NDArray[np.int32]]:
        """CandidateSampler of each question, shuffled, the right one always among them.

        Parameters
        ----------
        rows, right
            int32 [n_questions], index of the item in the batch, and the child that it belongs to.

        Returns
        -------
        list of int32 [n_candidates]
        """
        rng = np.random.default_rng(seed)
        parents = self._taxonomy.parent[right]
        found = self._retriever.narrow(batch, rows, parents, self._shown)
        self._compare(np.unique(right))
        drawn = []
        for q, answer in enumerate(right.tolist()):
            retrieved = found.nodes[found.offsets[q] : found.offsets[q + 1]]
            first = np.concatenate([[answer], self._alike[answer], retrieved])
            _, places = np.unique(first, return_index=True)
            kept = first[np.sort(places)][: self._shown]
            drawn.append(rng.permutation(kept).astype(np.int32))
        return drawn

    def _compare(self, right: NDArray[np.int64]) -> None:
        """Note the siblings that are most like each node that is new."""
        new = [node for node in right.tolist() if node not in self._alike]
        for start in range(0, len(new), 64):
            some = new[start : start + 64]
            names = [readable_name(self._taxonomy.names[node]) for node in some]
            similarity = self._retriever.name_similarity(names)
            for column, node in enumerate(some):
                siblings = self._taxonomy.children(int(self._taxonomy.parent[node]))
                siblings = siblings[siblings != node]
                order = np.argsort(-similarity[siblings, column], kind="stable")
                self._alike[node] = siblings[order[: self._hard]]


@dataclass(frozen=True)
class InstructionWriter:
    """Makes the instructions of labelled items of a plain taxonomy.

    Parameters
    ----------
    templates
        The prompt of each task that is wanted.
    candidates
        Makes what draws candidates, where a prompt shows them; made once, when it is needed.
    max_chars
        Characters of each field of an item that prompts show.
    pictures
        Whether prompts have the pictures of items.
    """

    taxonomy: Taxonomy
    templates: Mapping[Task, PromptTemplate]
    candidates: Callable[[], CandidateSampler] | None = None
    max_chars: int = 200
    pictures: bool = False

    @property
    def needs_types(self) -> bool:
        """Whether the types of items must be known."""
        return "type" in self.templates or self._child_shows("type")

    def _child_shows(self, variable: str) -> bool:
        child = self.templates.get("child")
        return child is not None and variable in child.head.variables

    def write(
        self,
        items: Sequence[Item],
        nodes: NDArray[np.int32],
        types: Sequence[str] | None = None,
        *,
        seed: int = 0,
        progress: Callable[[int, int], None] | None = None,
    ) -> list[Instruction]:
        """Instructions of items: a child at each level where there is a choice, and the others.

        Parameters
        ----------
        nodes
            int32 [n_items], what each item is labelled with.
        types
            What the model calls each item; see `needs_types`.
        progress
            Called with the items that are done and all.
        """
        made: list[Instruction] = []
        for start in range(0, len(items), BLOCK):
            end = min(start + BLOCK, len(items))
            some = None if types is None else types[start:end]
            made += self._block(items[start:end], nodes[start:end], some, seed + start)
            if progress is not None:
                progress(end, len(items))
        return made

    def _block(
        self,
        items: Sequence[Item],
        nodes: NDArray[np.int32],
        types: Sequence[str] | None,
        seed: int,
    ) -> list[Instruction]:
        texts = [prompt_text(item, self.max_chars) for item in items]
        kinds = texts if types is None else types
        made: list[tuple[int, Instruction]] = []
        if template := self.templates.get("child"):
            rows, right = path_choices(self.taxonomy, nodes)
            drawn = self._drawn(items, rows, right, seed)
            for row, answer, some in zip(rows.tolist(), right.tolist(), drawn, strict=True):
                parent = int(self.taxonomy.parent[answer])
                one = choose_child(
                    template, self.taxonomy, texts[row], kinds[row], parent, some, answer
                )
                made.append((row, one))
        for row, node in enumerate(nodes.tolist()):
            if template := self.templates.get("path"):
                made.append((row, write_path(template, self.taxonomy, texts[row], node)))
            if template := self.templates.get("type"):
                made.append((row, say_type(template, texts[row], kinds[row])))
        if not self.pictures:
            return [one for _, one in made]
        return [
            replace(one, prompt=replace(one.prompt, image=items[row].image)) for row, one in made
        ]

    def _drawn(
        self,
        items: Sequence[Item],
        rows: NDArray[np.int32],
        right: NDArray[np.int32],
        seed: int,
    ) -> list[NDArray[np.int32]]:
        if not self._child_shows("candidates"):
            return [answer[None] for answer in right]  # no prompt shows the others
        if self.candidates is None:
            raise UsageError(
                "the prompt of the task child shows candidates; give a CandidateSampler too"
            )
        return self._drawer.draw(Batch(items), rows, right, seed)

    @cached_property
    def _drawer(self) -> CandidateSampler:
        assert self.candidates is not None
        return self.candidates()
