"""What `--method` can name, and how each is put together from a config.

A method is a function from shared parts to a scorer, so that a new one is a scorer's module
and one entry here. Parts are made when first asked for: a method that needs no language model
loads none.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING

from cascade.config import CascadeConfig, NLIConfig, RerankConfig
from cascade.errors import UsageError
from cascade.retrieval.encoder import Encoder, Progress
from cascade.retrieval.narrow import Retriever
from cascade.scoring.scorer import Scorer
from cascade.taxonomy import Taxonomy

if TYPE_CHECKING:
    from cascade.generation.engine import Engine
    from cascade.scoring.item_type import ItemTyper
    from cascade.scoring.pairs import PairModel


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
        self._progress = progress

    @cached_property
    def retriever(self) -> Retriever:
        """Narrowing, with the index of the configured texts."""
        config = self.config.retrieval
        encoder = Encoder.load(config.encoder, allow_download=self.config.allow_download)
        return Retriever(self.taxonomy, encoder, config.texts, progress=self._progress)

    @cached_property
    def retrieval(self) -> Scorer:
        """The retrieval scorer."""
        from cascade.scoring.retrieval import RetrievalScorer

        return RetrievalScorer(self.retriever, self.config.retrieval.temperature)

    @cached_property
    def engine(self) -> Engine:
        """The language model."""
        from cascade.generation.transformers_engine import TransformersEngine

        config = self.config.llm
        return TransformersEngine.load(
            config.model,
            device=config.device,
            precision=config.precision,
            batch_tokens=config.batch_tokens,
            allow_download=self.config.allow_download,
        )

    @cached_property
    def typer(self) -> ItemTyper:
        """The language model's words for what an item is."""
        from cascade.generation.prompts import PromptTemplate
        from cascade.scoring.item_type import ItemTyper

        template = PromptTemplate.load(self.config.llm.type_prompt)
        return ItemTyper(self.engine, template, max_chars=self.config.llm.max_chars)

    @cached_property
    def rewrite(self) -> Scorer:
        """Retrieval that searches with the language model's words too."""
        from cascade.scoring.retrieval import RewriteScorer

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
            reading=config.reading,
            prior=config.prior,
            max_chars=config.max_chars,
        )

    @cached_property
    def nli(self) -> Scorer:
        """Whether the item entails each candidate's name."""
        from cascade.scoring.nli import NLIScorer

        config = self.config.nli
        return NLIScorer(
            self._pair_model(config), self.taxonomy, config.hypothesis, max_chars=config.max_chars
        )

    @cached_property
    def rerank(self) -> Scorer:
        """The leaves that retrieval found, read again by a cross-encoder."""
        from cascade.scoring.rerank import RerankScorer

        config = self.config.rerank
        return RerankScorer(
            self.retriever,
            self._pair_model(config),
            config.texts,
            candidates=config.candidates,
            temperature=config.temperature,
            retrieval_temperature=self.config.retrieval.temperature,
            max_chars=config.max_chars,
        )

    def _pair_model(self, config: NLIConfig | RerankConfig) -> PairModel:
        from cascade.scoring.pairs import PairModel

        return PairModel.load(
            config.model,
            device=config.device,
            precision=config.precision,
            batch_tokens=config.batch_tokens,
            allow_download=self.config.allow_download,
        )

    @cached_property
    def cascade(self) -> Scorer:
        """The default: a fusion of the scorers that have a weight."""
        from cascade.scoring.fusion import FusionScorer

        weights = self.config.fusion.weights
        scorers = [METHODS[check_method(name)](self) for name in weights]
        return FusionScorer(scorers, list(weights.values()), self.taxonomy)


METHODS: dict[str, Callable[[Parts], Scorer]] = {
    "retrieval": lambda parts: parts.retrieval,
    "rewrite": lambda parts: parts.rewrite,
    "llm": lambda parts: parts.llm,
    "nli": lambda parts: parts.nli,
    "rerank": lambda parts: parts.rerank,
    "cascade": lambda parts: parts.cascade,
}


def check_method(name: str) -> str:
    """`name`, if it is a method.

    Raises
    ------
    UsageError
        It is none; a close one is named.
    """
    if name in METHODS:
        return name
    close = difflib.get_close_matches(name, METHODS, n=1)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    raise UsageError(f"unknown method {name!r}; there are {', '.join(sorted(METHODS))}{hint}")
