"""The interface of all methods: what judges candidates."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np
from numpy.typing import NDArray

from cascade.items import Batch, Choices, Item
from cascade.retrieval.subtrees import NodeProbabilities


class Scorer(ABC):
    """Gives candidates probabilities; it never reads files, descends or decides.

    The descent stops, with the status `partial`, where no candidate has `descent.stop` (0.3), so a
    scorer that is seldom sure seldom reaches a leaf.

    Attributes
    ----------
    name
        One word, as in `--method` and in traces.
    reads_text, reads_pictures
        Which inputs of an item it can judge by; one of those that it reads is enough.
    wants_narrowing
        Whether candidates are narrowed to `retrieval.candidates` by similarity, for which a
        sentence encoder is loaded; else all children of a node are candidates.
    reads_candidate_order
        Whether its scores depend on the order of the candidates, the most similar first.
    """

    name: str
    reads_text: bool = True
    reads_pictures: bool = False
    wants_narrowing: bool = True
    reads_candidate_order: bool = False

    def can_read(self, item: Item) -> bool:
        """Whether an item has a text or picture that this scorer reads."""
        return (self.reads_text and item.has_text) or (
            self.reads_pictures and item.image is not None
        )

    @abstractmethod
    def score(self, batch: Batch, choices: Choices) -> NDArray[np.float64]:
        """Log-probability of each candidate, normalised inside each question.

        Where a model failed on one item, that is noted in `batch.failures`, and what is returned
        for this item means nothing.

        Returns
        -------
        float64 [n_candidates], in the order of `choices.nodes`.

        Raises
        ------
        EngineError
            A model behind the scorer failed altogether.
        """

    def score_parts(self, batch: Batch, choices: Choices) -> dict[str, NDArray[np.float64]]:
        """`score` under this scorer's name, then the scores it was made of, for the trace."""
        with batch.timed(self.name):
            return {self.name: self.score(batch, choices)}

    def rank(self, batch: Batch, k: int) -> NDArray[np.int32] | None:
        """The k likeliest leaves of the whole taxonomy for each item, best first.

        Returns
        -------
        int32 [n_items, at most k], node indices, -1 behind the last where fewer are known; None
        if this scorer does not compare items with all leaves.
        """
        return None


class NodeProbabilityScorer(Scorer):
    """A scorer that has the probability of every node at once; it is read at every level.

    Attributes
    ----------
    prior
        float32 [n_nodes], what is added to the logits of leaves, by those that read it; see
        `scoring.adaptation`.
    """

    prior: NDArray[np.float32] | None = None

    def score(self, batch: Batch, choices: Choices) -> NDArray[np.float64]:
        """Log-probability of each candidate; see `Scorer.score`."""
        rows = choices.rows[choices.question]
        return choices.log_softmax(self.probabilities(batch).log_prob(rows, choices.nodes))

    def rank(self, batch: Batch, k: int) -> NDArray[np.int32]:
        """The k likeliest leaves of each item; see `Scorer.rank`."""
        return self.probabilities(batch).top_ends(k)[0]

    def probabilities(self, batch: Batch) -> NodeProbabilities:
        """The probability of each node, computed once for a batch."""
        return batch.once((self, "probabilities"), lambda _: self._probabilities(batch))

    @abstractmethod
    def _probabilities(self, batch: Batch) -> NodeProbabilities:
        """What `probabilities` remembers."""

    def confidences(self, batch: Batch) -> NodeProbabilities:
        """The probability of each node as an answer tells it: at least as true as `probabilities`.

        The likeliest leaf is the same. Other methods that build on this one, and what is learnt of
        a file, read `probabilities`.
        """
        return self.probabilities(batch)


class SupportScorer(NodeProbabilityScorer):
    """One that also knows how much speaks for the nearest node at all: see `confidence.nowhere`."""

    @abstractmethod
    def support(self, batch: Batch) -> NDArray[np.float32]:
        """How much speaks for the nearest node of each item; NaN where it cannot be read.

        Returns
        -------
        float32 [n_items]
        """
