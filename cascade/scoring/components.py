"""The loaded parts that scorers are made of: retriever, language model, features; each made once.

A part is made when it is first asked for, so a method that needs no language model loads none.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from functools import cached_property
from typing import TYPE_CHECKING

from cascade.config import (
    ENCODER,
    FITTED_ENCODER,
    FITTED_METHOD,
    CascadeConfig,
    NLIConfig,
    RerankConfig,
)
from cascade.errors import ConfigError, did_you_mean
from cascade.features.backbone import JoinedFeatures, make_backbone
from cascade.items import Item
from cascade.retrieval.all_children import AllChildren, max_children
from cascade.scoring.methods import DEFAULT, make_scorer
from cascade.scoring.scorer import Scorer
from cascade.taxonomy import Taxonomy
from cascade.taxonomy.examples import Example, examples_of
from cascade.taxonomy.facets import FacetedTaxonomy
from cascade.taxonomy.staying import staying

if TYPE_CHECKING:
    from cascade.features.backbone import Backbone
    from cascade.generation.engine import Engine
    from cascade.generation.heard_engine import Listener
    from cascade.generation.prompts import PromptTemplate
    from cascade.retrieval.encoder import Encoder
    from cascade.retrieval.retriever import Retriever
    from cascade.retrieval.text_vectors import Progress
    from cascade.scoring.cross_encoder import CrossEncoder
    from cascade.scoring.first_pass.deciding import FirstPass
    from cascade.scoring.fusion import FusionScorer, Weight
    from cascade.scoring.item_prompts import QueryRewriter
    from cascade.scoring.pair_reader import PairReader
    from cascade.scoring.ttc_heads import JointHeads


COMBINED = ("llm", "fusion", "heads", "neighbours", "routing")
"""Sections that `DEFAULT` does not read and `FITTED_METHOD` does."""


def settle_defaults(config: CascadeConfig, taxonomy: Taxonomy | None) -> str:
    """Name method and encoder where a config names none, so that they are recorded; the method."""
    faceted = isinstance(taxonomy, FacetedTaxonomy)
    if config.retrieval.encoder is None:
        config.retrieval.encoder = FITTED_ENCODER if faceted else ENCODER
    if config.method is None:
        config.method = _method_of_facets(config) if faceted else _method_of(config)
    return config.method


def _method_of_facets(config: CascadeConfig) -> str:
    own = config.facets.base.method
    return "retrieval" if own == "retrieve" else own


def _method_of(config: CascadeConfig) -> str:
    """That which reads what is set, so that no setting is without effect."""
    plain = CascadeConfig()
    if config.agent != plain.agent:
        return "agent"
    if config.choose != plain.choose:
        return "choose"
    is_set = [getattr(config, name) != getattr(plain, name) for name in COMBINED]
    own = config.calibration
    fitted = any(value is not None for value in (own.file, own.max_risk, own.set_coverage))
    return FITTED_METHOD if any(is_set) or fitted else DEFAULT


class Components:
    """What a config describes, loaded.

    Parameters
    ----------
    progress
        Called with (done, all) while an index is built.
    listener
        Called with everything that the language model is asked and answers.

    Attributes
    ----------
    method
        The method that answers.
    taxonomy
        What is chosen among: with a child for each of `descent.stays`.
    first_pass
        What answers items first, where something was learnt of many; see `scoring.first_pass`.
    """

    first_pass: FirstPass | None = None

    def __init__(
        self,
        taxonomy: Taxonomy,
        config: CascadeConfig,
        progress: Progress | None = None,
        listener: Listener | None = None,
    ) -> None:
        self.method = settle_defaults(config, taxonomy)
        self.taxonomy = staying(taxonomy, config.descent.stays)
        self.config = config
        self.progress = progress
        self._listener = listener
        self._backbones: dict[str, Backbone] = {}
        self._scorers: dict[str, Scorer] = {}
        self._joint: dict[str, JointHeads] = {}
        self._making: list[str] = []

    def under(self, config: CascadeConfig) -> Components:
        """What is loaded already, for a config in which only the form of answers differs."""
        made = object.__new__(type(self))
        made.__dict__.update(vars(self))
        made.config = config
        return made

    @cached_property
    def encoder(self) -> Encoder:
        """The sentence encoder."""
        from cascade.retrieval.encoder import Encoder

        config = self.config.retrieval
        words = None
        if config.vision is not None:
            from cascade.features.picture_words import ImageNetWords

            words = ImageNetWords.load(config.vision)
        return Encoder.load(
            config.encoder or ENCODER,
            allow_download=self.config.allow_download,
            query_prompt=config.query_prompt,
            document_prompt=config.document_prompt,
            words=words,
        )

    @cached_property
    def retriever(self) -> Retriever:
        """Retrieval over the configured texts of nodes."""
        from cascade.retrieval.retriever import Retriever

        config = self.config.retrieval
        return Retriever(
            self.taxonomy,
            self.encoder,
            config.texts,
            index=config.index,
            hits=config.hits,
            words=config.words,
            progress=self.progress,
        )

    def narrower(self, scorer: Scorer) -> Retriever | AllChildren:
        """What narrows the candidates of a scorer.

        Where all children are kept there is nothing to narrow, so no encoder is loaded, unless the
        scorer reads the order of candidates.
        """
        if not scorer.wants_narrowing:
            return AllChildren(self.taxonomy)
        keeps_all = self.config.retrieval.candidates >= max_children(self.taxonomy)
        wanted = "retriever" in vars(self) or scorer.reads_candidate_order
        if keeps_all and (self.config.heads or not wanted):
            return AllChildren(self.taxonomy)
        return self.retriever

    def narrows_by_pictures(self, scorer: Scorer) -> bool:
        """Whether candidates may depend on pictures; the encoder is loaded to tell."""
        narrows = scorer.wants_narrowing and not self.config.heads
        return narrows and self.encoder.reads_pictures

    @property
    def holds_all_nodes(self) -> bool:
        """Whether a batch holds a number for each node and item, so that it must not be large."""
        config = self.config
        fitted = config.heads or config.neighbours.file or config.taught.file
        retrieves = "retriever" in vars(self)
        return bool(fitted) or (retrieves and not self.retriever.uses_hits)

    @cached_property
    def engine(self) -> Engine:
        """The language model."""
        from cascade.generation.engines.registry import make_engine

        made = make_engine(self.config.llm, allow_download=self.config.allow_download)
        if self._listener is None:
            return made
        from cascade.generation.heard_engine import HeardEngine

        return HeardEngine(made, self._listener)

    @property
    def usage(self) -> dict[str, int]:
        """What the language model was asked so far; nothing where none is loaded."""
        engine = vars(self).get("engine")
        return {} if engine is None else asdict(engine.usage)

    def prompt(self, name: str) -> PromptTemplate:
        """The prompt called `name`, with what it says of all items alike."""
        from cascade.generation.prompts import PromptTemplate

        template = PromptTemplate.load(name)
        return template.given(kind=self.config.item_kind, examples=self._examples)

    @cached_property
    def _examples(self) -> list[Example]:
        return examples_of(self.taxonomy)

    @cached_property
    def rewriter(self) -> QueryRewriter:
        """The language model's words for what an item is."""
        from cascade.scoring.item_prompts import QueryRewriter

        template = self.prompt(self.config.llm.type_prompt)
        return QueryRewriter(self.engine, template, max_chars=self.config.llm.max_chars)

    def cross_encoder(self, config: NLIConfig | RerankConfig) -> CrossEncoder:
        """The model of a config that reads pairs of texts."""
        from cascade.scoring.cross_encoder import CrossEncoder

        return CrossEncoder.load(
            config.model,
            device=config.device,
            precision=config.precision,
            batch_tokens=config.batch_tokens,
            allow_download=self.config.allow_download,
        )

    def pair_reader(self, config: RerankConfig) -> PairReader | None:
        """The reader of pairs that a config names; None where it is another kind of model."""
        from cascade.models.runtime import best_device
        from cascade.models.weights import find_weights
        from cascade.scoring.pair_reader import PairReader

        weights = find_weights(config.model, allow_download=self.config.allow_download)
        return PairReader.open(weights, best_device(config.device))

    def backbone(self, name: str) -> Backbone:
        """The features called `name`; two of the same description are one.

        Raises
        ------
        ConfigError
            The config has none of this name.
        """
        known = self.config.backbones
        if name not in known:
            raise ConfigError(
                f"no backbone {name!r}{did_you_mean(name, list(known))}; fit a pack with "
                "`cascade fit`"
            )
        twin = next((other for other in self._backbones if known[other] == known[name]), name)
        if twin not in self._backbones:
            with self._not_of_itself(f"backbone {name!r}"):
                self._backbones[twin] = self._make_backbone(name)
        return self._backbones.setdefault(name, self._backbones[twin])

    def joint_heads(self, backbone: str) -> JointHeads:
        """The heads over some features that are asked in one pass; each scorer adds its own."""
        from cascade.scoring.ttc_heads import JointHeads

        return self._joint.setdefault(backbone, JointHeads())

    def _make_backbone(self, name: str) -> Backbone:
        config = self.config.backbones[name]
        if config.kind == "joined":
            return JoinedFeatures([self.backbone(other) for other in config.of])
        if config.kind == "llama" and config.model is None:
            config = config.model_copy(update={"model": self.config.llm.model})
        return make_backbone(config, allow_download=self.config.allow_download)

    def prefetch(self, items: Sequence[Item]) -> None:
        """Begin to decode the pictures of items that will be asked for next."""
        for backbone in dict.fromkeys(self._backbones.values()):
            if backbone.reads_pictures:
                from cascade.features.pictures import PictureFeatures

                if isinstance(backbone, PictureFeatures):
                    backbone.prefetch(items)

    def scorer(self, name: str) -> Scorer:
        """The scorer of a method, made once; see `make_scorer`."""
        if name not in self._scorers:
            with self._not_of_itself(f"method {name!r}"):
                self._scorers[name] = make_scorer(name, self)
        return self._scorers[name]

    @contextmanager
    def _not_of_itself(self, part: str) -> Iterator[None]:
        """Raise ConfigError where a part is asked for while it is made."""
        if part in self._making:
            circle = " of ".join([*self._making[self._making.index(part) :], part])
            raise ConfigError(f"the config makes a part of itself: {circle}")
        self._making.append(part)
        try:
            yield
        finally:
            self._making.remove(part)

    def fusion(
        self,
        weights: Mapping[str, Weight],
        without_text: Mapping[str, Weight] | None = None,
        without_picture: Mapping[str, Weight] | None = None,
    ) -> FusionScorer:
        """The scorers that are named, combined with these weights."""
        from cascade.scoring.fusion import FusionScorer

        tables = (weights, without_text or {}, without_picture or {})
        names = list(dict.fromkeys(name for table in tables for name in table))
        return FusionScorer(
            [self.scorer(name) for name in names],
            [weights.get(name, 0.0) for name in names],
            self.taxonomy,
            *([table.get(name, 0.0) for name in names] if table else None for table in tables[1:]),
        )
