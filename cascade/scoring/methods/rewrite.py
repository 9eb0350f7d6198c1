"""Retrieval that also searches with a language model's words for the item.

The model writes what kind of thing an item is (`hoodie, clothing`), without brand, size and colour.
A small model is better at this than at choosing among names. Retrieval then searches with those
words too (as in query rewriting and HyDE, arXiv 2212.10496), and the `llm` method shows them to the
model when it chooses.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from cascade.generation.engine import Engine
from cascade.generation.prompts import PromptTemplate
from cascade.items import Batch, Item
from cascade.retrieval.retriever import Retriever
from cascade.retrieval.similarities import Similarities
from cascade.scoring.methods.llm import prompt_text, readable_pictures
from cascade.scoring.methods.retrieval import RetrievalScorer

if TYPE_CHECKING:
    from cascade.scoring.components import Components

MAX_TOKENS = 10


class QueryRewriter:
    """Writes the generic type of each item, once for a batch.

    Parameters
    ----------
    engine, template
        The language model and its prompt.
    max_chars
        Characters of each field that the prompt shows.
    """

    def __init__(self, engine: Engine, template: PromptTemplate, *, max_chars: int = 200) -> None:
        self._engine = engine
        self._template = template
        self._max_chars = max_chars

    def types(self, batch: Batch) -> list[str]:
        """A type for each item, on one line; the text of the item where the model writes none.

        Raises
        ------
        EngineError
            The model failed to answer.
        """
        with batch.timed("writing item types"):
            return batch.once((self, "types"), lambda items: self._write(items, batch))

    def _write(self, items: Sequence[Item], batch: Batch) -> list[str]:
        shown = [prompt_text(item, self._max_chars) for item in items]
        prompts = [self._template.render({"item": text}) for text in shown]
        if self._engine.reads_pictures:
            pictures = readable_pictures(batch)
            prompts = [
                replace(prompt, image=picture)
                for prompt, picture in zip(prompts, pictures, strict=True)
            ]
        answers = self._engine.complete(prompts, MAX_TOKENS)
        return [
            " ".join(answer.split()) or text for answer, text in zip(answers, shown, strict=True)
        ]


class RewriteScorer(RetrievalScorer):
    """As `RetrievalScorer`, with `cos(item, leaf) + weight * cos(type, name of the leaf)`.

    The similarities are added before the softmax, so that both must find the same leaf.

    Parameters
    ----------
    rewriter
        Writes the types of items.
    weight
        Of the type's similarity, where that of the item has 1.
    """

    name = "rewrite"

    def __init__(
        self, retriever: Retriever, temperature: float, rewriter: QueryRewriter, weight: float
    ) -> None:
        super().__init__(retriever, temperature)
        self.reads_pictures = False
        self._rewriter = rewriter
        self._weight = np.float32(weight)

    def _similarities(self, batch: Batch) -> Similarities:
        types = self._rewriter.types(batch)
        return self._retriever.compare(batch).plus_names(self._weight, types)


def make(components: Components) -> RewriteScorer:
    """Retrieval with the rewriting of the configured prompt."""
    config = components.config.retrieval
    return RewriteScorer(
        components.retriever, config.temperature, components.rewriter, config.rewrite_weight
    )
