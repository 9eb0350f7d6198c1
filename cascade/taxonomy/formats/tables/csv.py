"""CSV, TSV and semicolons: three forms of table, recognized by their columns.

- Columns code, name and parent, the rows in any order. Without a code column the names are the
  codes, and parents are given by name.
- One column of paths, and perhaps one of codes.
- One column for each level; cells left blank at the end make a higher node.

Optional columns: description, synonyms (`a|b` or `a;b`, a backslash before a `|`, `;` or backslash
that belongs to a synonym), and names in other languages as `name_de`.
"""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from cascade.errors import TaxonomyError
from cascade.io.files import write_text
from cascade.taxonomy.draft import Draft, PathTree
from cascade.taxonomy.formats.file import TaxonomyFile
from cascade.taxonomy.formats.tables.table import COLUMNS, TaxonomyTable
from cascade.taxonomy.names import clean, join_synonyms, split_path, split_synonyms

if TYPE_CHECKING:
    from cascade.taxonomy.tree import Taxonomy

_SAMPLE = 500  # rows that decide the form
_LONGEST = 120
_NUMBERED = re.compile(
    r"(?:.*_)?(?:levels?|lvl|l|cat|category|tier|depth|ebene|niveau|nivel|livello|hierarchy)"
    r"_?(\d{1,2})(?:_(?:name|label|title|category))?"
)
_RANK = re.compile(
    r"(?:sub_?)*(?:sector|segment|division|department|section|group|family|category|class|brick|"
    r"type)(?:_(?:name|title))?"
)


def matches(file: TaxonomyFile) -> bool:
    """Whether this is a table in one of the three forms."""
    if file.is_xml or file.is_json:
        return False
    table = TaxonomyTable.sniff(file)
    return table is not None and _reader(table) is not None


def read(file: TaxonomyFile) -> Draft:
    """Nodes in the order of the rows; those of paths in which they are first mentioned.

    Raises
    ------
    TaxonomyError
        The columns are of no known form, two have one heading, or a row is broken.
    """
    table = TaxonomyTable.sniff(file)
    reader = _reader(table) if table else None
    if table and reader:
        for i, word in enumerate(table.keys):
            if word and word in table.keys[:i]:
                raise file.error(
                    f"two columns are headed {table.header[i]!r}; rename or remove one",
                    table.line,
                    word,
                )
        return reader(table)
    found = ", ".join(map(repr, table.header)) if table else repr(file.head[0][1][:80])
    raise file.error(
        f"a table whose columns are not those of a taxonomy; found columns: {found}; expected "
        "code,name,parent (an empty parent at the top), or one column with paths 'A > B > C', or "
        "one column for each level (level1,level2,...)",
        table.line if table else None,
    )


def write(taxonomy: Taxonomy, path: Path) -> None:
    """Write `code,name,parent`, then `description`, `synonyms` and `name_xx` where there are any.

    Title and language have no place in a CSV.

    Raises
    ------
    OutputError
        The file cannot be written.
    """
    nodes = range(len(taxonomy))
    tags = sorted({tag for i in nodes for tag in taxonomy.translations(i)})
    header = ["code", "name", "parent"]
    if described := any(taxonomy.description(i) for i in nodes):
        header.append("description")
    if named := any(taxonomy.synonyms(i) for i in nodes):
        header.append("synonyms")
    header += [f"name_{tag}" for tag in tags]
    lines = io.StringIO()
    write_row = csv.writer(lines, lineterminator="\n").writerow
    write_row(header)
    for i, above in enumerate(taxonomy.parent.tolist()):
        row = [taxonomy.codes[i], taxonomy.names[i], taxonomy.codes[above] if above >= 0 else ""]
        if described:
            row.append(taxonomy.description(i))
        if named:
            row.append(join_synonyms(taxonomy.synonyms(i)))
        row += [taxonomy.translations(i).get(tag, "") for tag in tags]
        write_row(row)
    write_text(path, lines.getvalue())


def _reader(table: TaxonomyTable) -> Callable[[TaxonomyTable], Draft] | None:
    """What reads a table of this form; None where it is of no known form."""
    # Where there are only `name_de` and the like, the first of them has the names.
    names = table.columns.get("name", next(iter(table.translations), None))
    if "parent" in table.columns and names is not None:
        return partial(_read_parents, names=names)
    sample: list[list[str]] = []
    try:
        for _, cells in islice(table.rows(short=True), _SAMPLE):
            sample.append(cells)
    except TaxonomyError:
        pass  # reading the row again raises the error
    paths = _path_column(table, sample)
    if paths is not None:
        return partial(_read_paths, paths=paths, separator=_separator(r[paths] for r in sample))
    if levels := _level_columns(table, sample):
        return partial(_read_levels, levels=levels)
    return None


