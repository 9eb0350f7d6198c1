"""A cross-encoder or reader (`rerank.model`) that reads the item beside leaves that were found."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cascade.config import NodeText
from cascade.errors import WeightsError
from cascade.items import Batch
from cascade.retrieval.node_texts import node_texts
from cascade.retrieval.retriever import Retriever
from cascade.retrieval.similarities import TopLeaves
from cascade.retrieval.subtrees import NodeProbabilities
from cascade.scoring.cross_encoder import CrossEncoder, Tokens
from cascade.scoring.pair_reader import PairReader
from cascade.scoring.scorer import NodeProbabilityScorer
from cascade.scoring.second_look import SecondLookScorer

if TYPE_CHECKING:
    from cascade.scoring.components import Components

Floats = NDArray[np.float32]

REST = 1e-3
"""Probability that the leaves which were not read have together."""


class RerankScorer(NodeProbabilityScorer):
    """The leaves that are most similar to the item are ranked by the cross-encoder's relevance.

    `p(leaf) = (1 - REST) * softmax of relevance / temperature` over the leaves that were read, and
    `REST * softmax of cos(item, leaf) / retrieval_temperature` over the others, so that every
    candidate has a chance and the ranking goes on below what was read.

    Parameters
    ----------
    retriever
        Finds the leaves.
    model
        A cross-encoder, with one output.
    recipe
        Which texts of a leaf are read; several are joined.
    candidates
        Leaves that are read for each item.
    temperature, retrieval_temperature
        Relevances, and cosine similarities, are divided by these.
    max_chars
        Characters of an item that are read.

    Raises
    ------
    WeightsError
        The model has several outputs.
    """

    name = "rerank"

    def __init__(
        self,
        retriever: Retriever,
        model: CrossEncoder,
        recipe: NodeText = "path",
        *,
        candidates: int = 25,
        temperature: float = 1.0,
        retrieval_temperature: float = 0.04,
        max_chars: int = 1000,
    ) -> None:
        self._retriever = retriever
        if len(model.labels) != 1:
            raise WeightsError(
                f"the model {model.name!r} has {len(model.labels)} outputs "
                f"({', '.join(model.labels)}); expected one, the relevance: name a cross-encoder "
                "for reranking in rerank.model"
            )
        self._model = model
        self._candidates = candidates
        self._temperature = temperature
        self._retrieval_temperature = np.float32(retrieval_temperature)
        self._max_chars = max_chars
        self._texts, node = node_texts(retriever.taxonomy, recipe)
        self._starts = np.searchsorted(node, np.arange(len(retriever.taxonomy) + 1))
        self._leaf = lru_cache(maxsize=65_536)(self._read_leaf)

    def _probabilities(self, batch: Batch) -> NodeProbabilities:
        similarities = self._retriever.compare(batch)
        read = similarities.top_leaves(self._candidates)
        relevance = self._pair_relevance(batch, read.rows, read.nodes) / self._temperature
        logits = similarities.values / self._retrieval_temperature
        logits[read.index] = -np.inf
        log_read = read.logsumexp(relevance, len(batch))
        log_rest = similarities.leaf_logsumexp(logits)
        shift = np.zeros_like(log_rest)  # of the rest, so that it has the share REST
        both = np.isfinite(log_rest) & np.isfinite(log_read)
        shift[both] = np.log(REST / (1 - REST)) + log_read[both] - log_rest[both]
        logits += similarities.broadcast(shift)
        logits[read.index] = relevance
        temperature = np.full(len(batch), self._retrieval_temperature)
        return similarities.softmax(logits, temperature, shift)

    def relevance(self, batch: Batch, leaves: NDArray[np.int32]) -> NDArray[np.float32]:
        """The relevance of leaves to each item; both [n_leaves, n_items]."""
        rows = np.repeat(np.arange(len(batch)), len(leaves))
        return self._pair_relevance(batch, rows, leaves.T.ravel()).reshape(leaves.T.shape).T

    def _pair_relevance(
        self, batch: Batch, rows: NDArray[np.integer[Any]], leaves: NDArray[np.int32]
    ) -> NDArray[np.float32]:
        """float32 [n], the relevance of `leaves[i]` to item `rows[i]`."""
        items = [self._model.tokens(item.text[: self._max_chars]) for item in batch.items]
        pairs = [
            (items[row], self._leaf(leaf))
            for row, leaf in zip(rows.tolist(), leaves.tolist(), strict=True)
        ]
        return self._model.logits(pairs).reshape(len(pairs))

    def _read_leaf(self, leaf: int) -> Tokens:
        return self._model.tokens(
            "; ".join(self._texts[self._starts[leaf] : self._starts[leaf + 1]])
        )


class ReadScorer(SecondLookScorer):
    """Retrieval's probabilities, with what a reader adds to the logits of the likeliest leaves.

    The leaves that are read keep the probability that they have together by retrieval, so that a
    reader moves answers and does not make them surer.

    Parameters
    ----------
    retriever, temperature, caution, listed, threshold
        As of `SecondLookScorer`.
    reader
        Of pairs, as `cascade finetune` makes them.
    weight
        Of what it adds.
    """

    name = "rerank"

    def __init__(
        self,
        retriever: Retriever,
        temperature: float,
        caution: float,
        reader: PairReader,
        recipe: NodeText = "path",
        *,
        listed: int = 8,
        threshold: float = 1.0,
        weight: float = 0.5,
        max_chars: int = 1000,
    ) -> None:
        super().__init__(retriever, temperature, caution, listed=listed, threshold=threshold)
        self._reader, self._weight, self._max_chars = reader, weight, max_chars
        texts, node = node_texts(retriever.taxonomy, recipe)
        starts = np.searchsorted(node, np.arange(len(retriever.taxonomy)))
        self._texts = [texts[start] for start in starts.tolist()]  # the first of each node

    def _look(self, batch: Batch, listed: TopLeaves, own: Floats, log_rest: Floats) -> Floats:
        """Read the leaves that are listed; see `SecondLookScorer`."""
        items = [item.text[: self._max_chars] for item in batch.items]
        before = listed.logsumexp(own, len(batch))
        own += self._weight * self._reader.score(items, self._texts, listed.rows, listed.nodes)
        own += before[listed.rows] - listed.logsumexp(own, len(batch))[listed.rows]
        return np.zeros(len(batch), dtype=np.float32)


def make(components: Components) -> RerankScorer | ReadScorer:
    """The configured cross-encoder or reader over what retrieval finds."""
    config, retrieval = components.config.rerank, components.config.retrieval
    if (reader := components.pair_reader(config)) is not None:
        return ReadScorer(
            components.retriever,
            retrieval.temperature,
            retrieval.caution,
            reader,
            config.texts,
            listed=config.candidates,
            threshold=config.threshold,
            weight=config.weight,
            max_chars=config.max_chars,
        )
    return RerankScorer(
        components.retriever,
        components.cross_encoder(config),
        config.texts,
        candidates=config.candidates,
        temperature=config.temperature,
        retrieval_temperature=retrieval.temperature,
        max_chars=config.max_chars,
    )
