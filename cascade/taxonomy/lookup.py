"""Finding nodes by what people write: a code or a path, as it stands or as files distort it.

First a text is looked up as it stands. Only where that finds nothing it is compared by *form*,
which is the same for `A01PS`, `a01ps ` and full-width signs, for `110`, `110.0` and `'00110'`, and
for `A > B`, `a>b` and `A / B`. A form that two nodes share finds neither. At last a code and a name
beside each other (`110 Hammers`, `Hammers (110)`) find the node that has both.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from cascade.taxonomy.names import clean, match_code, normalize_code, unescape

if TYPE_CHECKING:
    from cascade.taxonomy.tree import Taxonomy

ARROW = re.compile(r"\s*>\s*")
SEPARATOR = re.compile(r"\s*(?:-{1,2}>|=>|>{1,3}|[›»→⟩|/\\¦;\t\n]|::)\s*|\s+-+\s+")
"""What people write between the names of a path."""

_QUOTES = "\"'`´‘’‚‛“”„‟«»‹›"
_NUMBER = re.compile(r"(\d+)(?:\.(\d*))?", re.ASCII)
_JOINT = "\x1f"
_BRACKETS = "()[]{}"
_EDGES = f"{_BRACKETS}{_JOINT} -:=.,;_"
"""What may stand around a name that is written beside its code."""
_TRAIL = re.compile(r"(?<=\S)(?:\s*(?:>|\||/|\\\\|::))+\s*\Z")
"""Separators behind the last name of a path."""

_BREAK = re.compile(r"[\W_]+")
_BREAKS = 16  # places from either end of a text at which a code may end
_SEVERAL = -1


def plain(text: str) -> str:
    """A text in one form of Unicode (NFKC), with plain dashes and blanks and nothing invisible."""
    text = unescape(text)
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text)
        kinds = [(unicodedata.category(sign), sign) for sign in text]
        text = "".join(["-" if kind == "Pd" else sign for kind, sign in kinds if kind != "Cf"])
    return clean(text)


def unquoted_code(text: str) -> str:
    """A code in plain signs, without quotes around it and dots at its end."""
    return normalize_code(plain(text)).rstrip(". ").strip(_QUOTES + " ").rstrip(". ")


def loose_code(text: str) -> str:
    """A code without what only writing changes: case, quotes around it, dots at its end."""
    return unquoted_code(text).casefold()


def code_form(text: str) -> str:
    """What a code has in common with the same code written otherwise.

    As `loose_code`; of a number neither zeros at its beginning nor zeros behind its point count.
    """
    text = loose_code(text)
    if number := _NUMBER.fullmatch(text):
        whole, fraction = number[1].lstrip("0") or "0", (number[2] or "").rstrip("0")
        return f"{whole}.{fraction}" if fraction else whole
    return text


def path_form(text: str) -> str:
    """What a path has in common with the same path in other case, with other separators."""
    text = SEPARATOR.sub(_JOINT, _separated(text).strip(_QUOTES + " ").casefold())
    return text.rstrip(". ") or text


def unescaped(text: str) -> str:
    """A text with `&gt;`, `&amp;` and the like of web pages as the signs that they are."""
    return html.unescape(html.unescape(text)) if "&" in text and ";" in text else text


def _separated(text: str) -> str:
    """A text as `plain`, but with its tabs and line ends, and `&gt;` as the sign that it is."""
    text = unescaped(text)
    if "\t" not in text and "\n" not in text:
        return plain(text)
    return "\t".join(map(plain, re.split(r"[\t\r\n]+", text.strip())))


class NodeFinder:
    """Finds the nodes of a taxonomy; what it needs is made when it is first asked for."""

    def __init__(self, taxonomy: Taxonomy, index: dict[str, int]) -> None:
        self._taxonomy, self._index = taxonomy, index
        self._names = _ChildrenByName(taxonomy, lambda name: ARROW.sub(">", name))
        self._forms = _ChildrenByName(taxonomy, path_form)

    def find(self, text: str) -> int | None:
        """Index of the node with a code or at a path, as it stands or else by its form."""
        found = self.as_written(text)
        return self.by_form(text) if found is None else found

    def as_written(self, text: str) -> int | None:
        """Index of the node with a code, or at a path however spaced around `>`."""
        known = match_code(text, self._index)
        if known is not None:
            return self._index[known]
        return self._names.descend(ARROW.sub(">", clean(text)), ">")

    def by_form(self, text: str) -> int | None:
        """Index of the one node whose code has this form, or else of the one at such a path."""
        form = code_form(text)
        found = self._code_forms.get(form) if form else None
        if found is None:
            found = self._forms.descend(path_form(text), _JOINT)
        if found is None and (shorter := _TRAIL.sub("", text)) != text:  # names of no level below
            return self.find(shorter)
        if found is None:
            text = plain(text).strip(_QUOTES + " ")
            found = self._with_name(text)
            found = self._along(SEPARATOR.split(_separated(text))) if found is None else found
        return None if found == _SEVERAL else found

    def _with_name(self, text: str) -> int | None:
        """The one node whose code stands in front of its name or path, or behind it."""
        gaps = [gap.span() for gap in _BREAK.finditer(text)]
        found: set[int] = set()
        for start, end in gaps[:_BREAKS]:
            codes = self._with_code(text[:start]), self._with_code(text[:end])
            found.update(node for node in codes if self._has_name(node, text[start:]))
        for start, end in gaps[-_BREAKS:]:
            codes = self._with_code(text[end:]), self._with_code(text[start:])
            found.update(node for node in codes if self._has_name(node, text[:end]))
        return found.pop() if len(found) == 1 else None

    def _along(self, parts: Sequence[str]) -> int | None:
        """The node at the end of a path whose names, some or all, stand beside their codes."""
        above = -1
        for part in parts:
            node = self._forms.child(path_form(part), above)
            if node < 0:
                coded = self._with_name(part)
                coded = self._with_code(part) if coded is None else coded
                if coded < 0 or int(self._taxonomy.parent[coded]) != above:
                    return None
                node = coded
            above = node
        return above

    def _with_code(self, text: str) -> int:
        """The node with a code that may stand in brackets, negative if there is none."""
        for written in dict.fromkeys((text.strip(), text.strip(_BRACKETS + " "))):
            known = match_code(written, self._index)
            if known is not None:
                return self._index[known]
            if (found := self._code_forms.get(code_form(written), _SEVERAL)) >= 0:
                return found
        return _SEVERAL

    def _has_name(self, node: int, text: str) -> bool:
        if node < 0:
            return False
        form = path_form(text).strip(_EDGES)
        own = self._taxonomy.names[node], self._taxonomy.path(node)
        return bool(form) and form in [path_form(name).strip(_EDGES) for name in own]

    @cached_property
    def _code_forms(self) -> dict[str, int]:
        return _unambiguous(
            zip(map(code_form, self._taxonomy.codes), range(len(self._taxonomy)), strict=True)
        )


class _ChildrenByName:
    """Goes down paths of names; the children of a node are kept, as many paths go through few."""

    def __init__(self, taxonomy: Taxonomy, form: Callable[[str], str]) -> None:
        self._taxonomy, self._form = taxonomy, form
        self._known: dict[int, dict[str, int]] = {}

    def descend(self, rest: str, joint: str, above: int = -1) -> int | None:
        """The descendant of `above` at a path; names may contain the joint."""
        below = self._below(above)
        cut = rest.find(joint)
        while cut >= 0:
            child = below.get(rest[:cut], _SEVERAL)
            found = None if child < 0 else self.descend(rest[cut + 1 :], joint, child)
            if found is not None:
                return found
            cut = rest.find(joint, cut + 1)
        return below.get(rest)

    def child(self, form: str, above: int) -> int:
        """The child of `above` with a name of this form, negative if there is none."""
        return self._below(above).get(form, _SEVERAL)

    def _below(self, above: int) -> dict[str, int]:
        if above not in self._known:
            children = self._taxonomy.children(above).tolist()
            names = [self._form(self._taxonomy.names[child]) for child in children]
            self._known[above] = _unambiguous(zip(names, children, strict=True))
        return self._known[above]


def _unambiguous(pairs: Iterable[tuple[str, int]]) -> dict[str, int]:
    """Node by form; `_SEVERAL` for a form of more than one."""
    found: dict[str, int] = {}
    for form, node in pairs:
        found[form] = _SEVERAL if form in found else node
    return found
