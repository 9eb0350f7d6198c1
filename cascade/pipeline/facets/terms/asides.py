"""Terms that share with a description only what it says beside the food: `in oil`."""

from __future__ import annotations

import re
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from cascade.pipeline.facets.naming import head_word, main_part, words
from cascade.pipeline.facets.terms.absence import rows_by_word
from cascade.retrieval.words.overlap import WordIndex, words_of
from cascade.taxonomy.facets import FacetedTaxonomy

OF = r"(?:(?:della|delle|dello|degli|del|di|da|du|des|de|do|von|vom|aus)\s+|(?:dell|d)['’])"
OF_PLACE = 3  # times as much as other terms
OF_ABSENT = 2  # as much
PLACE = re.compile(rf"\s{OF}(?:(?:la|l['’])\s*)?(?P<place>[^,;()]+)", re.IGNORECASE)
FROM = re.compile(rf"\s(?:{OF}|(?:from|of)\s+)(?:(?:the|la)\s+)?(?P<place>[^,;()]+)", re.IGNORECASE)


class Asides:
    """Finds such terms.

    Parameters
    ----------
    nodes
        int32 [n_allowed], of the taxonomy: the terms that may be answered.
    known
        The words of all terms.
    """

    def __init__(
        self, taxonomy: FacetedTaxonomy, nodes: NDArray[np.int32], known: WordIndex
    ) -> None:
        self._taxonomy, self._nodes, self._known = taxonomy, nodes, known

    def lower(self, scores: NDArray[np.float32], text: str, by: float) -> None:
        """Lower terms that say what comes with the food, and more so those that say its place.

        Parameters
        ----------
        scores
            float32 [n_allowed], written to.
        """
        scores[self._of_heads(text)] -= by
        scores[self._of_absent(text)] -= OF_ABSENT * by
        scores[self._of_places(text)] -= OF_PLACE * by

    def _of_places(self, text: str) -> list[int]:
        """Rows of terms that share with a text but a place: `bresaola della Valtellina`."""
        found = FROM.search(text)
        if found is None:
            return []
        food, places = set(words_of(text[: found.start()])), set(words_of(found["place"]))
        if not food or not self._known.knows(sorted(food)):
            return []
        rows = {row for word in places for row in self._by_place.get(word, ())}
        return [row for row in sorted(rows) if food.isdisjoint(self._words_of_names(row))]

    @cached_property
    def _by_place(self) -> dict[str, list[int]]:
        """Rows of the terms whose own name has a word behind `di`, `de` and the like."""
        found = (PLACE.search(self._taxonomy.names[node]) for node in self._nodes.tolist())
        return rows_by_word([words(own["place"]) if own else () for own in found])

    def _of_heads(self, text: str) -> list[int]:
        """Rows of terms that a text names only as what comes with the food: `in oil`."""
        main = main_part(text)
        said = set(words_of(main))
        if main == text or not self._known.knows(sorted(said)):
            return []
        rest = set(words_of(text)) - said
        rows = {row for word in rest for row in self._by_head.get(word, ())}
        whole = (row for word in rest for row, own in self._by_name.get(word, ()) if own <= rest)
        rows.update(whole)
        return [row for row in sorted(rows) if said.isdisjoint(self._words_of_names(row))]

    def _of_absent(self, text: str) -> list[int]:
        """Rows of terms that are called by what a text says is not there: `cheese without rind`."""
        absent = {word[1:] for word in words(text) if word.startswith("-")}
        return sorted({row for word in absent for row in self._by_head.get(word, ())})

    @cached_property
    def _by_name(self) -> dict[str, list[tuple[int, frozenset[str]]]]:
        """Rows and the words of their names, of several words, by one of them."""
        found: dict[str, list[tuple[int, frozenset[str]]]] = {}
        for row, node in enumerate(self._nodes.tolist()):
            for name in (self._taxonomy.names[node], *self._taxonomy.synonyms(node)):
                if len(own := frozenset(words(name))) > 1:
                    found.setdefault(min(own), []).append((row, own))
        return found

    @cached_property
    def _by_head(self) -> dict[str, list[int]]:
        """Rows of the terms whose own name has a head word."""
        names = (self._taxonomy.names[node] for node in self._nodes.tolist())
        return rows_by_word([[head_word(name)] for name in names])

    def _words_of_names(self, row: int) -> set[str]:
        """The words of all names of a term."""
        node = int(self._nodes[row])
        names = [self._taxonomy.names[node], *self._taxonomy.synonyms(node)]
        return {word for name in names for word in words(name)}
