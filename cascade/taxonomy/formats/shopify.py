"""Shopify's categories: `id<TAB>A > B` or `id : A > B` lines, or the JSON of a release.

Ids stay as they are, `gid://shopify/TaxonomyCategory/ap-1-2` in lines and new releases, `ap-1-2`
in the JSON of 2024. Translations of a release collide now and then, so in JSON a name that an
earlier sibling has gets its id appended, with a warning.
"""

from __future__ import annotations

import re
from array import array

from cascade.errors import TaxonomyError
from cascade.taxonomy.formats.located import Leaf, Mapping, Series, Value, parse_json
from cascade.taxonomy.formats.path_tree import PathTree, split
from cascade.taxonomy.formats.source import Source
from cascade.taxonomy.formats.table import COLUMNS
from cascade.taxonomy.records import Draft, clean, link

_LINE = re.compile(r"\s*([^\s>]+)\s*(?:\t| : )\s*(.+)")


def matches(source: Source) -> bool:
    """Whether lines begin with an id before a path, or JSON has `verticals`."""
    if source.is_json:
        return '"verticals"' in source.start or '"verticals"' in source.text[-4096:]
    lines = [text for _, text in source.head]
    if lines[0].startswith("gid://shopify/"):
        return True
    found = [_LINE.fullmatch(line.rstrip()) for line in lines]
    if not all(found) or not any(" > " in line for line in lines):
        return False
    first = found[0]
    return first is not None and first[1].casefold() not in COLUMNS["code"]


def read(source: Source) -> Draft:
    """Nodes in file order.

    Raises
    ------
    TaxonomyError
        A line is no id and path, a category lacks its id or name, or the parents make no tree.
    """
    return _json(source) if source.is_json else _lines(source)


def _lines(source: Source) -> Draft:
    tree = PathTree(source.file)
    for number, line in enumerate(source.text.split("\n"), 1):
        if not line.strip() or line.startswith("#"):
            continue
        found = _LINE.fullmatch(line.rstrip())
        if not found:
            raise TaxonomyError(
                f"{line[:80]!r} has no id before its path; expected 'id<TAB>A > B' or 'id : A > B'",
                file=source.file,
                line=number,
            )
        tree.add(split(found[2]), found[1], line=number, once=True)
    return tree.draft()


def _json(source: Source) -> Draft:
    release = parse_json(source)
    codes, names, parents, lines = [], [], [], array("q")
    for vertical in _series(release, "verticals", source):
        for category in _series(vertical, "categories", source):
            codes.append(_text(category, "id", source))
            names.append(_text(category, "name", source))
            parents.append(_text(category, "parent_id", source, needed=False))
            lines.append(category.line)
    return Draft(
        codes,
        names,
        link(codes, parents, lines=lines, file=source.file),
        lines,
        file=source.file,
        distinct_siblings=True,
    )


def _series(value: Value, key: str, source: Source) -> list[Value]:
    found = value.get(key) if isinstance(value, Mapping) else None
    if not isinstance(found, Series):
        raise TaxonomyError(f"expected a list called {key!r}", file=source.file, line=value.line)
    return found.items


def _text(value: Value, key: str, source: Source, *, needed: bool = True) -> str:
    found = value.get(key) if isinstance(value, Mapping) else None
    text = clean(found.text) if isinstance(found, Leaf) else ""
    if needed and not text:
        raise TaxonomyError(f"a category without {key!r}", file=source.file, line=value.line)
    return text
