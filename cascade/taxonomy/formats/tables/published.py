"""Tables of published vocabularies: ESCO, NACE and others of Eurostat, ISCO, CPV, exports of SKOS.

Their headings are words of their own (`roles` knows them), `Description` may be the name, and what
is above a node stands

- in a column of parents, perhaps several in a cell, or in one table of pairs;
- in a column of levels, the rows in the order of the tree;
- in the code itself, where that is certain: CPV, ISCO, ESCO, dotted codes such as `1.2.3` if all of
  their parents are there, and codes that begin with those above them (ISIC, NAICS, HS) if the rows
  are in the order of the tree and all codes of a level have one length.

Tables whose headings the other modules know are theirs.
"""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Iterator
from functools import partial

from cascade.taxonomy.draft import Draft
from cascade.taxonomy.formats.tables.headings import heading_key, is_parent
from cascade.taxonomy.formats.tables.machine import keep_machine_texts
from cascade.taxonomy.formats.tables.roles import (
    ABOVE,
    ADDRESSES,
    IN_USE,
    NO_CODE,
    Roles,
    key_of,
    roles_of,
)
from cascade.taxonomy.formats.tables.table import Reading, TaxonomyTable
from cascade.taxonomy.names import match_code, normalize_code, split_synonyms

logger = logging.getLogger(__name__)

_CPV = re.compile(r"(\d{2,8}?)0*-\d")
_ISCO = re.compile(r"C?\d{1,4}(?:\.\d+)*")
_LEVEL = re.compile(r"[0-9]+(?:\.0+)?")
_SECTION = re.compile(r"[A-Z]")
_DOTTED = re.compile(r"\w+(?:\.\w+)*")
_NOT_IN_USE = frozenset(
    (
        *("obsolete", "deprecated", "withdrawn", "retired", "superseded", "inactive", "expired"),
        *("deleted", "discontinued", "archived", "invalid", "disabled", "rejected"),
    )
)
_TRUE = frozenset(("1", "true", "yes", "y", "x"))
_FALSE = frozenset(("0", "false", "no", "n"))


def published_reading(table: TaxonomyTable) -> Reading | None:
    """How to read a table of a published vocabulary; None where it is none.

    Raises
    ------
    TaxonomyError
        It has pairs of codes alone.
    """
    roles = roles_of(table)
    if roles is None:
        if pairs := _unnamed_pairs(table):
            raise table.file.error(pairs, table.line)
        return None
    if roles.parent is not None:
        plain = table.columns.get("code"), table.columns.get("name"), table.columns.get("parent")
        same = plain == (roles.code, roles.name, roles.parent) and roles.status is None
        if same and not any(_several(cells[roles.parent]) for cells in table.sample):
            return None
        return Reading(partial(_read_parents, table, roles), roles.telling)
    if "path" in table.columns:
        return None
    if roles.level is not None:
        if not _are_levels(table, roles.level):
            return None
        return Reading(partial(_read_levels, table, roles), roles.telling)
    if any(is_parent(heading) for heading in table.header):
        return None
    if _parents_in_codes(table, [cells[roles.code] for cells in table.sample], part=True) is None:
        return None
    above = _parents_in_codes(table, [cells[roles.code] for _, cells in table.rows(short=True)])
    if above is None:
        return None
    return Reading(partial(_read_codes, table, roles, above), roles.telling)


def _unnamed_pairs(table: TaxonomyTable) -> str:
    """What is wrong with a table of pairs that has no names; empty where it is none."""
    keys = [*map(key_of, table.header)]
    codes = [key for key in keys if key in ADDRESSES]
    above = [key for key in keys if (m := ABOVE.fullmatch(key)) and m["what"] not in NO_CODE]
    if not codes or not above or len(codes) + len(above) + 2 < len(keys):
        return ""
    return (
        "pairs of nodes and what is above them, as ESCO publishes them, but no column holds names; "
        "the names are in another table: add the second column of this one to that, headed 'parent'"
    )


