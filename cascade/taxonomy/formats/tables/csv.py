"""CSV, TSV and semicolons: three forms of table, recognized by their columns.

- Columns code, name and parent, the rows in any order. Without a code column the names are the
  codes, and parents are given by name.
- One column of paths, and perhaps one of codes.
- One column for each level, see `levels`; cells left blank at the end make a higher node.

A table that is of none of these, or that has another column that looks like parents or paths, is
refused with what was recognised and what is missing.

Optional columns: description, synonyms (`a|b` or `a;b`, a backslash before a `|`, `;` or backslash
that belongs to a synonym), names in other languages as `name_de`, and what a language model wrote:
machine_description, machine_synonyms and machine_titles (the latter two separated as synonyms).
"""

from __future__ import annotations

import csv
import io
import logging
import re
from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from cascade.io.files import write_text
from cascade.taxonomy.draft import Draft, PathTree
from cascade.taxonomy.formats.file import TaxonomyFile
from cascade.taxonomy.formats.separators import ARROW, find_separator, refuse_mixed, split_at
from cascade.taxonomy.formats.tables.cells import (
    check_codes,
    check_languages,
    check_tops,
    plain_names,
)
from cascade.taxonomy.formats.tables.header import find_table, tell_left_out
from cascade.taxonomy.formats.tables.headings import COLUMNS, words
from cascade.taxonomy.formats.tables.levels import level_columns, read_levels, telling
from cascade.taxonomy.formats.tables.machine import MACHINE, machine_cells
from cascade.taxonomy.formats.tables.problems import has_words, problem
from cascade.taxonomy.formats.tables.published import published_reading
from cascade.taxonomy.formats.tables.table import Reading, TaxonomyTable
from cascade.taxonomy.names import clean, join_synonyms, normalize_code

if TYPE_CHECKING:
    from cascade.taxonomy.tree import Taxonomy

logger = logging.getLogger(__name__)

_ALONE = (
    COLUMNS["name"]
    | COLUMNS["category"]
    | COLUMNS["code"]
    | words(
        "names labels classes tags tag topics topic intents intent terms codes kategorie kategorien"
    )
)
_FACT = re.compile(r"(?:synonyms?|alt_?labels?|aliases|descriptions?|definition)_[a-z]{2}$")
_JOINING = (
    "__",
    " - ",
    " \u2013 ",
    "\u2022",
    "\u00b7",
    "|",
    ";",
    "/",
    ".",
    ": ",
    ":",
    ", ",
    "~",
    "_",
)


def matches(file: TaxonomyFile) -> bool:
    """Whether this is a table in one of the three forms, or has the header of one.

    A file with such a header is read by nothing else: what is wrong with it is told.
    """
    if file.is_xml or file.is_json:
        return False
    table = find_table(file)
    if table is None or (len(table.header) == 1 and table.header[0].endswith(":")):
        return False  # the latter is a key of YAML
    if _heads_names(table) and any(line[0].isspace() for _, line in file.head):
        return False  # names indented below others
    return table.has_header or has_words(table) or reading_of(table) is not None


def read(file: TaxonomyFile) -> Draft:
    """Nodes in the order of the rows; those of paths in which they are first mentioned.

    Raises
    ------
    TaxonomyError
        The columns are of no known form, two have one heading, or a row is broken.
    """
    table = find_table(file)
    if table is None:
        raise file.error(f"no table; line 1 is {file.head[0][1][:80]!r}")
    return read_table(table)


def read_table(table: TaxonomyTable) -> Draft:
    """Nodes of a table, wherever its rows come from; see `read`."""
    reading = reading_of(table)
    if reading is None:
        raise table.file.error(problem(table), table.line)
    for i, word in enumerate(table.keys):
        if word and word in table.keys[:i]:
            raise table.file.error(
                f"two columns are headed {table.header[i]!r}; rename or remove one",
                table.line,
                word,
            )
    table.refuse_unheaded()
    table.check(reading.columns)
    check_codes(table)
    check_languages(table)
    check_tops(table, reading.columns)
    if others := table.other_codes(reading.columns):
        at = table.columns.get("code")
        logger.warning(
            "%s: %s %s like codes and %s not used; %s",
            table.file.label,
            ", ".join(map(repr, others)),
            *(("looks", "is") if len(others) == 1 else ("look", "are")),
            f"those of {table.header[at]!r} are the codes"
            if at in reading.columns and at is not None
            else "head one 'code' to have it read",
        )
    if other := [h for h, word in zip(table.header, table.keys, strict=True) if _FACT.match(word)]:
        logger.warning(
            "%s: columns that are not used: %s (synonyms and descriptions have one language)",
            table.file.label,
            ", ".join(map(repr, other)),
        )
    draft = reading.nodes()
    plain_names(draft)
    tell_left_out(table)
    return draft


