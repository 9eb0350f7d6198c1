"""Learns which facet categories a description tells about, and which descriptors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cascade.config import DescriptorConfig
from cascade.features.lexical import LexicalFeatures, LexicalRecipe
from cascade.foodex2.code import FoodCode
from cascade.items import Batch, Item
from cascade.pipeline.facets.categories import MAX_CHARS, NetworkClassifier, text_features
from cascade.pipeline.facets.evidence import FacetFeatures
from cascade.pipeline.facets.own.codes import (
    CATEGORY_FEATURES,
    DESCRIPTOR_FEATURES,
    CategoryWeights,
    Way,
)
from cascade.pipeline.facets.own.ranking import category_features
from cascade.retrieval.array_ops import top_k
from cascade.retrieval.encoder import Encoder
from cascade.taxonomy.facets import Facet, FacetedTaxonomy
from cascade.training.foodex2.categories import category_figures, category_labels
from cascade.training.foodex2.own.choosing import compared_facets, share
from cascade.training.foodex2.own.linear import fit_choices, fit_many
from cascade.training.foodex2.own.rows import Coded, Fold, Tools, held_codes, held_texts

SHOWN = 16  # descriptors that the right one is chosen among
DESCRIPTOR_RIDGE = 0.02

Report = Callable[[str, int, int], None]


@dataclass(frozen=True)
class SeenFacets:
    """What was seen of the facets of the rows of a fold.

    Parameters
    ----------
    choices
        Features of candidates, float32 [n, n_features], and the place of the right one.
    candidates, nodes
        By batch float32 [n, n_categories, SHOWN, n_features], nan where there are fewer, and int32
        [n, n_categories, SHOWN].
    values, exact
        By batch, see `FacetFeatures`; and whether any descriptor's words are all said.
    wanted
        Codes without what the base terms that were found imply.
    """

    choices: list[tuple[NDArray[np.float32], int]]
    candidates: list[NDArray[np.float32]]
    nodes: list[NDArray[np.int32]]
    values: list[NDArray[np.float32]]
    exact: list[NDArray[np.bool_]]
    wanted: list[FoodCode]
    bases: Sequence[str]

    def dense(
        self, network: NetworkClassifier, weights: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """float32 [n_rows, n_categories, n_features], see `category_features`."""
        parts = []
        for candidates, values, exact in zip(self.candidates, self.values, self.exact, strict=True):
            scores = candidates @ weights
            scores = np.where(np.isnan(scores), -np.inf, scores)
            by_category = [scores[:, at].T for at in range(scores.shape[1])]
            said = [exact[:, at][None] for at in range(scores.shape[1])]
            parts.append(category_features(network, FacetFeatures(values, by_category, said)))
        return np.concatenate(parts)

    def best(self, weights: NDArray[np.float32]) -> NDArray[np.int32]:
        """int32 [n_rows, n_categories], the likeliest descriptor of each category."""
        candidates, nodes = np.concatenate(self.candidates), np.concatenate(self.nodes)
        scores = candidates @ weights
        first = np.where(np.isnan(scores), -np.inf, scores).argmax(axis=2)
        return np.take_along_axis(nodes, first[:, :, None], axis=2)[:, :, 0]


class FacetLearner:
    """Fits the weights of what tells descriptors and facet categories.

    Attributes
    ----------
    start
        float64 [n_features], weights that leave the catalogue's own score of descriptors as it is.
    """

    def __init__(
        self,
        taxonomy: FacetedTaxonomy,
        network: NetworkClassifier,
        encoder: Encoder,
        report: Report,
    ) -> None:
        self._taxonomy, self._network = taxonomy, network
        self._encoder, self._report = encoder, report
        self.start = np.zeros(len(DESCRIPTOR_FEATURES))
        self.start[0] = 1 / DescriptorConfig().temperature

    def looking_at(self, chosen: Sequence[str]) -> Callable[[Tools, Fold], SeenFacets]:
        """What sees the facets of the rows of each fold in turn, with the base terms chosen."""
        left = iter(chosen)

        def look(tools: Tools, fold: Fold) -> SeenFacets:
            bases = [next(left) for _ in fold.rows]
            made = SeenFacets([], [], [], [], [], [], bases)
            for start, batch in fold.batches():
                own = bases[start : start + len(batch)]
                plain = tools.extractor.plain(batch, own)
                codes = fold.held.codes[start : start + len(batch)]
                self._see(tools, batch, own, plain, codes, made)
            return made

        return look

    def _see(
        self,
        tools: Tools,
        batch: Batch,
        bases: Sequence[str],
        plain: FacetFeatures,
        codes: Sequence[FoodCode],
        made: SeenFacets,
    ) -> None:
        categories = tools.extractor.categories
        n = len(categories)
        shape = len(batch), n, SHOWN, len(DESCRIPTOR_FEATURES)
        candidates = np.full(shape, np.nan, dtype=np.float32)
        nodes = np.full(shape[:3], -1, dtype=np.int32)
        wanted = [
            code.normalised(self._taxonomy.implied(base))
            for code, base in zip(codes, bases, strict=True)
        ]
        for at, category in enumerate(categories):
            features = tools.extractor.descriptor_features(batch, bases, plain, at)
            score = plain.scores[at]
            found = top_k(score.T, min(SHOWN, len(category.tree)))
            for item, code in enumerate(wanted):
                first = [int(d) for d in found[item] if np.isfinite(score[d, item])]
                right = [
                    category.tree.index(facet.descriptor)
                    for facet in code.facets
                    if facet.category == category.code
                ]
                nodes[item, at, : len(first)] = first
                candidates[item, at, : len(first)] = features[:, first, item].T
                for node in right[:1]:
                    if np.isfinite(score[node, item]):
                        own = list(dict.fromkeys([*first, node]))
                        made.choices.append((features[:, own, item].T.copy(), own.index(node)))
        made.candidates.append(candidates)
        made.nodes.append(nodes)
        made.values.append(plain.values)
        made.exact.append(np.stack([own.any(axis=0) for own in plain.exact], axis=1))
        made.wanted.extend(wanted)

    def fit_descriptors(
        self, choices: Sequence[tuple[NDArray[np.float32], int]]
    ) -> NDArray[np.float32]:
        """float32 [n_features], the weights by which right descriptors are chosen."""
        return fit_choices(
            [features for features, _ in choices],
            [right for _, right in choices],
            self.start.tolist(),
            signs=[1] * len(DESCRIPTOR_FEATURES),
            ridge=DESCRIPTOR_RIDGE,
        )

    def fit_categories(
        self,
        coded: Coded,
        folds: Sequence[Fold],
        facets: Sequence[SeenFacets],
        alone: Sequence[frozenset[Facet]],
    ) -> tuple[CategoryWeights, LexicalFeatures, dict[str, Any], Way]:
        """Weights, figures, and whose facets are kept.

        Parameters
        ----------
        alone
            Facets of each row by the catalogue alone.
        """
        crossed = [
            self.fit_descriptors([c for own in facets if own is not held for c in own.choices])
            for held in facets
        ]
        each = list(zip(facets, crossed, strict=True))
        dense = np.concatenate([own.dense(self._network, weights) for own, weights in each])
        best = np.concatenate([own.best(weights) for own, weights in each])
        wanted = [code for own in facets for code in own.wanted]
        labels = category_labels(self._network.codes, wanted)
        items = [Item({"text": text}) for text in coded.texts]
        lexical = LexicalFeatures.fit(items, ["text"], LexicalRecipe(max_chars=MAX_CHARS))
        backbone = text_features(lexical, self._encoder)
        sparse = backbone.rows([Item({"text": text}) for text in held_texts(folds)])
        start = np.zeros(len(CATEGORY_FEATURES))
        start[0] = 1
        part = np.concatenate([np.full(len(fold.rows), at) for at, fold in enumerate(folds)])
        likely = np.zeros(labels.shape)
        for at in range(len(folds)):
            self._report("learning categories", at, len(folds) + 1)
            rest, own = np.flatnonzero(part != at), np.flatnonzero(part == at)
            if len(rest) and len(own):
                fitted = fit_many(dense[rest], sparse[rest], labels[rest], start.tolist())
                likely[own] = _probabilities(dense[own], sparse[own], *fitted)
        self._report("learning categories", len(folds), len(folds) + 1)
        own_weights, words, bias = fit_many(dense, sparse, labels, start.tolist())
        right = [frozenset(code.facets) for code in wanted]
        trees = [self._taxonomy.categories[code].tree for code in self._network.codes]
        found, threshold = compared_facets(right, alone, likely, best, trees, self._network.codes)
        bases = [base for own in facets for base in own.bases]
        held = held_codes(folds)
        figures = {
            "categories": category_figures(
                category_labels(
                    self._network.codes,
                    [FoodCode(b, tuple(own)) for b, own in zip(bases, found.answers, strict=True)],
                ),
                labels,
            ),
            "descriptor_accuracy": share(
                [
                    int((features @ weights).argmax()) == place
                    for own, weights in each
                    for features, place in own.choices
                ]
            ),
            "whole_code": share(
                [
                    base == code.base and own == facets_right
                    for base, code, own, facets_right in zip(
                        bases, held, found.answers, right, strict=True
                    )
                ]
            ),
            "threshold": threshold,
            "facet_shares": found.shares,
        }
        made = CategoryWeights(self._network.codes, own_weights, words, bias, threshold)
        return made, lexical, figures, found.kept


def _probabilities(
    dense: NDArray[np.float32],
    sparse: Any,
    weights: NDArray[np.float32],
    words: NDArray[np.float32],
    bias: NDArray[np.float32],
) -> NDArray[np.float64]:
    logits = np.einsum("ncf,fc->nc", dense, weights) + sparse @ words + bias
    return np.asarray(1 / (1 + np.exp(-logits.astype(np.float64))))
