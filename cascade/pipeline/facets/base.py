"""The first stage: which base term a description is of."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cascade.config import BaseTermConfig
from cascade.items import Batch
from cascade.pipeline.facets.asking import Asker
from cascade.pipeline.facets.evidence import Evidence, EvidenceFinder
from cascade.retrieval.array_ops import top_k
from cascade.retrieval.word_overlap import words_of
from cascade.taxonomy.facets import FacetedTaxonomy


@dataclass(frozen=True)
class Ranked:
    """The likeliest nodes of each item, best first.

    Parameters
    ----------
    nodes
        int32 [n_items, k]
    logprobs
        float64 [n_items, k]; after exp they sum to one for each item.
    scores
        What each method said, float64 [n_items, k], in the same order.
    alike
        float32 [n_items], the best cosine similarity of a text with any base term.
    """

    nodes: NDArray[np.int32]
    logprobs: NDArray[np.float64]
    scores: dict[str, NDArray[np.float64]]
    alike: NDArray[np.float32]


class BaseTerms:
    """Ranks base terms by their likeness to a description and its pieces, and by shared words.

    Parameters
    ----------
    allowed
        bool [n_nodes], base terms that may be answered.
    asker
        Who is asked about the candidates of items that the likeness leaves in doubt; None: nobody.
    """

    def __init__(
        self,
        taxonomy: FacetedTaxonomy,
        finder: EvidenceFinder,
        config: BaseTermConfig,
        allowed: NDArray[np.bool_],
        asker: Asker | None = None,
    ) -> None:
        self._taxonomy = taxonomy
        self._finder = finder
        self._config = config
        self._nodes = np.flatnonzero(allowed).astype(np.int32)
        self._rows = finder.places(taxonomy)[self._nodes]
        self._asker = asker
        words = [set(words_of(taxonomy.names[node])) for node in self._nodes.tolist()]
        self._another = [
            (says, np.flatnonzero([not says.isdisjoint(own) for own in words]))
            for says in map(set, config.another)
        ]

    def ranked(self, batch: Batch, k: int | None = None) -> Ranked:
        """The k likeliest base terms; by default as many as the config has candidates."""
        k = min(k or self._config.candidates, len(self._nodes))
        evidence = self._finder.of(batch)
        likeness = self.likeness(evidence)
        order = top_k(likeness.T, k)
        nodes = self._nodes[order]
        best = np.take_along_axis(likeness.T, order, axis=1).astype(np.float64)
        best /= self._config.temperature
        logprobs = np.asarray(best - np.logaddexp.reduce(best, axis=1, keepdims=True))
        closest = evidence.similar[self._rows].max(axis=0)
        alike = np.maximum.reduceat(closest, evidence.starts[:-1])
        ranked = Ranked(nodes, logprobs, {"retrieval": logprobs}, alike)
        if self._asker is None:
            return ranked
        doubted = np.flatnonzero(np.exp(ranked.logprobs[:, 0]) < self._config.sure)
        return self._asked(batch, ranked, doubted) if len(doubted) else ranked

    def doubt(self, ranked: Ranked, row: int) -> str:
        """Why the answer for an item should be looked at; empty if nothing speaks for that."""
        alike, share = float(ranked.alike[row]), float(np.exp(ranked.logprobs[row, 0]))
        if alike < self._config.likeness:
            return f"no term is much like the text: the best has a likeness of {alike:.2f}"
        if share < self._config.certainty:
            return f"the likeliest base term is one of several: it has {share:.0%}"
        return ""

    def likeness(self, evidence: Evidence) -> NDArray[np.float32]:
        """float32 [n_allowed, n_items], a weighted sum of what items and base terms share.

        Less where the name of a term has a word that makes another food of it, and the item not.
        """
        config = self._config
        similar, covered = evidence.similar[self._rows], evidence.covered[self._rows]
        similar[:, evidence.denied] = -1
        starts = evidence.starts[:-1]
        first = np.minimum(starts + 1, evidence.starts[1:] - 1)  # what is said first
        likeness = np.asarray(
            config.whole * similar[:, starts]
            + config.first * similar[:, first]
            + config.piece * np.maximum.reduceat(similar, starts, axis=1)
            + config.words * covered[:, starts]
        )
        said = [set(words_of(own[0])) for own in evidence.pieces]
        for says, terms in self._another:
            silent = np.flatnonzero([says.isdisjoint(own) for own in said])
            likeness[np.ix_(terms, silent)] -= config.unsaid
        return likeness

    def _asked(self, batch: Batch, ranked: Ranked, rows: NDArray[np.int64]) -> Ranked:
        """The ranking with the first candidates of those items judged anew."""
        assert self._asker is not None
        head = min(self._config.candidates, ranked.nodes.shape[1])
        before = ranked.nodes[rows, :head]
        names = [[self._taxonomy.names[node] for node in nodes] for nodes in before.tolist()]
        said = self._asker.logprobs([batch.items[row] for row in rows.tolist()], names)
        known = ranked.logprobs[rows, :head]
        together = known + self._config.weight * said
        # Together they are as likely as before.
        together -= np.logaddexp.reduce(together, axis=1, keepdims=True)
        together += np.logaddexp.reduce(known, axis=1, keepdims=True)
        order = np.argsort(-together, axis=1, kind="stable")
        nodes, logprobs = ranked.nodes.copy(), ranked.logprobs.copy()
        retrieval = ranked.scores["retrieval"].copy()
        judged = np.full_like(logprobs, np.nan)
        nodes[rows, :head] = np.take_along_axis(before, order, axis=1)
        logprobs[rows, :head] = np.take_along_axis(together, order, axis=1)
        retrieval[rows, :head] = np.take_along_axis(retrieval[rows, :head], order, axis=1)
        judged[rows, :head] = np.take_along_axis(said, order, axis=1)
        scores = {"retrieval": retrieval, self._asker.name: judged}
        return Ranked(nodes, logprobs, scores, ranked.alike)