def _add(draft: Draft, table: TaxonomyTable, roles: Roles, line: int, cells: list[str]) -> int:
    """Add the node of a row with what else is known of it."""
    row = draft.add(cells[roles.name], cells[roles.code], line=line)
    draft.describe(
        row,
        next((cells[at] for at in roles.descriptions if cells[at].strip()), ""),
        () if roles.synonyms is None else split_synonyms(cells[roles.synonyms]),
        {tag: cells[at] for at, tag in roles.translations.items()},
    )
    keep_machine_texts(draft, row, table.columns, cells)
    if not draft.codes[row]:
        found = f"blank code of node {draft.names[row]!r}; each node needs one"
        raise draft.error(found, row, table.header[roles.code])
    return row


def _rows(table: TaxonomyTable, roles: Roles) -> Iterator[tuple[int, list[str], bool]]:
    """Line and cells of each row, and whether it is in use."""
    key = "" if roles.status is None else key_of(table.header[roles.status])
    for line, cells in table.rows(short=True):
        yield line, cells, roles.status is None or _is_in_use(key, cells[roles.status])


def _is_in_use(key: str, cell: str) -> bool:
    """Whether a row is in use, of which a cell says its status, that it is in use, or is not."""
    text = match_code(cell, _TRUE | _FALSE) or cell.strip().casefold()
    if key in IN_USE:
        return text not in _FALSE
    if key != "status":
        return text not in _TRUE
    return (re.split(r"\W", text) or [""])[0] not in _NOT_IN_USE


def _read_parents(table: TaxonomyTable, roles: Roles) -> Draft:
    """Nodes with a column of parents; those that only it names are there too, if it names them."""
    assert roles.parent is not None
    draft = Draft(file=table.file.label, language=roles.language, distinct_siblings=True)
    row_of: dict[str, int] = {}
    parents: list[str] = []
    above: dict[str, tuple[str, int]] = {}
    several: list[str] = []
    old: set[int] = set()
    for line, cells, in_use in _rows(table, roles):
        parent = normalize_code(cells[roles.parent])
        if roles.above is not None and parent:
            above.setdefault(parent, (cells[roles.above], line))
            if (code := normalize_code(cells[roles.code])) in row_of:
                several.append(code)
                continue
        row = _add(draft, table, roles, line, cells)
        row_of[draft.codes[row]] = row
        parents.append(cells[roles.parent].strip() if "\n" in cells[roles.parent] else parent)
        if not in_use:
            old.add(row)
    for code, (name, line) in above.items():
        if code not in row_of:
            draft.add(name, code, line=line)
            parents.append("")
    known = set(draft.codes)
    for row, parent in enumerate(parents):
        if not parent or match_code(parent, known) is not None:
            continue
        if first := [part for part in _several(parent) if part in known]:
            several.append(draft.codes[row])
            parents[row] = first[0]
    if several:
        logger.warning(
            "%s: %d nodes have several parents, of which the first counts (%s%s)",
            table.file.label,
            len(several),
            ", ".join(map(repr, several[:3])),
            ", ..." if len(several) > 3 else "",
        )
    draft.link(parents)
    return _without(draft, old)


def _several(cell: str) -> list[str]:
    """The parents in a cell that has several; empty where it has one or none."""
    found = [part for part in map(normalize_code, re.split(r"[|;,\n]", cell)) if part]
    return found if len(found) > 1 else []


