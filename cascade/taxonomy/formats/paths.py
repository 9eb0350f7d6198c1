"""Lines of `A > B > C`, or of plain names for a single level; `#` begins a comment line.

Other separators are read where the lines together show them, see `separators`. Nodes above may have
lines of their own or be implied. The code of a node is its path. Lines that have codes, several
columns or a header are more than names, and refused.
"""

from __future__ import annotations

import logging
import re

from cascade.taxonomy.draft import Draft, PathTree
from cascade.taxonomy.formats.file import TaxonomyFile
from cascade.taxonomy.formats.foreign import recognise
from cascade.taxonomy.formats.line_checks import refuse_more_than_names
from cascade.taxonomy.formats.separators import (
    ARROW,
    find_separator,
    refuse_mixed,
    split_at,
    unclear_separator,
)
from cascade.taxonomy.formats.tables.table import TaxonomyTable
from cascade.taxonomy.names import split_path

logger = logging.getLogger(__name__)

_LONGEST = 120
_BULLETS = ("-", "*", "+", "\u2022", "\u2013", "\u00b7")
_ENDS = (".", ",", ";", ":", "!", "?")


def matches(file: TaxonomyFile) -> bool:
    """Whether most lines are paths, or all are short and of no other known shape."""
    if file.is_xml or file.is_json:
        return False
    lines = [text for _, text in file.head]
    table = TaxonomyTable.sniff(file)
    if table and table.has_header:
        return False
    if 2 * sum(" > " in line for line in lines) >= len(lines):
        return True
    if len(lines) < 2 or any(len(line) > _LONGEST for line in lines) or recognise(file):
        return False
    if find_separator(lines) != ARROW or unclear_separator(lines):
        return True
    is_prose = 3 * sum(line.rstrip().endswith(_ENDS) for line in lines) > len(lines)
    return not is_prose and (table is None or len(table.header) == 1)


def read(file: TaxonomyFile) -> Draft:
    """Nodes in the order in which they are first mentioned.

    Raises
    ------
    TaxonomyError
        A path has a blank name or is given twice, or lines have more than names.
    """
    lines = [text for _, text in file.head]
    separator = find_separator(lines)
    refuse_more_than_names(file, separator)
    _refuse_indented(file, separator)
    if len(lines) > 2 and not any(separator in line for line in lines[:1]):
        _tell_heading(file, separator)
    refuse_mixed(file, [*file.lines()], separator)
    tree = PathTree(file.path)
    bullet = _bullet(lines)
    for number, line in file.lines():
        text = line.strip().removeprefix(bullet).lstrip()
        tree.add(split_at(_unquoted(text), separator), line=number, once=True)
    return tree.finish()


def _tell_heading(file: TaxonomyFile, separator: str) -> None:
    """Warn of a first line that is no path though all others are, below other names."""
    (number, first), *rest = [(line, split_at(text, separator)) for line, text in file.head]
    if all(len(names) > 1 and names[0] != first[0] for _, names in rest):
        logger.warning(
            "%s, line %d: %r is read as a node, though all other lines are paths; remove it if it "
            "is a heading",
            file.path,
            number,
            first[0],
        )


def _bullet(lines: list[str]) -> str:
    """The sign in front of all lines, as in lists of Markdown; empty where there is none."""
    first = lines[0].lstrip()[:2].rstrip()
    if first not in _BULLETS:
        return ""
    same = all(re.match(rf"\s*{re.escape(first)}\s", line) for line in lines)
    return first if same else ""


def _refuse_indented(file: TaxonomyFile, separator: str) -> None:
    """Refuse lines that are indented below others, where depth counts for nothing.

    A path whose first name stands at the top elsewhere is whole, however it is indented, and a
    single blank is a slip.
    """
    tops: set[str] = set()
    indent = 0
    for number, line in file.lines():
        before, indent = indent, len(line) - len(line.lstrip())
        names = split_at(_unquoted(line.strip()), separator)
        if indent <= before or number == file.head[0][0]:
            tops.add(names[0])
        elif len(names) == 1 or (names[0] not in tops and indent > before + 1):
            raise file.error(
                f"{line.strip()[:80]!r} is indented, but the lines of this file are paths and "
                "depth counts for nothing; write it as 'A > B > C' from the top",
                number,
            )


def _unquoted(line: str) -> str:
    """A line without the quotes that a spreadsheet puts round cells with commas."""
    if len(line) > 1 and line[0] == line[-1] == '"' and line.count('"') % 2 == 0:
        return line[1:-1].replace('""', '"')
    return line


def read_coded_paths(file: TaxonomyFile, form: re.Pattern[str], example: str) -> Draft:
    """Nodes of lines with a code before each path, for formats that have those.

    Parameters
    ----------
    form
        A whole line; its groups are the code and the path.
    example
        A line, for messages.

    Raises
    ------
    TaxonomyError
        A line has no code, or a path is blank or given twice.
    """
    tree = PathTree(file.path)
    for number, line in file.lines():
        found = form.fullmatch(line.rstrip())
        if not found:
            raise file.error(
                f"{line[:80]!r} has no id before its path; expected {example}, as in other lines",
                number,
            )
        tree.add(split_path(found[2]), found[1], line=number, once=True)
    return tree.finish()
