"""Tables with one column for each level; cells left blank at the end make a higher node."""

from __future__ import annotations

import re
from collections.abc import Sequence

from cascade.errors import TaxonomyError
from cascade.taxonomy.draft import Draft, PathTree
from cascade.taxonomy.formats.table import COLUMNS, Table

_NUMBERED = re.compile(
    r"(?:.*_)?(?:levels?|lvl|l|cat|category|tier|depth|ebene|niveau|nivel|livello|hierarchy)"
    r"_?(\d{1,2})(?:_(?:name|label|title|category))?"
)
_RANK = re.compile(
    r"(?:sub_?)*(?:sector|segment|division|department|section|group|family|category|class|brick|"
    r"type)(?:_(?:name|title))?"
)
_LONGEST = 120


def matches(table: Table, sample: Sequence[Sequence[str]]) -> bool:
    """Whether headings number or rank the columns, or all columns together are hierarchical."""
    return bool(_level_columns(table, sample))


def read(table: Table, sample: Sequence[Sequence[str]]) -> Draft:
    """Nodes in the order in which they are first mentioned; a code is that of the deepest name.

    Raises
    ------
    TaxonomyError
        A row is broken, is given twice, or has a blank level above a filled one.
    """
    columns = _level_columns(table, sample)
    code_at = table.column("code")
    code_at = None if code_at in columns else code_at
    text_at = table.column("description")
    tree = PathTree(table.file.path)
    descriptions: dict[int, str] = {}
    for line, cells in table.rows(short=True):
        names = [cells[at].strip() for at in columns]
        while names and not names[-1]:
            names.pop()
        if "" in names or not names:
            blank = table.header[columns[names.index("") if names else 0]]
            raise TaxonomyError(
                "this level is blank but one below it is not; fill it in (cells may be left blank "
                "only at the end of a row)",
                file=table.file.path,
                line=line,
                column=blank,
            )
        row = tree.add(names, "" if code_at is None else cells[code_at], line=line, once=True)
        if text_at is not None and text_at not in columns:
            descriptions[row] = cells[text_at]
    draft = tree.draft()
    for row, description in descriptions.items():
        draft.describe(row, description)
    return draft


def _level_columns(table: Table, sample: Sequence[Sequence[str]]) -> list[int]:
    """Columns of names, top first; empty where this is no such table."""
    numbered: dict[int, int] = {}
    for at, word in enumerate(table.keys):
        if found := _NUMBERED.fullmatch(word):
            numbered.setdefault(int(found[1]), at)
    if len(numbered) > 1:
        return [numbered[number] for number in sorted(numbered)]
    ranked = [at for at, word in enumerate(table.keys) if _RANK.fullmatch(word)]
    if len(ranked) > 1:
        return ranked
    return list(range(len(table.header))) if _hierarchical(table, sample) else []


def _hierarchical(table: Table, sample: Sequence[Sequence[str]]) -> bool:
    """Whether the content alone shows a hierarchy, whatever the headings.

    The first column has each value about twice or more, the second tells more apart, no row
    repeats, blank cells stand at the end only, and cells are short and no numbers.
    """
    known = frozenset().union(*(words for what, words in COLUMNS.items() if what != "category"))
    width = len(table.header)
    if width < 2 or len(sample) < 2 or known.intersection(table.keys) or "" in table.keys:
        return False
    rows = [tuple(cell.strip() for cell in row) for row in sample]
    for row in rows:
        depth = sum(map(bool, row))
        if not all(row[:depth]) or any(len(c) > _LONGEST or _is_number(c) for c in row):
            return False
    tops, below = len({row[0] for row in rows}), len({row[:2] for row in rows})
    return tops < below and 2 * tops <= len(rows) and len(set(rows)) == len(rows)


def _is_number(cell: str) -> bool:
    return bool(re.fullmatch(r"[-+]?[\d.,]*\d[\d.,]*\s*(?:%|[$€£])?", cell))
