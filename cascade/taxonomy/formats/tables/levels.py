"""Tables with a column for each level, or with columns in pairs for codes and names of each.

Levels are numbered (`level1`, `L1`, `Category 2 Name`) or ranked (`Segment Code`, `Segment Title`,
`Family Code`, ...). A column without a word for what it holds has names, or codes where another
column of its level has names.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import pairwise

from cascade.taxonomy.draft import Draft, PathTree
from cascade.taxonomy.formats.tables.headings import COLUMNS, heading_key
from cascade.taxonomy.formats.tables.level_checks import MISSING, check_levels
from cascade.taxonomy.formats.tables.table import TaxonomyTable
from cascade.taxonomy.names import clean, normalize_code

logger = logging.getLogger(__name__)

_LONGEST = 120
_NO_DATA = "NA"
_ROLES = {
    "code": ("code", "id", "key", "nr", "no", "num", "number", "notation", "uri"),
    "name": ("name", "label", "title", "category", "text", "term", "preferred_term"),
    "description": ("description", "desc", "definition"),
}
_ROLE_OF = {word: role for role, words in _ROLES.items() for word in words}
_ROLE = "|".join(_ROLE_OF)
_NUMBERED = re.compile(
    rf"(?:(?P<before>{_ROLE})_(?:of_)?)?(?:.*_)?"
    r"(?:levels?|lvl|l|cat|category|tier|depth|ebene|stufe|niveau|nivel|livello|hierarchy)"
    rf"_?(?P<level>\d{{1,3}})(?:_(?P<after>{_ROLE}))?"
)
_RANKED = re.compile(
    r"(?P<level>(?:sub_?|super_?|major_|minor_|broad_|unit_|main_|top_|detailed_|industry_|product_|item_)*"
    r"(?:sector|segment|division|department|dept|section|group|family|category|class|brick|type|"
    r"chapter|heading|commodity|occupation|industry|universe|kingdom|phylum|order|genus|species))"
    rf"(?:_(?P<after>{_ROLE}))?"
)

_LIVING = {"kingdom", "phylum", "order", "family", "genus", "species"}


@dataclass(frozen=True)
class Level:
    """Columns of one level; None where it has no codes or descriptions."""

    name: int
    code: int | None = None
    description: int | None = None


def level_columns(table: TaxonomyTable) -> list[Level]:
    """The levels of a table, top first; empty where it has none.

    Headings number or rank them, or all columns together are hierarchical.

    Raises
    ------
    TaxonomyError
        A level has codes and no names, or two columns of names.
    """
    numbered = _columns_of_levels(table, _NUMBERED)
    ranked = [] if numbered else [*_columns_of_levels(table, _RANKED).values()]
    found = [numbered[number] for number in sorted(numbered, key=int)] or ranked
    if not found:
        return [*map(Level, range(len(table.header)))] if _is_hierarchical(table) else []
    if sum(len(roles.keys() - {"description"}) > 1 for roles in found) < 2:
        # `category_id, category, subcategory`: the code of the row, not of one level
        return [_level(table, {k: v for k, v in roles.items() if k != "code"}) for roles in found]
    return [_level(table, roles) for roles in found]


def telling(table: TaxonomyTable, levels: Sequence[Level]) -> frozenset[int]:
    """Columns that tell the codes and names of levels."""
    columns = {at for level in levels for at in (level.name, level.code) if at is not None}
    if not any(level.code is not None for level in levels) and "code" in table.columns:
        columns.add(table.columns["code"])
    return frozenset(columns)


def has_levels(headings: Collection[str]) -> bool:
    """Whether two headings or more are those of numbered levels, or of ranks."""
    return any(
        len({match["level"] for match in map(form.fullmatch, map(heading_key, headings)) if match})
        > 1
        for form in (_NUMBERED, _RANKED)
    )


def read_levels(table: TaxonomyTable, levels: Sequence[Level]) -> Draft:
    """Nodes of all rows in the order in which they are first mentioned."""
    _refuse_unused_names(table, levels)
    _check(table, levels)
    if any(level.code is not None for level in levels):
        return _read_coded(table, levels)
    tree = PathTree(table.file.label)
    code_at = table.columns.get("code")
    names_at = [level.name for level in levels]
    no_data = _is_no_data(table, names_at)
    again: list[int] = []
    for line, cells in table.rows(short=True):
        names = [cells[at] for at in names_at]
        if no_data:
            names = ["" if name.strip() == _NO_DATA else name for name in names]
        names = _filled(table, names, names_at, line)
        if any(above.strip() == name.strip() for above, name in pairwise(names)):
            again.append(line)
        code = "" if code_at is None else cells[code_at]
        row = tree.add(names, code, line=line, once=True)
        table.describe(tree.draft, row, cells, {*names_at})
    if again:
        logger.warning(
            "%s: %d rows have the name of a level again in the next one (line %s); these are nodes "
            "of their own: leave the cell blank where it only fills the row",
            table.file.label,
            len(again),
            ", ".join(map(str, again[:5])),
        )
    return tree.finish()


def _is_no_data(table: TaxonomyTable, names_at: Sequence[int]) -> bool:
    """Whether `NA` is no name: it stands below itself, below several nodes, or beside `N/A`.

    R and pandas write it for cells without a value; a lone one at the end of a row may be a name.
    """
    above: set[tuple[str, ...]] = set()
    others = any(row[at].strip().casefold() in MISSING for row in table.sample for at in names_at)
    for _, cells in table.rows(short=True):
        names = [cells[at].strip() for at in names_at]
        if _NO_DATA not in names[1:]:
            continue
        at = names.index(_NO_DATA, 1)
        if any(name not in (_NO_DATA, "") for name in names[at:]):
            return False
        above.add(tuple(names[:at]))
        if len(above) > 1 or names.count(_NO_DATA) > 1 or others:
            logger.warning(
                "%s: 'NA' is read as a level without a node; rename it if it is a name",
                table.file.label,
            )
            return True
    return False


def _check(table: TaxonomyTable, levels: Sequence[Level]) -> None:
    """See `check_levels`."""
    used = {at for level in levels for at in (level.name, level.code, level.description)}
    known = (table.columns.get(what) for what in ("code", "name", "description", "synonyms"))
    read = {at for at in (*used, *known, *table.translations) if at is not None}

    def rank_of(key: str) -> str:
        found = _NUMBERED.fullmatch(key) or _RANKED.fullmatch(key)
        role = found and _ROLE_OF.get(found["after"] or "")
        return found["level"] if found and role in (None, "name") else ""

    check_levels(table, [level.name for level in levels], read, rank_of)


def _read_coded(table: TaxonomyTable, levels: Sequence[Level]) -> Draft:
    """A node is known by its code; rows that only repeat nodes are skipped.

    Tables of attributes, such as those of GPC, have many rows for a node.
    """
    draft = Draft(file=table.file.label, distinct_siblings=True)
    names_at = [level.name for level in levels]
    rows: dict[tuple[int, str], int] = {}
    for line, cells in table.rows(short=True):
        names = _filled(table, [clean(cells[at]) for at in names_at], names_at, line)
        row = -1
        for name, level in zip(names, levels, strict=False):
            code = "" if level.code is None else normalize_code(cells[level.code])
            if level.code is not None and not code:
                found = f"blank code of node {name!r}; each node needs one"
                raise table.file.error(found, line, table.header[level.code])
            above, key = row, (row, code or name)
            if code and key not in rows:  # `10` and `10.0` are one
                other = code.removesuffix(".0") if code.endswith(".0") else f"{code}.0"
                key = (row, other) if (row, other) in rows else key
            if (known := rows.get(key)) is None:
                known = rows[key] = draft.add(name, code, above, line)
            elif draft.names[known] != name:
                raise table.file.error(
                    f"code {code!r} is called {name!r} here but {draft.names[known]!r}"
                    f"{draft.at(known)}; each code needs one name",
                    line,
                    table.header[level.name],
                )
            if level.description is not None:
                draft.describe(known, cells[level.description])
            row = known
        table.describe(draft, row, cells, {*names_at})
        for level in levels[len(names) :]:
            if level.code is not None and not _is_missing(cells[level.code]):
                raise table.file.error(
                    f"code {cells[level.code]!r} without a name; fill it in",
                    line,
                    table.header[level.name],
                )
    draft.code_by_path()
    return draft


def _filled(
    table: TaxonomyTable, cells: Sequence[str], columns: Sequence[int], line: int
) -> list[str]:
    """Names of a row without blank ones at the end."""
    names = [cell.strip() for cell in cells]
    names = names[:1] + ["" if _is_missing(name) else name for name in names[1:]]
    while names and not names[-1]:
        names.pop()
    if "" in names or not names:
        raise table.file.error(
            "this level is blank but one below it is not; fill it in (cells may be left blank "
            "only at the end of a row; in a spreadsheet, fill merged cells downwards)",
            line,
            table.header[columns[names.index("") if names else 0]],
        )
    return names


def _is_missing(cell: str) -> bool:
    return not (text := cell.strip()) or text.casefold() in MISSING


def _columns_of_levels(
    table: TaxonomyTable, form: re.Pattern[str]
) -> dict[str, dict[str, list[int]]]:
    """Columns by level and by what they hold, `""` where the heading does not say.

    Only where two levels or more have a column that may hold names.
    """
    found: dict[str, dict[str, list[int]]] = {}
    for at, word in enumerate(table.keys):
        if match := form.fullmatch(word):
            parts = match.groupdict()
            role = _ROLE_OF.get(parts["after"] or parts.get("before") or "", "")
            found.setdefault(parts["level"].lstrip("0") or "0", {}).setdefault(role, []).append(at)
    if found.keys() & _LIVING == {"order"}:
        del found["order"]  # the rows' own
    named = [roles for roles in found.values() if roles.keys() - {"code"}]
    return found if len(named) > 1 else {}


def _level(table: TaxonomyTable, roles: dict[str, list[int]]) -> Level:
    """Which column of a level has names and which has codes."""
    for kind in ("name", "", "description"):
        if kind not in roles:
            continue
        names, bare = roles[kind], roles.get("", [])
        codes = roles.get("code", bare if kind != "" else [])
        codes = sorted(codes, key=lambda at: table.keys[at].endswith("uri"))
        if kind == "" and not codes and "description" in roles:
            continue  # `Division`, `Division description`: a code and its name
        if len(names) > 1:
            both = " and ".join(repr(table.header[at]) for at in names[:2])
            raise table.file.error(
                f"columns {both} both hold the names of one level; rename or remove one", table.line
            )
        texts = roles.get("description", []) if kind != "description" else []
        return Level(names[0], codes[0] if codes else None, texts[0] if texts else None)
    heading = table.header[roles["code"][0]]
    raise table.file.error(
        f"column {heading!r} holds codes of a level whose names are in no column; add one, headed "
        f"like it with 'name' in place of 'code'",
        table.line,
        heading,
    )


def _refuse_unused_names(table: TaxonomyTable, levels: Sequence[Level]) -> None:
    """Refuse a column of names, or of parents, beside the levels that reading would drop."""
    used = {at for level in levels for at in (level.name, level.code)}
    at = table.columns.get("name")
    if at is not None and at not in used:
        for line, cells in table.rows(short=True):
            names = [cells[level.name].strip() for level in levels if cells[level.name].strip()]
            if cells[at].strip() and (not names or cells[at].strip() != names[-1]):
                raise table.file.error(
                    f"column {table.header[at]!r} has {cells[at].strip()[:80]!r} beside columns "
                    f"for levels ({_headings(table, levels)}); if it names the level below them, "
                    f"head it as one ('level {len(levels) + 1}', and the others likewise), else "
                    "remove it",
                    line,
                    table.header[at],
                )
    table.refuse_parents(f"columns for levels ({_headings(table, levels)}) are read")


def _headings(table: TaxonomyTable, levels: Sequence[Level]) -> str:
    return ", ".join(table.header[level.name] for level in levels)


def _is_hierarchical(table: TaxonomyTable) -> bool:
    """Whether the content alone shows a hierarchy, whatever the headings.

    The first column has each value about twice or more, the second has more different ones, no row
    repeats, blank cells are at the end only, and cells are short and not numbers. A first line
    whose first cell stands below it, too, is no header.
    """
    known = frozenset().union(*(words for what, words in COLUMNS.items() if what != "category"))
    width, sample = len(table.header), table.sample
    if width < 2 or len(sample) < 2 or known.intersection(table.keys) or "" in table.keys:
        return False
    rows = [tuple(cell.strip() for cell in row) for row in sample]
    for row in rows:
        depth = sum(map(bool, row))
        if not all(row[:depth]) or any(len(c) > _LONGEST or _is_number(c) for c in row):
            return False
    firsts = {row[0] for row in rows}
    if table.header[0] in firsts:
        return False
    tops, below = len(firsts), len({row[:2] for row in rows})
    return tops < below and 2 * tops <= len(rows) and len(set(rows)) == len(rows)


def _is_number(cell: str) -> bool:
    return bool(re.fullmatch(r"[-+]?[\d.,]*\d[\d.,]*\s*(?:%|[$€£])?", cell))
