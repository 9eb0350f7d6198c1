"""JSON objects of texts and lists of texts that a model writes under a grammar.

    {"description": "Hats of straw.", "synonyms": ["straw hats"], "titles": ["Panama hat, 58 cm"]}

Fields come in the order in which they are named, each once. A text has no quotes, backslashes or
control characters, so that what was written is JSON however it is cut into tokens.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Record = Mapping[str, str | list[str]]
"""A text or a list of texts for each field."""

_TEXT = r'[^"\\\x00-\x1f\x7f]'


@dataclass(frozen=True)
class RecordField:
    """One field: a text, or a list of `least` to `most` texts.

    Parameters
    ----------
    longest
        Most characters of a text.
    least, most
        Texts of a list; `most` is 0 for a text that is no list.
    """

    name: str
    longest: int
    least: int = 0
    most: int = 0


@dataclass(frozen=True)
class RecordConstraint:
    """A JSON object with these fields, between a lead and an end; see `grammar`."""

    fields: tuple[RecordField, ...]
    lead: str
    end: str | None

    @property
    def longest(self) -> int:
        """Characters of the longest object, with lead and end."""
        around = len(self.lead) + len(self.end or "") + 2
        return around + sum(len(f.name) + 8 + max(f.most, 1) * (f.longest + 4) for f in self.fields)

    @property
    def lark(self) -> str:
        """As a Lark grammar, for llguidance."""
        return _grammar(self, ":", json.dumps, lambda n: f"/{_TEXT}{{1,{n}}}/", "start")

    @property
    def gbnf(self) -> str:
        """In GBNF."""
        return _grammar(self, " ::=", _gbnf_literal, lambda n: f"{_TEXT}{{1,{n}}}", "root")

    @property
    def schema(self) -> dict[str, Any]:
        """Its fields as a JSON schema."""
        return {
            field.name: _text(field)
            if not field.most
            else {
                "type": "array",
                "items": _text(field),
                "minItems": field.least,
                "maxItems": field.most,
            }
            for field in self.fields
        }

    def read(self, text: str) -> dict[str, str | list[str]]:
        """What was written, checked whole; texts that are too long are cut.

        Raises
        ------
        ValueError
            It is no such object.
        """
        try:
            found = json.loads(text.removeprefix(self.lead).removesuffix(self.end or ""))
        except (ValueError, RecursionError):
            raise ValueError(f"{text!r:.100}, which is no JSON object") from None
        if not isinstance(found, dict):
            raise ValueError(f"{text!r:.100}, which is no JSON object")
        return {field.name: _read(found.get(field.name), field) for field in self.fields}


def _read(value: Any, field: RecordField) -> str | list[str]:
    texts = value if field.most else [value]
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise ValueError(f"{value!r:.100} for {field.name!r}")
    cut = [text[: field.longest] for text in texts]
    return cut[: field.most] if field.most else cut[0]


def _text(field: RecordField) -> dict[str, Any]:
    return {"type": "string", "maxLength": field.longest}


def _gbnf_literal(text: str) -> str:
    spelled = (f"\\x{ord(char):02x}" if char < " " or char in '"\\\x7f' else char for char in text)
    return f'"{"".join(spelled)}"'


def _grammar(
    constraint: RecordConstraint, sign: str, literal: Any, characters: Any, start: str
) -> str:
    """The grammar in a notation: the sign between rule and body, literals, and runs of characters.

    Names of rules have letters alone, since GBNF takes no digits or underscores in all programs.
    """
    rules, parts, blank = [], [], ' | ""'
    for at, field in enumerate(constraint.fields):
        name = "abcdefghijklmnopqrstuvwxyz"[at]
        # In Lark what is a regular expression has a name in capitals.
        text = f"T{name.upper()}" if start == "start" else f"t{name}"
        rules.append(f"{text}{sign} {characters(field.longest)}")
        quoted = f"{literal(chr(34))} {text} {literal(chr(34))}"
        before = f"{'{' if not at else ', '}{json.dumps(field.name)}: "
        parts.append(literal(before))
        if not field.most:
            parts.append(quoted)
            continue
        parts.append(f"l{name}")
        rules.append(f"q{name}{sign} {quoted}")
        # One rule for each length, from the longest down: l -> "[" q r1 ..., r_k -> ", " q r_k+1.
        tail = ""
        for place in range(field.most - 1, 0, -1):
            more = f"{literal(', ')} q{name}{f' {tail}' if tail else ''}"
            rule = f"r{name}{'x' * place}"
            optional = place >= field.least
            rules.append(f"{rule}{sign} {more}{blank if optional else ''}")
            tail = rule
        body = f"{literal('[')} q{name}{f' {tail}' if tail else ''} {literal(']')}"
        none = f" | {literal('[]')}" if not field.least else ""
        rules.append(f"l{name}{sign} {body}{none}")
    lead = [literal(constraint.lead)] if constraint.lead else []
    end = [literal(constraint.end)] if constraint.end else []
    whole = " ".join([*lead, *parts, literal("}"), *end])
    return "\n".join([f"{start}{sign} {whole}", *rules]) + "\n"
