"""Names indented below the names that they belong to, with or without `-`, `*` or `+` in front.

Tabs or blanks, of any width; a line that ends further left must end where one above it began. The
lines that `tree` draws count as blanks; of a link `[name](address)` the name counts.
"""

from __future__ import annotations

import re

from cascade.taxonomy.draft import Draft, PathTree
from cascade.taxonomy.formats.file import TaxonomyFile
from cascade.taxonomy.formats.foreign import recognise
from cascade.taxonomy.formats.tables.table import TaxonomyTable

_LINE = re.compile(r"([ \t]*)(?:[-*+•] +)?(\S.*)")
_DRAWN = re.compile(r"^[\s│├└─┬┌╰╭|`]*(?=[^\s│├└─┬┌╰╭|`])")
_LINK = re.compile(r"\[([^\]]+)\]\([^)]*\)")
_YAML = re.compile(
    r"\s*(?:- )?[^\s'\"{\[][^:]*:(?:\s|$)|\s*(?:- )?(?!\[[^\]]*\]\()[{\[\"']|\s*-?$|---|%"
)
_LONGEST = 120


def matches(file: TaxonomyFile) -> bool:
    """Whether some of the first lines, short names all, are indented below others."""
    if file.is_xml or file.is_json:
        return False
    lines = [_undrawn(text).rstrip() for _, text in file.head]
    indents = [len(line) - len(line.lstrip()) for line in lines]
    if min(indents) < indents[0] or max(indents) == min(indents):
        return False
    if any(" > " in line or len(line) > _LONGEST or _YAML.match(line) for line in lines):
        return False
    table = TaxonomyTable.sniff(file)
    return not (table and table.has_header) and not recognise(file)


def read(file: TaxonomyFile) -> Draft:
    """Nodes in file order.

    Raises
    ------
    TaxonomyError
        A line is indented like none above it, or a name is given twice below one.
    """
    tree = PathTree(file.path)
    open_: list[tuple[str, str]] = []  # indentation and name of the lines that others are below
    for number, line in file.lines():
        found = _LINE.match(_undrawn(line).rstrip())
        indent, name = found.groups() if found else ("", line)
        if link := _LINK.fullmatch(name):
            name = link[1]
        while open_ and not (indent.startswith(open_[-1][0]) and indent != open_[-1][0]):
            if not open_[-1][0].startswith(indent):
                raise file.error(
                    "indented with other blanks or tabs than the lines above; use one kind", number
                )
            last = open_.pop()
            if indent != last[0] and (not open_ or len(open_[-1][0]) < len(indent)):
                raise file.error(
                    f"{name[:80]!r} is indented by {len(indent)}, as no line above it is; indent "
                    "it like the names beside it",
                    number,
                )
        open_.append((indent, name))
        tree.add([name for _, name in open_], line=number, once=True)
    return tree.finish()


def _undrawn(line: str) -> str:
    """A line with blanks for the signs of a drawn tree, which must have some of its own."""
    found = _DRAWN.match(line)
    if not found or found[0].isspace() or not any(sign in found[0] for sign in "├└╰"):
        return line
    return " " * len(found[0]) + line[found.end() :]
