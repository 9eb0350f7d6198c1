"""Lines of `A > B > C`, or of plain names for a single level; `#` begins a comment line.

Other separators are read where the lines together show them, see `separators`. Nodes above may have
lines of their own or be implied. The code of a node is its path. Lines that have codes, several
columns or a header are more than names, and refused.
"""

from __future__ import annotations

import re

from cascade.taxonomy.draft import Draft, PathTree
from cascade.taxonomy.formats.file import TaxonomyFile
from cascade.taxonomy.formats.foreign import recognise
from cascade.taxonomy.formats.separators import (
    ARROW,
    doubt,
    find_separator,
    split_at,
    unclear_separator,
)
from cascade.taxonomy.formats.tables.problems import problem
from cascade.taxonomy.formats.tables.table import TaxonomyTable
from cascade.taxonomy.names import split_path

_LONGEST = 120
_CODED = re.compile(
    r"\s*[\"']?[A-Za-z]{0,3}[-_]?\d[\w.-]*[\"']?\s*(?:[,;:|\t=)\]]|[-\u2013\u2014] )"
)
_TAILED = re.compile(r".*(?:[,;|\t]\s*|\s*[\[(])[\"']?[A-Za-z]{0,3}[-_]?\d[\w.-]*[\"']?[\])]?\s*")
_MARKED = re.compile(r"\s*(?:--|\*\*|\+\+|\.\.|>>)[-*+.>]*\s*[^-*+.>\s]")
_NUMBER = re.compile(r"\s*\d+\s+[^\s>]")
_NUMBERED = re.compile(r"\s*(?:[A-Z]\d[\d.]*|\d[\d.-]*[A-Z]?)\s+[^\s>]")
_ENDS = (".", ",", ";", ":", "!", "?")
_HEADING = re.compile(r"#{2,6} ", re.MULTILINE)


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
    _refuse_more_than_names(file, lines, separator)
    tree = PathTree(file.path)
    indent = 0
    for number, line in file.lines():
        before, indent = indent, len(line) - len(line.lstrip())
        names = split_at(_unquoted(line.strip()), separator)
        if indent > before and len(names) == 1 and number != file.head[0][0]:
            raise file.error(
                f"{line.strip()[:80]!r} is indented, but the lines of this file are paths and "
                "depth counts for nothing; write it as 'A > B > C' as well",
                number,
            )
        tree.add(names, line=number, once=True)
    return tree.finish()


def _unquoted(line: str) -> str:
    """A line without the quotes that a spreadsheet puts round cells with commas."""
    if len(line) > 1 and line[0] == line[-1] == '"' and line.count('"') % 2 == 0:
        return line[1:-1].replace('""', '"')
    return line


def _refuse_more_than_names(file: TaxonomyFile, lines: list[str], separator: str) -> None:
    """Refuse lines with codes, and plain names where something says that they are not all."""
    first = file.head[0][0]
    coded = sum(bool(_CODED.match(line)) for line in lines)
    numbered = any(ARROW in line for line in lines) and all(map(_NUMBER.match, lines))
    if len(lines) > 1 and (2 * coded > len(lines) or numbered):
        table = TaxonomyTable.sniff(file)
        if table and len(table.header) > 1 and not _CODED.match(lines[0]):
            raise file.error(problem(table), table.line)
        raise file.error(
            f"{lines[0][:80]!r} and others begin with a code; put a header above them and name "
            "its columns code,path, or code,name,parent, with one delimiter",
            first,
        )
    if len(lines) > 1 and 2 * sum(bool(_TAILED.fullmatch(line[-60:])) for line in lines) > len(
        lines
    ):
        raise file.error(
            f"{lines[0][:80]!r} and others end in a code; put a header above them and name its "
            "columns path,code, with one delimiter",
            first,
        )
    if separator != ARROW or 2 * sum(ARROW in line for line in lines) >= len(lines):
        return
    if marked := next((at for at, line in file.head if _MARKED.match(line)), None):
        raise file.error(
            "signs in front of names seem to say how deep they are; write blanks for them, two "
            "more for each level, or lines of 'A > B > C'",
            marked,
        )
    if len(lines) > 1 and 2 * sum(bool(_NUMBERED.match(line)) for line in lines) >= len(lines):
        raise file.error(
            f"{lines[0][:80]!r} and others begin with a code, but nothing says which node is above "
            "which; write a table with a header code,name,parent",
            first,
        )
    if unclear := doubt(lines, "lines"):
        raise file.error(unclear, first)
    if _HEADING.search(file.text):
        raise file.error(
            "lines that begin with ## are headings of Markdown, and comments here; write names "
            "below others with more blanks in front, or all as 'A > B > C'",
            file.line_of("## "),
        )


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
