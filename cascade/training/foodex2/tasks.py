"""Composed descriptions as the tasks of FEAST: what a language model is asked, and what is right.

Candidates are those that retrieval really finds among names alone, so that what a description says
in other words must be understood. Questions are those of use, see `cascade.pipeline.facets`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from cascade.config import BaseTermConfig, DescriptorConfig
from cascade.foodex2.code import FoodCode
from cascade.foodex2.rules import Checker
from cascade.foodex2.taxonomy import FoodEx2Taxonomy
from cascade.generation.engine import Question
from cascade.generation.prompts import PromptTemplate
from cascade.items import Batch, Item
from cascade.pipeline.facets.categories import NetworkClassifier, shipped_network
from cascade.pipeline.facets.evidence import EvidenceFinder, FacetFeatureExtractor
from cascade.pipeline.facets.questions import (
    ShownTerm,
    category_names,
    category_question,
    shown_categories,
    shown_term,
    term_question,
)
from cascade.pipeline.facets.ranking import BaseTermRanker, DescriptorRanker
from cascade.retrieval.encoder import Encoder
from cascade.retrieval.text_vectors import Progress
from cascade.scoring.item_prompts import one_line_text
from cascade.taxonomy import Taxonomy
from cascade.taxonomy.facets import FacetCategory
from cascade.training.adapters.instructions import Instruction
from cascade.training.foodex2.categories import features_and_labels
from cascade.training.foodex2.synthetic import (
    Composer,
    Description,
    Words,
    composed_categories,
    other_names,
    split_bases,
    split_names,
)
from cascade.training.foodex2.tasks_recipe import FoodTask, FoodTasksRecipe

BLOCK = 64  # descriptions that are compared with all terms together
SEEDS = {"train": 1, "validation": 2, "test": 3}  # added to that of the recipe


@dataclass(frozen=True)
class TermChoice:
    """A description, and the terms that one is chosen among.

    Parameters
    ----------
    about
        What is asked: the label of a facet category; empty where terms are base terms.
    terms, log_p
        Candidates, and float64 [n_terms], the log-probability of each by retrieval.
    wanted, right
        The right term, and its place; n_terms where it is not among the candidates.
    """

    text: str
    about: str
    terms: list[ShownTerm]
    log_p: NDArray[np.float64]
    wanted: ShownTerm
    right: int

    def taught(self) -> TermChoice:
        """With the right term among the candidates, if need be in the place of the least likely."""
        if self.right < len(self.terms):
            return self
        last = len(self.terms) - 1
        return replace(self, terms=[*self.terms[:last], self.wanted], right=last)


class FoodTasks:
    """Descriptions of a catalogue, and what is asked about them.

    Parameters
    ----------
    encoder
        Finds candidates, among names alone.
    progress
        Called while the index of names is built.

    Attributes
    ----------
    full
        The taxonomy as it is used, which contexts are of.
    categories
        Those that descriptions are composed of, and that may be told.
    splits
        Codes of base terms, in train, validation and test.
    """

    def __init__(
        self,
        checker: Checker,
        encoder: Encoder,
        recipe: FoodTasksRecipe,
        progress: Progress | None = None,
    ) -> None:
        self._checker, self._recipe = checker, recipe
        self.full = FoodEx2Taxonomy.from_catalogue(checker.catalogue)
        self.bare = FoodEx2Taxonomy.from_catalogue(checker.catalogue, names_only=True)
        accepted = [not checker.refusal(code) for code in self.bare.codes]
        allowed = self.bare.reportable & np.array(accepted)
        self._finder = EvidenceFinder(self.bare, encoder, progress=progress)
        self.extractor = FacetFeatureExtractor(self.bare, self._finder)
        self.bases = BaseTermRanker(self.bare, self._finder, BaseTermConfig(), allowed)
        codes = [code for code, may in zip(self.bare.codes, allowed, strict=True) if may]
        self.splits = split_bases(codes, recipe.seed)
        told = composed_categories()
        self.categories: list[FacetCategory] = [
            own for code, own in self.full.categories.items() if code in told
        ]
        self.codes = [own.code for own in self.categories]
        self.names = category_names(self.categories)

    @cached_property
    def facets_template(self) -> PromptTemplate:
        """The prompt of the task facets, with the categories that it may show."""
        shown = shown_categories(self.categories, self._recipe.candidates.contexts)
        return PromptTemplate.load(self._recipe.prompts.facets).given(categories=shown)

    @cached_property
    def term_template(self) -> PromptTemplate:
        """The prompt of the tasks child and descriptors."""
        return PromptTemplate.load(self._recipe.prompts.term)

    def composed(self, split: str, n: int, *words: Words) -> list[Description]:
        """n descriptions of the base terms of a split, alike many in each wording; else ours."""
        made: list[Description] = []
        wordings = words or ("ours",)
        for at, own in enumerate(wordings):
            composer = Composer(
                self.full,
                self._checker.catalogue,
                self._checker,
                words=own,
                seed=self._recipe.seed + SEEDS[split] + 100 * at,
            )
            share = n // len(wordings) + (at < n % len(wordings))
            made += composer.compose(self.splits[split], share)
        return made

    def names_of(self, split: str) -> list[Description]:
        """Other names of base terms, of a split of the names."""
        codes = [code for own in self.splits.values() for code in own]
        parts = split_names(other_names(self._checker.catalogue, sorted(codes)), self._recipe.seed)
        return [Description(name.text, FoodCode(name.code)) for name in parts[split]]

    def network(self, descriptions: Sequence[Description]) -> NDArray[np.float32]:
        """float32 [n, n_categories], the probability of each category by the network that ships."""
        network = NetworkClassifier.load(shipped_network(), self.extractor.codes)
        bases = [one.code.base for one in descriptions]
        made, _ = features_and_labels(self.extractor, descriptions, bases)
        return network.of(made)[:, [self.extractor.codes.index(code) for code in self.codes]]

    def text(self, description: Description) -> str:
        """As prompts show it."""
        return one_line_text(Item({"text": description.text}), self._recipe.data.max_chars)

    def instructions(
        self, task: FoodTask, descriptions: Sequence[Description], n: int
    ) -> list[Instruction]:
        """n instructions of a task, or as many as descriptions are good for."""
        if task == "facets":
            return self._facets(descriptions, n)
        choices = self.choices(task, descriptions, n)
        made = []
        for taught in [choice.taught() for choice in choices if len(choice.terms) > 1]:
            question = self.question(taught)
            made.append(Instruction(question.prompt, question.answers[taught.right]))
        return made

    def _facets(self, descriptions: Sequence[Description], n: int) -> list[Instruction]:
        """For each category that is told one, and one for a description that tells nothing."""
        made: list[Instruction] = []
        for one in descriptions:
            base = self.full.names[self.full.index(one.code.base)]
            question = category_question(self.facets_template, self.text(one), base, self.names)
            told = {facet.category for facet in one.code.facets}
            answers = [
                answer
                for code, answer in zip(self.codes, question.answers, strict=False)
                if code in told
            ]
            for answer in answers or [question.answers[-1]]:
                made.append(Instruction(question.prompt, answer))
            if len(made) >= n:
                break
        return made[:n]

    def question(self, choice: TermChoice) -> Question:
        """What is asked of a choice."""
        return term_question(self.term_template, choice.text, choice.about, choice.terms)

    def choices(
        self, task: FoodTask, descriptions: Sequence[Description], n: int
    ) -> list[TermChoice]:
        """At most n choices of a task, child or descriptors, as retrieval finds candidates."""
        of = self._bases if task == "child" else self._descriptors
        made: list[TermChoice] = []
        for start in range(0, len(descriptions), BLOCK):
            some = descriptions[start : start + BLOCK]
            made += of(some, Batch([Item({"text": one.text}) for one in some]))
            if len(made) >= n:
                break
        return made[:n]

    def _bases(self, descriptions: Sequence[Description], batch: Batch) -> list[TermChoice]:
        ranked = self.bases.rank(batch, self._recipe.candidates.shown)
        return [
            self._choice(self.full, one, "", nodes, log_p, self.full.index(one.code.base))
            for one, nodes, log_p in zip(
                descriptions, ranked.nodes.tolist(), ranked.logprobs, strict=True
            )
        ]

    def _descriptors(self, descriptions: Sequence[Description], batch: Batch) -> list[TermChoice]:
        features = self.extractor.extract(batch, [one.code.base for one in descriptions])
        asked = [
            (row, self.extractor.codes.index(facet.category), facet.descriptor)
            for row, one in enumerate(descriptions)
            for facet in one.code.facets
            if facet.category in self.extractor.codes
        ]
        pairs = [(row, category) for row, category, _ in asked]
        made = []
        for (row, at, right), own in zip(
            asked, self._ranker.rank(batch, features, pairs), strict=True
        ):
            category = self.full.categories[self.extractor.codes[at]]
            node = category.tree.index(right)
            log_p = own.scores["retrieval"]
            made.append(
                self._choice(
                    category.tree,
                    descriptions[row],
                    category.label,
                    own.nodes.tolist(),
                    log_p,
                    node,
                )
            )
        return made

    @cached_property
    def _ranker(self) -> DescriptorRanker:
        shown = DescriptorConfig(candidates=self._recipe.candidates.shown)
        return DescriptorRanker(self.extractor, shown)

    def _choice(
        self,
        tree: Taxonomy,
        one: Description,
        about: str,
        nodes: Sequence[int],
        log_p: NDArray[np.float64],
        right: int,
    ) -> TermChoice:
        chars = self._recipe.candidates.contexts
        terms = [shown_term(tree, node, chars) for node in nodes]
        place = nodes.index(right) if right in nodes else len(nodes)
        return TermChoice(
            self.text(one), about, terms, log_p, shown_term(tree, right, chars), place
        )
