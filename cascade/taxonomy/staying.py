"""Taxonomies in which an item may stay at an inner node: a child stands for the node itself.

So whatever judges the children of such a node also judges whether the item is none of them, and all
that is written for leaves holds for staying. To the outside that child has the node's code, name
and path.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cascade.taxonomy.tree import Taxonomy


class StayingTaxonomy(Taxonomy):
    """A taxonomy with a last child for each node at which an item may stay.

    Parameters
    ----------
    base
        The taxonomy without these children.
    codes
        Of the inner nodes at which an item may stay.

    Attributes
    ----------
    shown
        int32 [n], the node of `base` that each node is shown as.
    place
        int32 [n_base], where what is labelled with a node of `base` belongs: the child that stands
        for staying where there is one, else the node.
    stays
        bool [n], whether a node stands for staying at the one above it.

    Raises
    ------
    TaxonomyError
        A code is none of the taxonomy.
    """

    def __init__(self, base: Taxonomy, codes: Sequence[str]) -> None:
        self.base, self._stay_codes = base, tuple(dict.fromkeys(codes))
        draft = base._draft()
        draft.descriptions, draft.synonyms = dict(draft.descriptions), dict(draft.synonyms)
        draft.translations, draft.machine = dict(draft.translations), dict(draft.machine)
        taken = set(base.codes)
        shown = dict(zip(base.codes, range(len(base)), strict=True))
        staying: set[str] = set()
        for node in map(base.index, self._stay_codes):
            code = _free(base.codes[node], taken)
            siblings = {base.names[child] for child in base.children(node).tolist()}
            name = _free(base.names[node], siblings)
            row = draft.add(name, code, node)
            draft.describe(
                row, base.description(node), base.synonyms(node), base.translations(node)
            )
            if any(base.machine(node)):
                draft.machine[row] = base.machine(node)
            shown[code] = node
            taken.add(code)
            staying.add(code)
        super().__init__(draft)
        self.shown = np.array([shown[code] for code in self.codes], dtype=np.int32)
        self.stays = np.array([code in staying for code in self.codes], dtype=bool)
        self.place = np.empty(len(base), dtype=np.int32)
        for wanted in (~self.stays, self.stays):
            self.place[self.shown[wanted]] = np.flatnonzero(wanted)
        self.codes = tuple([base.codes[node] for node in self.shown.tolist()])

    def index(self, code: str) -> int:
        """Where what is labelled with a code belongs, see `place`."""
        return int(self.place[self.base.index(code)])

    def find(self, text: str) -> int | None:
        """As `index`, of a code or a path; None if there is none."""
        found = self.base.find(text)
        return None if found is None else int(self.place[found])

    @cached_property
    def _path(self) -> Callable[[int], str]:
        return lambda i: self.base.path(int(self.shown[i]))

    def __contains__(self, code: object) -> bool:
        return code in self.base

    def __reduce__(self) -> tuple[Any, ...]:  # type: ignore[override]
        return StayingTaxonomy, (self.base, self._stay_codes)


def staying(taxonomy: Taxonomy, codes: Sequence[str]) -> Taxonomy:
    """The taxonomy with children that stand for staying at the nodes of these codes, if any."""
    return StayingTaxonomy(taxonomy, codes) if codes else taxonomy


def places(taxonomy: Taxonomy, nodes: NDArray[np.int32]) -> NDArray[np.int32]:
    """Nodes of a taxonomy without staying as those of `taxonomy`, int32 [n]."""
    return taxonomy.place[nodes] if isinstance(taxonomy, StayingTaxonomy) else nodes


def stays_at(taxonomy: Taxonomy, node: int) -> bool:
    """Whether a node stands for staying at the one above it."""
    return isinstance(taxonomy, StayingTaxonomy) and bool(taxonomy.stays[node])


def _free(text: str, taken: set[str]) -> str:
    """A code or name that is not taken."""
    while text in taken:
        text += " *"
    return text
