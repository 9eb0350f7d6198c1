"""Names indented below the names that they belong to, with or without `-`, `*` or `+` in front.

Tabs or blanks, of any width; a line that ends further left must end where one above it began. The
lines that `tree` draws count as blanks; of a link `[name](address)` the name counts. Numbers in
front of all names, such as `1.2 Hats`, are their codes where each continues that of the line above.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

from cascade.taxonomy.draft import Draft, PathTree
from cascade.taxonomy.formats.file import TaxonomyFile
from cascade.taxonomy.formats.foreign import recognise
from cascade.taxonomy.formats.tables.table import TaxonomyTable

_LINE = re.compile(r"(\s*)(?:[-*+•] +)?(\S.*)")
_DRAWN = re.compile(r"^[\s│├└─┬┌╰╭|`]*(?=[^\s│├└─┬┌╰╭|`])")
_ASCII = re.compile(r"[|\s]*[|`+\\](?:-{1,3}|_{2,3})\s*(?=[^\s|`+\\_-])")  # `|   +---A`
_LINK = re.compile(r"\[([^\]]+)\]\([^)]*\)")
_YAML = re.compile(
    r"\s*- +- |\s*(?:- )?[^\s'\"{\[][^:]*:(?:\s|$)|\s*(?:- )?(?!\[[^\]]*\]\()[{\[\"']|\s*-?$|---|%"
)
_LONGEST = 120
_BLANKS = {ord(blank): " " for blank in "\u00a0\u2002\u2003\u2009\u202f"}
_CODED = re.compile(r"([A-Za-z]?\d[\w.-]*?)\.?\s+(\S.*)")
_ITEM = re.compile(r"\(?(?:\d+|[A-Za-z]|[ivx]+)[.)]\s+\S")


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
    nodes: list[tuple[int, list[str]]] = []
    open_: list[tuple[str, str]] = []  # indentation and name of the lines that others are below
    for number, line in file.lines():
        found = _LINE.match(_undrawn(line).rstrip())
        indent, name = found.groups() if found else ("", line)
        indent = indent.translate(_BLANKS)
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
        nodes.append((number, [name for _, name in open_]))
    return _tree(file, nodes)


def _tree(file: TaxonomyFile, nodes: list[tuple[int, list[str]]]) -> Draft:
    """The nodes of lines and their paths; numbers in front are codes, or refused."""
    found = [[_CODED.fullmatch(name) for name in path] for _, path in nodes]
    coded = _continue(found)
    numbered = sum(bool(path[-1] or _ITEM.match(nodes[i][1][-1])) for i, path in enumerate(found))
    if not coded and len(nodes) > 1 and 2 * numbered > len(nodes):
        number, path = next(
            node for node in nodes if _CODED.match(node[1][-1]) or _ITEM.match(node[1][-1])
        )
        raise file.error(
            f"{path[-1][:80]!r} and others begin with a number or a code, but not all, or none "
            "continues that of the line above it; leave them out, or write a table with a header "
            "code,name,parent",
            number,
        )
    tree = PathTree(file.path)
    for (number, path), matches_ in zip(nodes, found, strict=True):
        code = ""
        if coded and (last := matches_[-1]):
            code, path = last[1], [part[2] for part in matches_ if part]
        if "\t" in path[-1]:
            raise file.error(
                f"{path[-1][:80]!r} has a tab inside, so this line has more than a name; write a "
                "table with a header code,name,parent, or a blank for the tab",
                number,
            )
        tree.add(path, code, line=number, once=True)
    return tree.finish()


def _continue(paths: Sequence[Sequence[re.Match[str] | None]]) -> bool:
    """Whether all names begin with a code of their own, which goes on from that above it."""
    codes = [[part[1] for part in path if part] for path in paths]
    if any(len(own) < len(path) for own, path in zip(codes, paths, strict=True)):
        return False
    ends = [own[-1] for own in codes]
    return len(set(ends)) == len(ends) and all(
        below.startswith(above) for own in codes for above, below in pairwise(own)
    )


def _undrawn(line: str) -> str:
    """A line with blanks for the signs of a drawn tree, which must have some of its own."""
    if ascii_ := _ASCII.match(line):
        return " " * len(ascii_[0]) + line[ascii_.end() :]
    found = _DRAWN.match(line)
    if not found or found[0].isspace() or not any(sign in found[0] for sign in "├└╰"):
        return line
    return " " * len(found[0]) + line[found.end() :]
