"""Google's product taxonomy with ids: `12 - A > B` lines; `#` begins a comment line.

Without ids it is a file of plain paths, which `paths` reads.
"""

from __future__ import annotations

import re

from cascade.taxonomy.draft import Draft
from cascade.taxonomy.formats import paths
from cascade.taxonomy.formats.file import TaxonomyFile

_LINE = re.compile(r"\s*(\d+) - (.+)")


def matches(file: TaxonomyFile) -> bool:
    """Whether most of the first lines are `12 - A > B`, or the comment names Google's taxonomy.

    Then each line must be one: what does not fit is an error, and no path without an id.
    """
    return _has_ids(file) or file.start.startswith("# Google_Product_Taxonomy")


def read(file: TaxonomyFile) -> Draft:
    """Nodes in file order; the code is the id, or the path where there is none.

    Raises
    ------
    TaxonomyError
        A line has no id though others have, or has one though others have none, or a path is
        blank or given twice.
    """
    if not _has_ids(file):
        for number, line in file.lines():
            if _LINE.match(line):
                raise file.error(
                    f"{line[:80]!r} has an id before its path, though most lines have none; give "
                    "each line one, or none",
                    number,
                )
        return paths.read(file)
    return paths.read_coded_paths(file, _LINE, "'12 - A > B'")


def _has_ids(file: TaxonomyFile) -> bool:
    found = [bool(_LINE.match(text)) for _, text in file.head]
    return all(found) or (
        2 * sum(found) >= len(found) and any(" > " in text for _, text in file.head)
    )
