"""Tables with columns code, name and parent; rows in any order.

Optional columns: description, synonyms (`a|b` or `a;b`, a backslash before a `|`, `;` or backslash
that belongs to a synonym), and names in other languages as `name_de`.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Sequence
from pathlib import Path

from cascade.errors import TaxonomyError
from cascade.taxonomy.draft import Draft, link
from cascade.taxonomy.formats.table import Table
from cascade.taxonomy.names import clean

_BAR = re.compile(r"(?<!\\)((?:\\\\)*)\|")
_SEMICOLON = re.compile(r"(?<!\\)((?:\\\\)*);")
_ESCAPED = re.compile(r"\\([\\|;])")


def matches(table: Table, sample: Sequence[Sequence[str]]) -> bool:
    """Whether there is a parent column and one with names."""
    return table.column("parent") is not None and _name_column(table) is not None


def read(table: Table, sample: Sequence[Sequence[str]]) -> Draft:
    """Nodes in the order of the rows.

    Without a code column the names are the codes, and parents are given by name.

    Raises
    ------
    TaxonomyError
        A row is broken, a code is given twice, a parent is unknown, or a cell is blank.
    """
    name_at, parent_at = _name_column(table), table.column("parent")
    assert name_at is not None and parent_at is not None
    code_at = table.column("code")
    code_at = name_at if code_at is None else code_at
    codes, names, parents, lines = [], [], [], array("q")
    cleaned: dict[str, str] = {}
    sides = _side_columns(table, name_at)
    described: list[tuple[int, list[str]]] = []
    for row, (line, cells) in enumerate(table.rows()):
        codes.append(clean(cells[code_at]))
        names.append(clean(cells[name_at]))
        if (parent := cells[parent_at]) not in cleaned:
            cleaned[parent] = clean(parent)
        parents.append(cleaned[parent])
        lines.append(line)
        if sides and any(cells[at] for at in sides):
            described.append((row, cells))
    file = table.file.path
    _check_blank(codes, names, table.header[code_at], lines, file)
    draft = Draft(codes, names, link(codes, parents, lines=lines, file=file), lines, file=file)
    if table.column("name") is None:
        draft.language = table.translations[name_at]
    for row, cells in described:
        _describe(draft, row, cells, table, name_at)
    return draft


def words_of(cell: str) -> list[str]:
    """Synonyms of a cell: split at `|`, or where there is none at `;`."""
    mark = _BAR if _BAR.search(cell) else _SEMICOLON
    words, start = [], 0
    for found in mark.finditer(cell):
        words.append(cell[start : found.end() - 1])
        start = found.end()
    return [_ESCAPED.sub(r"\1", word) for word in [*words, cell[start:]]]


def _name_column(table: Table) -> int | None:
    """The column of names; where there are only `name_de` and the like, the first of them."""
    found = table.column("name")
    return found if found is not None else next(iter(table.translations), None)


def _side_columns(table: Table, name_at: int) -> list[int]:
    found = [table.column("description"), table.column("synonyms"), *table.translations]
    return [at for at in found if at is not None and at != name_at]


def _describe(draft: Draft, row: int, cells: Sequence[str], table: Table, name_at: int) -> None:
    description, synonyms = table.column("description"), table.column("synonyms")
    draft.describe(
        row,
        "" if description is None else cells[description],
        [] if synonyms is None else words_of(cells[synonyms]),
        {tag: cells[at] for at, tag in table.translations.items() if at != name_at},
    )


def _check_blank(
    codes: Sequence[str], names: Sequence[str], heading: str, lines: Sequence[int], file: Path
) -> None:
    if "" in codes:
        row = codes.index("")
        raise TaxonomyError(
            f"blank code of node {names[row]!r}; each node needs one",
            file=file,
            line=lines[row],
            column=heading,
        )
