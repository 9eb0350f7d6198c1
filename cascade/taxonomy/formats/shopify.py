"""Shopify's categories: `id<TAB>A > B` or `id : A > B` lines, or the JSON of a release.

Ids stay as they are, `gid://shopify/TaxonomyCategory/ap-1-2` in lines and new releases, `ap-1-2`
in the JSON of 2024. Translations of a release collide now and then, so in JSON a name that an
earlier sibling has gets its id appended, with a warning.
"""

from __future__ import annotations

import re

from cascade.taxonomy.draft import Draft
from cascade.taxonomy.formats.file import TaxonomyFile
from cascade.taxonomy.formats.paths import read_coded_paths
from cascade.taxonomy.formats.structured.json_yaml import Leaf, Mapping, Series, Value, parse_json
from cascade.taxonomy.formats.tables.headings import COLUMNS
from cascade.taxonomy.formats.tables.table import TaxonomyTable
from cascade.taxonomy.names import clean

_LINE = re.compile(r"\s*([^\s>]+)\s*(?:\t| : )\s*(.+)")


def matches(file: TaxonomyFile) -> bool:
    """Whether lines begin with an id before a path, or JSON has `verticals`."""
    if file.is_json:
        return '"verticals"' in file.start or '"verticals"' in file.text[-4096:]
    lines = [text for _, text in file.head]
    if lines[0].startswith("gid://shopify/"):
        return True
    table = TaxonomyTable.sniff(file)
    if table and table.has_header:
        return False
    found = [_LINE.fullmatch(line.rstrip()) for line in lines]
    if 2 * sum(map(bool, found)) <= len(found) or not any(" > " in line for line in lines):
        return False
    first = found[0]
    return first is None or first[1].casefold() not in COLUMNS["code"]


def read(file: TaxonomyFile) -> Draft:
    """Nodes in file order.

    Raises
    ------
    TaxonomyError
        A line is no id and path, a category lacks its id or name, or the parents make no tree.
    """
    if not file.is_json:
        return read_coded_paths(file, _LINE, "'id<TAB>A > B' or 'id : A > B'")
    release = parse_json(file.text, file.path)
    draft = Draft(file=file.path, distinct_siblings=True)
    parents = []
    for vertical in _items(release, "verticals", file):
        for category in _items(vertical, "categories", file):
            code, name = (_text(category, key, file) for key in ("id", "name"))
            draft.add(name, code, line=category.line)
            parents.append(_text(category, "parent_id", file, needed=False))
    draft.link(parents)
    return draft


def _items(value: Value, key: str, file: TaxonomyFile) -> list[Value]:
    found = value.get(key) if isinstance(value, Mapping) else None
    if not isinstance(found, Series):
        raise file.error(f"expected a list called {key!r}", value.line)
    return found.items


def _text(value: Value, key: str, file: TaxonomyFile, *, needed: bool = True) -> str:
    found = value.get(key) if isinstance(value, Mapping) else None
    text = clean(found.text) if isinstance(found, Leaf) else ""
    if needed and not text:
        raise file.error(f"a category without {key!r}", value.line)
    return text
