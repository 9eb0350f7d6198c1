"""What `--method` can name, and how each is put together from a config.

A method is a function from shared parts to a scorer, so that a new one is a scorer's module
and one entry here. Parts are made when first asked for: a method that needs no language model
loads none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from cascade.config import BackboneConfig, CascadeConfig, NLIConfig, RerankConfig
from cascade.errors import ConfigError, UsageError, did_you_mean
from cascade.features.pictures import PictureFeatures
from cascade.items import Item
from cascade.pipeline.descent import Descent
from cascade.retrieval.encoder import Encoder, Progress
from cascade.retrieval.retriever import AllChildren, Retriever, max_children
from cascade.scoring.scorer import Scorer
from cascade.taxonomy import Taxonomy

if TYPE_CHECKING:
    from cascade.features.backbone import Backbone
    from cascade.generation.engine import Engine, Reading
    from cascade.scoring.cross_encoder import CrossEncoder
    from cascade.scoring.fusion import Weight
    from cascade.scoring.rewrite import QueryRewriter

VISION = "efficientnet-lite0"  # where a backbone of pictures names no model
HEADS = "ttc."  # begins the name of a scorer of fitted heads


class Parts:
    """The loaded parts that scorers are made of, each made once.

    Parameters
    ----------
    progress
        Called while a new index is built.
    """

    def __init__(
        self, taxonomy: Taxonomy, config: CascadeConfig, progress: Progress | None = None
    ) -> None:
        self.taxonomy = taxonomy
        self.config = config
        self.progress = progress
        self._backbones: dict[str, Backbone] = {}
        self._scorers: dict[str, Scorer] = {}

    @cached_property
    def retriever(self) -> Retriever:
        """Narrowing, with the index of the configured texts."""
        config = self.config.retrieval
        return Retriever(
            self.taxonomy,
            self.encoder,
            config.texts,
            index=config.index,
            hits=config.hits,
            progress=self.progress,
        )

    @cached_property
    def encoder(self) -> Encoder:
        """The sentence encoder."""
        name = self.config.retrieval.encoder
        return Encoder.load(name, allow_download=self.config.allow_download)

    @cached_property
    def narrower(self) -> Retriever | AllChildren:
        """Narrowing; where it would keep all children anyway, heads need no index."""
        all_kept = self.config.retrieval.candidates >= max_children(self.taxonomy)
        return AllChildren(self.taxonomy) if all_kept and self.config.heads else self.retriever

    @property
    def narrows_by_pictures(self) -> bool:
        """Whether candidates depend on the pictures of items."""
        return self.narrower.reads_pictures

    @property
    def holds_all_nodes(self) -> bool:
        """Whether a batch takes a number for every node and item: for heads, and without search."""
        fitted = self.config.heads or self.config.neighbours.file is not None
        return bool(fitted) or not self.retriever.uses_hits

    def prefetch(self, items: Sequence[Item]) -> None:
        """Begin to decode the pictures of items that will be asked for next."""
        for backbone in dict.fromkeys(self._backbones.values()):
            if isinstance(backbone, PictureFeatures):
                backbone.prefetch(items)

    @cached_property
    def descent(self) -> Descent:
        """The walk down the taxonomy."""
        config = self.config.descent
        return Descent(
            self.taxonomy,
            self.narrower,
            candidates=self.config.retrieval.candidates,
            beam=config.beam,
            stop=config.stop,
            depth=config.depth,
            answer=config.answer,
            ends=[self.taxonomy.index(code) for code in config.ends],
        )

    @cached_property
    def retrieval(self) -> Scorer:
        """The retrieval scorer."""
        from cascade.scoring.retrieval import RetrievalScorer

        return RetrievalScorer(self.retriever, self.config.retrieval.temperature)

    @cached_property
    def engine(self) -> Engine:
        """The language model."""
        from cascade.generation.engines.registry import make_engine

        return make_engine(self.config.llm, allow_download=self.config.allow_download)

    @cached_property
    def typer(self) -> QueryRewriter:
        """The language model's words for what an item is."""
        from cascade.generation.prompts import PromptTemplate
        from cascade.scoring.rewrite import QueryRewriter

        template = PromptTemplate.load(self.config.llm.type_prompt)
        return QueryRewriter(self.engine, template, max_chars=self.config.llm.max_chars)

    @cached_property
    def rewrite(self) -> Scorer:
        """Retrieval that searches with the language model's words too."""
        from cascade.scoring.rewrite import RewriteScorer

        config = self.config.retrieval
        return RewriteScorer(self.retriever, config.temperature, self.typer, config.rewrite_weight)

    @cached_property
    def llm(self) -> Scorer:
        """The language model's choice among candidates."""
        from cascade.generation.prompts import PromptTemplate
        from cascade.scoring.llm import LLMScorer

        config = self.config.llm
        return LLMScorer(
            self.engine,
            PromptTemplate.load(config.prompt),
            self.taxonomy,
            self.typer,
            answer=config.answer,
            reading=self.reading,
            prior=config.prior,
            max_chars=config.max_chars,
        )

    @property
    def reading(self) -> Reading:
        """How the language model's names are read."""
        config = self.config.llm
        if config.reading != "auto":
            return config.reading
        untuned = config.adapter is None and config.prior
        alone = self.config.method == "llm" and config.engine != "server"
        return "global" if alone and untuned else "local"

    @cached_property
    def nli(self) -> Scorer:
        """Whether the item entails each candidate's name."""
        from cascade.scoring.nli import NLIScorer

        config = self.config.nli
        return NLIScorer(
            self.pair_model(config), self.taxonomy, config.hypothesis, max_chars=config.max_chars
        )

    @cached_property
    def rerank(self) -> Scorer:
        """The leaves that retrieval found, read again by a cross-encoder."""
        from cascade.scoring.rerank import RerankScorer

        config = self.config.rerank
        return RerankScorer(
            self.retriever,
            self.pair_model(config),
            config.texts,
            candidates=config.candidates,
            temperature=config.temperature,
            retrieval_temperature=self.config.retrieval.temperature,
            max_chars=config.max_chars,
        )

    def pair_model(self, config: NLIConfig | RerankConfig) -> CrossEncoder:
        """The model of a config that reads pairs of texts."""
        from cascade.scoring.cross_encoder import CrossEncoder

        return CrossEncoder.load(
            config.model,
            device=config.device,
            precision=config.precision,
            batch_tokens=config.batch_tokens,
            allow_download=self.config.allow_download,
        )

    def backbone(self, name: str) -> Backbone:
        """The features called `name`, made once."""
        if name not in self._backbones:
            known = self.config.backbones
            if name not in known:
                raise ConfigError(
                    f"no backbone {name!r}{did_you_mean(name, list(known))}; "
                    "fit a pack with `cascade fit`"
                )
            # Two of one description are one, which looks at each item once.
            same = (n for n in self._backbones if known.get(n) == known[name])
            twin = next(same, None)
            self._backbones[name] = (
                self._made_backbone(known[name]) if twin is None else self._backbones[twin]
            )
        return self._backbones[name]

    def _made_backbone(self, config: BackboneConfig) -> Backbone:
        if config.kind == "joined":
            from cascade.features.backbone import JoinedFeatures

            return JoinedFeatures([self.backbone(name) for name in config.of])
        if config.kind == "llama" and config.model is None:
            config = config.model_copy(update={"model": self.config.llm.model})
        return make_backbone(config, allow_download=self.config.allow_download)

    def heads(self, name: str) -> Scorer:
        """The scorer `ttc.NAME`."""
        from cascade.scoring.ttc import HeadsFile, TTCScorer

        config = self.config.heads[name]
        heads = HeadsFile.load(Path(config.file), self.taxonomy).heads
        return TTCScorer(f"{HEADS}{name}", self.taxonomy, self.backbone(config.backbone), heads)

    @cached_property
    def neighbours(self) -> Scorer:
        """Labelled items that are similar."""
        from cascade.scoring.neighbours import Examples, NeighboursScorer

        config = self.config.neighbours
        if config.file is None:
            raise UsageError(
                "there are no labelled examples; fit a pack with `cascade fit`, and name it with -c"
            )
        examples = Examples.load(Path(config.file), self.taxonomy)
        return NeighboursScorer(
            self.taxonomy,
            self.backbone(config.backbone),
            examples,
            k=config.k,
            temperature=config.temperature,
        )

    @cached_property
    def ttc(self) -> Scorer:
        """The fast path of a pack, or all of its heads, evenly."""
        weights = self.config.routing.fast or {f"{HEADS}{name}": 1.0 for name in self.config.heads}
        if not weights:
            raise UsageError(
                "there are no heads; fit a pack with `cascade fit`, and name it with -c"
            )
        return self.fused(weights)

    @cached_property
    def cascade(self) -> Scorer:
        """The default: a fusion of the scorers that have a weight."""
        fusion = self.config.fusion
        return self.fused(fusion.weights, fusion.without_text, fusion.without_picture)

    def fused(
        self,
        weights: Mapping[str, Weight],
        without_text: Mapping[str, Weight] | None = None,
        without_picture: Mapping[str, Weight] | None = None,
    ) -> Scorer:
        """A fusion of the scorers that are named, with these weights."""
        from cascade.scoring.fusion import FusionScorer

        others = (without_text or {}, without_picture or {})
        names = list(dict.fromkeys([*weights, *others[0], *others[1]]))
        return FusionScorer(
            [self.scorer(name) for name in names],
            [weights.get(name, 0.0) for name in names],
            self.taxonomy,
            *([other.get(name, 0.0) for name in names] if other else None for other in others),
        )

    def scorer(self, name: str) -> Scorer:
        """The scorer of a method, or heads by their name, made once.

        Raises
        ------
        UsageError
            There is none of this name; a close one is named.
        """
        if name not in self._scorers:
            check_method(name, self.config)
            head = name.removeprefix(HEADS)
            made = METHODS[name](self) if name in METHODS else self.heads(head)
            self._scorers[name] = made
        return self._scorers[name]


