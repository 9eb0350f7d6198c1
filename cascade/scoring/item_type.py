"""What kind of thing an item is, in the language model's words: `hoodie, clothing`.

A small model is weak at choosing among names it is shown, and good at saying in ordinary words
what a product is once brand, size and colour are to be left out. Retrieval then searches with
those words too (as in query rewriting and HyDE, arXiv 2212.10496), and the model itself chooses
better after having said them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from cascade.errors import InputError
from cascade.generation.engine import Engine
from cascade.generation.prompts import PromptTemplate
from cascade.io.pictures import open_picture
from cascade.items import Batch, Item

MAX_TOKENS = 10
PICTURED = "the thing in the picture"


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
            return batch.once((self, "types"), lambda items: self._write(items, batch))

    def _write(self, items: Sequence[Item], batch: Batch) -> list[str]:
        shown = [shown_text(item, self._max_chars) for item in items]
        prompts = [self._template.render({"item": text}) for text in shown]
        if self._engine.reads_pictures:
            pictures = readable_pictures(batch)
            prompts = [
                replace(prompt, image=picture)
                for prompt, picture in zip(prompts, pictures, strict=True)
            ]
        written = self._engine.complete(prompts, MAX_TOKENS)
        return [
            " ".join(answer.split()) or text for answer, text in zip(written, shown, strict=True)
        ]


def readable_pictures(batch: Batch) -> list[Any]:
    """The picture of each item, None where there is none or it cannot be read, which is noted."""

    def look(items: Sequence[Item]) -> list[Any]:
        found: list[Any] = []
        for row, item in enumerate(items):
            try:
                found.append(None if item.image is None else open_picture(item.image))
            except InputError as error:
                batch.problems[row] = str(error)
                found.append(None)
        return found

    return batch.once(("pictures", "opened"), look)


def shown_text(item: Item, max_chars: int) -> str:
    """What a prompt shows of an item: its text, or that there is a picture in place of one."""
    return on_one_line(item, max_chars) or (PICTURED if item.image is not None else "")


def on_one_line(item: Item, max_chars: int) -> str:
    """The text of an item on one line, each field cut at `max_chars`."""
    fields = (" ".join(text[:max_chars].split()) for text in item.fields.values())
    return " ".join(field for field in fields if field)
