"""Lines of `A > B > C`, or of plain names for a single level; `#` begins a comment line.

Nodes above may have lines of their own or be implied. The code of a node is its path.
"""

from __future__ import annotations

import re

from cascade.taxonomy.draft import Draft, PathTree
from cascade.taxonomy.formats.file import TaxonomyFile
from cascade.taxonomy.formats.tables.table import TaxonomyTable
from cascade.taxonomy.names import split_path

_LONGEST = 120


def matches(file: TaxonomyFile) -> bool:
    """Whether most lines have ` > `, or all are short and of no other known shape."""
    if file.is_xml or file.is_json:
        return False
    lines = [text for _, text in file.head]
    if 2 * sum(" > " in line for line in lines) >= len(lines):
        return True
    table = TaxonomyTable.sniff(file)
    single = table is None or len(table.header) == 1
    return single and len(lines) > 1 and all(len(line) <= _LONGEST for line in lines)


def read(file: TaxonomyFile) -> Draft:
    """Nodes in the order in which they are first mentioned.

    Raises
    ------
    TaxonomyError
        A path has a blank name or is given twice.
    """
    tree = PathTree(file.path)
    for number, line in file.lines():
        tree.add(split_path(line.strip()), line=number, once=True)
    return tree.finish()


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
            raise file.error(f"{line[:80]!r} has no id before its path; expected {example}", number)
        tree.add(split_path(found[2]), found[1], line=number, once=True)
    return tree.finish()