def _without(draft: Draft, old: set[int]) -> Draft:
    """The draft without nodes that are no longer in use; what is below them moves up."""
    if not old:
        return draft
    kept = [row for row in range(len(draft.codes)) if row not in old]
    place = {row: at for at, row in enumerate(kept)}
    made = Draft(file=draft.file, language=draft.language, distinct_siblings=True)
    for row in kept:
        above, seen = draft.parent[row], set()
        while above in old and above not in seen:
            seen.add(above)
            above = draft.parent[above]
        made.add(draft.names[row], draft.codes[row], place.get(above, -1), draft.lines[row])
        made.describe(
            place[row],
            draft.descriptions.get(row, ""),
            draft.synonyms.get(row, ()),
            draft.translations.get(row),
        )
        if row in draft.machine:
            made.machine[place[row]] = draft.machine[row]
    for row in sorted(old):
        code, name = draft.codes[row], draft.names[row]
        made.deprecated[code] = f"{code!r} ({name}) is no longer in use; choose another"
    shown = ", ".join(repr(draft.codes[row]) for row in sorted(old)[:3])
    logger.warning(
        "%s: %d nodes are no longer in use and left out (%s%s)",
        draft.file,
        len(old),
        shown,
        ", ..." if len(old) > 3 else "",
    )
    return made


def _are_levels(table: TaxonomyTable, level: int) -> bool:
    values = {cells[level].strip() for _, cells in table.rows(short=True)} - {""}
    return len(values) > 1 and all(map(_LEVEL.fullmatch, values))


def _read_levels(table: TaxonomyTable, roles: Roles) -> Draft:
    """Nodes below the last row above that has a lower level.

    Raises
    ------
    TaxonomyError
        A level is left out, or the rows are sorted by level, so that they are not a tree.
    """
    assert roles.level is not None
    draft = Draft(file=table.file.label, language=roles.language, distinct_siblings=True)
    open_rows: list[tuple[int, int]] = []
    old: set[int] = set()
    levels: list[int] = []
    for line, cells, in_use in _rows(table, roles):
        if not cells[roles.level].strip():
            raise table.file.error(
                "blank level; each row needs one", line, table.header[roles.level]
            )
        level = int(cells[roles.level].strip().partition(".")[0][:9])
        while open_rows and open_rows[-1][0] >= level:
            open_rows.pop()
        lowest = min(levels, default=level)
        if levels and level < levels[0]:
            raise table.file.error(
                f"level {level}, but the first row has level {levels[0]}; rows must be in the "
                "order of the tree, the highest level first, or have a column 'parent' with the "
                "code of the node above",
                line,
                table.header[roles.level],
            )
        if (not open_rows and level > lowest) or (open_rows and level > open_rows[-1][0] + 1):
            raise table.file.error(
                f"level {level} below level {open_rows[-1][0] if open_rows else 0}; rows must be "
                "in the order of the tree, or have a column 'parent' with the code of the node "
                "above",
                line,
                table.header[roles.level],
            )
        row = _add(draft, table, roles, line, cells)
        draft.parent[row] = open_rows[-1][1] if open_rows else -1
        open_rows.append((level, row))
        levels.append(level)
        if not in_use:
            old.add(row)
    counts = Counter(levels)
    if levels == sorted(levels) and any(
        (count > 1 and counts[level + 1] > 1) or (level == levels[0] and count > 1)
        for level, count in counts.items()
    ):
        raise table.file.error(
            "rows are sorted by their level, so nothing says what is above each; sort them as a "
            "tree, or add a column 'parent' with the code of the node above",
            None,
            table.header[roles.level],
        )
    return _without(draft, old)


def _read_codes(table: TaxonomyTable, roles: Roles, parents: dict[str, str]) -> Draft:
    """Nodes whose parents their codes tell."""
    draft = Draft(file=table.file.label, language=roles.language, distinct_siblings=True)
    above, old = [], set()
    for line, cells, in_use in _rows(table, roles):
        row = _add(draft, table, roles, line, cells)
        above.append(normalize_code(parents.get(normalize_code(cells[roles.code]), "")))
        if not in_use:
            old.add(row)
    draft.link(above)
    logger.warning(
        "%s: no column names the node above; %s",
        table.file.label,
        "codes tell it, such as {!r} below {!r}".format(*next(iter(parents.items())))
        if parents
        else "all nodes are at the top (add a column 'parent' with the code of the node above; "
        "ESCO publishes those in its tables of broader relations)",
    )
    return _without(draft, old)


