"""Names of candidates that stand in an item's text as they are.

A language model that was not tuned copies such a name rather than judges: of 20 offers with the
name of another top level behind them it followed 17, where an encoder follows half (eval/LOG.md,
eval/results/steering.md).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from itertools import permutations

import numpy as np
from numpy.typing import NDArray

from cascade.items import Choices
from cascade.retrieval.words.overlap import singular

JOINING = frozenset({"and", "or", "of", "for", "the", "in", "with", "a", "to"})
LEAST = 3  # letters of a name that is looked for, where its letters are no words of their own
# Scripts without blanks, or with endings that are joined to a word: each sign is a word.
_SIGNS = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff"
_WORD = re.compile(rf"[{_SIGNS}]|[^\W_{_SIGNS}]+")


def words_of(text: str) -> str:
    """The words of a text, in lower case, each between blanks."""
    plain = text if text.isascii() else unicodedata.normalize("NFKC", text)
    return f" {' '.join(_WORD.findall(plain.casefold()))} "


def singulars(words: str) -> frozenset[str]:
    """The words of `words_of` without those that only join, of English nouns the form for one."""
    return frozenset(singular(word) for word in words.split() if word not in JOINING)


class Mentions:
    """Tells where a candidate is named.

    Parameters
    ----------
    names
        Of all nodes.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self._names = names
        self._words: dict[int, str] = {}

    def __call__(self, texts: Sequence[str], choices: Choices) -> NDArray[np.bool_]:
        """bool [n_questions], whether the text of the item names one of the candidates.

        Parameters
        ----------
        texts
            One for each item of the batch.
        """
        spoken = {row: words_of(texts[row]) for row in set(choices.rows.tolist())}
        named = np.zeros(len(choices), bool)
        bounds = choices.offsets.tolist()
        for question, row in enumerate(choices.rows.tolist()):
            nodes = choices.nodes[bounds[question] : bounds[question + 1]].tolist()
            named[question] = any(self._of(node) in spoken[row] for node in nodes)
        return named

    def fuller(
        self, texts: Sequence[str], choices: Choices, scores: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Scores in which a name that says more of an item does not lose to one that says less.

        "Tea Pots & Cosies" holds all words of "Tea Pots". Where a text has the words of both, in
        whatever number, the two take each other's score if the shorter had the better one.

        Parameters
        ----------
        texts
            One for each item of the batch.
        scores
            float64, one for each candidate.
        """
        scores = scores.copy()
        bounds = choices.offsets.tolist()
        for question, row in enumerate(choices.rows.tolist()):
            said = singulars(words_of(texts[row]))
            own = {
                at: words
                for at in range(bounds[question], bounds[question + 1])
                if (words := singulars(self._of(int(choices.nodes[at])))) and words <= said
            }
            for less, more in permutations(sorted(own, key=lambda at: len(own[at])), 2):
                if own[less] < own[more] and scores[less] > scores[more]:
                    scores[[less, more]] = scores[[more, less]]
        return scores

    def _of(self, node: int) -> str:
        """The words of a node's name; what no text has where it is too short."""
        found = self._words.get(node)
        if found is None:
            found = words_of(self._names[node])
            if (found.isascii() and len(found.replace(" ", "")) < LEAST) or not found.strip():
                found = "\0"
            self._words[node] = found
        return found
