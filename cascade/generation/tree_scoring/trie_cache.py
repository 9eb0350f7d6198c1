"""The tries of answers that were asked for last, and those of many questions built together."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from cascade.generation.engine import Question
from cascade.generation.prompt_encoding import PromptEncoder
from cascade.generation.tree_scoring.small_tries import small_tries_of
from cascade.generation.tree_scoring.trie import Trie, tries_of

FEW = 32  # answers, up to which plain Python builds them sooner
MOST = 4096  # kept; a node has one, or one for each choice of its children

Answers = tuple[tuple[str, ...], str | None]
"""The answers to a question, and the text that ends each."""


class TrieCache:
    """Tries of the answers to questions.

    Parameters
    ----------
    encoder
        Of the model that is asked.
    """

    def __init__(self, encoder: PromptEncoder) -> None:
        self._encoder = encoder
        self._known: OrderedDict[Answers, Trie] = OrderedDict()

    def of(self, questions: Sequence[Question]) -> list[Trie]:
        """The trie of each question.

        Raises
        ------
        EngineError
            As `PromptEncoder.answer`.
        """
        wanted = [(question.answers, question.prompt.end) for question in questions]
        new: dict[str | None, dict[tuple[str, ...], None]] = {}
        for answers, end in wanted:
            if (answers, end) in self._known:
                self._known.move_to_end((answers, end))
            else:
                new.setdefault(end, {})[answers] = None
        for end, several in new.items():
            texts = [answer for answers in several for answer in answers]
            build = small_tries_of if len(texts) < FEW else tries_of
            tries = build(self._encoder.answers(texts, end), [*map(len, several)])
            self._known.update(zip(((answers, end) for answers in several), tries, strict=True))
        found = [self._known[key] for key in wanted]
        while len(self._known) > MOST:
            self._known.popitem(last=False)
        return found

    def clear(self) -> None:
        """Forget all tries."""
        self._known.clear()
