"""Learns from coded descriptions: names, base terms, categories and descriptors.

Weights are fitted to rows as if they were new: what their own neighbours, names and counts say is
taken from other rows. Half of the time these include rows with the same base term, half of the time
none, so that base terms that nobody has used yet are not forgotten.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from copy import copy
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from cascade.config import BaseTermConfig, DescriptorConfig
from cascade.features.lexical import LexicalFeatures, LexicalRecipe
from cascade.foodex2.code import FoodCode
from cascade.items import Batch, Item
from cascade.pipeline.facets.categories import MAX_CHARS, NetworkClassifier, text_features
from cascade.pipeline.facets.evidence import EvidenceFinder, FacetFeatures, phrases
from cascade.pipeline.facets.own.codes import (
    BASE_FEATURES,
    CATEGORY_FEATURES,
    DESCRIPTOR_FEATURES,
    CategoryWeights,
    LearntCodes,
    Uses,
    weights_of,
)
from cascade.pipeline.facets.own.ranking import LearntBaseRanker, LearntExtractor
from cascade.pipeline.facets.own.recall import Recall
from cascade.pipeline.facets.own.words import NameSpelling, OwnWords, OwnWordsFinder, spelling_of
from cascade.retrieval.array_ops import top_k
from cascade.retrieval.encoder import Encoder
from cascade.taxonomy.facets import Facet, FacetedTaxonomy
from cascade.training.foodex2.categories import category_figures, category_labels
from cascade.training.foodex2.own.linear import fit_choices, fit_many
from cascade.training.foodex2.own.names import learn_names
from cascade.training.foodex2.own.rows import (
    Coded,
    Fold,
    RememberingEncoder,
    SeenBases,
    SeenFacets,
    folds_of,
)

CANDIDATES = 40  # base terms that the right one is chosen among
SHOWN = 16  # descriptors that the right one is chosen among
BASE_RIDGE, DESCRIPTOR_RIDGE = 0.02, 0.02
CORRECTIONS = BASE_FEATURES[1:6]  # parts of the catalogue's score, which may count for less
THRESHOLDS = np.round(np.arange(0.2, 0.81, 0.05), 2)

Report = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Tools:
    """What reads the rows of a fold, taught by the others."""

    finder: OwnWordsFinder
    ranker: LearntBaseRanker
    extractor: LearntExtractor


class OwnCodesLearner:
    """Learns from coded descriptions, beginning with what the catalogue tells.

    Parameters
    ----------
    finder
        Knows the catalogue's names.
    network
        What the catalogue taught of facet categories.
    allowed
        bool [n_nodes], base terms that may be answered.
    """

    def __init__(
        self,
        taxonomy: FacetedTaxonomy,
        finder: EvidenceFinder,
        network: NetworkClassifier,
        allowed: NDArray[np.bool_],
        *,
        seed: int = 0,
        report: Report = lambda *_: None,
    ) -> None:
        self.taxonomy, self.network = taxonomy, network
        self._encoder = finder.encoder
        self.finder = copy(finder)
        self.finder.encoder = cast("Encoder", RememberingEncoder(finder.encoder))
        self.allowed, self._seed, self._report = allowed, seed, report
        self._spelling: NameSpelling = spelling_of(finder.terms)
        base, step = BaseTermConfig(), DescriptorConfig().temperature
        self._base_start = np.zeros(len(BASE_FEATURES))
        self._base_start[0] = 1 / base.temperature
        self._descriptor_start = np.zeros(len(DESCRIPTOR_FEATURES))
        self._descriptor_start[0] = 1 / step
        self._base_config = BaseTermConfig(temperature=1)

    def learn(
        self, texts: Sequence[str], codes: Sequence[FoodCode]
    ) -> tuple[LearntCodes, dict[str, Any]]:
        """What the rows teach, and figures on rows as if they were new.

        Parameters
        ----------
        codes
            Without what base terms imply.
        """
        whole = [phrases(self.finder.read(text))[0] for text in texts]
        coded = Coded(texts, codes, self.finder.encoder.encode(whole))
        folds = folds_of(coded, by_text=True, seed=self._seed)
        both = [*folds, *folds_of(coded, by_text=False, seed=self._seed)]
        work = sum(len(fold.rows) for fold in (*both, *folds))
        seen = [one for own in self._passes(both, self._see_bases, 0, work) for one in own]
        base_weights = self._fit_bases(seen)
        look = self._facets_of(self._chosen(seen, base_weights))
        done = sum(len(fold.rows) for fold in both)
        facets = list(self._passes(folds, look, done, work))
        weights = self._fit_descriptors([one for own in facets for one in own.choices])
        categories, lexical, figures = self._fit_categories(coded, folds, facets, weights)
        learnt = self._taught(coded)
        learnt = replace(
            learnt,
            base_weights=base_weights,
            descriptor_weights=weights,
            categories=categories,
            lexical=lexical,
        )
        return learnt, self._base_figures(seen, base_weights, both) | figures

    # What rows teach without weights: names, neighbours, counts.

    def _taught(self, coded: Coded) -> LearntCodes:
        names = learn_names(coded.texts, coded.codes, self.taxonomy)
        width = coded.vectors.shape[1]
        vectors = (
            self.finder.encoder.encode_documents([name for _, name in names])
            if names
            else np.zeros((0, width), np.float32)
        )
        own = OwnWords([code for code, _ in names], [name for _, name in names], vectors)
        uses = Uses(
            Counter(code.base for code in coded.codes),
            Counter(str(facet) for code in coded.codes for facet in code.facets),
            len(coded.codes),
        )
        empty = CategoryWeights(
            self.network.codes,
            np.zeros((len(CATEGORY_FEATURES), len(self.network.codes)), np.float32),
            np.zeros((0, len(self.network.codes)), np.float32),
            np.zeros(len(self.network.codes), np.float32),
            0.5,
        )
        return LearntCodes(
            own,
            coded.vectors,
            [code.base for code in coded.codes],
            uses,
            self._base_start.astype(np.float32),
            self._descriptor_start.astype(np.float32),
            empty,
            LexicalFeatures((), MAX_CHARS),
            Recall.of(  # as texts are written, and as they are compared
                [*coded.texts, *map(self.finder.read, coded.texts)], [*coded.codes, *coded.codes]
            ),
            weights_of(self._encoder),
        )

    def _passes(
        self, folds: Sequence[Fold], look: Callable[[Tools, Fold], Any], done: int, of: int
    ) -> Iterator[Any]:
        for fold in folds:
            learnt = self._taught(fold.others)
            finder = OwnWordsFinder(self.finder, learnt.words, self._spelling)
            ranker = LearntBaseRanker(
                self.taxonomy, finder, self._base_config, self.allowed, learnt
            )
            extractor = LearntExtractor(self.taxonomy, finder, learnt)
            yield look(Tools(finder, ranker, extractor), fold)
            done += len(fold.rows)
            self._report("reading descriptions", done, of)

    # Base terms.

    def _see_bases(self, tools: Tools, fold: Fold) -> list[SeenBases]:
        found: list[SeenBases] = []
        place = {int(node): at for at, node in enumerate(tools.ranker.nodes)}
        for start, batch in fold.batches():
            features = tools.ranker.features(tools.finder.of(batch))
            scores = np.tensordot(self._base_start.astype(np.float32), features, axes=1)
            firsts = [top_k(scores.T, min(CANDIDATES, len(place)))]
            firsts += [top_k(features[at].T, min(8, len(place))) for at in (8, 9)]
            for item in range(len(batch)):
                own = list(dict.fromkeys(int(p) for first in firsts for p in first[item]))
                base = fold.held.codes[start + item].base
                right = place.get(self.taxonomy.index(base))
                if right is not None and right not in own:
                    own.append(right)
                found.append(
                    SeenBases(
                        tools.ranker.nodes[own],
                        features[:, own, item].T.copy(),
                        None if right is None else own.index(right),
                    )
                )
        return found

    def _fit_bases(self, seen: Sequence[SeenBases]) -> NDArray[np.float32]:
        known = [one for one in seen if one.right is not None]
        return fit_choices(
            [one.base_features for one in known],
            [one.right for one in known if one.right is not None],
            self._base_start.tolist(),
            signs=[0 if name in CORRECTIONS else 1 for name in BASE_FEATURES],
            ridge=BASE_RIDGE,
        )

    def _chosen(self, seen: Sequence[SeenBases], weights: NDArray[np.float32]) -> list[str]:
        """The base term that is found for each, right or wrong."""
        codes = self.taxonomy.codes
        return [codes[int(one.bases[(one.base_features @ weights).argmax()])] for one in seen]

    # Facets.

    def _facets_of(self, chosen: Sequence[str]) -> Callable[[Tools, Fold], SeenFacets]:
        left = iter(chosen)

        def look(tools: Tools, fold: Fold) -> SeenFacets:
            bases = [next(left) for _ in fold.rows]
            made = SeenFacets([], [], [], [], [], [], bases)
            for start, batch in fold.batches():
                own = bases[start : start + len(batch)]
                plain = tools.extractor.plain(batch, own)
                codes = fold.held.codes[start : start + len(batch)]
                self._see_facets(tools, batch, own, plain, codes, made)
            return made

        return look

    def _see_facets(
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
            code.normalised(self.taxonomy.implied(base))
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

    def _fit_descriptors(
        self, choices: Sequence[tuple[NDArray[np.float32], int]]
    ) -> NDArray[np.float32]:
        return fit_choices(
            [features for features, _ in choices],
            [right for _, right in choices],
            self._descriptor_start.tolist(),
            signs=[1] * len(DESCRIPTOR_FEATURES),
            ridge=DESCRIPTOR_RIDGE,
        )

    def _fit_categories(
        self,
        coded: Coded,
        folds: Sequence[Fold],
        facets: Sequence[SeenFacets],
        weights: NDArray[np.float32],
    ) -> tuple[CategoryWeights, LexicalFeatures, dict[str, Any]]:
        texts = [text for fold in folds for text in fold.held.texts]
        dense = np.concatenate([own.dense(self.network, weights) for own in facets])
        wanted = [code for own in facets for code in own.wanted]
        labels = category_labels(self.network.codes, wanted)
        items = [Item({"text": text}) for text in coded.texts]
        lexical = LexicalFeatures.fit(items, ["text"], LexicalRecipe(max_chars=MAX_CHARS))
        backbone = text_features(lexical, self._encoder)
        sparse = backbone.rows([Item({"text": text}) for text in texts])
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
        threshold = best_threshold(likely, labels)
        self._report("learning categories", len(folds), len(folds) + 1)
        own_weights, words, bias = fit_many(dense, sparse, labels, start.tolist())
        taken = likely >= threshold
        figures = {
            "categories": category_figures(taken, labels),
            "descriptor_accuracy": _share(
                [int((f @ weights).argmax()) == right for own in facets for f, right in own.choices]
            ),
            "whole_code": _share(self._whole(folds, facets, taken, weights)),
            "threshold": threshold,
        }
        made = CategoryWeights(self.network.codes, own_weights, words, bias, threshold)
        return made, lexical, figures

    def _whole(
        self,
        folds: Sequence[Fold],
        facets: Sequence[SeenFacets],
        taken: NDArray[np.bool_],
        weights: NDArray[np.float32],
    ) -> list[bool]:
        """Whether base term and facets of each row are right, with one descriptor a category."""
        trees = [self.taxonomy.categories[code].tree for code in self.network.codes]
        best = np.concatenate([own.best(weights) for own in facets])
        bases = [base for own in facets for base in own.bases]
        wanted = [code for own in facets for code in own.wanted]
        found = []
        for at, (base, code) in enumerate(zip(bases, wanted, strict=True)):
            said = {
                Facet(self.network.codes[c], trees[c].codes[best[at, c]])
                for c in np.flatnonzero(taken[at]).tolist()
                if best[at, c] >= 0
            }
            found.append(base == code.base and said == set(code.facets))
        return found

    def _base_figures(
        self, seen: Sequence[SeenBases], weights: NDArray[np.float32], folds: Sequence[Fold]
    ) -> dict[str, Any]:
        """Shares of right base terms, by whether rows with the same base term were known."""
        hits = [
            one.right is not None and int((one.base_features @ weights).argmax()) == one.right
            for one in seen
        ]
        by_text = [fold.by_text for fold in folds for _ in fold.rows]
        return {
            "base_accuracy": _share([h for h, text in zip(hits, by_text, strict=True) if text]),
            "base_accuracy_unseen": _share(
                [h for h, text in zip(hits, by_text, strict=True) if not text]
            ),
        }


def best_threshold(likely: NDArray[np.floating[Any]], labels: NDArray[np.bool_]) -> float:
    """The threshold at which the categories of most rows are all right; of several the middle."""
    right = [((likely >= at) == labels).all(axis=1).mean() for at in THRESHOLDS]
    best = np.flatnonzero(np.array(right) == max(right))
    return float(THRESHOLDS[best[len(best) // 2]])


def _probabilities(
    dense: NDArray[np.float32],
    sparse: Any,
    weights: NDArray[np.float32],
    words: NDArray[np.float32],
    bias: NDArray[np.float32],
) -> NDArray[np.float64]:
    logits = np.einsum("ncf,fc->nc", dense, weights) + sparse @ words + bias
    return np.asarray(1 / (1 + np.exp(-logits.astype(np.float64))))


def _share(hits: Sequence[bool]) -> float:
    return round(float(np.mean(hits)), 4) if len(hits) else 0.0
