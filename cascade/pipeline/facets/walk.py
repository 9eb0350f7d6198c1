"""From a description to a code that the rules accept: base term, facet categories, descriptors."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cascade.errors import ConfigError, UsageError
from cascade.foodex2.checking import make_checker
from cascade.foodex2.code import FoodCode
from cascade.foodex2.taxonomy import FoodEx2Taxonomy
from cascade.generation.prompts import PromptTemplate
from cascade.items import Batch
from cascade.pipeline.facets.categories import (
    CategoryClassifier,
    LLMClassifier,
    NetworkClassifier,
    TextClassifier,
    shipped_network,
)
from cascade.pipeline.facets.evidence import EvidenceFinder, FacetFeatureExtractor
from cascade.pipeline.facets.own.codes import LearntCodes, weights_of
from cascade.pipeline.facets.own.ranking import (
    LearntBaseRanker,
    LearntCategories,
    LearntExtractor,
    finders_of,
    said_facets,
)
from cascade.pipeline.facets.ranking import (
    BaseTermRanker,
    DescriptorRanker,
    RankedDescriptors,
)
from cascade.pipeline.facets.reranking import reranker_of
from cascade.pipeline.facets.said import SaidFacets, said_code
from cascade.pipeline.facets.terms.derivatives import Derivatives
from cascade.pipeline.facets.terms.ranked import RankedBaseTerms, candidates_of
from cascade.pipeline.fallback import FailureLog, by_fallback
from cascade.predictions import Alternative, FacetChoice, Prediction
from cascade.retrieval.words.overlap import words_of
from cascade.taxonomy.facets import Facet, FacetedTaxonomy

if TYPE_CHECKING:
    from cascade.scoring.components import Components

METHODS = {"retrieval": "retrieve", "rerank": "rerank", "llm": "llm", "cascade": None}
MIN_SUBSTITUTE = 0.2  # probability of a descriptor that may replace one that the rules refuse
ROWS = 64  # items whose evidence is in memory together

Refusal = Callable[[str], str]
"""Why the rules refuse a code; empty where they accept it."""

logger = logging.getLogger(__name__)


class FacetWalk:
    """Finds the base term of descriptions, and facets for what they say beyond it.

    Parameters
    ----------
    refusal
        Rules that codes must pass: a descriptor that they refuse gives way to the next.
    most
        Descriptors of a category that may have several.
    said
        Finds facets by the words that say them; without it by categories and descriptors.
    beside
        Whether categories and descriptors find more beside those that are said.
    derivatives
        Finds derivatives for raw commodities of which a text says a process that the rules refuse.

    Attributes
    ----------
    source
        The method that finds base terms.
    bases, extractor, categories, descriptors
        The stages.
    """

    reads_text = True
    reads_pictures = False
    takes_pictures = False
    holds_all_nodes = True

    def __init__(
        self,
        taxonomy: FacetedTaxonomy,
        bases: BaseTermRanker,
        extractor: FacetFeatureExtractor,
        categories: CategoryClassifier,
        descriptors: DescriptorRanker,
        refusal: Refusal,
        *,
        source: str = "retrieval",
        most: int = 3,
        said: SaidFacets | None = None,
        beside: bool = False,
        derivatives: Derivatives | None = None,
    ) -> None:
        self._taxonomy, self._said, self._beside = taxonomy, said, beside
        self._derivatives = derivatives
        self.bases, self.extractor = bases, extractor
        self.categories, self.descriptors = categories, descriptors
        self._refusal = refusal
        self.source = source
        self._most = most
        self._failures = FailureLog("the model", "retrieval")

    def walk(self, batch: Batch) -> list[Prediction]:
        """The predictions for a batch; codes do not repeat what their base terms imply."""
        predictions: list[Prediction] = []
        for start in range(0, len(batch), ROWS):
            rows = range(start, min(start + ROWS, len(batch)))
            part = batch.subset(rows)
            predictions += self._walk(part)
            batch.take_back(part, rows)
        return predictions

    def with_bases(self, batch: Batch, nodes: Sequence[int]) -> list[Prediction]:
        """The predictions for a batch whose base terms are known."""
        return self._walk(batch, nodes)

    def refusal(self, code: str) -> str:
        """Why the rules refuse a code; empty where they accept it."""
        return self._refusal(code)

    def _walk(self, batch: Batch, known: Sequence[int] | None = None) -> list[Prediction]:
        with batch.timed("base terms"):
            ranked = self.bases.rank(batch)
            if known is not None:
                ranked = ranked.led_by(known)
            elif self._derivatives is not None:
                texts = [own.told for own in self.extractor.finder.of(batch).absent]
                firsts = ranked.nodes[:, 0].tolist()
                ranked = ranked.moved(list(map(self._derivatives.of, texts, firsts)))
        predictions = (
            self._by_words(batch, ranked)
            if self._said is not None and not self._beside
            else self._by_categories(batch, ranked)
        )
        if known is None:
            predictions = [
                prediction
                if self.bases.offered(ranked, item)
                else self._none_offered(batch, item, ranked)
                for item, prediction in enumerate(predictions)
            ]
        if batch.failures:
            self._failures.tell(batch)
        for item, error in batch.failures.items():
            evidence = replace(predictions[item], source="retrieval")
            predictions[item] = by_fallback(evidence, "the model", error)
        return predictions

    def _by_words(self, batch: Batch, ranked: RankedBaseTerms) -> list[Prediction]:
        """The predictions with the facets that words say."""
        bases = [self._taxonomy.codes[node] for node in ranked.nodes[:, 0].tolist()]
        with batch.timed("facets"):
            told = self._told(batch, bases)
            return [self._prediction(batch, i, ranked, *own) for i, own in enumerate(told)]

    def _told(self, batch: Batch, bases: Sequence[str]) -> list[tuple[FoodCode, list[FacetChoice]]]:
        """Base terms with the facets that words say, if they are asked."""
        said = self._said
        if said is None:
            return [(FoodCode(base), []) for base in bases]
        texts = [own.told for own in self.extractor.finder.of(batch).absent]  # in English
        return [
            said_code(said, text, FoodCode(base), self._taxonomy, self._refusal, self._most)
            for text, base in zip(texts, bases, strict=True)
        ]

    def _by_categories(self, batch: Batch, ranked: RankedBaseTerms) -> list[Prediction]:
        """The predictions with the facets of categories that are likely, and their descriptors."""
        bases = [self._taxonomy.codes[node] for node in ranked.nodes[:, 0].tolist()]
        with batch.timed("facet categories"):
            features = self.extractor.extract(batch, bases)
            likely = self.categories.probabilities(batch, features, bases)
        with batch.timed("descriptors"):
            taken = np.argwhere(likely >= self.categories.thresholds)
            pairs = [(int(item), int(category)) for item, category in taken]
            descriptors = self.descriptors.rank(batch, features, pairs)
        by_category: list[dict[int, RankedDescriptors]] = [{} for _ in bases]
        for (item, category), own in zip(pairs, descriptors, strict=True):
            by_category[item][category] = own
        predictions = []
        for item, (code, facets) in enumerate(self._told(batch, bases)):
            told = {choice.category for choice in facets}
            for category in sorted(by_category[item], key=lambda c: -likely[item, c]):
                if self.extractor.categories[category].code in told:
                    continue
                code, chosen = self._with_facets(
                    code,
                    category,
                    by_category[item][category],
                    float(likely[item, category]),
                    features.exact[category][:, item],
                )
                facets += chosen
            predictions.append(self._prediction(batch, item, ranked, code, facets))
        return predictions

    def _prediction(
        self,
        batch: Batch,
        item: int,
        ranked: RankedBaseTerms,
        code: FoodCode,
        facets: Sequence[FacetChoice],
    ) -> Prediction:
        taxonomy = self._taxonomy
        nodes, shares = ranked.nodes[item].tolist(), np.exp(ranked.logprobs[item]).tolist()
        confidence = shares[0]
        for category in dict.fromkeys(facet.category for facet in facets if facet.code):
            confidence *= max(f.confidence for f in facets if f.category == category and f.code)
        doubt = self.bases.doubt(ranked, item)
        offered = max(1, self.bases.offered(ranked, item))
        return Prediction(
            str(code.normalised()),
            taxonomy.path(nodes[0]),
            confidence,
            self.source,
            "review" if doubt else "ok",
            doubt,
            id=batch.items[item].id,
            levels=ranked.levels(taxonomy, item),
            alternatives=tuple(
                Alternative(taxonomy.codes[node], taxonomy.path(node), share)
                for node, share in zip(nodes[1:offered], shares[1:offered], strict=True)
            ),
            facets=tuple(sorted(facets, key=lambda facet: (facet.category, facet.code or ""))),
        )

    def _none_offered(self, batch: Batch, item: int, ranked: RankedBaseTerms) -> Prediction:
        """An answer without a code, for a person to find one."""
        why = self.bases.none_offered(ranked, item)
        return Prediction(None, None, 0.0, self.source, "review", why, id=batch.items[item].id)

    def _with_facets(
        self,
        code: FoodCode,
        category: int,
        ranked: RankedDescriptors,
        probability: float,
        exact: NDArray[np.bool_],
    ) -> tuple[FoodCode, list[FacetChoice]]:
        """The code with the best descriptors of a category that the rules accept.

        Parameters
        ----------
        probability
            Of the category.
        exact
            bool [n_nodes], descriptors whose words are all in the text: only these may be added to
            another one.
        """
        facet_category = self.extractor.categories[category]
        tree = facet_category.tree
        candidates = candidates_of(tree, ranked.nodes, ranked.probabilities, ranked.scores)
        chosen: list[FacetChoice] = []
        refused = ""
        used: set[str] = set()  # words of the chosen descriptors
        for node, candidate in zip(ranked.nodes.tolist(), candidates, strict=True):
            if chosen and (facet_category.single or len(chosen) == self._most):
                break
            names = (candidate.name, *tree.synonyms(node))
            words = {word for name in names for word in words_of(name)}
            if chosen and (not exact[node] or words & used):
                continue
            if refused and not exact[node] and candidate.probability < MIN_SUBSTITUTE:
                break
            facet = Facet(facet_category.code, candidate.code)
            extended = FoodCode(code.base, (*code.facets, facet))
            if problem := self._refusal(str(extended)):
                refused = refused or problem
                continue
            code, used = extended, used | words
            share = 1.0 if chosen else candidate.probability
            chosen.append(
                FacetChoice(
                    facet_category.code,
                    facet_category.label,
                    candidate.code,
                    candidate.name,
                    probability * share,
                    () if chosen else candidates,
                )
            )
        if not chosen:
            label = facet_category.label
            why = refused or "there is no descriptor that could be said"
            none = FacetChoice(facet_category.code, label, None, "", probability, candidates, why)
            return code, [none]
        return code, chosen


def make_walk(
    taxonomy: FacetedTaxonomy, components: Components, method: str | None = None
) -> FacetWalk:
    """The walk that a config asks for, by its method or another one.

    Raises
    ------
    UsageError
        The method is none of those that find base terms.
    ConfigError, WeightsError
        A file or weights that are named cannot be read.
    """
    config = components.config.facets
    named = method or components.method
    if named not in METHODS:
        raise UsageError(
            f"method {named!r} does not find base terms of a faceted taxonomy; "
            f"there are {', '.join(METHODS)}"
        )
    first = METHODS[named] or config.base.method
    checker = make_checker(taxonomy, config.processes)
    refusal = checker.refusal if checker is not None else lambda _: ""
    allowed = taxonomy.reportable & np.array([not refusal(code) for code in taxonomy.codes])
    finder = EvidenceFinder(
        taxonomy, components.encoder, progress=components.progress, gloss=config.gloss
    )
    reranker = reranker_of(first, config.base.prompt, components)
    learnt = LearntCodes.load(Path(config.learnt)) if config.learnt else None
    if learnt is not None and learnt.encoder != weights_of(components.encoder):
        raise ConfigError(
            f"{config.learnt}: was learnt with another encoder; use that of the pack "
            "(retrieval.encoder), or fit it again"
        )
    extractor: FacetFeatureExtractor
    if learnt is None:
        extractor = FacetFeatureExtractor(taxonomy, finder)
        bases = BaseTermRanker(taxonomy, finder, config.base, allowed, reranker)
    else:
        own, of_bases = finders_of(finder, learnt)
        extractor = LearntExtractor(taxonomy, own, learnt)
        bases = LearntBaseRanker(taxonomy, of_bases, config.base, allowed, learnt, reranker)
    said = said_facets(taxonomy, config.categories, learnt)
    derivatives = None
    if said is not None and learnt is None and isinstance(taxonomy, FoodEx2Taxonomy):
        nodes = np.flatnonzero(allowed).astype(np.int32)
        derivatives = Derivatives(taxonomy, nodes, said, refusal)
    return FacetWalk(
        taxonomy,
        bases,
        extractor,
        _category_classifier(taxonomy, components, extractor.codes, learnt),
        DescriptorRanker(
            extractor,
            config.descriptors,
            reranker_of(config.descriptors.method, config.descriptors.prompt, components),
        ),
        refusal,
        source={"retrieve": "retrieval"}.get(first, first),
        most=config.descriptors.most,
        said=said,
        beside=learnt is not None and learnt.kept.facets == "both",
        derivatives=derivatives,
    )


def _category_classifier(
    taxonomy: FacetedTaxonomy,
    components: Components,
    codes: Sequence[str],
    learnt: LearntCodes | None = None,
) -> CategoryClassifier:
    config = components.config.facets.categories
    classifier: CategoryClassifier
    if config.method == "classifier":
        if config.classifier is None:
            raise UsageError(
                "there is no classifier of facet categories; fit one with `cascade foodex2 fit`, "
                "and name the pack with -c"
            )
        classifier = TextClassifier.load(Path(config.classifier), components.encoder, codes)
    else:
        network = NetworkClassifier.load(Path(config.network or shipped_network()), codes)
        classifier = network
        if learnt is not None:
            classifier = LearntCategories(learnt, network, components.encoder)
        if config.method == "llm":
            classifier = LLMClassifier(
                taxonomy,
                components.engine,
                PromptTemplate.load(config.prompt),
                classifier.thresholds <= 1,
                generates=components.config.llm.answer == "generate",
                contexts=config.contexts,
                fallback=classifier,
                weight=config.weight,
                max_chars=components.config.llm.max_chars,
            )
    if config.threshold is not None:
        fitted = classifier.thresholds
        classifier.thresholds = np.where(fitted <= 1, config.threshold, fitted)
    return classifier
