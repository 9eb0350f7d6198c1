"""The third stage: which descriptors of a facet category a description names."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cascade.config import DescriptorConfig
from cascade.items import Batch
from cascade.pipeline.facets.asking import Asker
from cascade.pipeline.facets.features import FacetFeatures, Found
from cascade.retrieval.array_ops import top_k


@dataclass(frozen=True)
class Question:
    """A category that an item says something in."""

    item: int
    category: int


@dataclass(frozen=True)
class Descriptors:
    """The likeliest descriptors of a question, best first.

    Parameters
    ----------
    nodes, probabilities
        int32 [k] and float64 [k], of the category's tree.
    scores
        Log-probability by method.
    """

    nodes: NDArray[np.int32]
    probabilities: NDArray[np.float64]
    scores: dict[str, NDArray[np.float64]]


class DescriptorRanker:
    """Ranks descriptors by the evidence for them, and asks a model where that leaves doubt."""

    def __init__(
        self, features: FacetFeatures, config: DescriptorConfig, asker: Asker | None = None
    ) -> None:
        self._features, self._config, self._asker = features, config, asker

    def ranked(self, batch: Batch, found: Found, questions: list[Question]) -> list[Descriptors]:
        """The descriptors of each question; none where there is nothing that could be said."""
        answers = [self._likeliest(found, question) for question in questions]
        if self._asker is None:
            return answers
        doubted = [
            at
            for at, own in enumerate(answers)
            if len(own.nodes) > 1 and own.probabilities[0] < self._config.sure
        ]
        for size in sorted({len(answers[at].nodes) for at in doubted}):
            some = [at for at in doubted if len(answers[at].nodes) == size]
            groups = [self._features.groups[questions[at].category] for at in some]
            said = self._asker.logprobs(
                [batch.items[questions[at].item] for at in some],
                [
                    [group.tree.names[node] for node in answers[at].nodes.tolist()]
                    for group, at in zip(groups, some, strict=True)
                ],
                [group.label for group in groups],
            )
            for at, own in zip(some, said, strict=True):
                answers[at] = self._joined(answers[at], own)
        return answers

    def _likeliest(self, found: Found, question: Question) -> Descriptors:
        scores = found.scores[question.category][:, question.item]
        k = min(self._config.candidates, int(np.isfinite(scores).sum()))
        nodes = top_k(scores[None], max(k, 1))[0][:k].astype(np.int32)
        logits = scores[nodes].astype(np.float64) / self._config.temperature
        logprobs = logits - np.logaddexp.reduce(logits) if k else logits
        return Descriptors(nodes, np.exp(logprobs), {"retrieval": logprobs})

    def _joined(self, known: Descriptors, said: NDArray[np.float64]) -> Descriptors:
        assert self._asker is not None
        together = known.scores["retrieval"] + self._config.weight * said
        together -= np.logaddexp.reduce(together)
        order = np.argsort(-together, kind="stable")
        return Descriptors(
            known.nodes[order],
            np.exp(together[order]),
            {"retrieval": known.scores["retrieval"][order], self._asker.name: said[order]},
        )
