"""What kind of thing an item is, in the language model's words: `hoodie, clothing`.

A small model is weak at choosing among names it is shown, and good at saying in ordinary words
what a product is once brand, size and colour are to be left out. Retrieval then searches with
those words too (as in query rewriting and HyDE, arXiv 2212.10496), and the model itself chooses
better after having said them.
"""

from __future__ import annotations

from collections.abc import Sequence

from cascade.generation.engine import Engine
from cascade.generation.prompts import PromptTemplate
from cascade.items import Batch, Item

MAX_TOKENS = 10


class ItemTyper:
    """Writes the generic type of each item, once for a batch.

    Parameters
    ----------
    engine, template
        Who is asked, and in which words.
    max_chars
        Characters of each field that the prompt shows.
    """

    def __init__(self, engine: Engine, template: PromptTemplate, *, max_chars: int = 200) -> None:
        self._engine = engine
        self._template = template
        self._max_chars = max_chars

    def types(self, batch: Batch) -> list[str]:
        """A type for each item, on one line; the text of the item where the model has none.

        Raises
        ------
        EngineError
            The model failed to answer.
        """
        with batch.timed("writing item types"):
            return batch.once((self, "types"), self._write)

    def _write(self, items: Sequence[Item]) -> list[str]:
        shown = [on_one_line(item, self._max_chars) for item in items]
        prompts = [self._template.render({"item": text}) for text in shown]
        written = self._engine.complete(prompts, MAX_TOKENS)
        return [
            " ".join(answer.split()) or text for answer, text in zip(written, shown, strict=True)
        ]


def on_one_line(item: Item, max_chars: int) -> str:
    """The text of an item on one line, each field cut at `max_chars`."""
    fields = (" ".join(text[:max_chars].split()) for text in item.fields.values())
    return " ".join(field for field in fields if field)
