"""Raw commodities of which a text says a process that makes another food of them: dried leeks.

The rules of FoodEx2 refuse such a process on the raw commodity, and want the derivative that
implies it instead: dried vegetables, of leeks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cascade.foodex2.code import FoodCode
from cascade.foodex2.taxonomy import FoodEx2Taxonomy
from cascade.pipeline.facets.naming import main_part, words
from cascade.pipeline.facets.said import Said, SaidFacets
from cascade.taxonomy import Taxonomy
from cascade.taxonomy.facets import Facet

PROCESS, SOURCE = "F28", "F27"


class _Derivative(NamedTuple):
    node: int
    processes: frozenset[str]
    sources: frozenset[str]


class Derivatives:
    """Finds the derivative that a text means where it names a raw commodity and a process.

    Parameters
    ----------
    nodes
        int32 [n_allowed], the base terms that may be answered.
    refusal
        Why the rules refuse a code; empty where they accept it.
    """

    def __init__(
        self,
        taxonomy: FoodEx2Taxonomy,
        nodes: NDArray[np.int32],
        said: SaidFacets,
        refusal: Callable[[str], str],
    ) -> None:
        # What nobody says: what is boiled of eggs has lost its shell.
        self._never = frozenset(said.told.never)
        self._taxonomy, self._nodes = taxonomy, nodes
        self._said, self._refusal = said, refusal
        self._found: dict[tuple[str, Facet], tuple[_Derivative, ...]] = {}

    def of(self, text: str, node: int) -> tuple[int, str]:
        """The node of the derivative, or the same node and why a person should look at it.

        The reason is empty where the text says no such process of the food itself.
        """
        base = self._taxonomy.codes[node]
        kind = self._taxonomy.catalogue.terms[base].kind
        if kind == "d":
            return self._nearer(text, node), ""
        why = ""
        for process in self._said_in(main_part(text), base, PROCESS) if kind == "r" else ():
            problem = self._refusal(str(FoodCode(base, (process.facet,))))
            if not problem:
                continue
            found = self._of(base, process.facet)
            if found:
                order = set(words(text))
                best = max(found, key=lambda own: self._shared(own.node, order))
                return self._nearer(text, best.node), ""
            why = why or f"the text says {' '.join(process.words)!r}: {problem}"
        return node, why

    def _nearer(self, text: str, node: int) -> int:
        """The term below a derivative that is of the source that a text says: dried mangoes."""
        end = int(self._taxonomy.end[node])
        below = [own for own in self._derivatives if node <= own.node < end]
        if len(below) > 1:
            for source in self._said_in(text, self._taxonomy.codes[node], SOURCE):
                for own in below:
                    same = own.processes == below[0].processes
                    if same and own.sources == {source.facet.descriptor}:
                        return own.node
        return node

    def _said_in(self, text: str, base: str, category: str) -> Iterator[Said]:
        for group in self._said.of(text, base):
            if group[0].facet.category == category:
                yield group[0]

    def _shared(self, node: int, said: set[str]) -> int:
        return len(said & set(words(self._taxonomy.names[node])))

    def _of(self, base: str, process: Facet) -> tuple[_Derivative, ...]:
        """The nearest derivatives, the least deep ones first."""
        if (base, process) not in self._found:
            taxonomy = self._taxonomy
            sources = _above(taxonomy.categories[SOURCE].tree, base)
            processes = _above(taxonomy.categories[PROCESS].tree, process.descriptor)
            group = _above(taxonomy, base)[1:2]
            near: dict[tuple[int, int], list[_Derivative]] = {}
            for own in self._derivatives:
                if not own.processes or not own.processes <= set(processes):
                    continue
                source = max(map(sources.index, own.sources & set(sources)), default=-1)
                if own.sources and source < 0:
                    continue
                if not own.sources and _above(taxonomy, taxonomy.codes[own.node])[1:2] != group:
                    continue
                depth = max(map(processes.index, own.processes))
                near.setdefault((source, depth), []).append(own)
            best = near[max(near)] if near else []
            depths = [len(taxonomy.path_nodes(own.node)) for own in best]
            order = sorted(range(len(best)), key=lambda at: (depths[at], best[at].node))
            self._found[base, process] = tuple(best[at] for at in order)
        return self._found[base, process]

    @cached_property
    def _derivatives(self) -> Sequence[_Derivative]:
        taxonomy, found = self._taxonomy, []
        for node in self._nodes.tolist():
            code = taxonomy.codes[node]
            if taxonomy.catalogue.terms[code].kind == "d":
                implied = taxonomy.implied(code)
                processes, sources = (
                    frozenset(own.descriptor for own in implied if own.category == category)
                    for category in (PROCESS, SOURCE)
                )
                found.append(_Derivative(node, processes - self._never, sources))
        return found


def _above(tree: Taxonomy, code: str) -> list[str]:
    """The codes from the root to a code; none where the tree does not have it."""
    if code not in tree:
        return []
    return [tree.codes[node] for node in tree.path_nodes(tree.index(code)).tolist()]
