"""EFSA's business rules for FoodEx2 codes, BR01 to BR31, and the checker that applies them.

There are two modes. `ict` answers as EFSA's Interpreting and Checking Tool does, rule for rule,
even where that differs from the messages it prints. `strict` adds the rules that EFSA documents and
the tool leaves out, and refuses facets that are deprecated or may not be reported: what passes it
is clean by the documents and by the tool.

Each rule is a function of a `ParsedCode`, and those about one facet also of that facet. They stand
in the order in which the tool applies them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from cascade.errors import UsageError
from cascade.foodex2.catalogue import Catalogue
from cascade.foodex2.code import CodeError, FoodCode, spelled
from cascade.foodex2.parsed_code import ForbiddenProcesses, ParsedCode, RawFacet, split_code

Mode = Literal["ict", "strict"]
Severity = Literal["LOW", "HIGH", "ERROR"]
SEVERITIES: tuple[Severity, ...] = get_args(Severity)

SOURCE, STATE, INGREDIENT, COMMODITY, PROCESS = "F01", "F03", "F04", "F27", "F28"
GENERIC_PROCESSES = {"A0C0R", "A0CHR", "A0CHS"}  # "Processed" and the like
DERIVATIVE_STATES = {"A06JD", "A07Y3", "A07Y2", "A06JG", "A06JF", "A06JE", "A07Y4"}
DILUTIONS = {"A07MR", "A07MQ"}  # reconstitution, dilution


@dataclass(frozen=True, slots=True)
class Message:
    """A rule that fires.

    Parameters
    ----------
    rule
        Such as `BR08`; empty where no rule says it.
    text
        What is wrong, with the names of the terms.
    facet
        The facet that it is about, as written; empty for the base term or the whole code.
    """

    rule: str
    severity: Severity
    text: str
    facet: str = ""


@dataclass(frozen=True)
class Checker:
    """Checks codes against the business rules.

    Parameters
    ----------
    processes
        EFSA's table, which BR16, BR19 and BR27 need.
    """

    catalogue: Catalogue
    processes: ForbiddenProcesses

    def check(self, code: str, mode: Mode = "strict") -> list[Message]:
        """The rules that fire, in the tool's order.

        There is an ERROR of no rule for a text that EFSA's tool crashes on. The tool ignores much
        else that is no code, as in `A01PS##F28.A07KG`; `strict` has an ERROR of no rule for that,
        unless another ERROR is there. It also reads codes as people write them, see `spelled`.
        """
        code = spelled(code) if mode == "strict" else code
        try:
            found = list(self._fired(code, mode))
        except UsageError as error:
            return [Message("", "ERROR", str(error))]
        if mode == "strict" and worst(found) != "ERROR":
            try:
                FoodCode.parse(code)
            except CodeError as error:
                found.append(Message("", "ERROR", str(error)))
        return found

    def refusal(self, code: str) -> str:
        """The first strict message above LOW; empty if the code may be used."""
        for message in self.check(code):
            if message.severity != "LOW":
                return f"{message.rule}: {message.text}"
        return ""

    def _fired(self, text: str, mode: Mode) -> Iterator[Message]:
        base, facets, bare = split_code(text)
        term = self.catalogue.terms.get(base)
        if term is None:
            problem = _unknown(base, "no base term") + self.catalogue.mistaken_for(base)
            if mode == "ict" and spelled(base) in self.catalogue.terms:
                problem += f"; EFSA's tool reads {spelled(base)} only without what is around it"
            yield Message("BR29", "ERROR", problem)
            return
        if term.kind in ("r", "d") and any(facet.dots > 1 for facet in facets):
            raise UsageError(f"{text[:60]!r} has a facet with two dots; expected one")
        code = ParsedCode(self.catalogue, self.processes, term, facets, bare)
        for rule in BASE_RULES:
            yield from rule(code)
        if bare:
            return
        for facet in facets:
            if facet.descriptor not in self.catalogue.terms:
                problem = _unknown(facet.descriptor, f"no descriptor in {facet.category!r}")
                yield Message("BR29", "ERROR", problem, str(facet))
                return
            for facet_rule in FACET_RULES:
                yield from facet_rule(code, facet)
            if mode == "strict":
                yield from unusable(code, facet)
        for rule in END_RULES:
            yield from rule(code)
        for rule in STRICT_RULES if mode == "strict" else ():
            yield from rule(code)


def worst(messages: Sequence[Message]) -> Severity | None:
    """The highest severity; None if there is no message."""
    found = [SEVERITIES.index(message.severity) for message in messages]
    return SEVERITIES[max(found)] if found else None


def _unknown(term: str, nothing: str) -> str:
    return f"there is no term {term[:60]!r}" if term else f"there is {nothing}"


def br08(code: ParsedCode) -> Iterator[Message]:
    """The base term may not be reported, and is not dismissed (BR21)."""
    if not code.reportable and not code.dismissed:
        yield Message("BR08", "HIGH", f"{code.base_name} may not be reported")


def br10_bare(code: ParsedCode) -> Iterator[Message]:
    """An unspecific base term alone."""
    if code.bare and code.base.detail == "P":
        yield _unspecific(code)


def br17(code: ParsedCode) -> Iterator[Message]:
    """A facet descriptor in place of a base term."""
    if code.base.kind == "f":
        yield Message("BR17", "HIGH", f"{code.base_name} is a facet descriptor, and no base term")


def br20(code: ParsedCode) -> Iterator[Message]:
    """The base term is deprecated."""
    if code.base.deprecated:
        yield Message("BR20", "HIGH", f"{code.base_name} is deprecated")


def br21(code: ParsedCode) -> Iterator[Message]:
    """The base term is dismissed."""
    if code.dismissed:
        text = f"{code.base_name} is dismissed: nothing below it may be reported either"
        yield Message("BR21", "HIGH", text)


def br23_and_24(code: ParsedCode) -> Iterator[Message]:
    """A hierarchy term, in the exposure hierarchy (BR23) or not (BR24)."""
    if code.base.detail != "H":
        return
    if code.base.code in code.catalogue.hierarchies.get("expo", ()):
        text = f"{code.base_name} is a hierarchy term; a more precise one is better"
        yield Message("BR23", "LOW", text)
    else:
        text = f"{code.base_name} is a hierarchy term outside the exposure hierarchy"
        yield Message("BR24", "HIGH", text)


def br30(code: ParsedCode, facet: RawFacet) -> Iterator[Message]:
    """The category does not exist."""
    if facet.category not in code.catalogue.attributes:
        yield Message("BR30", "ERROR", f"there is no category {facet.category!r}", str(facet))


def br31(code: ParsedCode, facet: RawFacet) -> Iterator[Message]:
    """The descriptor is not in the hierarchy of the category."""
    attribute = code.catalogue.attributes.get(facet.category)
    if attribute is None:
        return
    hierarchy = code.catalogue.hierarchy_of(facet.category)
    if hierarchy is None or facet.descriptor not in hierarchy:
        category = f"{facet.category} ({attribute.label})"
        text = f"{code.name(facet.descriptor)} is no descriptor of {category}"
        yield Message("BR31", "ERROR", text, str(facet))


def br19(code: ParsedCode, facet: RawFacet) -> Iterator[Message]:
    """A raw commodity with a process that makes a derivative of it."""
    forbidden = facet.category == PROCESS and facet.descriptor in code.forbidden
    if code.base.kind == "r" and forbidden:
        text = (
            f"{code.name(facet.descriptor)} makes another food of the raw commodity "
            f"{code.base_name}; start from that derivative"
        )
        yield Message("BR19", "HIGH", text, str(facet))


def br16(code: ParsedCode, facet: RawFacet) -> Iterator[Message]:
    """A facet that is less precise than an implied one."""
    hierarchy = code.catalogue.hierarchy_of(facet.category)
    if code.group is None or hierarchy is None:
        return
    for implied in code.base.implied(facet.category):
        siblings = hierarchy.parent.get(facet.descriptor) == hierarchy.parent.get(implied)
        if hierarchy.is_within(implied, facet.descriptor) and not siblings:
            text = (
                f"{code.name(facet.descriptor)} says less than {code.name(implied)}, which "
                f"{code.base_name} implies"
            )
            yield Message("BR16", "HIGH", text, str(facet))
            return


def br10(code: ParsedCode, facet: RawFacet) -> Iterator[Message]:
    """An unspecific base term with a facet that does not tell its source."""
    if code.base.detail == "P" and facet.category not in (SOURCE, COMMODITY):
        yield _unspecific(code, str(facet))


def br11(code: ParsedCode, facet: RawFacet) -> Iterator[Message]:
    """A process that is too generic."""
    if facet.descriptor in GENERIC_PROCESSES:
        text = f"{code.name(facet.descriptor)} is too generic a process"
        yield Message("BR11", "LOW", text, str(facet))


def br12(code: ParsedCode, facet: RawFacet) -> Iterator[Message]:
    """Advice: an ingredient of a raw commodity or derivative must be a minor one."""
    if code.base.kind not in ("r", "d") or facet.category != INGREDIENT:
        return
    if "flavoured" in code.base.name.lower():
        return
    implied = code.base.implied(INGREDIENT)
    if not any(code.within("ingred", facet.descriptor, one) for one in implied):
        text = (
            f"{code.name(facet.descriptor)} may be no more than a minor ingredient of "
            f"{code.base_name}"
        )
        yield Message("BR12", "LOW", text, str(facet))


def br03_and_04(code: ParsedCode, facet: RawFacet) -> Iterator[Message]:
    """A composite has ingredients, not a source (BR03) or source commodities (BR04)."""
    rule = {SOURCE: "BR03", COMMODITY: "BR04"}.get(facet.category)
    if rule and code.base.kind in ("s", "c"):
        text = (
            f"{code.base_name} is a composite: instead of {code.facet_name(facet)} choose "
            f"an ingredient ({INGREDIENT})"
        )
        yield Message(rule, "HIGH", text, str(facet))


def br28(code: ParsedCode, facet: RawFacet) -> Iterator[Message]:
    """A concentrate or powder that is reconstituted or diluted is another food."""
    if facet.category != PROCESS or facet.descriptor not in DILUTIONS:
        return
    about = f"{code.base.name}\n{code.base.note}"
    if "concentrate" in about or "powder" in about:
        text = (
            f"{code.name(facet.descriptor)} makes another food of {code.base_name}; "
            "start from the reconstituted or diluted term"
        )
        yield Message("BR28", "HIGH", text, str(facet))


def br13(code: ParsedCode, facet: RawFacet) -> Iterator[Message]:
    """A physical state that makes a derivative of a raw commodity."""
    derived = facet.category == STATE and facet.descriptor in DERIVATIVE_STATES
    if code.base.kind == "r" and derived:
        text = (
            f"in the state {code.name(facet.descriptor)} the raw commodity "
            f"{code.base_name} is a derivative"
        )
        yield Message("BR13", "HIGH", text, str(facet))


def br01(code: ParsedCode) -> Iterator[Message]:
    """Source commodities of a raw commodity are parts of it."""
    if code.base.kind != "r":
        return
    for descriptor in code.explicit(COMMODITY):
        inside = code.within("racsource", descriptor, code.base.code)
        if not inside and not code.within_implied("racsource", descriptor):
            text = (
                f"{code.name(descriptor)} is neither {code.base_name} nor one of its "
                "source commodities, nor below one"
            )
            yield Message("BR01", "HIGH", text)
            return


def br05_to_07(code: ParsedCode) -> Iterator[Message]:
    """Sources and source commodities of a derivative agree with those that it implies."""
    if code.base.kind != "d":
        return
    commodities, sources = code.explicit(COMMODITY), len(code.explicit(SOURCE))
    specified = sum(code.within_implied("racsource", one) for one in commodities)
    others = len(commodities) - specified
    implied = len(code.base.implied(COMMODITY))
    if others and implied:
        text = f"a source commodity is none of those that {code.base_name} implies, nor below one"
        yield Message("BR05", "HIGH", f"{text}; start from the generic derivative")
    if sources and not others + implied:
        text = f"{code.base_name} has a source, but no source commodity, neither implied nor"
        yield Message("BR06", "HIGH", f"{text} explicit")
    known = implied + specified
    if sources and ((not known and others > 1) or (known > 2 and not others) or (known and others)):
        text = f"{code.base_name} has a source, which needs a single source commodity"
        yield Message("BR07", "HIGH", text)


def br27(code: ParsedCode) -> Iterator[Message]:
    """Processes of one step exclude each other, and make another derivative."""
    if code.base.kind != "d":
        return
    explicit = [f.descriptor for f in code.facets if f.descriptor in code.forbidden]
    implied = [process for process in code.base.implied(PROCESS) if process in code.forbidden]
    for process in explicit:  # each takes away the first implied one that it specifies
        for other in implied:
            if code.within("process", process, other):
                implied.remove(other)
                break
    steps: dict[int, tuple[set[str], set[str]]] = {}
    for at, processes in enumerate((implied, explicit)):
        for process in processes:
            ordinal = code.forbidden[process]
            if step := ordinal_step(ordinal):
                steps.setdefault(step, (set(), set()))[at].add(ordinal)
    for step, (of_base, of_facets) in sorted(steps.items()):
        several = len(of_base | of_facets) > 1
        if several and of_facets and (of_base or len(of_facets) > 1):
            text = (
                f"processes of step {step} exclude each other in {code.base_name}; "
                "start from another derivative"
            )
            yield Message("BR27", "HIGH", text)


def ordinal_step(ordinal: str) -> int | None:
    """The whole part of an ordinal code with a fraction: 2 of `2.1`, None of `2` and `2.0`."""
    whole, point, rest = ordinal.partition(".")
    if not point or not whole.isdigit() or not rest.strip("0"):
        return None
    return int(whole)


def br14(code: ParsedCode) -> Iterator[Message]:
    """An explicit facet is repeated."""
    for facet, count in Counter(code.facets).items():
        if count > 1:
            text = f"{code.facet_name(facet)} is said {count} times"
            yield Message("BR14", "HIGH", text, str(facet))


def br15(code: ParsedCode) -> Iterator[Message]:
    """An explicit facet repeats an implied one."""
    for facet in dict.fromkeys(code.facets):
        if facet.descriptor in code.base.implied(facet.category):
            text = f"{code.base_name} implies {code.facet_name(facet)} already"
            yield Message("BR15", "LOW", text, str(facet))


def br25(code: ParsedCode) -> Iterator[Message]:
    """Several descriptors in a category that allows one."""
    for category, attribute in code.catalogue.categories.items():
        count = len(set(code.explicit(category)))
        if attribute.single and count > 1:
            text = f"{category} ({attribute.label}) may have one descriptor, and has {count}"
            yield Message("BR25", "HIGH", text)


def unusable(code: ParsedCode, facet: RawFacet) -> Iterator[Message]:
    """A descriptor that is deprecated, or may not be reported in its category; EFSA has no rule."""
    term = code.catalogue.terms[facet.descriptor]
    hierarchy = code.catalogue.hierarchy_of(facet.category)
    if term.deprecated:
        text = f"{code.facet_name(facet)} is deprecated"
        yield Message("deprecated", "HIGH", text, str(facet))
    elif hierarchy is not None and not hierarchy.reportable.get(facet.descriptor, True):
        text = f"{code.facet_name(facet)} may not be reported"
        yield Message("not reportable", "HIGH", text, str(facet))


def _unspecific(code: ParsedCode, facet: str = "") -> Message:
    text = f"{code.base_name} is not specific; a specific term is better"
    return Message("BR10", "LOW", text, facet)


BASE_RULES = (br08, br10_bare, br17, br20, br21, br23_and_24)
FACET_RULES = (br30, br31, br19, br16, br10, br11, br12, br03_and_04, br28, br13)
END_RULES = (br01, br05_to_07, br27)
STRICT_RULES = (br14, br15, br25)
