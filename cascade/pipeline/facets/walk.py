"""From a description to a code that the rules let pass: base term, categories, descriptors."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from cascade.foodex2.code import FoodCode
from cascade.items import Batch
from cascade.pipeline.facets.base import BaseTerms, Ranked
from cascade.pipeline.facets.categories import Categories
from cascade.pipeline.facets.descriptors import DescriptorRanker, Descriptors, Question
from cascade.pipeline.facets.features import FacetFeatures, Found
from cascade.predictions import Alternative, Candidate, FacetChoice, Level, Prediction
from cascade.retrieval.word_overlap import words_of
from cascade.taxonomy.facets import Facet, FacetedTaxonomy

INSTEAD = 0.2  # probability of a descriptor that may stand for one that rules refuse
ROWS = 64  # items whose evidence is in memory together

Refuses = Callable[[str], str]
"""What rules say against a code; empty where it may stand."""


class FacetWalk:
    """Files descriptions under base terms, and says what they tell beyond.

    Parameters
    ----------
    refuses
        Rules that codes must pass: a descriptor that they refuse gives way to the next.
    most
        Descriptors of a category that may have several.

    Attributes
    ----------
    source
        Who finds base terms.
    """

    reads_text = True
    reads_pictures = False
    takes_pictures = False
    holds_all_nodes = True

    def __init__(
        self,
        taxonomy: FacetedTaxonomy,
        bases: BaseTerms,
        features: FacetFeatures,
        categories: Categories,
        descriptors: DescriptorRanker,
        refuses: Refuses,
        *,
        source: str = "retrieval",
        most: int = 3,
    ) -> None:
        self._taxonomy = taxonomy
        self._bases, self._features = bases, features
        self._categories, self._descriptors = categories, descriptors
        self._refuses = refuses
        self.source = source
        self._most = most

    def walk(self, batch: Batch) -> list[Prediction]:
        """The predictions for a batch; a code holds nothing that its base term implies."""
        predictions: list[Prediction] = []
        for start in range(0, len(batch), ROWS):
            rows = range(start, min(start + ROWS, len(batch)))
            part = batch.subset(rows)
            predictions += self._walked(part)
            batch.take_back(part, rows)
        return predictions

    def _walked(self, batch: Batch) -> list[Prediction]:
        with batch.timed("base terms"):
            ranked = self._bases.ranked(batch)
        bases = [self._taxonomy.codes[node] for node in ranked.nodes[:, 0].tolist()]
        with batch.timed("facet categories"):
            found = self._features.found(batch, bases)
            likely = self._categories.probabilities(batch, found, bases)
        with batch.timed("descriptors"):
            taken = likely >= self._categories.thresholds
            questions = [Question(int(i), int(c)) for i, c in np.argwhere(taken)]
            answers = self._descriptors.ranked(batch, found, questions)
        own: list[list[tuple[Question, Descriptors]]] = [[] for _ in bases]
        for question, answer in zip(questions, answers, strict=True):
            own[question.item].append((question, answer))
        return [
            self._prediction(batch, row, ranked, own[row], likely[row], found)
            for row in range(len(batch))
        ]

    def _prediction(
        self,
        batch: Batch,
        row: int,
        ranked: Ranked,
        asked: Sequence[tuple[Question, Descriptors]],
        likely: NDArray[np.float32],
        found: Found,
    ) -> Prediction:
        taxonomy = self._taxonomy
        node = int(ranked.nodes[row, 0])
        code = FoodCode(taxonomy.codes[node])
        confidence = float(np.exp(ranked.logprobs[row, 0]))
        facets: list[FacetChoice] = []
        for question, answer in sorted(asked, key=lambda own: -likely[own[0].category]):
            probability = float(likely[question.category])
            code, chosen = self._added(code, question, answer, probability, found)
            facets += chosen
            if taken := [facet.confidence for facet in chosen if facet.code]:
                confidence *= max(taken)
        others = ranked.nodes[row, 1:].tolist()
        doubt = self._bases.doubt(ranked, row)
        return Prediction(
            str(code.normalised()),
            taxonomy.path(node),
            confidence,
            self.source,
            "review" if doubt else "ok",
            doubt,
            id=batch.items[row].id,
            levels=self._levels(ranked, row),
            alternatives=tuple(
                Alternative(taxonomy.codes[other], taxonomy.path(other), float(np.exp(logprob)))
                for other, logprob in zip(others, ranked.logprobs[row, 1:], strict=True)
            ),
            facets=tuple(sorted(facets, key=lambda facet: (facet.category, facet.code or ""))),
        )

    def _added(
        self,
        code: FoodCode,
        question: Question,
        answer: Descriptors,
        probability: float,
        found: Found,
    ) -> tuple[FoodCode, list[FacetChoice]]:
        """The code with the best descriptors that the rules let pass, and what was chosen."""
        group = self._features.groups[question.category]
        candidates = tuple(
            Candidate(
                group.tree.codes[node],
                group.tree.names[node],
                group.tree.path(node),
                float(share),
                {name: float(scores[at]) for name, scores in answer.scores.items()},
            )
            for at, (node, share) in enumerate(
                zip(answer.nodes.tolist(), answer.probabilities, strict=True)
            )
        )
        chosen: list[FacetChoice] = []
        refused = ""
        said: set[str] = set()
        exact = found.exact[question.category][:, question.item]
        for node, candidate in zip(answer.nodes.tolist(), candidates, strict=True):
            if chosen and (group.single or len(chosen) == self._most):
                break
            words = {
                word
                for name in (candidate.name, *group.tree.synonyms(node))
                for word in words_of(name)
            }
            if chosen and (not exact[node] or words & said):
                continue
            if refused and not exact[node] and candidate.probability < INSTEAD:
                break
            made = FoodCode(code.base, (*code.facets, Facet(group.code, candidate.code)))
            if problem := self._refuses(str(made)):
                refused = refused or problem
                continue
            code, said = made, said | words
            share = 1.0 if chosen else candidate.probability  # words that are all there
            chosen.append(
                FacetChoice(
                    group.code,
                    group.label,
                    candidate.code,
                    candidate.name,
                    probability * share,
                    () if chosen else candidates,
                )
            )
        if not chosen:
            why = refused or "there is no descriptor that could be said"
            chosen = [FacetChoice(group.code, group.label, None, "", probability, candidates, why)]
        return code, chosen

    def _levels(self, ranked: Ranked, row: int) -> tuple[Level, ...]:
        """The path to the base term; a level is as likely as all candidates at or below it."""
        taxonomy = self._taxonomy
        nodes, shares = ranked.nodes[row], np.exp(ranked.logprobs[row])
        candidates = tuple(
            Candidate(
                taxonomy.codes[node],
                taxonomy.names[node],
                taxonomy.path(node),
                float(share),
                {
                    name: float(scores[row, at])
                    for name, scores in ranked.scores.items()
                    if np.isfinite(scores[row, at])
                },
            )
            for at, (node, share) in enumerate(zip(nodes.tolist(), shares, strict=True))
        )
        way = taxonomy.path_nodes(int(nodes[0])).tolist()
        levels = []
        for level, node in enumerate(way, 1):
            below = (nodes >= node) & (nodes < taxonomy.end[node])
            levels.append(
                Level(
                    level,
                    taxonomy.codes[node],
                    taxonomy.names[node],
                    float(shares[below].sum()),
                    candidates if node == way[-1] else (),
                )
            )
        return tuple(levels)
