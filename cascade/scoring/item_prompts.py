"""What a language model is asked about items: their type, and which candidate they are.

The model first writes what kind of thing an item is (`hoodie, clothing`), without brand, size and
colour. A small model is better at this than at choosing among names. Retrieval then searches with
those words too (as in query rewriting and HyDE, arXiv 2212.10496), and the question that asks the
model to choose shows them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cascade.errors import EngineError, InputError
from cascade.generation.chat_markup import before_markup
from cascade.generation.engine import Engine, Question
from cascade.generation.prompts import PromptTemplate
from cascade.io.pictures import open_picture
from cascade.items import Batch, Item
from cascade.taxonomy import Taxonomy
from cascade.taxonomy.names import readable_name

MAX_TOKENS = 10  # of a type
PICTURE_ONLY = "the thing in the picture"  # in place of the text of an item that has none


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

        Where the model failed on an item, that is noted in `batch.failures`.

        Raises
        ------
        EngineError
            The model failed altogether.
        """
        with batch.timed("writing item types"):
            return batch.once((self, "types"), lambda _: self._write(batch))

    def _write(self, batch: Batch) -> list[str]:
        shown = [prompt_text(item, self._max_chars) for item in batch.items]
        prompts = [self._template.render({"item": text}) for text in shown]
        if self._engine.reads_pictures:
            prompts = [
                replace(prompt, image=picture)
                for prompt, picture in zip(prompts, readable_pictures(batch), strict=True)
            ]
        answers = self._engine.complete(prompts, MAX_TOKENS)
        types = []
        for row, (answer, text) in enumerate(zip(answers, shown, strict=True)):
            if isinstance(answer, EngineError):
                batch.failures.setdefault(row, answer)
                answer = ""
            types.append(" ".join(answer.split()) or text)
        return types


def make_question(
    template: PromptTemplate,
    taxonomy: Taxonomy,
    item: str,
    type_: str,
    parent: int,
    nodes: NDArray[np.int32],
    picture: Any = None,
) -> Question:
    """The prompt about an item at a parent (-1 above the top), with the nodes' names as answers.

    Parameters
    ----------
    item, type_
        The item and its type, on one line each.
    picture
        An opened picture that the prompt shows.
    """
    above = taxonomy.path_nodes(parent).tolist() if parent >= 0 else []
    names = [readable_name(taxonomy.names[node]) for node in nodes.tolist()]
    prompt = template.render(
        {
            "item": item,
            "type": type_,
            "path": [readable_name(taxonomy.names[node]) for node in above],
            "level": len(above) + 1,
            "candidates": names,
        }
    )
    if picture is not None:
        prompt = replace(prompt, image=picture)
    return Question(prompt, tuple(map(template.answer, names)))


def chosen_log_probs(chosen: int, log_prob: float, n: int) -> NDArray[np.float64]:
    """Log-probabilities of n candidates: the chosen one has its own, the others share the rest.

    The chosen one is kept ahead of the others even where its name was unlikely.
    """
    if n == 1:
        return np.zeros(1)
    p = min(max(np.exp(log_prob), 1 / n + 1e-6), 1 - 1e-9)
    out = np.full(n, np.log((1 - p) / (n - 1)))
    out[chosen] = np.log(p)
    return out


def prompt_text(item: Item, max_chars: int) -> str:
    """What a prompt shows of an item: its text, or that there is a picture in place of one."""
    return one_line_text(item, max_chars) or (PICTURE_ONLY if item.image is not None else "")


def one_line_text(item: Item, max_chars: int) -> str:
    """The text of an item on one line, each field cut at `max_chars` and at markup of chats."""
    fields = (" ".join(before_markup(text[:max_chars]).split()) for text in item.fields.values())
    return " ".join(field for field in fields if field)


def readable_pictures(batch: Batch) -> list[Any]:
    """The opened picture of each item; None where there is none or it cannot be read.

    Why one cannot be read is noted in `batch.problems`.
    """

    def open_all(items: Sequence[Item]) -> list[Any]:
        pictures: list[Any] = [None] * len(items)
        for row, item in enumerate(items):
            try:
                if item.image is not None:
                    pictures[row] = open_picture(item.image)
            except InputError as error:
                batch.problems[row] = str(error)
        return pictures

    return batch.once(("pictures", "opened"), open_all)
