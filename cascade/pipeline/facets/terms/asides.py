"""Terms that share with a description only what it says beside the food: `in oil`."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from cascade.pipeline.facets.naming import head_word, main_part, words
from cascade.pipeline.facets.terms.absence import rows_by_word
from cascade.retrieval.words.overlap import WordIndex, words_of
from cascade.taxonomy.facets import FacetedTaxonomy


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

    def rows(self, text: str) -> Sequence[int]:
        """Rows of terms whose head word a text says only of what comes with the food: `in oil`."""
        main = main_part(text)
        said = set(words_of(main))
        if main == text or not self._known.knows(sorted(said)):
            return []
        rest = set(words_of(text)) - said
        rows = (row for word in rest for row in self._by_head.get(word, ()))
        return [row for row in rows if said.isdisjoint(self._words_of_names(row))]

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