def _parents_in_codes(
    table: TaxonomyTable, codes: list[str], *, part: bool = False
) -> dict[str, str] | None:
    """The parent of each code that has one, where codes tell it; None where they do not.

    Of a `part` of the rows parents may be missing.
    """
    codes = [*map(normalize_code, codes)]
    known = set(codes)
    keys = {*map(heading_key, table.header)}
    esco = {"concept_uri", "preferred_label"} <= keys
    if codes and all(map(_CPV.fullmatch, codes)):
        if len({*map(len, codes)}) > 1:
            return None  # zeros in front were lost
        return _by_prefix({code: _significant(code) for code in codes})
    if esco or any("isco" in key for key in keys):
        if all(map(_ISCO.fullmatch, codes)):
            found = {code: _above_isco(code, known) for code in codes}
            return {code: parent for code, parent in found.items() if parent}
        return {} if esco else None
    dotted = [code for code in codes if "." in code]
    above = {code: code.rpartition(".")[0] for code in dotted}
    complete = all(map(_DOTTED.fullmatch, codes)) and (part or known.issuperset(above.values()))
    doubtful = any(code[:-1] in known and code[:-1] != above[code] for code in dotted)
    padded = any(code.startswith("0") and code[:-1] in known for code in codes if "." not in code)
    if dotted and complete and not doubtful and not padded:
        lone = {code for code in codes if _SECTION.fullmatch(code)} - {*above.values()}
        return (_by_order(codes) if lone else None) or above
    return _by_order(codes) if complete or not dotted else None


def _significant(code: str) -> str:
    found = _CPV.fullmatch(code)
    return found[1] if found else code


def _by_prefix(significant: dict[str, str]) -> dict[str, str]:
    """Each code below that whose significant digits are the most of its own."""
    code_of = {digits: code for code, digits in significant.items()}
    above = {}
    for code, digits in significant.items():
        shorter = (digits[:length] for length in range(len(digits) - 1, 0, -1))
        if found := next((code_of[part] for part in shorter if part in code_of), None):
            above[code] = found
    return above


def _by_order(codes: list[str]) -> dict[str, str] | None:
    """Codes below the last before them that they begin with; sections are single letters.

    None where another code would do as well, codes of one level have several lengths, or too
    little tells codes from running numbers.
    """
    plain = [re.sub(r"\W", "", code) for code in codes]
    sections = bool(plain) and bool(_SECTION.fullmatch(plain[0]))
    known = {short for short in plain if not (sections and _SECTION.fullmatch(short))}
    above: dict[str, str] = {}
    lengths: dict[int, int] = {}
    way: list[tuple[str, str]] = []
    section = ""
    for code, short in zip(codes, plain, strict=True):
        if sections and _SECTION.fullmatch(short):
            section, way = code, []
            continue
        while way and not short.startswith(way[-1][0]):
            way.pop()
        longest = next((short[:n] for n in range(len(short) - 1, 0, -1) if short[:n] in known), "")
        if longest != (way[-1][0] if way else "") or not short:
            return None
        if lengths.setdefault(len(way), len(short)) != len(short):
            return None
        if parent := way[-1][1] if way else section:
            above[code] = parent
        way.append((short, code))
    zeros = any(short.startswith("0") and len(short) > 1 for short in plain)
    told = sections or zeros or len(lengths) > 2 or plain != codes
    return above if told and above and len(set(plain)) == len(plain) else None


def _above_isco(code: str, known: set[str]) -> str:
    """The nearest group above: `2166.1` is below `2166`, which is below `216`."""
    while code:
        code = code.rpartition(".")[0] or ("" if "." in code else code[:-1])
        if code in known:
            return code
    return ""
