"""Ranks terms for descriptions: base terms, and the descriptors of a facet category.

Both are ranked by evidence; where that leaves doubt, a cross-encoder or a language model may judge
the first candidates anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cascade.config import BaseTermConfig, DescriptorConfig
from cascade.items import Batch
from cascade.pipeline.facets.evidence import (
    Evidence,
    EvidenceFinder,
    FacetFeatureExtractor,
    FacetFeatures,
)
from cascade.pipeline.facets.kinds import (
    FEED,
    by_rivals,
    foods_of_the_young,
    names_feed,
    names_flavour,
    names_the_young,
    no_food_in,
    rivals,
)
from cascade.pipeline.facets.naming import main_part, words
from cascade.pipeline.facets.questions import ShownTerm, shown_term
from cascade.pipeline.facets.reranking import Reranker, log_softmax
from cascade.pipeline.facets.terms.absence import made_of, rows_by_word, shortened
from cascade.pipeline.facets.terms.asides import Asides
from cascade.pipeline.facets.terms.features import TermFeatures
from cascade.pipeline.facets.terms.network import TermNetwork
from cascade.pipeline.facets.terms.own_species import OwnSpecies
from cascade.pipeline.facets.terms.ranked import RankedBaseTerms
from cascade.retrieval.array_ops import top_k
from cascade.retrieval.words.overlap import words_of
from cascade.taxonomy.facets import FacetedTaxonomy

WHOLE = 0.999  # share of the words of a name that a text has, if it has all
ABSENT = 2  # times `unsaid` that terms are less likely that have what a text says is absent
YOUNG = 8  # times `unsaid` that other terms are less likely where a text names babies
RIVAL = 2  # times `unsaid` that terms are less likely that say a rival of what a text says
NO_FEED = 4  # times `unsaid` that other terms are less likely where a text names feed
NAMED = 1  # times `unsaid` that a term is likelier than others where a text names its species


class BaseTermRanker:
    """Ranks base terms by their similarity to a description and its phrases, and by shared words.

    Parameters
    ----------
    allowed
        bool [n_nodes], base terms that may be answered.
    reranker
        Judges the candidates of items that evidence leaves in doubt.
    """

    def __init__(
        self,
        taxonomy: FacetedTaxonomy,
        finder: EvidenceFinder,
        config: BaseTermConfig,
        allowed: NDArray[np.bool_],
        reranker: Reranker | None = None,
    ) -> None:
        self._taxonomy = taxonomy
        self._finder = finder
        self._config = config
        self._nodes = np.flatnonzero(allowed).astype(np.int32)
        self._rows = finder.rows_of(taxonomy)[self._nodes]
        self._reranker = reranker
        file = Path(config.network) if config.network else None
        self._network = TermNetwork.load(file) if config.learnt else None
        names = [set(words_of(taxonomy.names[node])) for node in self._nodes.tolist()]
        plain = [self._has_flavoured(node) for node in self._nodes.tolist()]
        self._plain: NDArray[np.bool_] = np.array(plain, dtype=bool)
        self._for_the_young = np.zeros(len(self._nodes), dtype=bool)
        for code in foods_of_the_young():
            if code in taxonomy:
                top = taxonomy.index(code)
                self._for_the_young |= (self._nodes >= top) & (self._nodes < taxonomy.end[top])
        self._another = [
            (distinct, np.flatnonzero([not distinct.isdisjoint(own) for own in names]))
            for distinct in map(set, config.another)
        ]
        self._rivals = [(frozenset().union(*own), by_rivals(names, own)) for own in rivals()]

    def rank(self, batch: Batch, k: int | None = None) -> RankedBaseTerms:
        """The k likeliest base terms; by default as many as the config has candidates."""
        k = min(k or self._config.candidates, len(self._nodes))
        evidence = self._finder.of(batch)
        scores = self.scores(evidence).T
        order = top_k(scores, k)
        best = np.take_along_axis(scores, order, axis=1).astype(np.float64)
        logprobs = log_softmax(best / self._config.temperature)
        similarity = np.maximum.reduceat(
            evidence.similarity[self._rows].max(axis=0), evidence.starts[:-1]
        )
        strange = [not self._finder.words.knows(words_of(own[0])) for own in evidence.phrases]
        similarity -= np.where(strange, np.float32(self._config.strange), 0).astype(np.float32)
        named = evidence.overlap[self._rows][:, evidence.starts[:-1]].max(axis=0) > WHOLE
        similarity[named] = np.maximum(similarity[named], self._config.unlike)
        if self._network is not None:
            similarity = np.maximum(similarity, self._features.shortlist(evidence).other_names)
        no_food = [no_food_in(own[0]) for own in evidence.phrases]
        ranked = RankedBaseTerms(
            self._nodes[order],
            logprobs,
            {"retrieval": logprobs},
            similarity,
            no_food,
            [
                self._aside(own[0], node) or absent.doubt(self._taxonomy, node)
                for own, absent, node in zip(
                    evidence.phrases, evidence.absent, self._nodes[order[:, 0]], strict=True
                )
            ],
            [
                shortened(own[0] or absent.said) if absent.nothing else ""
                for own, absent in zip(evidence.phrases, evidence.absent, strict=True)
            ],
        )
        if self._reranker is None:
            return ranked
        doubtful = np.flatnonzero(np.exp(logprobs[:, 0]) < self._config.sure)
        return self._reranked(batch, ranked, doubtful) if len(doubtful) else ranked

    def doubt(self, ranked: RankedBaseTerms, row: int) -> str:
        """Why a person should look at the answer for an item; empty if there is no reason."""
        similarity, share = float(ranked.similarity[row]), float(np.exp(ranked.logprobs[row, 0]))
        if ranked.no_food[row]:
            return f"the text says {ranked.no_food[row]!r}, which is no food"
        if ranked.aside and ranked.aside[row]:
            return ranked.aside[row]
        if similarity < self._config.likeness:
            return f"no term is much like the text: the best has a likeness of {similarity:.2f}"
        if share < self._config.certainty:
            return f"the likeliest base term is one of several: it has {share:.0%}"
        return ""

    def _aside(self, text: str, node: int) -> str:
        """Why a term may be what comes with a food, as in `cutlet with French fries`."""
        main = main_part(text)
        said = set(words_of(main))
        if main == text or not said:
            return ""
        if not self._finder.words.knows(sorted(said)):
            return f"no term has a word of {shortened(main)!r}, which says what the food is"
        taxonomy = self._taxonomy
        rest = set(words_of(text)) - said
        names = [taxonomy.names[node], *taxonomy.synonyms(node)]
        own = [set(words_of(name)) for name in names]
        if any(said & words for words in own) or not own[0] & rest:
            return ""
        said_so = shortened(main)
        return f"the likeliest base term comes with the food: {said_so!r} says what that is"

    @cached_property
    def _said(self) -> tuple[dict[str, list[int]], dict[str, list[int]]]:
        """Rows by the words of own names, and by those and the words of what terms are made of."""
        own = [words(self._taxonomy.names[node]) for node in self._nodes.tolist()]
        made = [made_of(self._taxonomy, node) for node in self._nodes.tolist()]
        return rows_by_word(own), rows_by_word(made)

    def offered(self, ranked: RankedBaseTerms, row: int) -> int:
        """How many of the base terms that were found for an item may be offered, the best first."""
        if self._is_unlike(ranked, row) or (ranked.nothing and ranked.nothing[row]):
            return 0
        return int((np.exp(ranked.logprobs[row]) >= self._config.tau).sum())

    def _is_unlike(self, ranked: RankedBaseTerms, row: int) -> bool:
        return max(float(ranked.similarity[row]), 0) < self._config.unlike

    def none_offered(self, ranked: RankedBaseTerms, row: int) -> str:
        """Why no base term is offered for an item."""
        similarity, share = float(ranked.similarity[row]), float(np.exp(ranked.logprobs[row, 0]))
        if ranked.nothing and ranked.nothing[row]:
            return f"the text names no food: {ranked.nothing[row]!r} says only what is not there"
        if self._is_unlike(ranked, row):
            return (
                "the text names no food of the catalogue: the likeness of the best term is "
                f"{similarity:.2f}, below {self._config.unlike:g} (facets.base.unlike)"
            )
        return (
            f"no base term is sure enough to be offered: the best has {share:.0%}, below "
            f"{self._config.tau:.0%} (facets.base.tau)"
        )

    @cached_property
    def _features(self) -> TermFeatures:
        return TermFeatures(self._taxonomy, self._finder, self._nodes)

    def scores(self, evidence: Evidence) -> NDArray[np.float32]:
        """float32 [n_allowed, n_items], how well each base term fits; differences are nats.

        Lower where the name of a term has a word that makes another food of it, and the item not.
        """
        scores = self._sum(evidence) if self._network is None else self._learnt(evidence)
        unsaid = self._config.unsaid
        texts = [set(words_of(phrases[0])) for phrases in evidence.phrases]
        feeds = np.array([names_feed(phrases[0]) for phrases in evidence.phrases], dtype=bool)
        for distinct, terms in self._another:
            silent = np.array([distinct.isdisjoint(own) for own in texts], dtype=bool)
            if distinct & FEED:
                silent &= ~feeds
                others = np.setdiff1d(np.arange(len(scores)), terms)
                scores[np.ix_(others, np.flatnonzero(feeds))] -= NO_FEED * unsaid
            scores[np.ix_(terms, np.flatnonzero(silent))] -= unsaid
        young = np.array([names_the_young(own[0]) for own in evidence.phrases], dtype=bool)
        scores[np.ix_(~self._for_the_young, young)] -= YOUNG * unsaid
        flavoured = np.array(
            [names_flavour(phrases[0]) for phrases in evidence.phrases], dtype=bool
        )
        scores[np.ix_(self._plain, flavoured)] -= unsaid
        for group, named_by in self._rivals:
            other = np.array([group & own for own in texts], dtype=object)
            for named, rows in named_by:
                against = [bool(said) and named.isdisjoint(said) for said in other]
                scores[np.ix_(rows, np.flatnonzero(against))] -= RIVAL * unsaid
        for item, own in enumerate(evidence.phrases):
            self._asides.lower(scores[:, item], own[0], unsaid)
        for item, absent in enumerate(evidence.absent):
            having = {row for word in absent.lacking for row in self._said[1].get(word, ())}
            called = (self._said[0].get(word, ()) for word in words(absent.text))
            if not absent.negated or any(not having.issuperset(rows) for rows in called):
                scores[sorted(having), item] -= ABSENT * unsaid
        for item, own in enumerate(evidence.phrases):
            self._own_species.lead(scores[:, item], own[0], NAMED * unsaid)
        return scores

    @cached_property
    def _own_species(self) -> OwnSpecies:
        return OwnSpecies(self._taxonomy, self._nodes, self._finder.species)

    @cached_property
    def _asides(self) -> Asides:
        return Asides(self._taxonomy, self._nodes, self._finder.words)

    def _has_flavoured(self, node: int) -> bool:
        """Whether a term is the plain one beside a flavoured one, or above it."""
        taxonomy = self._taxonomy
        parent = int(taxonomy.parent[node])
        kept = {*words_of(taxonomy.names[node])} - {"plain"} | {"flavoured"}
        others = taxonomy.children(node).tolist()
        others += taxonomy.children(parent).tolist() if parent >= 0 else []
        return any(
            set(words_of(taxonomy.names[other])) == kept for other in others if other != node
        )

    def _learnt(self, evidence: Evidence) -> NDArray[np.float32]:
        """The network's for terms of the shortlist; all others are below them."""
        assert self._network is not None
        short = self._features.shortlist(evidence)
        logits = self._network.of(short.values) * self._config.temperature
        least = logits.min(axis=1, keepdims=True) - short.plain.max(axis=1, keepdims=True)
        scores = least + short.plain
        np.put_along_axis(scores, short.terms, logits, axis=1)
        return np.asarray(scores.T)

    def _sum(self, evidence: Evidence) -> NDArray[np.float32]:
        """A weighted sum of what items and base terms share."""
        config = self._config
        similarity, overlap = evidence.similarity[self._rows], evidence.overlap[self._rows]
        similarity[:, evidence.negated] = -1
        whole = evidence.starts[:-1]
        first = np.minimum(whole + 1, evidence.starts[1:] - 1)
        return np.asarray(
            config.whole * similarity[:, whole]
            + config.first * similarity[:, first]
            + config.piece * np.maximum.reduceat(similarity, whole, axis=1)
            + config.words * overlap[:, whole]
        )

    def _shown(self, node: int) -> ShownTerm:
        return shown_term(self._taxonomy, node, self._config.contexts)

    def _reranked(
        self, batch: Batch, ranked: RankedBaseTerms, rows: NDArray[np.int64]
    ) -> RankedBaseTerms:
        """The ranking with the first candidates of some items judged anew."""
        assert self._reranker is not None
        head = min(self._config.candidates, ranked.nodes.shape[1])
        before = ranked.nodes[rows, :head]
        terms = [[self._shown(node) for node in nodes] for nodes in before.tolist()]
        judged = self._reranker.judge(batch, rows.tolist(), terms, [""] * len(rows))
        known = ranked.logprobs[rows, :head]
        together = known + self._config.weight * judged
        # Together they are as likely as before.
        together -= np.logaddexp.reduce(together, axis=1, keepdims=True)
        together += np.logaddexp.reduce(known, axis=1, keepdims=True)
        order = np.argsort(-together, axis=1, kind="stable")
        nodes, logprobs = ranked.nodes.copy(), ranked.logprobs.copy()
        retrieval = ranked.scores["retrieval"].copy()
        reranked = np.full_like(logprobs, np.nan)
        nodes[rows, :head] = np.take_along_axis(before, order, axis=1)
        logprobs[rows, :head] = np.take_along_axis(together, order, axis=1)
        retrieval[rows, :head] = np.take_along_axis(known, order, axis=1)
        reranked[rows, :head] = np.take_along_axis(judged, order, axis=1)
        scores = {"retrieval": retrieval, self._reranker.name: reranked}
        return replace(ranked, nodes=nodes, logprobs=logprobs, scores=scores)


