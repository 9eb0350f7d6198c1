"""Learns from coded descriptions: names, base terms, categories and descriptors.

Weights are fitted to rows as if they were new: what their own neighbours, names and counts say is
taken from other rows. Half of the time these include rows with the same base term, half of the time
none, so that base terms that nobody has used yet are not forgotten.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from copy import copy
from dataclasses import asdict, replace
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from cascade.config import BaseTermConfig
from cascade.features.lexical import LexicalFeatures
from cascade.foodex2.code import FoodCode
from cascade.pipeline.facets.categories import MAX_CHARS, NetworkClassifier
from cascade.pipeline.facets.evidence import EvidenceFinder, phrases
from cascade.pipeline.facets.own.codes import (
    CATEGORY_FEATURES,
    CategoryWeights,
    Kept,
    LearntCodes,
    Uses,
    weights_of,
)
from cascade.pipeline.facets.own.ranking import LearntBaseRanker, LearntExtractor
from cascade.pipeline.facets.own.recall import Recall
from cascade.pipeline.facets.own.words import NameSpelling, OwnWords, OwnWordsFinder, spelling_of
from cascade.pipeline.facets.said import Refusal
from cascade.retrieval.encoder import Encoder
from cascade.taxonomy.facets import FacetedTaxonomy
from cascade.training.foodex2.own.bases import BaseTermLearner
from cascade.training.foodex2.own.choosing import CatalogueAlone, compared, share
from cascade.training.foodex2.own.facets import FacetLearner, Report
from cascade.training.foodex2.own.names import learn_names
from cascade.training.foodex2.own.rows import (
    Coded,
    Fold,
    RememberingEncoder,
    Tools,
    folds_of,
    held_codes,
    held_texts,
)


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
        self._bases = BaseTermLearner(taxonomy)
        self._facets = FacetLearner(taxonomy, network, finder.encoder, report)
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
        seen = list(self._passes(both, self._bases.see, 0, work))
        base_weights = self._bases.fit([one for own in seen for one in own])
        found = self._bases.found(both, seen)
        held, wanted = held_texts(folds), held_codes(folds)
        alone = CatalogueAlone(self.taxonomy, self.finder, self.allowed, self._refusal)
        bases = compared(
            [code.base for code in wanted], alone.bases(held), {"learnt": found[: len(held)]}
        )
        look = self._facets.looking_at(bases.answers)
        done = sum(len(fold.rows) for fold in both)
        facets = list(self._passes(folds, look, done, work))
        weights = self._facets.fit_descriptors([one for own in facets for one in own.choices])
        categories, lexical, figures, kept = self._facets.fit_categories(
            coded, folds, facets, alone.facets(held, bases.answers)
        )
        learnt = self._taught(coded)
        if bases.kept == "catalogue":
            base_weights = self._bases.start.astype(np.float32)
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

    def _taught(self, coded: Coded) -> LearntCodes:
        """What rows teach without weights: names, neighbours, counts."""
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
            self._bases.start.astype(np.float32),
            self._facets.start.astype(np.float32),
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
