"""The default: a sentence encoder, similarity to names, descriptions and synonyms; the fastest."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cascade.confidence.unlabelled import Evidence
from cascade.items import Batch
from cascade.retrieval.retriever import Retriever
from cascade.retrieval.similarities import Similarities, TopLeaves
from cascade.retrieval.subtrees import NodeProbabilities
from cascade.retrieval.words.cover import name_cover
from cascade.scoring.scorer import SupportScorer

if TYPE_CHECKING:
    from cascade.scoring.components import Components

Floats = NDArray[np.float32]

SUPPORT = np.float32(0.06)  # temperature of `support`, chosen on other taxonomies


class RetrievalScorer(SupportScorer):
    """`p(leaf) = softmax over all leaves of similarity / (temperature * exp(caution * lead))`.

    A node has the sum over its leaves. The maximum in place of the sum would ignore how many leaves
    agree, and a product of softmaxes, one for each level, would favour small families. What is
    known of the file (`prior`) is added to the logits of leaves.

    Parameters
    ----------
    retriever
        Compares items with nodes.
    temperature
        Similarities are divided by this.
    caution
        How much higher the temperature is where the best leaf has a lead over the next.
    calibrated
        Whether `confidences` are what `confidence.unlabelled` makes of these probabilities.
    """

    name = "retrieval"

    def __init__(
        self,
        retriever: Retriever,
        temperature: float,
        caution: float = 0.0,
        *,
        calibrated: bool = False,
    ) -> None:
        self.reads_pictures = retriever.reads_pictures
        self._retriever = retriever
        self._n_leaves = np.float32(len(retriever.taxonomy.leaves))
        self._temperature = np.float32(temperature)
        self._caution = np.float32(caution)
        self._calibrated = calibrated

    def _probabilities(self, batch: Batch) -> NodeProbabilities:
        similarities = self._similarities(batch)
        return similarities.softmax(*self._logits(similarities))

    def confidences(self, batch: Batch) -> NodeProbabilities:
        """With the logit of the likeliest leaf moved; see `NodeProbabilityScorer`.

        Pictures are compared on another scale, so items with one that is read stay as they are.
        """
        if not self._calibrated:
            return self.probabilities(batch)
        return batch.once((self, "confidences"), lambda _: self._confidences(batch))

    def _confidences(self, batch: Batch) -> NodeProbabilities:
        similarities = self._similarities(batch)
        logits, temperature = self._logits(similarities)
        best, evidence = self.evidence(batch, similarities, logits, temperature)
        moved = np.where(self._by_text_alone(batch)[best.rows], evidence.lift(), np.float32(0))
        logits[best.index] += moved
        return similarities.softmax(logits, temperature)

    def evidence(
        self, batch: Batch, similarities: Similarities, logits: Floats, temperature: Floats
    ) -> tuple[TopLeaves, Evidence]:
        """The likeliest leaf of each item that has one, and what tells how sure it is."""
        best, margin = similarities.best_leaves(logits)
        rows = best.rows
        texts = [batch.items[row].text for row in rows.tolist()]
        return best, Evidence(
            name_cover(self._retriever.taxonomy, best.nodes, texts),
            similarities.leaf_entropy(logits)[rows],
            (margin * temperature)[rows],
            margin[rows],
        )

    def support(self, batch: Batch) -> NDArray[np.float32]:
        """`T log mean exp(similarity / T)` over leaves, between the greatest and the mean.

        It is the free energy of Liu et al. (2020), less what the number of leaves adds to it.
        Pictures are compared on another scale, so items with one that is read cannot be judged.
        """
        similarities = self._similarities(batch)
        total = similarities.leaf_logsumexp(similarities.values / SUPPORT)
        found = SUPPORT * (total - np.log(self._n_leaves))
        return np.where(self._by_text_alone(batch), found, np.float32(np.nan)).astype(np.float32)

    def _by_text_alone(self, batch: Batch) -> NDArray[np.bool_]:
        """bool [n_items], which items were compared by their texts alone."""
        pictured = self.reads_pictures
        found = [
            item.has_text and not (pictured and item.image is not None) for item in batch.items
        ]
        return np.array(found, dtype=bool)

    def _logits(self, similarities: Similarities) -> tuple[Floats, Floats]:
        """Logits, shaped as the similarities are, and the temperature of each item [n_items]."""
        temperature = self._temperature * np.exp(self._caution * similarities.lead())
        logits = similarities.values / similarities.broadcast(temperature)
        if self.prior is not None:
            logits = logits + similarities.of_nodes(self.prior)
        return logits, temperature

    def _similarities(self, batch: Batch) -> Similarities:
        return self._retriever.compare(batch)


def make(components: Components) -> RetrievalScorer:
    """Retrieval over the configured texts of nodes."""
    config, descent = components.config.retrieval, components.config.descent
    cut = descent.depth is not None or descent.ends or descent.stays
    return RetrievalScorer(
        components.retriever,
        config.temperature,
        config.caution,
        calibrated=config.calibrated and not cut,
    )
