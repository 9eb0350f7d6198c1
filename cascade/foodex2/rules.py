"""EFSA's business rules for FoodEx2 codes, BR01 to BR31.

Two modes. `ict` answers as EFSA's Interpreting and Checking Tool does, rule for rule, also where
that differs from what the tool prints. `strict` adds what EFSA documents and the tool leaves out,
and refuses facets that are deprecated or may not be reported: what passes it is clean by the
documents and by the tool.

Rules are functions of a `Case`, in the order in which the tool applies them; each yields the
messages that it has.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

from cascade.foodex2.catalogue import Catalogue, Term
from cascade.foodex2.processes import Processes, fraction

Mode = Literal["ict", "strict"]
Severity = Literal["LOW", "HIGH", "ERROR"]

SOURCE, INGREDIENT, COMMODITY, PROCESS = "F01", "F04", "F27", "F28"
GENERIC = {"A0C0R", "A0CHR", "A0CHS"}  # "Processed" and the like
NATURE = {"A06JD", "A07Y3", "A07Y2", "A06JG", "A06JF", "A06JE", "A07Y4"}  # physical states
DILUTED = {"A07MR", "A07MQ"}  # reconstitution, dilution


@dataclass(frozen=True, slots=True)
class Message:
    """A rule that fires.

    Parameters
    ----------
    rule
        Such as `BR08`.
    text
        What is wrong, with the names of the terms.
    facet
        The facet that it is about, as written; empty for the base term or the whole.
    """

    rule: str
    severity: Severity
    text: str
    facet: str = ""


@dataclass(frozen=True, slots=True)
class Token:
    """A facet as the tool reads it.

    Parameters
    ----------
    category, descriptor
        What stands before and behind the first dot, whatever it is.
    pieces
        How many there are between dots.
    """

    category: str
    descriptor: str
    pieces: int = 2

    def __str__(self) -> str:
        return f"{self.category}.{self.descriptor}"


@dataclass
class Case:
    """A code with all that rules ask about it.

    Parameters
    ----------
    tokens
        Explicit facets in the order in which they were written.
    bare
        Whether there is a base term alone.
    """

    catalogue: Catalogue
    processes: Processes
    base: Term
    tokens: Sequence[Token]
    bare: bool
    implied: list[str] = field(init=False)
    """Processes of the group that the base term implies and no facet has made more precise."""
    explicit: list[str] = field(default_factory=list, init=False)
    """Processes of the group that are facets."""

    def __post_init__(self) -> None:
        self.implied = [p for p in self.base.implied(PROCESS) if p in self.of_group]

    @cached_property
    def group(self) -> str | None:
        """The nearest group of the table that the base term is in."""
        above = self.catalogue.reporting.upwards(self.base.code)
        return next((term for term in above if term in self.processes.groups), None)

    @cached_property
    def of_group(self) -> dict[str, str]:
        """The group's processes with their ordinal codes."""
        return dict(self.processes.groups[self.group]) if self.group else {}

    def name(self, code: str) -> str:
        """A code with its name."""
        return self.catalogue.named(code)

    @property
    def reportable(self) -> bool:
        """Whether the base term may be reported; one that is not in the hierarchy may."""
        return self.catalogue.reporting.reportable.get(self.base.code, True)

    @cached_property
    def dismissed(self) -> bool:
        """Whether neither the base term nor anything below it may be reported."""
        if self.base.deprecated or self.reportable:
            return False
        hierarchy, terms = self.catalogue.reporting, self.catalogue.terms
        return not any(
            hierarchy.reportable[term] and not terms[term].deprecated
            for term in hierarchy.below(self.base.code)
        )

    def within(self, hierarchy: str, term: str, other: str) -> bool:
        """Whether a term is another or below it, in a hierarchy."""
        found = self.catalogue.hierarchies.get(hierarchy)
        return term == other if found is None else found.is_within(term, other)

    def within_implied(self, hierarchy: str, term: str) -> bool:
        """Whether a term is one that the base term implies, in any category, or below one."""
        return any(self.within(hierarchy, term, f.descriptor) for f in self.base.facets)

    def explicit_in(self, category: str) -> list[str]:
        """Descriptors of the facets of a category."""
        return [token.descriptor for token in self.tokens if token.category == category]


Found = Iterator[Message]


def br08(case: Case) -> Found:
    """The base term may not be reported (but for dismissed ones, see BR21)."""
    if not case.reportable and not case.dismissed:
        yield Message("BR08", "HIGH", f"{case.name(case.base.code)} may not be reported")


def br10_bare(case: Case) -> Found:
    """A base term that is not specific says little."""
    if case.bare and case.base.detail == "P":
        yield _not_specific(case)


def br17(case: Case) -> Found:
    """A facet descriptor is no base term."""
    if case.base.kind == "f":
        said = f"{case.name(case.base.code)} is a facet descriptor, and no base term"
        yield Message("BR17", "HIGH", said)


def br20(case: Case) -> Found:
    """The base term is deprecated."""
    if case.base.deprecated:
        yield Message("BR20", "HIGH", f"{case.name(case.base.code)} is deprecated")


