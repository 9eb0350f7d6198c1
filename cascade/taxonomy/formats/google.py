"""Google's product taxonomy with ids: `12 - A > B` lines; `#` begins a comment line.

Without ids it is a file of plain paths, which `paths` reads.
"""

from __future__ import annotations

import re

from cascade.errors import TaxonomyError
from cascade.taxonomy.draft import Draft, PathTree
from cascade.taxonomy.formats import paths
from cascade.taxonomy.formats.file import TaxonomyFile
from cascade.taxonomy.names import split_path

_LINE = re.compile(r"\s*(\d+) - (.+)")


def matches(file: TaxonomyFile) -> bool:
    """Whether the first lines are `12 - A > B`, or the comment names Google's taxonomy."""
    return _numbered(file) or file.start.startswith("# Google_Product_Taxonomy")


def read(file: TaxonomyFile) -> Draft:
    """Nodes in file order; the code is the id, or the path where there is none.

    Raises
    ------
    TaxonomyError
        A line has no id though others have, or a path is blank or given twice.
    """
    if not _numbered(file):
        return paths.read(file)
    tree = PathTree(file.path)
    for number, line in enumerate(file.text.split("\n"), 1):
        if not line.strip() or line.startswith("#"):
            continue
        found = _LINE.fullmatch(line.rstrip())
        if not found:
            raise TaxonomyError(
                f"{line[:80]!r} is not like the lines before; expected '12 - A > B'",
                file=file.path,
                line=number,
            )
        tree.add(split_path(found[2]), found[1], line=number, once=True)
    return tree.draft()


def _numbered(file: TaxonomyFile) -> bool:
    return all(_LINE.match(text) for _, text in file.head[:20])
