"""Ranking and categories as an institution's coded descriptions teach them.

What the catalogue tells is the start: similarities, shared words and the network of categories are
features here, and weights say how far to follow them, how far the labelled rows. Both are linear,
so that a few hundred rows are enough to learn them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cascade.config import BaseTermConfig, CategoryConfig
from cascade.errors import ConfigError
from cascade.features.backbone import JoinedFeatures
from cascade.items import Batch, Item
from cascade.pipeline.facets.categories import NEVER, NetworkClassifier, text_features
from cascade.pipeline.facets.evidence import (
    Evidence,
    EvidenceFinder,
    FacetFeatureExtractor,
    FacetFeatures,
)
from cascade.pipeline.facets.own.codes import BASE_FEATURES, LEVELS, LearntCodes
from cascade.pipeline.facets.own.recall import Recall
from cascade.pipeline.facets.own.words import OwnWords, OwnWordsFinder
from cascade.pipeline.facets.ranking import BaseTermRanker
from cascade.pipeline.facets.reranking import Reranker
from cascade.pipeline.facets.said import Said, SaidFacets
from cascade.pipeline.facets.terms.ranked import RankedBaseTerms
from cascade.pipeline.facets.told import FacetWords
from cascade.retrieval.encoder import Encoder
from cascade.retrieval.words.overlap import words_of
from cascade.taxonomy.facets import Facet, FacetedTaxonomy

MOST_LOG_ODDS = 8.0
RECALLED = 20.0  # log-odds of what a description that was coded before was coded with


class LearntBaseRanker(BaseTermRanker):
    """Ranks base terms by learnt weights of what the catalogue and labelled rows say."""

    def __init__(
        self,
        taxonomy: FacetedTaxonomy,
        finder: OwnWordsFinder,
        config: BaseTermConfig,
        allowed: NDArray[np.bool_],
        learnt: LearntCodes,
        reranker: Reranker | None = None,
    ) -> None:
        super().__init__(taxonomy, finder, config, allowed, reranker)
        self._own_finder, self._weights = finder, learnt.base_weights
        self._uses, self._recall = learnt.uses, learnt.recall
        self._place = place = {
            taxonomy.codes[node]: at for at, node in enumerate(self._nodes.tolist())
        }
        rows = [at for at, base in enumerate(learnt.row_bases) if base in place]
        rows.sort(key=lambda at: place[learnt.row_bases[at]])
        self._row_vectors = learnt.row_vectors[rows]
        places = np.array([place[learnt.row_bases[at]] for at in rows], dtype=np.int64)
        self._row_places, self._row_starts = np.unique(places, return_index=True)

    @cached_property
    def _used(self) -> NDArray[np.float32]:
        """float32 [1 + LEVELS, n_allowed], how often base terms and what is below them are used."""
        tree = self._taxonomy
        counts = np.zeros(len(tree) + 1, dtype=np.int64)
        for code, rows in self._uses.bases.items():
            if code in tree:
                counts[tree.index(code) + 1] += rows
        up_to = np.cumsum(counts)
        own = counts[1:][self._nodes]
        found = [own]
        for level in range(LEVELS):
            above = np.array(
                [
                    path[min(level, len(path) - 1)]
                    for path in (tree.path_nodes(int(node)) for node in self._nodes)
                ],
                dtype=np.int64,
            )
            found.append(up_to[np.asarray(tree.end)[above]] - up_to[above])
        return np.stack([self._uses.share(each) for each in found])

    @property
    def nodes(self) -> NDArray[np.int32]:
        """int32 [n_allowed], the base terms that may be answered."""
        return self._nodes

    def features(self, evidence: Evidence) -> NDArray[np.float32]:
        """float32 [n_features, n_allowed, n_items], see `BASE_FEATURES`."""
        similarity, overlap = evidence.similarity[self._rows], evidence.overlap[self._rows]
        similarity[:, evidence.negated] = -1
        whole = evidence.starts[:-1]
        first = np.minimum(whole + 1, evidence.starts[1:] - 1)
        texts = [phrases[0] for phrases in evidence.phrases]
        out = np.zeros((len(BASE_FEATURES), len(self._nodes), len(texts)), dtype=np.float32)
        out[0] = super().scores(evidence)
        out[1] = similarity[:, whole]
        out[2] = similarity[:, first]
        out[3] = np.maximum.reduceat(similarity, whole, axis=1)
        out[4] = overlap[:, whole]
        words = [set(words_of(text)) for text in texts]
        for distinct, terms in self._another:
            silent = np.flatnonzero([distinct.isdisjoint(own) for own in words])
            out[5][np.ix_(terms, silent)] = 1
        cover, explained = self._own_finder.spelling.of(texts)
        out[6], out[7] = cover[self._rows], explained[self._rows]
        out[8] = 2 * out[6] * out[7] / np.maximum(out[6] + out[7], 1e-6)
        if len(self._row_places):
            near = self._row_vectors @ evidence.vectors[whole].T
            out[9][self._row_places] = np.maximum.reduceat(near, self._row_starts, axis=0)
        out[10:] = self._used[:, :, None]
        return out

    def rank(self, batch: Batch, k: int | None = None) -> RankedBaseTerms:
        """As `BaseTermRanker.rank`: a text that is like a labelled row names a food."""
        ranked = super().rank(batch, k)
        evidence = self._own_finder.of(batch)
        similarity, no_food = ranked.similarity.copy(), list(ranked.no_food)
        nothing = list(ranked.nothing)
        if len(self._row_vectors):
            near = self._row_vectors @ evidence.vectors[evidence.starts[:-1]].T
            similarity = np.maximum(similarity, near.max(axis=0)).astype(np.float32)
        for item, own in enumerate(evidence.phrases):
            if self._recall.find(own[0]) is not None:
                similarity[item], no_food[item], nothing[item] = 1, "", ""
        return replace(ranked, similarity=similarity, no_food=no_food, nothing=nothing)

    def scores(self, evidence: Evidence) -> NDArray[np.float32]:
        """float32 [n_allowed, n_items], log-odds up to a constant of each item."""
        scores = np.tensordot(self._weights, self.features(evidence), axes=1)
        for item, own in enumerate(evidence.phrases):
            known = self._recall.find(own[0])
            if known is not None and known.base in self._place:
                scores[self._place[known.base], item] = scores[:, item].max() + RECALLED
        return np.asarray(scores, dtype=np.float32)


class LearntExtractor(FacetFeatureExtractor):
    """Computes features of descriptions whose descriptors are scored by learnt weights."""

    def __init__(
        self, taxonomy: FacetedTaxonomy, finder: OwnWordsFinder, learnt: LearntCodes
    ) -> None:
        super().__init__(taxonomy, finder)
        self._own_finder, self._weights = finder, learnt.descriptor_weights
        self._recall = learnt.recall
        uses = learnt.uses
        self._used = [
            uses.share(
                np.array([uses.descriptors.get(f"{c.code}.{d}", 0) for d in c.tree.codes], int)
            )
            for c in self.categories
        ]

    def extract(self, batch: Batch, bases: Sequence[str]) -> FacetFeatures:
        """As `FacetFeatureExtractor.extract`, with scores that are log-odds up to a constant."""
        found = super().extract(batch, bases)
        for at in range(len(self.categories)):
            features = self.descriptor_features(batch, bases, found, at)
            known = np.isfinite(found.scores[at])
            scores = np.tensordot(self._weights, features, axes=1)
            found.scores[at] = np.where(known, scores, -np.inf).astype(np.float32)
        for item, one in enumerate(batch.items):
            for facet in facets_of(self._recall, one):
                tree = self.taxonomy.categories[facet.category].tree
                if facet.descriptor in tree:
                    at, node = self.codes.index(facet.category), tree.index(facet.descriptor)
                    found.scores[at][node, item] += RECALLED
                    found.exact[at][node, item] = True
        return found

    def plain(self, batch: Batch, bases: Sequence[str]) -> FacetFeatures:
        """What the catalogue and own words say, before weights."""
        return super().extract(batch, bases)

    def descriptor_features(
        self, batch: Batch, bases: Sequence[str], plain: FacetFeatures, category: int
    ) -> NDArray[np.float32]:
        """float32 [n_features, n_nodes, n_items], see `DESCRIPTOR_FEATURES`."""
        cover, explained = self._spelt(batch, bases)
        rows = self._rows[category]
        score = plain.scores[category]
        used = np.broadcast_to(self._used[category][:, None], score.shape)
        known = np.where(np.isfinite(score), score, 0)
        return np.stack([known, cover[rows], explained[rows], used]).astype(np.float32)

    def _spelt(
        self, batch: Batch, bases: Sequence[str]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """What texts spell of names, beside the words of their base terms."""

        def made(_: Sequence[Item]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
            remaining = self._remaining_words(self.finder.of(batch), bases)
            return self._own_finder.spelling.of([" ".join(words) for words in remaining])

        return batch.once((self, "spelt", tuple(bases)), made)


class LearntCategories:
    """Tells by learnt weights how likely a description says something in each category."""

    def __init__(self, learnt: LearntCodes, network: NetworkClassifier, encoder: Encoder) -> None:
        own = learnt.categories
        self._network, self._recall = network, learnt.recall
        self.backbone = text_features(learnt.lexical, encoder)
        if self.backbone.width != len(own.sparse):
            raise ConfigError(
                f"the pack was fitted to another encoder: its weights are of {len(own.sparse):,} "
                f"features, and there are {self.backbone.width:,}; fit it again"
            )
        place = {code: at for at, code in enumerate(own.codes)}
        at = np.array([place.get(code, -1) for code in network.codes])
        self._dense, self._sparse = own.dense[:, at], own.sparse[:, at]
        self._bias = own.bias[at]
        self.thresholds = np.where(at >= 0, own.threshold, NEVER).astype(np.float32)

    def probabilities(
        self, batch: Batch, features: FacetFeatures, bases: Sequence[str]
    ) -> NDArray[np.float32]:
        """See `CategoryClassifier.probabilities`."""
        dense = category_features(self._network, features)
        sparse = text_rows(self.backbone, batch.items) @ self._sparse
        logits = np.einsum("ncf,fc->nc", dense, self._dense) + sparse + self._bias
        for item, one in enumerate(batch.items):
            if self._recall.find(one.text) is not None:
                told = {facet.category for facet in facets_of(self._recall, one)}
                said = np.array([code in told for code in self._network.codes])
                logits[item] = np.where(said, MOST_LOG_ODDS, -MOST_LOG_ODDS)
        return np.asarray(1 / (1 + np.exp(-logits)), dtype=np.float32)


class KnownOrSaid(SaidFacets):
    """Facets that are said; of a description that was coded before those that it was coded with."""

    def __init__(self, taxonomy: FacetedTaxonomy, told: FacetWords, recall: Recall) -> None:
        super().__init__(taxonomy, told)
        self._recall = recall

    def of(self, text: str, base: str) -> list[list[Said]]:
        """See `SaidFacets.of`."""
        known = self._recall.find(text)
        if known is None:
            return super().of(text, base)
        categories = self._taxonomy.categories
        return [
            [Said(facet, ())]
            for facet in known.facets
            if facet.category in categories and facet.descriptor in categories[facet.category].tree
        ]


def finders_of(
    finder: EvidenceFinder, learnt: LearntCodes
) -> tuple[OwnWordsFinder, OwnWordsFinder]:
    """What compares texts for facets, and for base terms, which may be the catalogue's alone."""
    own = OwnWordsFinder(finder, learnt.words)
    if learnt.kept.base == "learnt" or not learnt.words.codes:
        return own, own
    return own, OwnWordsFinder(finder, OwnWords.none(learnt.words.vectors.shape[1]), own.spelling)


