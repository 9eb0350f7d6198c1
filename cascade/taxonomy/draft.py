"""The nodes that a format reads, in file order, before they are checked to be a tree."""

from __future__ import annotations

import logging
import re
from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, Self
from unicodedata import normalize

from cascade.errors import TaxonomyError, did_you_mean
from cascade.taxonomy.lookup import loose_code
from cascade.taxonomy.names import (
    PATH_SEPARATOR,
    clean,
    clean_text,
    match_code,
    normalize_code,
    unescape,
)

logger = logging.getLogger(__name__)

LANGUAGE = r"[A-Za-z]{2,3}(?:[-_][A-Za-z0-9]{2,8})*"
DEEPEST = 100
"""Levels that a taxonomy may have.

Of published ones those of living beings are the deepest, with about 40. The codes of nodes that
have none are their paths, and some arrays have a row for each level: what is a thousand levels deep
by mistake would need gigabytes.
"""
TOP_MARKERS = frozenset(
    (
        *("0", "-1", "null", "(null)", "none", "nan", "na", "n/a", "#n/a", "<na>", "\\n", "nil"),
        *("undefined", "#", "-", "--", "\u2013", "\u2014"),
    )
)
"""What files write for no parent, where no node has that code."""
_TOPS = frozenset(
    (
        *("root", "(root)", "_root", "__root__", "root category", "top", "top level", "toplevel"),
        *("total", "all", "home", "default category", "no parent", "thing", "owl:thing", "*"),
    )
)
"""What files call the node above all others, which need not be in them."""


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


class MachineTexts(NamedTuple):
    """What a language model wrote about a node, kept apart from what people did.

    Parameters
    ----------
    titles
        As sellers or respondents would write of a thing that belongs to the node.
    """

    description: str = ""
    synonyms: tuple[str, ...] = ()
    titles: tuple[str, ...] = ()

    @classmethod
    def cleaned(cls, description: str, synonyms: Iterable[str], titles: Iterable[str]) -> Self:
        """On one line each, without blank and repeated ones."""
        words, lines = (
            tuple(dict.fromkeys(filter(None, map(clean, texts)))) for texts in (synonyms, titles)
        )
        return cls(clean_text(description), words, lines)


