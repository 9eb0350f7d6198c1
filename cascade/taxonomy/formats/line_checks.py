"""Lines that are more than names or paths of names: codes, signs for depth, addresses, columns."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

from cascade.taxonomy.formats.file import TaxonomyFile
from cascade.taxonomy.formats.separators import ARROW, doubt
from cascade.taxonomy.formats.tables.problems import problem
from cascade.taxonomy.formats.tables.table import TaxonomyTable

_CODED = re.compile(
    r"\s*[\"']?[A-Za-z]{0,3}[-_]?\d[\w.-]*[\"']?\s*(?:[,;:|\t=)\]]|[-\u2013\u2014] )"
)
_TAILED = re.compile(r".*(?:[,;|\t]\s*|\s*[\[(])[\"']?[A-Za-z]{0,3}[-_]?\d[\w.-]*[\"']?[\])]?\s*")
_ENDED = re.compile(r".*\S\s+[A-Z]{1,3}\d{2,}[\d.]*\s*")
_DIVIDED = re.compile(r"\s*[A-Z]{0,2}\d{1,3}[A-Z]?\s?\d{0,4}/\d{2,6}\b")
_MARKED = re.compile(r"\s*(?:(?:--|\*\*|\+\+|\.\.|>>)[-*+.>]*\s*|[-*+.]\s+[-*+.]\s+)[^-*+.>\s]")
_BULLET = re.compile(r"\s*[-*+\u2022\u2013\u00b7]\s+\S")
_NUMBER = re.compile(r"\s*[A-Z]{0,3}\d+(?:\.\d+)*\.?\s+[^\s>]")
_NUMBERED = re.compile(r"\s*(?:[A-Z]\d[\d.]*|\d[\d.-]*[A-Z]?|[A-Za-z]{1,2}\d{3,}[\w.]*)\s+[^\s>]")
_ITEM = re.compile(r"\s*\(?(?:\d+|[A-Za-z]|[ivxIVX]+)[.)]\s+\S")
_HEADING = re.compile(r"#{2,6} ", re.MULTILINE)
_ADDRESS = re.compile(r"\s*[a-z][a-z0-9+.-]*://\S")

_TABLE = "write a table with a header code,name,parent"


def refuse_more_than_names(file: TaxonomyFile, separator: str) -> None:
    """Refuse lines with codes, and plain names where something says that they are not all.

    Raises
    ------
    TaxonomyError
        They have; the first such line is named.
    """
    lines = [text for _, text in file.head]
    first = file.head[0][0]
    _refuse_codes(file, lines, first)
    if separator == "/" and _most(lines, _DIVIDED):
        raise file.error(
            f"lines begin with codes that have a '/' inside, such as {_shown(lines, _DIVIDED)!r}, "
            f"and nothing says which node is above which; {_TABLE}",
            first,
        )
    if _most(lines, _ADDRESS):
        raise file.error(
            f"{lines[0][:80]!r} and others are addresses, and no paths of names; {_TABLE}", first
        )
    if tabbed := next((at for at, line in file.head if _is_tabbed(line)), None):
        raise file.error(
            "a tab stands inside of this line, so it has more than a name or a path; "
            f"{_TABLE}, or a blank for the tab",
            tabbed,
        )
    if separator == ARROW and 2 * sum(ARROW in line for line in lines) < len(lines):
        _refuse_depth(file, lines, first)


def _refuse_codes(file: TaxonomyFile, lines: Sequence[str], first: int) -> None:
    """Refuse lines that begin or end with codes."""
    numbered = any(ARROW in line for line in lines) and all(map(_NUMBER.match, lines))
    if len(lines) > 1 and (_most(lines, _CODED, beyond=True) or numbered):
        table = TaxonomyTable.sniff(file)
        if table and len(table.header) > 1 and not _CODED.match(lines[0]):
            raise file.error(problem(table), table.line)
        raise file.error(
            f"{lines[0][:80]!r} and others begin with a code; put a header above them and name "
            "its columns code,path, or code,name,parent, with one delimiter",
            first,
        )
    ends = [line[-60:] for line in lines]
    tailed = 2 * sum(bool(_TAILED.fullmatch(end)) for end in ends) > len(ends)
    if len(lines) > 1 and (tailed or (len(lines) > 2 and all(map(_ENDED.fullmatch, ends)))):
        raise file.error(
            f"{lines[0][:80]!r} and others end in a code; put a header above them and name its "
            "columns path,code, with one delimiter",
            first,
        )


def _refuse_depth(file: TaxonomyFile, lines: Sequence[str], first: int) -> None:
    """Refuse names in which signs, numbers or headings seem to say how deep they are."""
    marked = next((at for at, line in file.head if _MARKED.match(line)), None)
    bullets = [at for at, line in file.head if _BULLET.match(line)]
    if marked or 0 < len(bullets) < len(lines):
        raise file.error(
            "signs in front of names seem to say how deep they are; write blanks for them, two "
            "more for each level, or lines of 'A > B > C'",
            marked or bullets[0],
        )
    if _most(lines, _NUMBERED) or (len(lines) > 2 and _most(lines, _ITEM)):
        raise file.error(
            f"{lines[0][:80]!r} and others begin with a code, but nothing says which node is above "
            f"which; {_TABLE}",
            first,
        )
    if unclear := doubt(lines, "lines"):
        raise file.error(unclear, first)
    if _HEADING.search(file.text):
        raise file.error(
            "lines that begin with ## are headings of Markdown, and comments here; write names "
            "below others with more blanks in front, or all as 'A > B > C'",
            file.line_of("## "),
        )


def _most(lines: Sequence[str], form: re.Pattern[str], *, beyond: bool = False) -> bool:
    """Whether at least half of several lines begin in a form; or more than half."""
    found = sum(bool(form.match(line)) for line in lines)
    return len(lines) > 1 and 2 * found >= len(lines) + beyond


def _is_tabbed(line: str) -> bool:
    """Whether a tab stands between two names without a `>` beside it."""
    parts = [part for part in map(str.strip, line.split("\t")) if part]
    return any(not a.endswith(ARROW) and not b.startswith(ARROW) for a, b in pairwise(parts))


def _shown(lines: Sequence[str], form: re.Pattern[str]) -> str:
    return next(line for line in lines if form.match(line))[:80]
