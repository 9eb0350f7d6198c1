"""The notation of FoodEx2 codes: `BASE#Fnn.DESCRIPTOR$Fnn.DESCRIPTOR`."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from cascade.errors import InputError
from cascade.taxonomy.facets import Facet
from cascade.taxonomy.lookup import unquoted_code

TERM = re.compile(r"[A-Z0-9]{5}")
CATEGORY = re.compile(r"F[0-9]{2}")
PLAIN = re.compile(r"[A-Z0-9]{5}(?:#F[0-9]{2}\.[A-Z0-9]{5}(?:\$F[0-9]{2}\.[A-Z0-9]{5})*)?")
_JOINTS = re.compile(r"\s*([#$.])\s*")
SHOWN = 60  # characters of a code in a message


def spelled(text: str) -> str:
    """A code as it is written in the catalogue: upper case, no blanks, see `unquoted_code`.

    Full-width signs become plain ones, and characters that nobody sees are left out.
    """
    return _capitals(_JOINTS.sub(r"\1", unquoted_code(text)))


def _capitals(text: str) -> str:
    """In upper case without moving a character: what has no single capital, as ß, stays."""
    if text.isascii():
        return text.upper()
    return "".join([high if len(high := sign.upper()) == 1 else sign for sign in text])


class CodeError(InputError):
    """A text that is no code.

    Parameters
    ----------
    position
        Character where it stops being one, counted from 1.
    """

    def __init__(self, text: str, position: int, problem: str) -> None:
        self.position = position
        shown = text if len(text) <= SHOWN else f"{text[:SHOWN]}..."
        super().__init__(f"{shown!r} is no FoodEx2 code: at character {position} {problem}")


@dataclass(frozen=True, slots=True)
class FoodCode:
    """A base term with explicit facets, in the order in which they were written."""

    base: str
    facets: tuple[Facet, ...] = ()

    @classmethod
    def parse(cls, text: str) -> FoodCode:
        """Read a code, see `spelled`.

        Raises
        ------
        CodeError
            The text is no code; says from which character on.
        """
        if PLAIN.fullmatch(text):  # nearly all, and there are many
            return cls(text[:5], tuple(Facet(f[:3], f[4:]) for f in text[6:].split("$") if f))
        code, start = spelled(text), len(text) - len(text.lstrip())
        if code != _capitals(text.strip()):  # places are those in what is read
            text, start = code, 0

        def wrong(at: int, expected: str) -> CodeError:
            found = f"found {code[at : at + 12]!r}" if at < len(code) else "it ends"
            return CodeError(text, start + at + 1, f"{found}; expected {expected}")

        base = TERM.match(code)
        if base is None:
            raise wrong(0, "a base term of 5 letters or digits, such as A0BXX")
        at = base.end()
        facets = []
        separator = "#"
        while at < len(code):
            if code[at] != separator:
                raise wrong(at, f"{separator!r} before a facet, or the end")
            category = CATEGORY.match(code, at + 1)
            if category is None:
                raise wrong(at + 1, "a facet category, such as F28")
            at = category.end()
            if not code.startswith(".", at):
                raise wrong(at, "'.' before a descriptor")
            descriptor = TERM.match(code, at + 1)
            if descriptor is None:
                raise wrong(at + 1, "a descriptor of 5 letters or digits, such as A07KG")
            at = descriptor.end()
            facets.append(Facet(category[0], descriptor[0]))
            separator = "$"
        return cls(base[0], tuple(facets))

    def __str__(self) -> str:
        return f"{self.base}#{'$'.join(map(str, self.facets))}" if self.facets else self.base

    def normalised(self, implied: Iterable[Facet] = ()) -> FoodCode:
        """The code with each explicit facet once, in order, without those that are implied.

        Parameters
        ----------
        implied
            What the base term says already: `Term.facets`.
        """
        return FoodCode(self.base, tuple(sorted(set(self.facets) - set(implied))))