def said_facets(
    taxonomy: FacetedTaxonomy, config: CategoryConfig, learnt: LearntCodes | None
) -> SaidFacets | None:
    """What finds facets by words that say them; None where only categories are asked."""
    if config.method != "said" or (learnt is not None and learnt.kept.facets == "learnt"):
        return None
    told = FacetWords.load(Path(config.words) if config.words else None)
    return KnownOrSaid(taxonomy, told, learnt.recall if learnt is not None else Recall({}))


def facets_of(recall: Recall, item: Item) -> tuple[Facet, ...]:
    """The facets that a description was coded with before; none where it is not known."""
    known = recall.find(item.text)
    return () if known is None else known.facets


def category_features(network: NetworkClassifier, features: FacetFeatures) -> NDArray[np.float32]:
    """float32 [n_items, n_categories, n_features], see `CATEGORY_FEATURES`."""
    likely = np.clip(network.of(features.values), 1e-6, 1 - 1e-6)
    least = np.clip(network.thresholds, 0.01, 0.95)
    odds = np.log(likely / (1 - likely)) - np.log(least / (1 - least))
    odds = np.clip(odds, -MOST_LOG_ODDS, MOST_LOG_ODDS)
    best = np.zeros((*odds.shape, 3), dtype=np.float32)
    for at, scores in enumerate(features.scores):
        two = np.sort(np.where(np.isfinite(scores), scores, -MOST_LOG_ODDS), axis=0)[-2:]
        best[:, at, 0] = np.clip(two[-1], -MOST_LOG_ODDS, 2 * MOST_LOG_ODDS)
        best[:, at, 1] = features.exact[at].any(axis=0)
        best[:, at, 2] = np.clip(two[-1] - two[0], 0, MOST_LOG_ODDS)
    return np.concatenate([odds[..., None], features.values, best], axis=2).astype(np.float32)


def text_rows(backbone: JoinedFeatures, items: Sequence[Item]) -> Any:
    """float32 [n_items, width] of the whole texts of items, whatever their columns are called."""
    return backbone.rows([Item({"text": item.text}) for item in items])
