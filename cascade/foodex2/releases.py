"""Two releases of a catalogue: what replaces a term, codes brought along, and what changed."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from cascade.errors import InputError
from cascade.foodex2.catalogue import COMMON_NAMES, SCIENTIFIC_NAMES, Catalogue, Hierarchy, Term
from cascade.foodex2.code import FoodCode, spelled
from cascade.taxonomy.difference import Change
from cascade.taxonomy.facets import Facet

MARKS = re.compile(r"\s*[-(]?\s*deprecated\b.*$|\s*\(e\)\s*$", re.IGNORECASE)
RENAMED = (("(live animals)", "(as animal)"), ("(live animal)", "(as animal)"))

Reason = Literal["same", "foodex1", "name", "synonym", "above"]
Outcome = Literal["same", "changed", "review", "error"]

REASONS: dict[Reason, str] = {
    "foodex1": "as the catalogue says",
    "name": "the one term of this name",
    "synonym": "the one term with these scientific names",
    "above": "the nearest term above, which says less",
}


@dataclass(frozen=True, slots=True)
class Replacement:
    """The term to use in place of another.

    Parameters
    ----------
    reason
        `same`: the term itself is in use; `foodex1`: the catalogue says so; `name` or `synonym`:
        the only term of this name or with these scientific names; `above`: the nearest term above
        it, which is less precise.
    """

    code: str
    reason: Reason

    @property
    def exact(self) -> bool:
        """Whether it is as precise as the term that it replaces."""
        return self.reason != "above"


@dataclass(frozen=True, slots=True)
class Migrated:
    """A code in another release.

    Parameters
    ----------
    code
        None where there is none.
    outcome
        `same`; `changed`: as precise as before; `review`: a part is less precise or left out;
        `error`: nothing replaces the base term, or the text is no code.
    notes
        What changed, one sentence for each part.
    """

    code: str | None
    outcome: Outcome
    notes: Sequence[str] = ()


class Migration:
    """Finds replacements in a release for terms and codes of it and of older ones.

    EFSA publishes no table of replacements, so they are inferred from both releases.

    Parameters
    ----------
    old
        The release of the codes; without it, terms that the new one has not are unknown.
    """

    def __init__(self, new: Catalogue, old: Catalogue | None = None) -> None:
        self._new, self._old = new, old

    @property
    def releases(self) -> Sequence[Catalogue]:
        """The releases that it knows, the new one first."""
        return [self._new] if self._old is None else [self._new, self._old]

    def migrate(self, text: str) -> Migrated:
        """The code in the new release of a FoodEx2 code, or of a FoodEx1 code."""
        plain = spelled(text)
        found = self.replacement(plain) if "#" not in plain else None
        if found is not None and found.reason == "foodex1":
            note = f"{plain} is {self._new.named(found.code)}, {REASONS['foodex1']}"
            return Migrated(found.code, "changed", [note])
        try:
            code = FoodCode.parse(text)
        except InputError as error:
            return Migrated(None, "error", [f"{error}{self._new.mistaken_for(text)}"])
        base = self.replacement(code.base)
        if base is None:
            hint = self._new.mistaken_for(text)
            return Migrated(None, "error", [f"nothing stands for {self._named(code.base)}{hint}"])
        notes = self._change(code.base, base)
        exact = base.exact
        implied = self._new.terms[base.code].facets
        facets: list[Facet] = []
        for facet in code.facets:
            hierarchy = self._new.hierarchy_of(facet.category)
            found = None if hierarchy is None else self.replacement(facet.descriptor, hierarchy)
            if found is None:
                notes.append(f"nothing stands for {facet.category}.{self._named(facet.descriptor)}")
                exact = False
                continue
            notes += self._change(facet.descriptor, found)
            exact &= found.exact
            new = Facet(facet.category, found.code)
            if new in implied and base.reason != "same":
                notes.append(f"{new} is left out: {self._named(base.code)} implies it")
            elif new in facets:
                notes.append(f"{new} is left out: it is said already")
            else:
                facets.append(new)
        migrated = str(FoodCode(base.code, tuple(facets)))
        if not exact:
            return Migrated(migrated, "review", notes)
        return Migrated(migrated, "changed" if notes else "same", notes)

    def replacement(self, code: str, within: Hierarchy | None = None) -> Replacement | None:
        """The term of the new release to use for a term; None where nothing is known.

        Parameters
        ----------
        within
            The hierarchy that it must be in, as for a descriptor.
        """

        def fits(candidate: str) -> bool:
            return within is None or candidate in within

        known = self._new.terms.get(code)
        if known is not None and not known.deprecated and fits(code):
            return Replacement(code, "same")
        if known is None and code in self._new.from_foodex1:
            return Replacement(self._new.from_foodex1[code], "foodex1")
        term = known or (self._old.terms.get(code) if self._old else None)
        if term is None:
            return None
        key = _key(term.name)
        named = [
            c
            for c in self._by_name.get(key, ())
            if c != code
            and fits(c)
            and (term.kind in ("", self._new.terms[c].kind) or _key(self._new.terms[c].name) == key)
        ]
        if len(named) == 1:
            return Replacement(named[0], "name")
        names = _scientific_names(term)
        alike = [c for c in self._by_scientific_names.get(names, ()) if c != code and fits(c)]
        if names and len(alike) == 1:
            return Replacement(alike[0], "synonym")
        order = within.code if within is not None else self._new.default
        for catalogue in (self._new, self._old):
            hierarchy = catalogue.hierarchies.get(order) if catalogue is not None else None
            for above in hierarchy.ancestors_or_self(code) if hierarchy is not None else ():
                if above != code and self._usable(above, order) and fits(above):
                    return Replacement(above, "above")
        return None

    def _change(self, code: str, found: Replacement) -> list[str]:
        if found.reason == "same":
            return []
        replacement = self._new.named(found.code)
        return [f"{self._named(code)} is now {replacement}, {REASONS[found.reason]}"]

    def _named(self, code: str) -> str:
        known = code in self._new.terms or self._old is None
        return self._new.named(code) if known or self._old is None else self._old.named(code)

    def _usable(self, code: str, hierarchy: str) -> bool:
        term, order = self._new.terms.get(code), self._new.hierarchies.get(hierarchy)
        if term is None or order is None or term.deprecated:
            return False
        return code in order and order.reportable[code]

    @cached_property
    def _in_use(self) -> list[Term]:
        return [term for term in self._new.terms.values() if not term.deprecated]

    @cached_property
    def _by_name(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for term in self._in_use:
            for name in {term.name, *term.attributes.get(COMMON_NAMES, ())}:
                found.setdefault(_key(name), []).append(term.code)
        return found

    @cached_property
    def _by_scientific_names(self) -> dict[tuple[str, ...], list[str]]:
        found: dict[tuple[str, ...], list[str]] = {}
        for term in self._in_use:
            if names := _scientific_names(term):
                found.setdefault(names, []).append(term.code)
        return found


def release_differences(old: Catalogue, new: Catalogue) -> Iterator[Change]:
    """Terms added, removed, renamed, deprecated and revived; their places and implied facets.

    Places are compared in the hierarchies that both releases have.
    """
    migration = Migration(new, old)

    def replacement(code: str) -> str:
        found = migration.replacement(code)
        return found.code if found is not None and found.exact else ""

    for code, term in old.terms.items():
        other = new.terms.get(code)
        if other is None:
            yield Change("removed", code, term.name, "", term.name, "", replacement(code))
            continue
        if other.name != term.name:
            yield Change("renamed", code, other.name, "", term.name, other.name)
        if other.deprecated and not term.deprecated:
            yield Change("deprecated", code, other.name, replacement=replacement(code))
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
            values = ["yes" if h.reportable[code] else "no" for h in (before, now)]
            yield Change("reportable", code, term.name, now.code, *values)


def _key(name: str) -> str:
    for before, now in RENAMED:
        name = name.replace(before, now)
    return " ".join(MARKS.sub("", name).casefold().split())


def _scientific_names(term: Term) -> tuple[str, ...]:
    """Names to compare, with the term's kind and its name's ending: a plant is no fruit."""
    names = sorted({_key(name) for name in term.attributes.get(SCIENTIFIC_NAMES, ())})
    return (term.kind, _key(term.name).rpartition("(")[2], *names) if names else ()
