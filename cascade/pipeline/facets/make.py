"""The walk of a faceted taxonomy, put together from a config."""

from __future__ import annotations

import logging
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from cascade.errors import UsageError
from cascade.foodex2.format import PROCESSES, find_processes
from cascade.foodex2.parsed import ForbiddenProcesses
from cascade.foodex2.rules import Checker, worst
from cascade.foodex2.taxonomy import FoodEx2Taxonomy
from cascade.generation.prompts import PromptTemplate
from cascade.pipeline.facets.asking import Asker, LLMAsker, PairAsker
from cascade.pipeline.facets.base import BaseTerms
from cascade.pipeline.facets.categories import (
    Categories,
    ClassifierCategories,
    LLMCategories,
    PairCategories,
)
from cascade.pipeline.facets.descriptors import DescriptorRanker
from cascade.pipeline.facets.evidence import EvidenceFinder
from cascade.pipeline.facets.features import FacetFeatures
from cascade.pipeline.facets.walk import FacetWalk
from cascade.taxonomy.facets import FacetedTaxonomy

if TYPE_CHECKING:
    from cascade.scoring.components import Components

SHIPPED = "network.safetensors"
METHODS = {"retrieval": "retrieve", "rerank": "rerank", "llm": "llm", "cascade": None}

logger = logging.getLogger(__name__)


def make_walk(taxonomy: FacetedTaxonomy, components: Components) -> FacetWalk:
    """The walk that a config asks for.

    Raises
    ------
    UsageError
        The method is none of those that find base terms.
    ConfigError, WeightsError
        A file or weights that are named cannot be read.
    """
    config = components.config.facets
    if components.config.method not in METHODS:
        raise UsageError(
            f"method {components.config.method!r} does not find base terms of a faceted taxonomy; "
            f"there are {', '.join(METHODS)}"
        )
    method = METHODS[components.config.method] or config.base.method
    refuse = _Refuse(rules(taxonomy, config.processes))
    allowed = taxonomy.reportable & np.array([not refuse(code) for code in taxonomy.codes])
    finder = EvidenceFinder(taxonomy, components.encoder, progress=components.progress)
    features = FacetFeatures(taxonomy, finder)
    bases = BaseTerms(
        taxonomy, finder, config.base, allowed, _asker(method, config.base.prompt, components)
    )
    descriptors = config.descriptors
    ranker = DescriptorRanker(
        features, descriptors, _asker(descriptors.method, descriptors.prompt, components)
    )
    return FacetWalk(
        taxonomy,
        bases,
        features,
        _categories(taxonomy, components, features),
        ranker,
        refuse,
        source={"retrieve": "retrieval"}.get(method, method),
        most=descriptors.most,
    )


def rules(taxonomy: FacetedTaxonomy, processes: str | None = None) -> Checker | None:
    """EFSA's rules for the catalogue that a taxonomy was made of; None where it was of none."""
    if not isinstance(taxonomy, FoodEx2Taxonomy):
        return None
    catalogue = taxonomy.catalogue
    table = find_processes(processes, Path(catalogue.file))
    if table is None:
        logger.warning(
            "%s does not lie beside %s, so the rules BR16, BR19 and BR27 are not applied",
            PROCESSES,
            catalogue.file,
        )
    return Checker(catalogue, ForbiddenProcesses.read(table) if table else ForbiddenProcesses({}))


class _Refuse:
    """What the strict rules say against a code."""

    def __init__(self, checker: Checker | None) -> None:
        self._checker = checker

    def __call__(self, code: str) -> str:
        if self._checker is None:
            return ""
        messages = self._checker.check(code, "strict")
        if worst(messages) in (None, "LOW"):
            return ""
        return next(f"{m.rule}: {m.text}" for m in messages if m.severity != "LOW")


def _asker(method: str, prompt: str, components: Components) -> Asker | None:
    if method == "rerank":
        config = components.config.rerank
        return PairAsker(
            components.cross_encoder(config),
            temperature=config.temperature,
            max_chars=config.max_chars,
        )
    if method == "llm":
        llm = components.config.llm
        template = PromptTemplate.load(prompt)
        return LLMAsker(components.engine, template, prior=llm.prior, max_chars=llm.max_chars)
    return None


def _categories(
    taxonomy: FacetedTaxonomy, components: Components, features: FacetFeatures
) -> Categories:
    config = components.config.facets.categories
    shipped = Path(str(resources.files("cascade.foodex2") / "recipes" / SHIPPED))
    made: Categories
    if config.method == "classifier":
        if config.classifier is None:
            raise UsageError(
                "there is no classifier of facet categories; fit one with `cascade foodex2 fit`, "
                "and name the pack with -c"
            )
        made = ClassifierCategories.load(
            Path(config.classifier), components.encoder, features.codes
        )
    else:
        network = Path(config.network) if config.network else shipped
        pairs = PairCategories.load(network, features.codes)
        made = pairs
        if config.method == "llm":
            template = PromptTemplate.load(config.prompt)
            shown = pairs.thresholds <= 1
            made = LLMCategories(
                taxonomy,
                components.engine,
                template,
                shown,
                max_chars=components.config.llm.max_chars,
            )
    if config.threshold is not None:
        made.thresholds = np.where(made.thresholds <= 1, config.threshold, made.thresholds)
    return made
