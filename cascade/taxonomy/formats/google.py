"""Google's product taxonomy with ids: `12 - A > B` lines; `#` begins a comment line.

Without ids it is a file of plain paths, which `paths` reads.
"""

from __future__ import annotations

import re

from cascade.errors import TaxonomyError
from cascade.taxonomy.formats import paths
from cascade.taxonomy.formats.path_tree import PathTree, split
from cascade.taxonomy.formats.source import Source
from cascade.taxonomy.records import Draft

_LINE = re.compile(r"\s*(\d+) - (.+)")


def matches(source: Source) -> bool:
    """Whether the first lines are `12 - A > B`, or the comment names Google's taxonomy."""
    return _numbered(source) or source.start.startswith("# Google_Product_Taxonomy")


def read(source: Source) -> Draft:
    """Nodes in file order; the code is the id, or the path where there is none.

    Raises
    ------
    TaxonomyError
        A line has no id though others have, or a path is blank or given twice.
    """
    if not _numbered(source):
        return paths.read(source)
    tree = PathTree(source.file)
    for number, line in enumerate(source.text.split("\n"), 1):
        if not line.strip() or line.startswith("#"):
            continue
        found = _LINE.fullmatch(line.rstrip())
        if not found:
            raise TaxonomyError(
                f"{line[:80]!r} is not like the lines before; expected '12 - A > B'",
                file=source.file,
                line=number,
            )
        tree.add(split(found[2]), found[1], line=number, once=True)
    return tree.draft()


def _numbered(source: Source) -> bool:
    return all(_LINE.match(text) for _, text in source.head[:20])
