"""What the readers of formats hand over: nodes in file order, with the line of each."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cascade.errors import TaxonomyError
from cascade.taxonomy.close import hint

LANGUAGE = r"[A-Za-z]{2,3}(?:[-_][A-Za-z0-9]{2,8})*"
TOP_MARKERS = frozenset({"0", "-1", "null", "none", "nan", "\\n"})

_UNWANTED = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_INVISIBLE = re.compile("[\u200b\ufeff]")
_HALF = re.compile("[\ud800-\udfff]")


class Record(NamedTuple):
    """One node as a row: what `Taxonomy.from_records` takes.

    Parameters
    ----------
    parent_code
        Empty or None at the top.
    translations
        Names by language tag, for example `{"de": "Hut"}`.
    line
        Where the row stood, for messages.
    """

    code: str
    name: str
    parent_code: str | None = None
    description: str = ""
    synonyms: Sequence[str] = ()
    translations: Mapping[str, str] = {}
    line: int | None = None


@dataclass(slots=True)
class Draft:
    """Nodes in the order of a file, cleaned but not yet checked to be a tree.

    Parameters
    ----------
    codes, names
        One for each node; see `clean`.
    parent
        int32 [n], row of the parent, -1 at the top.
    lines
        Line of each node; empty where there are none.
    descriptions, synonyms, translations
        Sparse, by row.
    name, title, language
        Of the taxonomy; `language` is a tag such as `en`, empty where not stated.
    file
        For messages.
    distinct_siblings
        Append the code to a name that an earlier sibling has, with a warning, instead of refusing
        it. For coded catalogues of others, whose translations collide now and then.
    """

    codes: list[str]
    names: list[str]
    parent: NDArray[np.int32]
    lines: Sequence[int] = ()
    descriptions: dict[int, str] = field(default_factory=dict)
    synonyms: dict[int, tuple[str, ...]] = field(default_factory=dict)
    translations: dict[int, dict[str, str]] = field(default_factory=dict)
    name: str = ""
    title: str = ""
    language: str = ""
    file: str | None = None
    distinct_siblings: bool = False

    def line(self, row: int) -> int | None:
        """Line of a row, None where unknown."""
        return (self.lines[row] or None) if len(self.lines) else None

    def error(self, message: str, row: int) -> TaxonomyError:
        """An error at a row."""
        return TaxonomyError(message, file=self.file, line=self.line(row))

    def at(self, row: int) -> str:
        """` (line 3)`, or nothing where the line is unknown."""
        line = self.line(row)
        return f" (line {line})" if line else ""

    def describe(
        self,
        row: int,
        description: str = "",
        synonyms: Iterable[str] = (),
        translations: Mapping[str, str] | None = None,
    ) -> None:
        """Keep the side data of a row: blank parts and repeated synonyms are left out.

        Raises
        ------
        TaxonomyError
            A key of `translations` is no language tag.
        """
        if text := clean_text(description):
            self.descriptions[row] = text
        if words := tuple(dict.fromkeys(filter(None, map(clean, synonyms)))):
            self.synonyms[row] = words
        names = {tag: clean(name) for tag, name in (translations or {}).items()}
        for tag in names:
            if not re.fullmatch(LANGUAGE, tag):
                raise self.error(
                    f"translation into {tag!r}; expected a language tag such as 'de' or 'pt-BR'",
                    row,
                )
        if names := {tag: name for tag, name in names.items() if name}:
            self.translations[row] = names


def clean(text: str) -> str:
    """A code or a name on one line: no control characters, runs of blanks as one space."""
    if text.isprintable() and "  " not in text:
        return text.strip(" ")
    text = _INVISIBLE.sub("", _HALF.sub("\ufffd", _UNWANTED.sub(" ", text)))
    return " ".join(text.split())


def clean_text(text: str) -> str:
    """A description: lines end in a newline, no other control characters, trimmed."""
    if text.isprintable():
        return text.strip()
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    text = _HALF.sub("\ufffd", re.sub(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", " ", text))
    return text.strip("\ufeff").strip()


def link(
    codes: Sequence[str],
    parent_codes: Sequence[str],
    *,
    lines: Sequence[int] = (),
    file: str | None = None,
) -> NDArray[np.int32]:
    r"""Rows of parents given by code.

    A blank parent means the top, and so do `0`, `-1`, `NULL`, `None`, `nan` and `\N` where no
    node has that code.

    Returns
    -------
    int32 [n], -1 at the top.

    Raises
    ------
    TaxonomyError
        A code is given twice, or a parent is not among the codes.
    """
    row_of = dict(zip(codes, range(len(codes)), strict=True))
    if "" in row_of:
        raise _failure("a node without a code; give it one", codes.index(""), lines, file)
    if len(row_of) < len(codes):
        raise _duplicate(codes, lines, file)
    row_of[""] = -1
    rows = list(map(row_of.get, parent_codes))
    if None in rows:
        for row, code in enumerate(parent_codes):
            if rows[row] is None and code.casefold() not in TOP_MARKERS:
                others = [other for other in codes if other != codes[row]]
                raise _failure(
                    f"node {codes[row]!r} has parent {code!r}, which is no code of this taxonomy"
                    f"{hint(code, others)}; add that node, or leave the parent blank at the top",
                    row,
                    lines,
                    file,
                )
        rows = [-1 if parent is None else parent for parent in rows]
    return np.array(rows, dtype=np.int32)


def _duplicate(codes: Sequence[str], lines: Sequence[int], file: str | None) -> TaxonomyError:
    first: dict[str, int] = {}
    for row, code in enumerate(codes):
        if code in first:
            break
        first[code] = row
    before = f" by line {lines[first[code]]}" if len(lines) and lines[first[code]] else ""
    message = f"code {code!r} is already taken{before}; each node needs a code of its own"
    return _failure(message, row, lines, file)


def _failure(message: str, row: int, lines: Sequence[int], file: str | None) -> TaxonomyError:
    return TaxonomyError(message, file=file, line=lines[row] or None if len(lines) else None)


def check_codes(draft: Draft) -> None:
    """Refuse a blank or repeated code, and a blank name.

    Raises
    ------
    TaxonomyError
        With the line, and for a repeated code both lines.
    """
    for values, what in ((draft.codes, "code"), (draft.names, "name")):
        if "" in values:
            row = values.index("")
            other = draft.names[row] if what == "code" else draft.codes[row]
            known = f" (its {'name' if what == 'code' else 'code'} is {other!r})" if other else ""
            raise draft.error(f"a node without a {what}{known}; give it one", row)
    if len(set(draft.codes)) < len(draft.codes):
        raise _duplicate(draft.codes, draft.lines, draft.file)
