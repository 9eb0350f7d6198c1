"""What is wrong with a table that is no taxonomy: what was recognised, and what is missing."""

from __future__ import annotations

import re
from collections.abc import Sequence

from cascade.taxonomy.formats.tables.headings import is_parent
from cascade.taxonomy.formats.tables.roles import roles_of
from cascade.taxonomy.formats.tables.table import TaxonomyTable
from cascade.taxonomy.names import match_code, normalize_code

EXPECTED = (
    "expected code,name,parent (an empty parent at the top), or one column with paths "
    "'A > B > C', or one column for each level (level1,level2,...); or another form, such as "
    "lines of 'A > B > C'"
)
_CHILDREN = re.compile(r"(?:child(?:ren|s)?|narrower|sub_?categories)(?:_(?:ids?|codes?))?")
_NAMES = re.compile(r".*_(?:name|title|label)(?:_[a-z]{2})?")
_CODES = re.compile(r"(?:.*_)?code(?:_.*)?|(?:.*_)?id")


def problem(table: TaxonomyTable) -> str:
    """Why no reader takes a table."""
    found = ", ".join(map(repr, table.header))
    if headless := _headless(table):
        return headless
    for at, heading in enumerate(table.header):
        cells = [row[at] for row in table.sample if row[at].strip()]
        if cells and 2 * sum(" > " in cell for cell in cells) >= len(cells):
            return f"column {heading!r} looks like paths; head it 'path' to have it read as such"
    what = f"a table whose columns are not those of a taxonomy; found columns: {found}"
    roles = _roles(table)
    if roles:
        known = ", ".join(f"{heading!r} holds the {what}" for what, heading in roles.items())
        missing = "names" if "name" not in roles else "the code of the node above"
        heading = "name" if "name" not in roles else "parent"
        if "parent" in roles and "name" in roles:
            missing, heading = "codes that the parents are among", "code"
        what = (
            f"{what}; {known}, but no column holds {missing}: add one, or rename it to "
            f"{heading!r}{_hint(table) if heading == 'parent' else ''}"
        )
    return f"{what}; {EXPECTED}"


def has_words(table: TaxonomyTable) -> bool:
    """Whether headings are made of the words for codes and names: `2022 Code`, `2022 Title`."""
    return any(map(_NAMES.fullmatch, table.keys)) and any(map(_CODES.fullmatch, table.keys))


def _roles(table: TaxonomyTable) -> dict[str, str]:
    """The headings of codes, names and parents, as far as they are recognised."""
    roles = {
        what: table.header[at]
        for what, at in table.columns.items()
        if what in ("code", "name", "parent")
    }
    for what, form in (("code", _CODES), ("name", _NAMES)):
        found = [
            heading
            for heading, word in zip(table.header, table.keys, strict=True)
            if form.fullmatch(word) and not is_parent(heading) and heading not in roles.values()
        ]
        if len(found) == 1:
            roles.setdefault(what, found[0])
    if "name" not in roles and table.translations:
        roles["name"] = table.header[next(iter(table.translations))]
    if "name" not in roles and (published := roles_of(table)):
        roles |= {"code": table.header[published.code], "name": table.header[published.name]}
    return {what: roles[what] for what in ("code", "name", "parent") if what in roles}


def _headless(table: TaxonomyTable) -> str:
    """What to say of a first line that names no columns; empty where it may."""
    cells = table.header
    if len(cells) < 2:
        return ""
    if any(
        row[at].strip() == cell for row in table.sample for at, cell in enumerate(cells) if cell
    ):
        return _no_header(cells)
    if not any(not cell or cell[0].isdigit() for cell in cells):
        return ""
    numbers = sum(cell.replace(".", "").isdigit() for cell in cells)
    if not numbers and sum(map(bool, cells)) > len(cells) // 2:
        return ""
    return _no_header(cells)


def _no_header(cells: Sequence[str]) -> str:
    shown = ", ".join(map(repr, cells[:4]))
    return (
        f"the first line is no header ({shown}); the file must begin with a line that names the "
        f"columns, and have nothing above it; {EXPECTED}"
    )


def _hint(table: TaxonomyTable) -> str:
    """Which column looks like parents: its heading says so, or its values are codes of others."""
    for heading in filter(is_parent, table.header):
        return f" (perhaps {heading!r}; it must hold codes, not names)"
    for heading, word in zip(table.header, table.keys, strict=True):
        if _CHILDREN.fullmatch(word):
            return f" ({heading!r} lists nodes below; write the one above into each row instead)"
    rows = table.sample
    code_at = table.columns.get("code", table.columns.get("name"))
    if code_at is None or len(rows) < 2:
        return ""
    codes = {normalize_code(row[code_at]) for row in rows}
    for at, heading in enumerate(table.header):
        cells = [(row[at], row[code_at]) for row in rows if row[at].strip()]
        if (
            at != code_at
            and cells
            and all(
                match_code(cell, codes) and normalize_code(cell) != normalize_code(own)
                for cell, own in cells
            )
        ):
            return f" (perhaps {heading!r}, whose values are codes of other rows)"
    return ""
