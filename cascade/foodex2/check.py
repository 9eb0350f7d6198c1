"""Codes held against the business rules, taken apart as EFSA's tool does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import get_args

from cascade.errors import UsageError
from cascade.foodex2.catalogue import Catalogue
from cascade.foodex2.code import CodeError, FoodCode
from cascade.foodex2.processes import Processes
from cascade.foodex2.rules import (
    BASE,
    END,
    FACET,
    STRICT,
    Case,
    Message,
    Mode,
    Severity,
    Token,
    unusable,
)

SEVERITIES: tuple[Severity, ...] = get_args(Severity)


@dataclass(frozen=True)
class Checker:
    """Holds codes against the business rules.

    Parameters
    ----------
    processes
        EFSA's table, which BR16, BR19 and BR27 need.
    """

    catalogue: Catalogue
    processes: Processes

    def messages(self, code: str, mode: Mode = "strict") -> list[Message]:
        """As `check`, with an ERROR of no rule for a text that EFSA's tool crashes on."""
        try:
            return self.check(code, mode)
        except UsageError as error:
            return [Message("", "ERROR", str(error))]

    def check(self, code: str, mode: Mode = "strict") -> list[Message]:
        """The rules that fire, in the tool's order.

        The tool reads over much that is no code, as `A01PS##F28.A07KG`. `strict` has an ERROR of no
        rule for that, where none says more.

        Raises
        ------
        UsageError
            The text is one that EFSA's tool crashes on: it is made of `#`, has a facet of dots, or
            one of three pieces on a raw commodity or derivative.
        """
        found = self._fired(code, mode)
        if mode == "strict" and worst(found) != "ERROR":
            try:
                FoodCode.parse(code)
            except CodeError as error:
                found.append(Message("", "ERROR", str(error)))
        return found

    def _fired(self, code: str, mode: Mode) -> list[Message]:
        base, tokens, bare = split(code)
        term = self.catalogue.terms.get(base)
        if term is None:
            return [Message("BR29", "ERROR", _unknown(base, "no base term"))]
        if term.kind in ("r", "d") and any(token.pieces > 2 for token in tokens):
            raise UsageError(f"{code[:60]!r} has a facet with two dots; expected one")
        case = Case(self.catalogue, self.processes, term, tokens, bare)
        found = [message for rule in BASE for message in rule(case)]
        if bare:
            return found
        for token in tokens:
            if token.descriptor not in self.catalogue.terms:
                said = _unknown(token.descriptor, f"no descriptor in {token.category!r}")
                return [*found, Message("BR29", "ERROR", said, str(token))]
            found += (message for rule in FACET for message in rule(case, token))
            if mode == "strict":
                found += unusable(case, token)
            _note_process(case, token.descriptor)
        found += (message for rule in END for message in rule(case))
        if mode == "strict":
            found += (message for rule in STRICT for message in rule(case))
        return found


def _unknown(term: str, nothing: str) -> str:
    return f"there is no term {term[:60]!r}" if term else f"there is {nothing}"


def split(code: str) -> tuple[str, list[Token], bool]:
    """A text as EFSA's tool takes it apart: base term, facets, whether the base term is alone.

    There is no trimming, so that a blank makes a code unknown; what stands behind a second `#` or
    a second dot is not read.

    Raises
    ------
    UsageError
        EFSA's tool crashes on the text.
    """
    parts = _pieces(code.upper(), "#")
    if not parts:
        raise UsageError(f"{code[:60]!r} has no base term; expected one, such as A0BXX")
    tokens = []
    for text in parts[1].split("$") if len(parts) > 1 else ():
        if not text:
            continue
        pieces = _pieces(text, ".")
        if not pieces:
            raise UsageError(f"{code[:60]!r} has a facet of dots; expected one, such as F28.A07KG")
        tokens.append(Token(pieces[0], pieces[1] if len(pieces) > 1 else "", len(pieces)))
    return parts[0], tokens, len(parts) == 1


def _pieces(text: str, mark: str) -> list[str]:
    """The pieces of a text, as Java splits it: empty ones at the end are dropped."""
    if not text:
        return [text]
    found = text.split(mark)
    while found and not found[-1]:
        found.pop()
    return found


def worst(messages: Sequence[Message]) -> Severity | None:
    """The highest severity; None where nothing fires."""
    found = [SEVERITIES.index(message.severity) for message in messages]
    return SEVERITIES[max(found)] if found else None


def _note_process(case: Case, descriptor: str) -> None:
    """Count a facet among the group's processes, and take away the implied one it makes precise."""
    if descriptor not in case.of_group:
        return
    case.explicit.append(descriptor)
    for implied in case.implied:
        if case.within("process", descriptor, implied):
            case.implied.remove(implied)
            return
