"""What the readers of formats hand over: nodes in file order, with the line of each."""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cascade.errors import TaxonomyError, did_you_mean
from cascade.taxonomy.names import PATH_SEPARATOR, clean, clean_text

LANGUAGE = r"[A-Za-z]{2,3}(?:[-_][A-Za-z0-9]{2,8})*"
TOP_MARKERS = frozenset({"0", "-1", "null", "none", "nan", "\\n"})


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
    file: str | Path | None = None
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


def link(
    codes: Sequence[str],
    parent_codes: Sequence[str],
    *,
    lines: Sequence[int] = (),
    file: str | Path | None = None,
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
                    f"{did_you_mean(code, others)}; add that node, or leave the parent blank at "
                    "the top",
                    row,
                    lines,
                    file,
                )
        rows = [-1 if parent is None else parent for parent in rows]
    return np.array(rows, dtype=np.int32)


def _duplicate(
    codes: Sequence[str], lines: Sequence[int], file: str | Path | None
) -> TaxonomyError:
    first: dict[str, int] = {}
    for row, code in enumerate(codes):
        if code in first:
            break
        first[code] = row
    before = f" by line {lines[first[code]]}" if len(lines) and lines[first[code]] else ""
    message = f"code {code!r} is already taken{before}; each node needs a code of its own"
    return _failure(message, row, lines, file)


def _failure(
    message: str, row: int, lines: Sequence[int], file: str | Path | None
) -> TaxonomyError:
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


class PathTree:
    """Collects paths in file order.

    A node without a code gets its path, `A > B > C`, for a code: it stays the same as long as the
    names do.
    """

    def __init__(self, file: str | Path | None = None) -> None:
        self._file = file
        self._row: dict[tuple[int, str], int] = {}
        self._names: list[str] = []
        self._codes: list[str] = []
        self._parent = array("i")
        self._lines = array("q")
        self._given: dict[int, int] = {}

    def add(
        self, names: Sequence[str], code: str = "", *, line: int = 0, once: bool = False
    ) -> int:
        """Add a path, top first, and return the row of its last node.

        Parameters
        ----------
        once
            Refuse a path that was given before; else it counts once.

        Raises
        ------
        TaxonomyError
            A name of the path is blank, or the path was given before, perhaps with another code.
        """
        row = -1
        for name in names:
            key = (row, clean(name))
            if not key[1]:
                path = PATH_SEPARATOR.join(map(clean, names))
                raise self._error(f"path {path!r} has a blank name", line)
            found = self._row.get(key)
            row = self._new(key, line) if found is None else found
        if row < 0:
            raise self._error("a path without any name", line)
        if row in self._given and (once or code != self._codes[row]):
            raise self._repeated(names, code, row, line)
        if row not in self._given:
            self._given[row] = line
            self._lines[row] = line
            self._codes[row] = clean(code)
        return row

    def _new(self, key: tuple[int, str], line: int) -> int:
        row = self._row[key] = len(self._names)
        self._parent.append(key[0])
        self._names.append(key[1])
        self._codes.append("")
        self._lines.append(line)
        return row

    def _repeated(self, names: Sequence[str], code: str, row: int, line: int) -> TaxonomyError:
        path = PATH_SEPARATOR.join(map(clean, names))
        before = f"line {self._given[row]}" if self._given[row] else "before"
        if code == self._codes[row]:
            found = f"path {path!r} was given on {before} already"
        else:
            found = f"path {path!r} has code {code!r} here but {self._codes[row]!r} on {before}"
        return self._error(
            f"{found}; each node stands once (are these labelled rows, not a taxonomy?)", line
        )

    def _error(self, message: str, line: int) -> TaxonomyError:
        return TaxonomyError(message, file=self._file, line=line or None)

    def draft(self) -> Draft:
        """What was collected, with paths for codes where none were given."""
        paths: list[str] = []
        for name, above in zip(self._names, self._parent, strict=True):
            paths.append(paths[above] + PATH_SEPARATOR + name if above >= 0 else name)
        codes = [code or path for code, path in zip(self._codes, paths, strict=True)]
        return Draft(
            codes,
            self._names,
            np.array(self._parent, dtype=np.int32),
            self._lines,
            file=self._file,
        )