@dataclass(frozen=True)
class RankedDescriptors:
    """The likeliest descriptors of an item in a category, best first.

    Parameters
    ----------
    nodes, probabilities
        int32 [k] and float64 [k], of the category's tree.
    scores
        Log-probabilities by method, float64 [k].
    """

    nodes: NDArray[np.int32]
    probabilities: NDArray[np.float64]
    scores: dict[str, NDArray[np.float64]]


class DescriptorRanker:
    """Ranks descriptors by the evidence for them, and reranks those that it leaves in doubt."""

    def __init__(
        self,
        extractor: FacetFeatureExtractor,
        config: DescriptorConfig,
        reranker: Reranker | None = None,
    ) -> None:
        self._categories = extractor.categories
        self._config, self._reranker = config, reranker

    def rank(
        self, batch: Batch, features: FacetFeatures, pairs: Sequence[tuple[int, int]]
    ) -> list[RankedDescriptors]:
        """The descriptors of pairs of an item and a category; none where none may be answered."""
        ranked = [self._by_evidence(features, *pair) for pair in pairs]
        if self._reranker is None:
            return ranked
        doubtful = [
            at
            for at, own in enumerate(ranked)
            if len(own.nodes) > 1 and own.probabilities[0] < self._config.sure
        ]
        for size in sorted({len(ranked[at].nodes) for at in doubtful}):
            same = [at for at in doubtful if len(ranked[at].nodes) == size]
            categories = [self._categories[pairs[at][1]] for at in same]
            judged = self._reranker.judge(
                batch,
                [pairs[at][0] for at in same],
                [
                    [
                        shown_term(category.tree, node, self._config.contexts)
                        for node in ranked[at].nodes.tolist()
                    ]
                    for category, at in zip(categories, same, strict=True)
                ],
                [category.label for category in categories],
            )
            for at, own in zip(same, judged, strict=True):
                ranked[at] = self._reranked(ranked[at], own)
        return ranked

    def _by_evidence(self, features: FacetFeatures, item: int, category: int) -> RankedDescriptors:
        scores = features.scores[category][:, item]
        k = min(self._config.candidates, int(np.isfinite(scores).sum()))
        nodes = top_k(scores[None], max(k, 1))[0][:k].astype(np.int32)
        logits = scores[nodes].astype(np.float64) / self._config.temperature
        logprobs = logits - np.logaddexp.reduce(logits) if k else logits
        return RankedDescriptors(nodes, np.exp(logprobs), {"retrieval": logprobs})

    def _reranked(self, known: RankedDescriptors, judged: NDArray[np.float64]) -> RankedDescriptors:
        assert self._reranker is not None
        together = known.scores["retrieval"] + self._config.weight * judged
        together -= np.logaddexp.reduce(together)
        order = np.argsort(-together, kind="stable")
        return RankedDescriptors(
            known.nodes[order],
            np.exp(together[order]),
            {"retrieval": known.scores["retrieval"][order], self._reranker.name: judged[order]},
        )
