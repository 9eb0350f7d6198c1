"""Where the nodes are in a document that has more than nodes: `{"more": .., "results": [...]}`."""

from __future__ import annotations

import logging

from cascade.taxonomy.formats.file import TaxonomyFile
from cascade.taxonomy.formats.structured.json_yaml import Leaf, Mapping, Series, Value
from cascade.taxonomy.formats.structured.keys import (
    WRAPPERS,
    is_linked,
    is_node,
    is_record,
    keyed,
    nodes_in,
    plain_key,
)
from cascade.taxonomy.formats.tables.headings import words

_DEEPEST = 8
_WHOLE = words(
    "taxonomy taxonomies categories category tree nodes hierarchy classification codelist "
    "data items root children departments terms concepts labels classes tags topics subjects "
    "intents options choices groups"
)

logger = logging.getLogger(__name__)


def unwrap(file: TaxonomyFile, root: Value) -> Value:
    """The list or mapping of nodes in a document.

    Raises
    ------
    TaxonomyError
        There are several lists of nodes that name their parents.
    """
    value = root
    for _ in range(_DEEPEST):
        inner = _inside(file, value)
        if inner is None:
            break
        value = inner
    if isinstance(value, Mapping) and not is_node(value):
        return keyed(value) or value
    return value


def _inside(file: TaxonomyFile, value: Value) -> Value | None:
    """The value that holds the nodes within another; None where this is it."""
    if is_linked(value) or isinstance(value, Leaf):
        return None
    linked: list[tuple[Leaf, Value]] = []
    for holder in [value] if isinstance(value, Mapping) else nodes_in(value):
        # What is said of a list stands beside its nodes: SDMX has them as `codes` of a codelist.
        linked += [(key, part) for key, part in holder.items if is_linked(part)]
    if len(linked) > 1:
        raise file.error(
            f"there are {len(linked)} lists of nodes that name their parents, "
            f"{linked[0][0].text!r} on line {linked[0][0].line} and {linked[1][0].text!r} here; a "
            "file has one taxonomy, so leave one",
            linked[1][0].line,
        )
    if linked:
        return linked[0][1]
    if not isinstance(value, Mapping):
        return None
    if is_node(value):
        return None
    lists: list[tuple[Leaf, Value]] = [
        (key, part)
        for key, part in value.items
        if isinstance(part, Series) and any(is_node(n) or is_record(n) for n in nodes_in(part))
    ]
    scalars = any(isinstance(part, Leaf) and part.text for _, part in value.items)
    known = [(key, part) for key, part in lists if plain_key(key.text) in WRAPPERS]
    if len(lists) == 1 and (scalars or known):
        return lists[0][1]
    if len(known) == 1:
        others = ", ".join(repr(key.text) for key, _ in value.items if key is not known[0][0])
        logger.warning(
            "%s: the nodes are read from %r; not used: %s", file.path, known[0][0].text, others
        )
        return known[0][1]
    mappings = [
        part
        for key, part in value.items
        if isinstance(part, Mapping) and plain_key(key.text) in WRAPPERS
    ]
    if not lists and len(mappings) == 1 and (scalars or _holds_nodes(mappings[0])):
        return mappings[0]
    return _below_wrapper(file, value)


def _below_wrapper(file: TaxonomyFile, value: Mapping) -> Value | None:
    """What is below a key that is alone and called like the whole, as in `{taxonomy: {A: [B]}}`."""
    if len(value.items) != 1:
        return None
    key, part = value.items[0]
    if plain_key(key.text) not in _WHOLE or isinstance(part, Leaf) or not part.items:
        return None
    logger.warning(
        "%s, line %d: %r is taken for the key around all nodes, and is none itself; if it is the "
        "top node, write 'nodes: [{name: %s, children: ...}]'",
        file.path,
        key.line,
        key.text,
        key.text,
    )
    return part


def _holds_nodes(value: Value) -> bool:
    """Whether nodes stand directly inside, or one step further."""
    inner: list[Value] = [*nodes_in(value)]
    if isinstance(value, Mapping):
        inner += [node for _, part in value.items for node in nodes_in(part)]
    return any(is_node(node) or is_record(node) for node in inner)
