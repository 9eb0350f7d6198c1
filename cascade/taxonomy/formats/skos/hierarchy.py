"""One parent for each concept: a vocabulary is a net, a taxonomy a tree."""

from __future__ import annotations

from collections.abc import Callable, Collection

from cascade.taxonomy.draft import DEEPEST
from cascade.taxonomy.formats.skos.findings import Findings
from cascade.taxonomy.formats.skos.vocabulary import Vocabulary

SEVERAL = "of several broader concepts the first in the file is the parent"
ELSEWHERE = "a concept whose broader one is not in the file is at the top"
BELOW_DEPRECATED = "a concept below a deprecated one is below what is above that"
CYCLE = "a cycle of broader concepts is cut"


class Hierarchy:
    """Finds the parent of each of the kept concepts.

    - The first parent in the file counts, whether `broader` or `narrower` says it.
    - One that is not in the file counts for nothing; in place of one that is deprecated stand its
      own parents.
    - Without a direct parent, the lowest of those that `broaderTransitive` names.
    - Cycles are cut at the concept that is first in the file; a top concept is preferred.

    Parameters
    ----------
    kept
        The concepts that become nodes, in the order of the file.
    deprecated
        Those that do not, though they are concepts of the file.
    others
        What else is no node, and is not told: concepts that were not asked for, and schemes.
    code
        The code of a concept, for examples.
    """

    def __init__(
        self,
        vocabulary: Vocabulary,
        kept: list[str],
        deprecated: Collection[str],
        others: Collection[str],
        code: Callable[[str], str],
        findings: Findings,
    ) -> None:
        self._vocabulary, self._kept, self._deprecated = vocabulary, dict.fromkeys(kept), deprecated
        self._others, self._code, self._findings = others, code, findings
        self._tops = vocabulary.links.get("top of", {}).keys() | {
            one for ones in vocabulary.links.get("has top", {}).values() for one in ones
        }

    def parents(self) -> dict[str, str]:
        """The parent of each concept that has one."""
        possible = {one: self._possible(one) for one in self._kept}
        parents = {one: found[0] for one, found in possible.items() if found}
        self._cut_cycles(parents, possible)
        return parents

    def _possible(self, one: str) -> list[str]:
        """Kept concepts that may be the parent, best first."""
        stated = dict.fromkeys(self._vocabulary.parents.get(one, ()))
        stated.pop(one, None)
        found = [above for above in stated if above in self._kept]
        if len(found) > 1:
            self._findings.add(SEVERAL, repr(self._code(one)))
        if found:
            return found
        if stated:
            if any(above in self._deprecated for above in stated):
                self._findings.add(BELOW_DEPRECATED, repr(self._code(one)))
                return self._above_deprecated(stated)
            if not any(above in self._others for above in stated):
                self._findings.add(ELSEWHERE, repr(self._code(one)))
            return []
        known = self._vocabulary.ancestors
        above = [up for up in dict.fromkeys(known.get(one, ())) if up in self._kept and up != one]
        return sorted(above, key=lambda up: -len(known.get(up, ())))[:1]

    def _above_deprecated(self, stated: Collection[str]) -> list[str]:
        """The first kept concepts above deprecated ones."""
        seen = set(stated)
        waiting = list(stated)
        for _ in range(DEEPEST):  # more levels no taxonomy has
            found = [above for above in waiting if above in self._kept]
            if found:
                return found
            higher = [
                above
                for one in waiting
                if one in self._deprecated
                for above in self._vocabulary.parents.get(one, ())
            ]
            waiting = [above for above in dict.fromkeys(higher) if above not in seen]
            seen.update(waiting)
        return []

    def _cut_cycles(self, parents: dict[str, str], possible: dict[str, list[str]]) -> None:
        place = {one: at for at, one in enumerate(self._kept)}
        for own in self._kept:
            if own in self._vocabulary.parents.get(own, ()):
                self._findings.add(CYCLE, f"{self._code(own)!r} < itself")
        rooted: set[str] = set()
        for start in self._kept:
            way: dict[str, None] = {}
            one: str | None = start
            while one is not None and one not in rooted:
                if one not in way:
                    way[one] = None
                    one = parents.get(one)
                    continue
                names = [*way]
                ring = names[names.index(one) :]
                first = min(ring, key=lambda node: (node not in self._tops, place[node]))
                shown = [*ring[ring.index(first) :], *ring[: ring.index(first)], first]
                codes = [repr(self._code(node)) for node in shown]
                if len(codes) > 6:
                    codes[3:-2] = ["..."]
                self._findings.add(CYCLE, " < ".join(codes))
                self._leave(first, parents, possible)
                one = None
            rooted.update(way)

    def _leave(self, first: str, parents: dict[str, str], possible: dict[str, list[str]]) -> None:
        """Give a concept of a cycle the next of its parents that is not below it, or none."""
        del parents[first]
        for other in possible[first][1:]:
            up: str | None = other
            seen = set()
            while up is not None and up != first and up not in seen:
                seen.add(up)
                up = parents.get(up)
            if up is None:
                parents[first] = other
                return
