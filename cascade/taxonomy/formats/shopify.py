"""Shopify's categories: `id<TAB>A > B` or `id : A > B` lines, or the JSON of a release.

Ids stay as they are, `gid://shopify/TaxonomyCategory/ap-1-2` in lines and new releases, `ap-1-2`
in the JSON of 2024. Translations of a release collide now and then, so in JSON a name that an
earlier sibling has gets its id appended, with a warning.
"""

from __future__ import annotations

import re
from array import array

from cascade.errors import TaxonomyError
from cascade.taxonomy.draft import Draft, PathTree, link
from cascade.taxonomy.formats.file import TaxonomyFile
from cascade.taxonomy.formats.json_yaml import Leaf, Mapping, Series, Value, parse_json
from cascade.taxonomy.formats.table import COLUMNS
from cascade.taxonomy.names import clean, split_path

_LINE = re.compile(r"\s*([^\s>]+)\s*(?:\t| : )\s*(.+)")


def matches(file: TaxonomyFile) -> bool:
    """Whether lines begin with an id before a path, or JSON has `verticals`."""
    if file.is_json:
        return '"verticals"' in file.start or '"verticals"' in file.text[-4096:]
    lines = [text for _, text in file.head]
    if lines[0].startswith("gid://shopify/"):
        return True
    found = [_LINE.fullmatch(line.rstrip()) for line in lines]
    if not all(found) or not any(" > " in line for line in lines):
        return False
    first = found[0]
    return first is not None and first[1].casefold() not in COLUMNS["code"]


def read(file: TaxonomyFile) -> Draft:
    """Nodes in file order.

    Raises
    ------
    TaxonomyError
        A line is no id and path, a category lacks its id or name, or the parents make no tree.
    """
    return _json(file) if file.is_json else _lines(file)


def _lines(file: TaxonomyFile) -> Draft:
    tree = PathTree(file.path)
    for number, line in enumerate(file.text.split("\n"), 1):
        if not line.strip() or line.startswith("#"):
            continue
        found = _LINE.fullmatch(line.rstrip())
        if not found:
            raise TaxonomyError(
                f"{line[:80]!r} has no id before its path; expected 'id<TAB>A > B' or 'id : A > B'",
                file=file.path,
                line=number,
            )
        tree.add(split_path(found[2]), found[1], line=number, once=True)
    return tree.draft()


def _json(file: TaxonomyFile) -> Draft:
    release = parse_json(file.text, file.path)
    codes, names, parents, lines = [], [], [], array("q")
    for vertical in _series(release, "verticals", file):
        for category in _series(vertical, "categories", file):
            codes.append(_text(category, "id", file))
            names.append(_text(category, "name", file))
            parents.append(_text(category, "parent_id", file, needed=False))
            lines.append(category.line)
    return Draft(
        codes,
        names,
        link(codes, parents, lines=lines, file=file.path),
        lines,
        file=file.path,
        distinct_siblings=True,
    )


def _series(value: Value, key: str, file: TaxonomyFile) -> list[Value]:
    found = value.get(key) if isinstance(value, Mapping) else None
    if not isinstance(found, Series):
        raise TaxonomyError(f"expected a list called {key!r}", file=file.path, line=value.line)
    return found.items


def _text(value: Value, key: str, file: TaxonomyFile, *, needed: bool = True) -> str:
    found = value.get(key) if isinstance(value, Mapping) else None
    text = clean(found.text) if isinstance(found, Leaf) else ""
    if needed and not text:
        raise TaxonomyError(f"a category without {key!r}", file=file.path, line=value.line)
    return text
