"""Rows of a set as choices from lists: the leaves that retrieval finds, and harder ones beside."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cascade.config import RetrievalConfig
from cascade.generation.prompts import PromptTemplate
from cascade.items import Batch, Item
from cascade.retrieval.encoder import Encoder
from cascade.retrieval.retriever import Retriever
from cascade.retrieval.text_vectors import Progress
from cascade.scoring.item_prompts import one_line_text
from cascade.scoring.listed.candidates import NONE, CandidateTexts
from cascade.scoring.listed.choice import AnswerBy, listed_question
from cascade.scoring.methods.retrieval import RetrievalScorer
from cascade.taxonomy import Taxonomy
from cascade.taxonomy.staying import StayingTaxonomy, staying
from cascade.training.adapters.instructions import Instruction
from cascade.training.choosers.recipe import ListRecipe
from cascade.training.encoders.augmentation import changed
from cascade.training.encoders.sets import EncoderSet
from cascade.training.rankers.negatives import Negatives, NegativesRecipe

BLOCK = 256  # rows that are compared with all nodes together
NOWHERE = -1


@dataclass(frozen=True)
class Choice:
    """A row, and the leaves that it is chosen among.

    Parameters
    ----------
    text
        On one line.
    nodes
        int32 [n], in the order of the taxonomy.
    log_p
        float64 [n + 1], log-probability of each by retrieval, and of all other leaves last.
    right
        int64, place of the right leaf among them; n where it is not listed.
    """

    text: str
    nodes: NDArray[np.int32]
    log_p: NDArray[np.float64]
    right: int


class ListedSet:
    """A set whose rows become choices.

    Parameters
    ----------
    progress
        Called while the index of its taxonomy is built.

    Attributes
    ----------
    taxonomy
        That of the set, with a leaf for each inner node that rows are labelled with.
    """

    def __init__(
        self,
        chosen: EncoderSet,
        encoder: Encoder,
        recipe: ListRecipe,
        progress: Progress | None = None,
    ) -> None:
        self.name, self._set, self._recipe = chosen.name, chosen, recipe
        base = chosen.taxonomy
        inner = [base.codes[node] for node in chosen.labelled.tolist() if not base.is_leaf(node)]
        self.taxonomy: Taxonomy = staying(base, inner)
        self.texts = CandidateTexts(self.taxonomy, recipe.descriptions)
        usual = RetrievalConfig()
        retriever = Retriever(
            self.taxonomy, encoder, recipe.texts, words=usual.words, progress=progress
        )
        self._retrieval = RetrievalScorer(retriever, usual.temperature, usual.caution)
        self._negatives = Negatives(self.taxonomy, self.taxonomy.leaves)

    def learnt(self, most: int, rng: np.random.Generator) -> list[Choice]:
        """Choices of at most so many rows, labels drawn alike, with changes of the recipe."""
        shares = np.array([len(rows) for rows in self._set.rows_of], float) ** -0.5
        p = np.empty(len(self._set))
        for rows, share in zip(self._set.rows_of, shares.tolist(), strict=True):
            p[rows] = share
        order = rng.choice(len(p), len(p), replace=False, p=p / p.sum())
        found: list[Choice] = []
        for rows in _blocks(order):
            texts = [self._set.texts[row] for row in rows.tolist()]
            texts = [changed(text, self._set.augmentation, rng) or text for text in texts]
            found += self._choices(rows, texts, rng)
            if len(found) >= most:
                break
        return found[:most]

    def measured(self, most: int, rng: np.random.Generator) -> list[Choice]:
        """Choices of at most so many rows, as they come and as retrieval finds them."""
        found: list[Choice] = []
        for rows in _blocks(rng.permutation(len(self._set))):
            found += self._choices(rows, [self._set.texts[row] for row in rows.tolist()], None)
            if len(found) >= most:
                break
        return found[:most]

    def _choices(
        self, rows: NDArray[np.int64], texts: Sequence[str], rng: np.random.Generator | None
    ) -> list[Choice]:
        """The choices of rows that retrieval doubts; without `rng` just as it finds them."""
        recipe = self._recipe
        batch = Batch([Item({"text": text}) for text in texts])
        p = self._retrieval.probabilities(batch)
        nodes, shares = p.top_ends(recipe.listed)
        found = []
        for at in np.flatnonzero(shares[:, 0] < recipe.doubted).tolist():
            text = one_line_text(batch.items[at], 10**6)
            listed, gold = nodes[at][nodes[at] >= 0], self._leaf(int(self._set.nodes[rows[at]]))
            if rng is not None:
                others = self._set.right_of.get(self._set.texts[rows[at]].casefold(), set())
                also_right = [self._leaf(node) for node in others if self._leaf(node) != gold]
                listed = self._harder(listed[~np.isin(listed, also_right)], gold, rng)
            if len(listed) < 2 or not text:
                continue
            listed = np.sort(listed)
            own = p.log_prob(np.full(len(listed), at), listed).astype(float)
            rest = np.log(max(1 - np.exp(own).sum(), 1e-9))
            place = np.flatnonzero(listed == gold)
            right = int(place[0]) if len(place) else len(listed)
            found.append(Choice(text, listed, np.append(own, rest), right))
        return found

    def _harder(
        self, listed: NDArray[np.int32], gold: int, rng: np.random.Generator
    ) -> NDArray[np.int32]:
        """What was found, best first, with near leaves and with the right one, or without it."""
        recipe = self._recipe
        wrong = listed[listed != gold]
        absent = rng.random() < recipe.absent
        room = len(listed) if absent else len(listed) - 1
        kinds = NegativesRecipe(siblings=0, near=recipe.near, similar=0)
        near = self._negatives.draw(np.array([gold], np.int32), None, kinds, rng)[0]
        near = np.setdiff1d(near[near >= 0], wrong).astype(np.int32)[: max(room - 1, 0)]
        kept = wrong[: room - len(near)]
        return np.concatenate([kept, near, [] if absent else [gold]]).astype(np.int32)

    def _leaf(self, node: int) -> int:
        """Where a row labelled with a node of the set belongs."""
        taxonomy = self.taxonomy
        return int(taxonomy.place[node]) if isinstance(taxonomy, StayingTaxonomy) else node


def instruction(
    choice: Choice, texts: CandidateTexts, template: PromptTemplate, by: AnswerBy, *, reverse: bool
) -> Instruction:
    """The list as it is shown in use, in one of the two orders, and the right answer."""
    shown = [*texts(choice.nodes.tolist()), NONE]
    right = len(shown) - 1 - choice.right if reverse else choice.right
    question = listed_question(template, choice.text, shown[::-1] if reverse else shown, by)
    return Instruction(question.prompt, question.answers[right])


def _blocks(rows: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    for start in range(0, len(rows), BLOCK):
        yield rows[start : start + BLOCK]