def write(taxonomy: Taxonomy, path: Path) -> None:
    """Write `code,name,parent`, then the columns of further texts where there are any.

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
    if written := any(any(taxonomy.machine(i)) for i in nodes):
        header += MACHINE
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
        if written:
            row += machine_cells(taxonomy.machine(i))
        write_row(row)
    write_text(path, lines.getvalue())


def reading_of(table: TaxonomyTable) -> Reading | None:
    """How to read a table; None where it is of no known form.

    Raises
    ------
    TaxonomyError
        It is of a form that lacks something.
    """
    if reading := published_reading(table):
        return reading
    # Where there are only `name_de` and the like, the first of them has the names.
    names = table.columns.get("name", next(iter(table.translations), None))
    codes = table.columns.get("code", names)
    if "parent" in table.columns and names is not None and codes is not None:
        return Reading(
            partial(_read_parents, table, names),
            frozenset((names, codes, table.columns["parent"])),
        )
    paths = _path_column(table)
    if paths is not None:
        columns = frozenset(table.columns.get(what, paths) for what in ("code", "name")) | {paths}
        if separator := _code_separator(table, paths):
            return Reading(partial(_read_code_paths, table, paths, separator), columns)
        texts = [row[paths] for row in table.sample]
        separator = find_separator(texts, paths="path" in table.columns)
        return Reading(partial(_read_paths, table, paths, separator), columns)
    if _heads_names(table):
        return Reading(partial(_read_names, table), frozenset((0,)))
    if levels := level_columns(table):
        return Reading(partial(read_levels, table, levels), telling(table, levels))
    return None


def _read_parents(table: TaxonomyTable, names: int) -> Draft:
    _refuse_blank_parents(table)
    draft = Draft(file=table.file.label)
    code_at, parent_at = table.columns.get("code", names), table.columns["parent"]
    described = table.has_descriptions
    cleaned: dict[str, str] = {}
    parents = []
    for line, cells in table.rows():
        row = draft.add(cells[names], cells[code_at], line=line)
        if (parent := cells[parent_at]) not in cleaned:
            cleaned[parent] = normalize_code(parent)
        parents.append(cleaned[parent])
        if described:
            table.describe(draft, row, cells, {names})
    if "" in draft.codes:
        row = draft.codes.index("")
        found = f"blank code of node {draft.names[row]!r}; each node needs one"
        raise draft.error(found, row, table.header[code_at])
    draft.link(parents)
    if "name" not in table.columns:
        draft.language = table.translations[names]
    return draft


def _refuse_blank_parents(table: TaxonomyTable) -> None:
    """Refuse parents that are all blank beside paths that have several names."""
    parents, paths = table.columns["parent"], table.columns.get("path")
    if paths is None or any(row[parents].strip() for row in table.sample):
        return
    for line, cells in table.rows(short=True):
        if cells[parents].strip():
            return
        if ARROW in cells[paths]:
            raise table.file.error(
                f"column {table.header[parents]!r} is blank in all rows, but "
                f"{table.header[paths]!r} has paths; remove one of the two columns",
                line,
                table.header[parents],
            )


def _read_names(table: TaxonomyTable) -> Draft:
    logger.warning(
        "%s, line %d: %r is taken for the heading of the names below it, and is no node",
        table.file.label,
        table.line,
        table.header[0],
    )
    return _read_paths(table, 0, ARROW)


def _heads_names(table: TaxonomyTable) -> bool:
    """Whether a single column has names below a word for names, and no paths.

    Not in workbooks, where names may be indented without blanks, as formats or groups.
    """
    if (
        table.file.part
        or len(table.header) != 1
        or table.keys[0] not in _ALONE
        or _path_column(table) is not None
    ):
        return False
    below = [row[0] for row in table.sample]
    if table.repeated:
        return False
    return bool(below) and table.header[0] not in {split_at(text, ARROW)[0] for text in below}


def _read_paths(table: TaxonomyTable, paths: int, separator: str) -> Draft:
    _refuse_unsplit(table, paths, separator)
    table.refuse_parents(f"the paths of column {table.header[paths]!r} are read")
    code_at, name_at = table.columns.get("code"), table.columns.get("name", paths)
    texts = [(line, row[paths]) for line, row in table.rows() if row[paths].strip()]
    refuse_mixed(table.file, texts, separator)
    tree = PathTree(table.file.label)
    stray = None  # the first row, as long as no path ends in the name of its row
    named = name_at == paths
    for line, cells in table.rows():
        names = split_at(cells[paths], separator)
        code = "" if code_at is None else cells[code_at]
        row = tree.add(names, code, line=line, once=True)
        table.describe(tree.draft, row, cells, {paths})
        if not named:
            named = clean(names[-1]) == clean(cells[name_at])
            stray = stray or (line, cells)
    if stray and not named:
        line, cells = stray
        raise table.file.error(
            f"path {cells[paths]!r} does not end in the name {cells[name_at]!r}, and so in all "
            "rows; paths are made of names and lead to the node itself (a column with the code of "
            "the node above is headed 'parent')",
            line,
            table.header[paths],
        )
    return tree.finish()


def _refuse_unsplit(table: TaxonomyTable, paths: int, separator: str) -> None:
    """Refuse a column of paths whose names are separated by a sign that is not read as such."""
    texts = [clean(row[paths]) for row in table.sample]
    if table.columns.get("path") != paths or separator != ARROW or any(ARROW in t for t in texts):
        return
    lists = sum(text.startswith("[") and text.endswith("]") for text in texts)
    sign = "[" if texts and 2 * lists >= len(texts) else joining_sign(texts)
    if sign:
        shown = next(text for text in texts if sign in text)
        raise table.file.error(
            f"paths are not split: {shown[:80]!r} and others have {sign!r}, which does not "
            "separate names for certain; write paths as 'A > B > C'",
            table.line,
            table.header[paths],
        )


def joining_sign(texts: Sequence[str]) -> str:
    """A sign that half of the texts have, most of them after a part that others share; or empty."""
    for sign in _JOINING:
        cut = [text.partition(sign)[0].strip() for text in texts if sign in text]
        tops = Counter([*cut, *(text for text in texts if sign not in text)])
        if 2 * len(cut) >= max(2, len(texts)) and 2 * sum(tops[top] > 1 for top in cut) > len(cut):
            return sign
    return ""


def _read_code_paths(table: TaxonomyTable, paths: int, separator: str) -> Draft:
    """Nodes whose paths are made of codes, with or without that of the node itself."""
    draft = Draft(file=table.file.label)
    code_at, name_at = table.columns["code"], table.columns["name"]
    parents = []
    for line, cells in table.rows():
        row = draft.add(cells[name_at], cells[code_at], line=line)
        table.describe(draft, row, cells, {name_at})
        *above, last = map(normalize_code, split_at(cells[paths], separator))
        parents.append(last if last != draft.codes[row] else above[-1] if above else "")
    draft.link(parents)
    return draft


def _code_separator(table: TaxonomyTable, paths: int) -> str:
    """What separates the codes that paths are made of; empty where they are made of names."""
    code_at, name_at = table.columns.get("code"), table.columns.get("name")
    if code_at is None or name_at is None or paths in (code_at, name_at):
        return ""
    sample = table.sample
    if len(sample) < 2:
        return ""
    codes = {normalize_code(row[code_at]) for row in sample} | {""}
    names = {clean(row[name_at]) for row in sample}
    separators: tuple[str, ...] = (ARROW, "/", "|", "\\", ";", ",", ".")
    for separator in separators:
        parts = {clean(part) for row in sample for part in split_at(row[paths], separator)}
        if parts <= codes and not parts - {""} <= names:
            return separator
    return ""


def _path_column(table: TaxonomyTable) -> int | None:
    """The column that has paths, or is headed as one that has."""
    if "path" in table.columns:
        return table.columns["path"]
    for what in ("category", "name"):
        if (at := table.columns.get(what)) is not None:
            values = [row[at] for row in table.sample]
            if any(" > " in value for value in values) or find_separator(values) != ARROW:
                return at
    return None