def _read_parents(table: TaxonomyTable, names: int) -> Draft:
    draft = Draft(file=table.file.path)
    code_at, parent_at = table.columns.get("code", names), table.columns["parent"]
    described = table.has_descriptions
    cleaned: dict[str, str] = {}
    parents = []
    for line, cells in table.rows():
        row = draft.add(cells[names], cells[code_at], line=line)
        if (parent := cells[parent_at]) not in cleaned:
            cleaned[parent] = clean(parent)
        parents.append(cleaned[parent])
        if described:
            _describe(draft, row, table, cells, {names})
    if "" in draft.codes:
        row = draft.codes.index("")
        found = f"blank code of node {draft.names[row]!r}; each node needs one"
        raise draft.error(found, row, table.header[code_at])
    draft.link(parents)
    if "name" not in table.columns:
        draft.language = table.translations[names]
    return draft


def _read_paths(table: TaxonomyTable, paths: int, separator: str) -> Draft:
    tree = PathTree(table.file.path)
    code_at = table.columns.get("code")
    for line, cells in table.rows():
        path = cells[paths]
        names = path.strip().strip("/").split("/") if separator == "/" else split_path(path)
        row = tree.add(names, "" if code_at is None else cells[code_at], line=line, once=True)
        _describe(tree.draft, row, table, cells, {paths})
    return tree.finish()


def _read_levels(table: TaxonomyTable, levels: Sequence[int]) -> Draft:
    tree = PathTree(table.file.path)
    code_at = table.columns.get("code")
    for line, cells in table.rows(short=True):
        names = [cells[at].strip() for at in levels]
        while names and not names[-1]:
            names.pop()
        if "" in names or not names:
            raise table.file.error(
                "this level is blank but one below it is not; fill it in (cells may be left blank "
                "only at the end of a row)",
                line,
                table.header[levels[names.index("") if names else 0]],
            )
        row = tree.add(names, "" if code_at is None else cells[code_at], line=line, once=True)
        _describe(tree.draft, row, table, cells, {*levels})
    return tree.finish()


def _describe(
    draft: Draft, row: int, table: TaxonomyTable, cells: Sequence[str], names: set[int]
) -> None:
    """Add the description, synonyms and translations of a row; `names` are columns of names."""
    described, called = table.columns.get("description"), table.columns.get("synonyms")
    draft.describe(
        row,
        "" if described is None else cells[described],
        () if called is None else split_synonyms(cells[called]),
        {tag: cells[at] for at, tag in table.translations.items() if at not in names},
    )


def _path_column(table: TaxonomyTable, sample: Sequence[Sequence[str]]) -> int | None:
    """The column that has paths, or is headed as one that has."""
    if "path" in table.columns:
        return table.columns["path"]
    for what in ("category", "name"):
        if (at := table.columns.get(what)) is not None:
            values = [row[at] for row in sample]
            if any(" > " in value for value in values) or _separator(values) == "/":
                return at
    return None


def _separator(paths: Iterable[str]) -> str:
    """`>` or `/`, whichever the paths are made with; `/` also belongs to names such as `TV/Audio`.

    It counts as a separator only where no path has a `>`, at least half of them have a `/`, and
    most of those share the part before the first `/` with another.
    """
    paths = [path.strip() for path in paths]
    cut = [path.strip("/") for path in paths if "/" in path]
    if any(">" in path for path in paths) or 2 * len(cut) < len(paths):
        return ">"
    tops = Counter(path.strip("/").split("/")[0] for path in paths)
    return "/" if cut and 2 * sum(tops[p.split("/")[0]] > 1 for p in cut) > len(cut) else ">"


def _level_columns(table: TaxonomyTable, sample: Sequence[Sequence[str]]) -> list[int]:
    """Columns of names, top first; empty where this is no such table.

    Headings number or rank them, or all columns together are hierarchical.
    """
    numbered: dict[int, int] = {}
    for at, word in enumerate(table.keys):
        if found := _NUMBERED.fullmatch(word):
            numbered.setdefault(int(found[1]), at)
    if len(numbered) > 1:
        return [numbered[number] for number in sorted(numbered)]
    ranked = [at for at, word in enumerate(table.keys) if _RANK.fullmatch(word)]
    if len(ranked) > 1:
        return ranked
    return list(range(len(table.header))) if _is_hierarchical(table, sample) else []


def _is_hierarchical(table: TaxonomyTable, sample: Sequence[Sequence[str]]) -> bool:
    """Whether the content alone shows a hierarchy, whatever the headings.

    The first column has each value about twice or more, the second has more different ones, no row
    repeats, blank cells are at the end only, and cells are short and not numbers.
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
