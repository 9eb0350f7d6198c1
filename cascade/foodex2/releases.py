"""Two releases of a catalogue: what changed, and what stands in place of what is gone."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from cascade.foodex2.catalogue import Catalogue, Hierarchy, Term
from cascade.foodex2.taxonomy import COMMON, SCIENTIFIC
from cascade.taxonomy.difference import Change

OLD_CODE = "foodexOldCode"  # attribute: the code of FoodEx1
MARKS = re.compile(r"\s*[-(]?\s*deprecated\b.*$|\s*\(e\)\s*$", re.IGNORECASE)
RENAMED = (("(live animals)", "(as animal)"), ("(live animal)", "(as animal)"))

Because = Literal["same", "foodex1", "name", "synonym", "above"]


@dataclass(frozen=True, slots=True)
class Replacement:
    """A term that stands in place of another.

    Parameters
    ----------
    because
        `same`: the term itself is in use; `foodex1`: the catalogue says so; `name` or `synonym`:
        the one term of this name or with these scientific names; `above`: only the nearest term
        above it, which says less.
    """

    code: str
    because: Because

    @property
    def exact(self) -> bool:
        """Whether it says as much as the term that it replaces."""
        return self.because != "above"


class Successors:
    """What stands, in a release, for terms of it and of older ones.

    EFSA publishes no table of replacements, so they are looked for by what the releases say.

    Parameters
    ----------
    old
        The release that codes are of; without it only what the new one still has is known.
    """

    def __init__(self, new: Catalogue, old: Catalogue | None = None) -> None:
        self.new, self.old = new, old

    def of(self, code: str, within: Hierarchy | None = None) -> Replacement | None:
        """The term to use for a code; None where nothing is known.

        Parameters
        ----------
        within
            The hierarchy that it has to be in, as for a descriptor.
        """

        def fits(candidate: str) -> bool:
            return within is None or candidate in within

        known = self.new.terms.get(code)
        if known is not None and not known.deprecated and fits(code):
            return Replacement(code, "same")
        if known is None and code in self._foodex1:
            return Replacement(self._foodex1[code], "foodex1")
        term = known or (self.old.terms.get(code) if self.old else None)
        if term is None:
            return None
        key = _key(term.name)
        named = [
            c
            for c in self._named.get(key, ())
            if c != code
            and fits(c)
            and (term.kind in ("", self.new.terms[c].kind) or _key(self.new.terms[c].name) == key)
        ]
        if len(named) == 1:
            return Replacement(named[0], "name")
        names = _scientific(term)
        alike = [c for c in self._scientific.get(names, ()) if c != code and fits(c)]
        if names and len(alike) == 1:
            return Replacement(alike[0], "synonym")
        order = within.code if within is not None else self.new.default
        for catalogue in (self.new, self.old):
            hierarchy = catalogue.hierarchies.get(order) if catalogue is not None else None
            for above in hierarchy.upwards(code) if hierarchy is not None else ():
                if above != code and self._usable(above, order) and fits(above):
                    return Replacement(above, "above")
        return None

    def _usable(self, code: str, hierarchy: str) -> bool:
        term, order = self.new.terms.get(code), self.new.hierarchies.get(hierarchy)
        if term is None or order is None or term.deprecated:
            return False
        return code in order and order.reportable[code]

    @cached_property
    def _foodex1(self) -> dict[str, str]:
        return {
            old: term.code
            for term in self.new.terms.values()
            if not term.deprecated
            for old in term.attributes.get(OLD_CODE, ())
        }

    @cached_property
    def _named(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for term in self.new.terms.values():
            if not term.deprecated:
                for name in {term.name, *term.attributes.get(COMMON, ())}:
                    found.setdefault(_key(name), []).append(term.code)
        return found

    @cached_property
    def _scientific(self) -> dict[tuple[str, ...], list[str]]:
        found: dict[tuple[str, ...], list[str]] = {}
        for term in self.new.terms.values():
            if not term.deprecated and (names := _scientific(term)):
                found.setdefault(names, []).append(term.code)
        return found


def release_differences(old: Catalogue, new: Catalogue) -> Iterator[Change]:
    """Terms added, removed, renamed, deprecated and revived, and their places and facets.

    Places are compared in the hierarchies that both releases have.
    """
    successors = Successors(new, old)

    def instead(code: str) -> str:
        found = successors.of(code)
        return found.code if found is not None and found.exact else ""

    for code, term in old.terms.items():
        other = new.terms.get(code)
        if other is None:
            yield Change("removed", code, term.name, "", term.name, "", instead(code))
            continue
        if other.name != term.name:
            yield Change("renamed", code, other.name, "", term.name, other.name)
        if other.deprecated and not term.deprecated:
            yield Change("deprecated", code, other.name, replacement=instead(code))
        elif term.deprecated and not other.deprecated:
            yield Change("revived", code, other.name)
        if set(other.facets) != set(term.facets):
            facets = ("$".join(map(str, sorted(t.facets))) for t in (term, other))
            yield Change("facets", code, other.name, "", *facets)
    for code, term in new.terms.items():
        if code not in old.terms:
            yield Change("added", code, term.name, "", "", term.name)
    for code, hierarchy in new.hierarchies.items():
        before = old.hierarchies.get(code)
        if before is not None:
            yield from _moves(before, hierarchy, old, new)


def _moves(before: Hierarchy, now: Hierarchy, old: Catalogue, new: Catalogue) -> Iterator[Change]:
    def place(hierarchy: Hierarchy, catalogue: Catalogue, code: str) -> str:
        if code not in hierarchy:
            return "not in it"
        above = hierarchy.parent[code]
        return "at the top" if above is None else f"below {catalogue.named(above)}"

    for code, term in new.terms.items():
        if code not in old.terms or not (code in before or code in now):
            continue
        places = place(before, old, code), place(now, new, code)
        if (code in before) != (code in now) or before.parent[code] != now.parent[code]:
            yield Change("moved", code, term.name, now.code, *places)
        elif before.reportable[code] != now.reportable[code]:
            said = ["yes" if h.reportable[code] else "no" for h in (before, now)]
            yield Change("reportable", code, term.name, now.code, *said)


def _key(name: str) -> str:
    for before, now in RENAMED:
        name = name.replace(before, now)
    return " ".join(MARKS.sub("", name).casefold().split())


def _scientific(term: Term) -> tuple[str, ...]:
    """Scientific names, with the kind of the term and of its name's ending: a plant is no fruit."""
    names = sorted({_key(name) for name in term.attributes.get(SCIENTIFIC, ())})
    return (term.kind, _key(term.name).rpartition("(")[2], *names) if names else ()