def make_backbone(config: BackboneConfig, *, allow_download: bool = False) -> Backbone:
    """The features that a config describes, of one kind.

    Raises
    ------
    ConfigError
        A file that they need is not named.
    WeightsError
        Weights that they need are not found.
    """
    if config.kind == "lexical":
        from cascade.features.lexical import LexicalFeatures

        if config.file is None:
            raise ConfigError("a backbone of kind lexical needs its file")
        return LexicalFeatures.load(Path(config.file))
    if config.kind == "picture":
        return PictureFeatures.load(config.model or VISION, allow_download=allow_download)
    if config.kind == "sentence":
        from cascade.features.text_embeddings import SentenceFeatures

        encoder = Encoder.load(config.model or "minilm", allow_download=allow_download)
        return SentenceFeatures(encoder, config.columns, config.max_chars)
    from cascade.features.text_embeddings import HiddenStates

    return HiddenStates.load(
        config.model or "smollm2-135m",
        config.columns,
        config.max_chars,
        adapter=config.adapter,
        allow_download=allow_download,
    )


METHODS: dict[str, Callable[[Parts], Scorer]] = {
    "retrieval": lambda parts: parts.retrieval,
    "rewrite": lambda parts: parts.rewrite,
    "llm": lambda parts: parts.llm,
    "nli": lambda parts: parts.nli,
    "rerank": lambda parts: parts.rerank,
    "neighbours": lambda parts: parts.neighbours,
    "ttc": lambda parts: parts.ttc,
    "cascade": lambda parts: parts.cascade,
}


def check_method(name: str, config: CascadeConfig | None = None) -> str:
    """`name`, if it is a method, or one of the heads of a config.

    Raises
    ------
    UsageError
        It is none; a close one is named.
    """
    known = [*METHODS, *(f"{HEADS}{head}" for head in (config.heads if config else ()))]
    if name in known:
        return name
    raise UsageError(
        f"unknown method {name!r}; there are {', '.join(sorted(known))}{did_you_mean(name, known)}"
    )
