"""Flat lists of nodes in JSON and YAML as tables: a row for each, a column for each key.

So parents, paths and levels are read, or refused, as in a CSV. A mapping in a node makes a column
for each of its keys, `{"name": {"de": ..}}` is `name_de`; one for a parent is the code in it.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from cascade.taxonomy.formats.file import TaxonomyFile
from cascade.taxonomy.formats.separators import ARROW, find_separator
from cascade.taxonomy.formats.structured.json_yaml import Leaf, Mapping, Series, Value
from cascade.taxonomy.formats.structured.keys import (
    KEYS,
    code_of,
    is_flat,
    is_without_code,
    meaning,
    nodes_in,
    parent_text,
    plain_key,
)
from cascade.taxonomy.formats.structured.plain import no_code
from cascade.taxonomy.formats.tables.headings import COLUMNS, heading_key, is_parent
from cascade.taxonomy.formats.tables.levels import has_levels
from cascade.taxonomy.formats.tables.table import TaxonomyTable
from cascade.taxonomy.names import clean, join_synonyms

_LEVELS = ("level", "Level", "depth", "Depth", "lvl")

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class RecordTable(TaxonomyTable):
    """A table of the mappings of a list.

    Parameters
    ----------
    records
        Line and cells of each row.
    """

    records: tuple[tuple[int, tuple[str, ...]], ...] = ()

    @cached_property
    def keys(self) -> tuple[str, ...]:
        """Keys as they are compared; those that name nodes in JSON alone are words for `name`."""
        keys = tuple(map(heading_key, self.header))
        if not COLUMNS["name"].isdisjoint(keys) or has_levels(self.header):
            return keys
        at = next((i for i, key in enumerate(keys) if plain_key(key) in KEYS["name"]), None)
        return tuple("name" if i == at else key for i, key in enumerate(keys))

    def rows(self, *, short: bool = False) -> Iterator[tuple[int, list[str]]]:
        """Each row with its line."""
        for line, cells in self.records:
            yield line, [*cells]


def table_of(file: TaxonomyFile, value: Value) -> RecordTable | None:
    """The table that a list of nodes is; None where its nodes are nested, or nothing links them.

    Raises
    ------
    TaxonomyError
        A list of children names a node that is not there, or is in two of them.
    """
    if not isinstance(value, Series) or len(nodes_in(value)) < len(value.items):
        return None
    nodes = nodes_in(value)
    parents = _parents_of_children(file, nodes)
    if parents is None:
        return None
    keys = {key.text for node in nodes for key, _ in node.items}
    paths = any(heading_key(key) in COLUMNS["path"] for key in keys) or _are_paths(nodes)
    levels = has_levels(keys) or not keys.isdisjoint(_LEVELS)
    if not (is_flat(value) or parents or paths or levels):
        return None
    return _table(file, value.line, nodes, parents)


def _are_paths(nodes: list[Mapping]) -> bool:
    """Whether the names of nodes are paths, and nothing stands below them."""
    below = any(meaning(key.text) == "children" for node in nodes for key, _ in node.items)
    names = [
        part.text
        for node in nodes
        for key, part in node.items
        if isinstance(part, Leaf) and heading_key(key.text) in COLUMNS["name"]
    ]
    return not below and (any(" > " in name for name in names) or find_separator(names) != ARROW)


def _table(
    file: TaxonomyFile, line: int, nodes: list[Mapping], parents: dict[str, str]
) -> RecordTable:
    rows = []
    several: list[int] = []
    named = (key.text for node in nodes for key, _ in node.items if is_parent(key.text))
    above = next(named, "parent")
    for node in nodes:
        cells: dict[str, str] = {}
        keys = [heading_key(key.text) for key, _ in node.items]
        if "@id" in {key.text for key, _ in node.items} and keys.count("id") > 1:
            # An address beside a number, as API Platform has them; parents are either.
            node = Mapping([(_address(key), part) for key, part in node.items], node.line)
        for key, part in node.items:
            if meaning(key.text) == "children" and not isinstance(part, Leaf):
                continue
            if not is_parent(key.text):
                _flatten(key.text, part, cells)
                continue
            if isinstance(part, Series) and len(part.items) > 1:
                several.append(node.line)
            if is_without_code(part):
                raise no_code(file, key)
            cells.setdefault(key.text, parent_text(part))
        if parents and not any(is_parent(key) for key in cells):
            cells[above] = parents.get(code_of(node), "")
        rows.append((node.line, cells))
    if several:
        logger.warning(
            "%s: %d nodes have several parents, and stay below the first: line %s",
            file.path,
            len(several),
            ", ".join(map(str, several[:5])),
        )
    header = tuple(dict.fromkeys(key for _, cells in rows for key in cells))
    records = tuple((line, tuple(cells.get(key, "") for key in header)) for line, cells in rows)
    return RecordTable(file, "", header, line, records)


def _address(key: Leaf) -> Leaf:
    return Leaf("uri", key.line) if key.text == "@id" else key


def _flatten(key: str, value: Value, cells: dict[str, str]) -> None:
    """Put a value into cells; of a list its texts, as synonyms are written, or its only mapping."""
    if isinstance(value, Leaf):
        cells.setdefault(key, value.text)
    elif isinstance(value, Mapping):
        for part, inner in value.items:
            if isinstance(inner, Leaf):
                cells.setdefault(f"{key}_{part.text}", inner.text)
    elif len(value.items) == 1 and isinstance(value.items[0], Mapping):
        _flatten(key, value.items[0], cells)
    else:
        words = [item.text for item in value.items if isinstance(item, Leaf)]
        cells.setdefault(key, words[0] if len(words) == 1 else join_synonyms(words))


def _parents_of_children(file: TaxonomyFile, nodes: list[Mapping]) -> dict[str, str] | None:
    """Code of the parent by code, where nodes list the codes of children that stand beside them.

    None where the children are nodes of their own, or nothing but names.
    """
    codes = {code_of(node) for node in nodes} - {""}
    parents: dict[str, str] = {}
    for node in nodes:
        for key, part in node.items:
            if meaning(key.text) != "children" or isinstance(part, Leaf):
                continue
            items = part.items if isinstance(part, Series) else []
            below = [code_of(item) for item in items]
            if not items and part.items:
                return None
            if not codes.issuperset(below) and not codes.intersection(below):
                _refuse_names(file, nodes, items)
                return None
            for code in below:
                if code not in codes:
                    raise file.error(
                        f"node {code_of(node)!r} has a child {code!r}, which is no code of this "
                        "list; add that node, or leave it out",
                        part.line,
                    )
                own = code_of(node)
                if (other := parents.setdefault(code, own)) != own:
                    raise file.error(
                        f"node {code!r} is a child of both {other!r} and {own!r}; keep it in one",
                        part.line,
                    )
    return parents


def _refuse_names(file: TaxonomyFile, nodes: list[Mapping], items: Sequence[Value]) -> None:
    """Refuse children that are given by names, of which one is the name of a node of the list."""
    names = {
        clean(part.text): node
        for node in nodes
        for key, part in node.items
        if isinstance(part, Leaf) and meaning(key.text) == "name"
    }
    for item in items:
        if isinstance(item, Leaf) and (other := names.get(clean(item.text))):
            raise file.error(
                f"the child {item.text!r} has the name of the node on line {other.line}, but "
                "nothing says whether it is that one; give nodes codes and list those, or write "
                "the node itself among the children",
                item.line,
            )