@dataclass(slots=True)
class Draft:
    """The nodes of a taxonomy in any order. A node is named by its row, an int from 0.

    Parameters
    ----------
    codes, names
        One for each node, see `clean`.
    parent
        Row of the parent, -1 at the top; filled by `add` or by `link`.
    lines
        Line of each node in the file, 0 where unknown.
    descriptions, synonyms, translations, machine
        Sparse, by row; `machine` is what a language model wrote.
    name, title, language
        Of the taxonomy; `language` is a tag such as `en`, empty where not stated.
    file
        For messages.
    distinct_siblings
        Append the code to a name that an earlier sibling has, with a warning, instead of refusing
        it. For coded catalogues of others, whose translations collide now and then.
    deprecated
        Codes that are no nodes any more, each with a sentence that says so and what replaces it.
    """

    codes: list[str] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    parent: array[int] = field(default_factory=lambda: array("i"))
    lines: array[int] = field(default_factory=lambda: array("q"))
    descriptions: dict[int, str] = field(default_factory=dict)
    synonyms: dict[int, tuple[str, ...]] = field(default_factory=dict)
    translations: dict[int, dict[str, str]] = field(default_factory=dict)
    machine: dict[int, MachineTexts] = field(default_factory=dict)
    name: str = ""
    title: str = ""
    language: str = ""
    file: str | Path | None = None
    distinct_siblings: bool = False
    deprecated: dict[str, str] = field(default_factory=dict)

    def add(self, name: str, code: str = "", parent: int = -1, line: int = 0) -> int:
        """Add a node and return its row; name and code are cleaned."""
        self.names.append(clean(unescape(name)))
        self.codes.append(normalize_code(code))
        self.parent.append(parent)
        self.lines.append(line)
        return len(self.names) - 1

    def describe(
        self,
        row: int,
        description: str = "",
        synonyms: Iterable[str] = (),
        translations: Mapping[str, str] | None = None,
    ) -> None:
        """Keep what else is known of a node; blank parts and repeated synonyms are left out.

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

    def tell_uncoded(self, rows: Iterable[int]) -> None:
        """Warn of those of some rows that have no code, if others of them have one."""
        rows = list(rows)
        left = [row for row in rows if not self.codes[row]]
        if left and len(left) < len(rows):
            shown = ", ".join(f"{self.names[row]!r}{self.at(row)}" for row in left[:3])
            logger.warning(
                "%s: %d nodes have no code, though others have (%s%s); their code is their path",
                self.file,
                len(left),
                shown,
                ", ..." if len(left) > 3 else "",
            )

    def code_by_path(self) -> None:
        """Give each node without a code its path, `A > B > C`; parents come before children."""
        paths: list[str] = []
        for row, (name, above) in enumerate(zip(self.names, self.parent, strict=True)):
            paths.append(paths[above] + PATH_SEPARATOR + name if above >= 0 else name)
            self.codes[row] = self.codes[row] or paths[row]

    def link(self, parent_codes: Sequence[str]) -> None:
        r"""Set the parents by their codes, one for each node; see `match_code`.

        A blank parent means the top, and so do `0`, `-1`, `NULL`, `NA`, `#` and others where no
        node has that code. Words such as `ROOT` do, too, with a warning, and so do parents that are
        written otherwise than the code they mean, see `loose_code`, and nodes that are their own.

        Raises
        ------
        TaxonomyError
            A code is blank or given twice, or a parent is not among the codes.
        """
        row_of = dict(zip(self.codes, range(len(self.codes)), strict=True))
        if "" in row_of or len(row_of) < len(self.codes):
            self.check_codes()
        row_of[""] = -1
        rows = [row_of.get(code, -2) for code in parent_codes]
        if -2 in rows or any(row == above for row, above in enumerate(rows)):
            self._link_otherwise(rows, parent_codes, row_of)
        self.parent = array("i", rows)

    def _link_otherwise(
        self, rows: list[int], parent_codes: Sequence[str], row_of: dict[str, int]
    ) -> None:
        """Fill the rows of parents that are no codes as they stand, which are -2."""
        loose: dict[str, int] = {}
        told: dict[str, str] = {}
        for row, code in enumerate(parent_codes):
            if rows[row] != -2:
                continue
            if (known := match_code(code, row_of)) is not None:
                rows[row] = row_of[known]
                continue
            if code.casefold() in TOP_MARKERS:
                rows[row] = -1
                continue
            if not loose:
                for at, own in enumerate(self.codes):
                    form = loose_code(own)
                    loose[form] = -2 if form in loose else at
            rows[row] = loose.get(loose_code(code), -2)
            if rows[row] >= 0:
                told.setdefault(code, f"{code!r} is read as {self.codes[rows[row]]!r}")
            elif code.casefold() in _TOPS:
                rows[row] = -1
                told.setdefault(code, f"{code!r} is no node, and what is below it is at the top")
            else:
                raise self._unknown_parent(row, code)
        for row, above in enumerate(rows):
            if above == row:
                rows[row] = -1
                own = parent_codes[row]
                told[own] = f"{own!r} is that of the node itself, which is at the top"
        if told:
            more = f"; and {len(told) - 3} more" if len(told) > 3 else ""
            logger.warning(
                "%s: of the parents, %s%s", self.file, "; ".join([*told.values()][:3]), more
            )

    def _unknown_parent(self, row: int, code: str) -> TaxonomyError:
        own = self.codes[row]
        if code.isdecimal() and (padded := [c for c in self.codes if c.lstrip("0") == code]):
            return self.error(
                f"node {own!r} has parent {code!r}, which is no code of this taxonomy, but "
                f"{padded[0]!r} is: zeros in front were lost, as spreadsheets do; format the "
                "columns of codes as text",
                row,
            )
        if code in self.names:
            named = self.codes[self.names.index(code)]
            return self.error(
                f"node {own!r} has parent {code!r}, which is the name of {named!r}; parents are "
                "given by their codes, so write those",
                row,
            )
        close = did_you_mean(code, [other for other in self.codes if other != own])
        return self.error(
            f"node {own!r} has parent {code!r}, which is no code of this taxonomy{close}; add "
            "that node, or leave the parent blank at the top",
            row,
        )

    def check_codes(self) -> None:
        """Refuse a blank or repeated code, and a blank name.

        Raises
        ------
        TaxonomyError
            With the line, and for a repeated code both lines.
        """
        for what, values, others in (
            ("code (its name is {!r})", self.codes, self.names),
            ("name (its code is {!r})", self.names, self.codes),
        ):
            if "" in values:
                row = values.index("")
                raise self.error(
                    f"a node without a {what.format(others[row])}; give it one, or remove the row "
                    "if it is a note and no node",
                    row,
                )
        if len(set(self.codes)) == len(self.codes):
            return
        first: dict[str, int] = {}
        for row, code in enumerate(self.codes):
            if (before := first.setdefault(code, row)) != row:
                line = self.line(before)
                taken = f" by line {line}" if line else ""
                number = re.fullmatch(r"\d(?:\.\d+)?[eE]\+?\d+", code)
                shortened = " (a spreadsheet shortened it: format the column as text)"
                raise self.error(
                    f"code {code!r}{shortened if number else ''} is already taken{taken}; each "
                    "node needs a code of its own",
                    row,
                )

    def line(self, row: int) -> int | None:
        """Line of a node, None where unknown."""
        return (self.lines[row] or None) if len(self.lines) else None

    def at(self, row: int) -> str:
        """` (line 3)`, or nothing where the line is unknown."""
        line = self.line(row)
        return f" (line {line})" if line else ""

    def error(self, message: str, row: int, column: str | None = None) -> TaxonomyError:
        """An error at a node."""
        return TaxonomyError(message, file=self.file, line=self.line(row), column=column)


class PathTree:
    """Makes a draft of paths: nodes above may be implied, codes may come later or never."""

    def __init__(self, file: str | Path | None = None) -> None:
        self.draft = Draft(file=file)
        self._row: dict[tuple[int, str], int] = {}
        self._given: set[int] = set()

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
        draft, code = self.draft, normalize_code(code)
        names = [clean(unescape(name)) for name in names]
        if not names or "" in names:
            path = PATH_SEPARATOR.join(names)
            raise TaxonomyError(
                f"path {path!r} has a blank name", file=draft.file, line=line or None
            )
        if len(names) > DEEPEST:
            shown = PATH_SEPARATOR.join(names[:3])
            raise TaxonomyError(
                f"path '{shown} > ...' has {len(names):,} levels; at most {DEEPEST} are possible",
                file=draft.file,
                line=line or None,
            )
        row = -1
        for name in names:
            key = row, name if name.isascii() else normalize("NFC", name)
            found = self._row.get(key)
            if found is None:
                found = self._row[key] = draft.add(name, parent=row, line=line)
            row = found
        if row in self._given and (once or code != draft.codes[row]):
            raise self._repeated(names, code, row, line)
        if row not in self._given:
            self._given.add(row)
            draft.lines[row], draft.codes[row] = line, code
        return row

    def _repeated(self, names: Sequence[str], code: str, row: int, line: int) -> TaxonomyError:
        draft, path = self.draft, PATH_SEPARATOR.join(names)
        before = f"on line {draft.lines[row]}" if draft.lines[row] else "before"
        if code == draft.codes[row]:
            found = f"path {path!r} was given {before} already"
        else:
            found = f"path {path!r} has code {code!r} here but {draft.codes[row]!r} {before}"
        return TaxonomyError(
            f"{found}; each node is listed once (are these labelled rows, not a taxonomy?)",
            file=draft.file,
            line=line or None,
        )

    def finish(self) -> Draft:
        """The draft, with paths for codes where none were given.

        Where some inner nodes have codes, those without a line of their own are told in a warning.
        """
        draft = self.draft
        draft.tell_uncoded(sorted(self._given))
        inner = set(draft.parent) - {-1}
        if any(draft.codes[row] for row in inner) and (left := sorted(inner - self._given)):
            shown = ", ".join(repr(draft.names[row]) for row in left[:3])
            logger.warning(
                "%s: %d nodes are in paths, but have no line and no code of their own (%s%s); "
                "their code is their path",
                draft.file,
                len(left),
                shown,
                ", ..." if len(left) > 3 else "",
            )
        draft.code_by_path()
        return self.draft