def br21(case: Case) -> Found:
    """The base term is dismissed."""
    if case.dismissed:
        said = f"{case.name(case.base.code)} is dismissed: nothing below it may be reported either"
        yield Message("BR21", "HIGH", said)


def br23(case: Case) -> Found:
    """A hierarchy term is a vague base term."""
    if case.base.detail == "H" and case.base.code in case.catalogue.hierarchies.get("expo", ()):
        said = f"{case.name(case.base.code)} is a hierarchy term; a more precise one is better"
        yield Message("BR23", "LOW", said)


def br24(case: Case) -> Found:
    """A hierarchy term outside the exposure hierarchy."""
    if case.base.detail == "H" and case.base.code not in case.catalogue.hierarchies.get("expo", ()):
        said = f"{case.name(case.base.code)} is a hierarchy term outside the exposure hierarchy"
        yield Message("BR24", "HIGH", said)


def br30(case: Case, token: Token) -> Found:
    """The category is none."""
    if token.category not in case.catalogue.attributes:
        yield Message("BR30", "ERROR", f"there is no category {token.category!r}", str(token))


def br31(case: Case, token: Token) -> Found:
    """The descriptor is not one of the category's."""
    attribute = case.catalogue.attributes.get(token.category)
    if attribute is None:
        return
    hierarchy = case.catalogue.hierarchy_of(token.category)
    if hierarchy is None or token.descriptor not in hierarchy:
        said = f"{case.name(token.descriptor)} is no descriptor of {_category(case, token)}"
        yield Message("BR31", "ERROR", said, str(token))


def br19(case: Case, token: Token) -> Found:
    """A raw commodity with a process that makes a derivative of it."""
    if case.base.kind == "r" and token.category == PROCESS and token.descriptor in case.of_group:
        said = (
            f"{case.name(token.descriptor)} makes another food of the raw commodity "
            f"{case.name(case.base.code)}; start from that derivative"
        )
        yield Message("BR19", "HIGH", said, str(token))


def br16(case: Case, token: Token) -> Found:
    """A facet that says less than an implied one."""
    hierarchy = case.catalogue.hierarchy_of(token.category)
    if case.group is None or hierarchy is None:
        return
    for implied in case.base.implied(token.category):
        beside = hierarchy.parent.get(token.descriptor) == hierarchy.parent.get(implied)
        if hierarchy.is_within(implied, token.descriptor) and not beside:
            said = (
                f"{case.name(token.descriptor)} says less than {case.name(implied)}, which "
                f"{case.name(case.base.code)} implies"
            )
            yield Message("BR16", "HIGH", said, str(token))
            return


def br10(case: Case, token: Token) -> Found:
    """A base term that is not specific, with facets that do not say what it is of."""
    if case.base.detail == "P" and token.category not in (SOURCE, COMMODITY):
        yield _not_specific(case, str(token))


def br11(case: Case, token: Token) -> Found:
    """A process that says nothing."""
    if token.descriptor in GENERIC:
        said = f"{case.name(token.descriptor)} is too generic a process"
        yield Message("BR11", "LOW", said, str(token))


def br12(case: Case, token: Token) -> Found:
    """An ingredient of a raw commodity or derivative must be a minor one."""
    if case.base.kind not in ("r", "d") or token.category != INGREDIENT:
        return
    if "flavoured" in case.base.name.lower():
        return
    implied = case.base.implied(INGREDIENT)
    if not any(case.within("ingred", token.descriptor, one) for one in implied):
        said = (
            f"{case.name(token.descriptor)} may be no more than a minor ingredient of "
            f"{case.name(case.base.code)}"
        )
        yield Message("BR12", "LOW", said, str(token))


def br03(case: Case, token: Token) -> Found:
    """A composite has ingredients, and no source."""
    yield from _of_composite(case, token, "BR03", SOURCE)


def br04(case: Case, token: Token) -> Found:
    """A composite has ingredients, and no source commodities."""
    yield from _of_composite(case, token, "BR04", COMMODITY)


def br28(case: Case, token: Token) -> Found:
    """A concentrate or powder that is reconstituted is another food."""
    if token.category != PROCESS or token.descriptor not in DILUTED:
        return
    said = f"{case.base.name}\n{case.base.note}"
    if "concentrate" in said or "powder" in said:
        text = (
            f"{case.name(token.descriptor)} makes another food of {case.name(case.base.code)}; "
            "start from the reconstituted or diluted term"
        )
        yield Message("BR28", "HIGH", text, str(token))


def br13(case: Case, token: Token) -> Found:
    """A physical state that makes a derivative of a raw commodity."""
    if case.base.kind == "r" and token.category == "F03" and token.descriptor in NATURE:
        said = (
            f"in the state {case.name(token.descriptor)} the raw commodity "
            f"{case.name(case.base.code)} is a derivative"
        )
        yield Message("BR13", "HIGH", said, str(token))


