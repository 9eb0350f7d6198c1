"""What `--method` can name, and how each is put together from a config.

A method is a function from shared parts to a scorer, so that a new one is a scorer's module
and one entry here. Parts are made when first asked for: a method that needs no language model
loads none.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable
from functools import cached_property

from cascade.config import CascadeConfig
from cascade.errors import UsageError
from cascade.retrieval.encoder import Encoder, Progress
from cascade.retrieval.narrow import Retriever
from cascade.scoring.scorer import Scorer
from cascade.taxonomy import Taxonomy


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
    def llm(self) -> Scorer:
        """The language-model scorer."""
        from cascade.generation.prompts import PromptTemplate
        from cascade.generation.transformers_engine import TransformersEngine
        from cascade.scoring.llm import LLMScorer

        config = self.config.llm
        template = PromptTemplate.load(config.prompt)
        engine = TransformersEngine.load(
            config.model,
            device=config.device,
            precision=config.precision,
            batch_tokens=config.batch_tokens,
            allow_download=self.config.allow_download,
        )
        return LLMScorer(
            engine,
            template,
            self.taxonomy,
            answer=config.answer,
            reading=config.reading,
            prior=config.prior,
            max_chars=config.max_chars,
        )

    @cached_property
    def cascade(self) -> Scorer:
        """The default: a fusion of the scorers that have a weight."""
        from cascade.scoring.fusion import FusionScorer

        weights = {name: w for name, w in self.config.fusion.weights.items() if w > 0}
        scorers = [METHODS[check_method(name)](self) for name in weights]
        return FusionScorer(scorers, list(weights.values()))


METHODS: dict[str, Callable[[Parts], Scorer]] = {
    "retrieval": lambda parts: parts.retrieval,
    "llm": lambda parts: parts.llm,
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
