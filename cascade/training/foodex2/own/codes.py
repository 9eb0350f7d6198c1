"""Learns from coded descriptions: names, base terms, categories and descriptors.

Weights are fitted to rows as if they were new: what their own neighbours, names and counts say is
taken from other rows. Half of the time these include rows with the same base term, half of the time
none, so that base terms that nobody has used yet are not forgotten.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from copy import copy
from dataclasses import asdict, dataclass, replace
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
    Kept,
    LearntCodes,
    Uses,
    Way,
    weights_of,
)
from cascade.pipeline.facets.own.ranking import LearntBaseRanker, LearntExtractor
from cascade.pipeline.facets.own.recall import Recall
from cascade.pipeline.facets.own.words import NameSpelling, OwnWords, OwnWordsFinder, spelling_of
from cascade.pipeline.facets.said import Refusal
from cascade.retrieval.array_ops import top_k
from cascade.retrieval.encoder import Encoder
from cascade.taxonomy.facets import Facet, FacetedTaxonomy
from cascade.training.foodex2.categories import category_figures, category_labels
from cascade.training.foodex2.own.choosing import (
    CatalogueAlone,
    compared,
    compared_facets,
    share,
)
from cascade.training.foodex2.own.linear import fit_choices, fit_many
from cascade.training.foodex2.own.names import learn_names
from cascade.training.foodex2.own.rows import (
    Coded,
    Fold,
    RememberingEncoder,
    SeenBases,
    SeenFacets,
    folds_of,
    held_codes,
    held_texts,
)

CANDIDATES = 40  # base terms that the right one is chosen among
SHOWN = 16  # descriptors that the right one is chosen among
BASE_RIDGE, DESCRIPTOR_RIDGE = 0.02, 0.02
CORRECTIONS = BASE_FEATURES[1:6]  # parts of the catalogue's score, which may count for less

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
    refusal
        Why the rules refuse a code; empty where they accept it.
    """

    def __init__(
        self,
        taxonomy: FacetedTaxonomy,
        finder: EvidenceFinder,
        network: NetworkClassifier,
        allowed: NDArray[np.bool_],
        refusal: Refusal = lambda _: "",
        *,
        seed: int = 0,
        report: Report = lambda *_: None,
    ) -> None:
        self.taxonomy, self.network = taxonomy, network
        self._encoder = finder.encoder
        self.finder = copy(finder)
        self.finder.encoder = cast("Encoder", RememberingEncoder(finder.encoder))
        self.allowed, self._seed, self._report = allowed, seed, report
        self._refusal = refusal
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
        seen = list(self._passes(both, self._see_bases, 0, work))
        base_weights = self._fit_bases([one for own in seen for one in own])
        found = self._found_bases(both, seen)
        held, wanted = held_texts(folds), held_codes(folds)
        alone = CatalogueAlone(self.taxonomy, self.finder, self.allowed, self._refusal)
        bases = compared(
            [code.base for code in wanted], alone.bases(held), {"learnt": found[: len(held)]}
        )
        look = self._facets_of(bases.answers)
        done = sum(len(fold.rows) for fold in both)
        facets = list(self._passes(folds, look, done, work))
        weights = self._fit_descriptors([one for own in facets for one in own.choices])
        categories, lexical, figures, kept = self._fit_categories(
            coded, folds, facets, alone.facets(held, bases.answers)
        )
        learnt = self._taught(coded)
        if bases.kept == "catalogue":
            base_weights = self._base_start.astype(np.float32)
            if kept == "catalogue":
                learnt = replace(learnt, words=OwnWords.none(coded.vectors.shape[1]))
        learnt = replace(
            learnt,
            base_weights=base_weights,
            descriptor_weights=weights,
            categories=categories,
            lexical=lexical,
            kept=Kept(bases.kept, kept),
        )
        unseen = [
            code.base == own
            for code, own in zip(held_codes(both)[len(held) :], found[len(held) :], strict=True)
        ]
        known = {
            "base_accuracy": bases.shares[bases.kept],
            "base_accuracy_unseen": (
                share(unseen) if bases.kept == "learnt" else bases.shares[bases.kept]
            ),
        }
        return learnt, known | figures | {"base_shares": bases.shares, "kept": asdict(learnt.kept)}

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

    def _found_bases(self, folds: Sequence[Fold], seen: Sequence[Sequence[SeenBases]]) -> list[str]:
        """The base term of each by weights of other rows, right or wrong."""
        found = []
        for fold, mine in zip(folds, seen, strict=True):
            held = set(fold.rows)
            weights = self._fit_bases(
                [
                    one
                    for other, own in zip(folds, seen, strict=True)
                    for row, one in zip(other.rows, own, strict=True)
                    if row not in held
                ]
            )
            places = [int((one.base_features @ weights).argmax()) for one in mine]
            found += [int(one.bases[at]) for one, at in zip(mine, places, strict=True)]
        return [self.taxonomy.codes[node] for node in found]

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
        alone: Sequence[frozenset[Facet]],
    ) -> tuple[CategoryWeights, LexicalFeatures, dict[str, Any], Way]:
        """Weights, figures, and whose facets are kept.

        Parameters
        ----------
        alone
            Facets of each row by the catalogue alone.
        """
        crossed = [
            self._fit_descriptors([c for own in facets if own is not held for c in own.choices])
            for held in facets
        ]
        each = list(zip(facets, crossed, strict=True))
        dense = np.concatenate([own.dense(self.network, weights) for own, weights in each])
        best = np.concatenate([own.best(weights) for own, weights in each])
        wanted = [code for own in facets for code in own.wanted]
        labels = category_labels(self.network.codes, wanted)
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
        trees = [self.taxonomy.categories[code].tree for code in self.network.codes]
        found, threshold = compared_facets(right, alone, likely, best, trees, self.network.codes)
        bases = [base for own in facets for base in own.bases]
        held = held_codes(folds)
        figures = {
            "categories": category_figures(
                category_labels(
                    self.network.codes,
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
        made = CategoryWeights(self.network.codes, own_weights, words, bias, threshold)
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