def br01(case: Case) -> Found:
    """Source commodities of a raw commodity are parts of it."""
    if case.base.kind != "r":
        return
    for descriptor in case.explicit_in(COMMODITY):
        inside = case.within("racsource", descriptor, case.base.code)
        if not inside and not case.within_implied("racsource", descriptor):
            said = (
                f"{case.name(descriptor)} is neither {case.name(case.base.code)} nor one of its "
                "source commodities, nor below one"
            )
            yield Message("BR01", "HIGH", said)
            return


def br05_to_07(case: Case) -> Found:
    """Sources and source commodities of a derivative fit those that it implies."""
    if case.base.kind != "d":
        return
    commodities = case.explicit_in(COMMODITY)
    finer = sum(case.within_implied("racsource", one) for one in commodities)
    others, sources = len(commodities) - finer, len(case.explicit_in(SOURCE))
    implied = len(case.base.implied(COMMODITY))
    base = case.name(case.base.code)
    if others and implied:
        said = f"a source commodity is none of those that {base} implies, nor below one"
        yield Message("BR05", "HIGH", f"{said}; start from the generic derivative")
    if sources and not others + implied:
        said = f"{base} has a source, but no source commodity, neither implied nor explicit"
        yield Message("BR06", "HIGH", said)
    known = implied + finer
    if sources and ((not known and others > 1) or (known > 2 and not others) or (known and others)):
        said = f"{base} has a source, which needs a single source commodity"
        yield Message("BR07", "HIGH", said)


def br27(case: Case) -> Found:
    """Processes of one step exclude each other, and make another derivative."""
    if case.base.kind != "d" or case.group is None:
        return
    steps: dict[int, tuple[set[str], set[str]]] = {}
    for at, some in enumerate((case.implied, case.explicit)):
        for process in some:
            ordinal = case.of_group[process]
            step = fraction(ordinal)
            if step:
                steps.setdefault(step, (set(), set()))[at].add(ordinal)
    for step in sorted(steps):
        implied, explicit = steps[step]
        if len(implied | explicit) > 1 and explicit and (implied or len(explicit) > 1):
            said = (
                f"processes of step {step} exclude each other in {case.name(case.base.code)}; "
                "start from another derivative"
            )
            yield Message("BR27", "HIGH", said)


def br14(case: Case) -> Found:
    """A facet is said once."""
    for token, count in Counter(case.tokens).items():
        if count > 1:
            yield Message(
                "BR14", "HIGH", f"{_facet(case, token)} is said {count} times", str(token)
            )


def br15(case: Case) -> Found:
    """A facet that is implied is not repeated."""
    for token in dict.fromkeys(case.tokens):
        if token.descriptor in case.base.implied(token.category):
            said = f"{case.name(case.base.code)} implies {_facet(case, token)} already"
            yield Message("BR15", "LOW", said, str(token))


def br25(case: Case) -> Found:
    """A category of which one descriptor is allowed has one."""
    for code, attribute in case.catalogue.categories.items():
        found = set(case.explicit_in(code))
        if attribute.single and len(found) > 1:
            said = f"{code} ({attribute.label}) may have one descriptor, and has {len(found)}"
            yield Message("BR25", "HIGH", said)


def unusable(case: Case, token: Token) -> Found:
    """A descriptor that is deprecated, or may not be reported in its category; EFSA has no rule."""
    term = case.catalogue.terms[token.descriptor]
    hierarchy = case.catalogue.hierarchy_of(token.category)
    if term.deprecated:
        yield Message("deprecated", "HIGH", f"{_facet(case, token)} is deprecated", str(token))
    elif hierarchy is not None and not hierarchy.reportable.get(token.descriptor, True):
        said = f"{_facet(case, token)} may not be reported"
        yield Message("not reportable", "HIGH", said, str(token))


BASE: Sequence[Callable[[Case], Found]] = (br08, br10_bare, br17, br20, br21, br23, br24)
FACET: Sequence[Callable[[Case, Token], Found]] = (
    *(br30, br31, br19, br16, br10, br11, br12, br03, br04, br28, br13),
)
END: Sequence[Callable[[Case], Found]] = (br01, br05_to_07, br27)
STRICT: Sequence[Callable[[Case], Found]] = (br14, br15, br25)


def _not_specific(case: Case, facet: str = "") -> Message:
    said = f"{case.name(case.base.code)} is not specific; a specific term is better"
    return Message("BR10", "LOW", said, facet)


def _of_composite(case: Case, token: Token, rule: str, category: str) -> Found:
    if case.base.kind in ("s", "c") and token.category == category:
        said = (
            f"{case.name(case.base.code)} is a composite: instead of {_facet(case, token)} choose "
            f"an ingredient ({INGREDIENT})"
        )
        yield Message(rule, "HIGH", said, str(token))


def _category(case: Case, token: Token) -> str:
    return f"{token.category} ({case.catalogue.attributes[token.category].label})"


def _facet(case: Case, token: Token) -> str:
    attribute = case.catalogue.attributes.get(token.category)
    label = f"{attribute.label}: " if attribute else ""
    return f"{label}{case.name(token.descriptor)}"
