"""What the keys of nodes mean in JSON and YAML, and which lists and mappings are lists of nodes."""

from __future__ import annotations

import re
from functools import lru_cache

from cascade.taxonomy.draft import LANGUAGE
from cascade.taxonomy.formats.file import TaxonomyFile
from cascade.taxonomy.formats.structured.json_yaml import Leaf, Mapping, Series, Value
from cascade.taxonomy.formats.tables.headings import heading_key, is_parent, words
from cascade.taxonomy.names import match_code, normalize_code

KEYS = {
    "code": ("code", "id", "key", "notation", "_id", "identifier", "uri", "nodeid", "categoryid"),
    "name": (
        *("name", "label", "title", "text", "displayname", "preflabel", "caption"),
        *("categoryname", "nodename", "termname", "category"),
    ),
    "description": ("description", "definition"),
    "synonyms": ("synonyms", "aliases", "altlabels"),
    "translations": ("translations",),
    "machine": ("machine",),
    "children": (
        *(
            "children",
            "childs",
            "child",
            "childrendata",
            "childnodes",
            "childcategories",
            "nodes",
            "categories",
        ),
        *("subcategories", "subcategory", "subclasses", "subgroups", "narrower", "sub"),
    ),
}
"""What a node has, by the keys for it, written as `plain_key` does."""

KNOWN = [word for words in KEYS.values() for word in words]
WRAPPERS = words(
    "data items item results result records rows list content contents payload response "
    "body value values entries elements objects taxonomy taxonomies categories category "
    "tree nodes node terms concepts codes codelist codelists hits docs structure hierarchy "
    "classification schema root children departments"
)
"""Keys that hold the nodes of a file and name none themselves."""

_OWN = re.compile(r".*_(?:id|code)")
_LIKE_CHILDREN = re.compile("sub|child|narrow|descend")
_BESIDE = words(
    "ancestors attributes attribute properties images image links _links media related "
    "relations equivalents examples products mappings matches metadata options facets tags "
    "sources references translations labels parents parent breadcrumbs breadcrumb path"
)


def plain_key(key: str) -> str:
    """A key as it is compared: `subCategories` and `sub_categories` are `subcategories`."""
    return key if key == "_id" else heading_key(key).replace("_", "")


@lru_cache(maxsize=256)
def meaning(key: str) -> str | None:
    """What a key holds, of `KEYS`; None where it is not known."""
    word = plain_key(key)
    return next((what for what, words in KEYS.items() if word in words), None)


def has_leaf(value: Mapping, what: str) -> bool:
    """Whether a mapping has a text of that meaning, or names by language."""
    return any(
        (part.text if isinstance(part, Leaf) else what == "name" and by_language(part))
        for key, part in value.items
        if meaning(key.text) == what
    )


def by_language(value: Value) -> bool:
    """Whether this is a mapping of language tags to texts: `{"en": "Hats", "de": "Hüte"}`."""
    return (
        isinstance(value, Mapping)
        and bool(value.items)
        and all(
            isinstance(part, Leaf) and re.fullmatch(LANGUAGE, key.text) for key, part in value.items
        )
    )


def is_node(value: Value) -> bool:
    """Whether a mapping describes one node: a text is called its name, beside a key like it."""
    if not isinstance(value, Mapping) or not has_leaf(value, "name"):
        return False
    known = {meaning(key.text) or key.text for key, _ in value.items if _is_of_nodes(key.text)}
    return len(value.items) == 1 or len(known) > 1


def is_record(value: Value) -> bool:
    """Whether a mapping has a key that only nodes have: of codes, children or parents."""
    return isinstance(value, Mapping) and any(
        meaning(key.text) in ("code", "children") or is_parent(key.text) for key, _ in value.items
    )


def nodes_in(value: Value) -> list[Mapping]:
    """The mappings of a list, or of a mapping's values."""
    if isinstance(value, Series):
        return [item for item in value.items if isinstance(item, Mapping)]
    if isinstance(value, Mapping):
        return [part for _, part in value.items if isinstance(part, Mapping)]
    return []


def is_flat(value: Value) -> bool:
    """Whether a list has mappings that name their parents."""
    return isinstance(value, Series) and any(
        is_parent(key.text) for item in nodes_in(value) for key, _ in item.items
    )


def is_linked(value: Value) -> bool:
    """Whether a list has mappings that name others of the list as their parents."""
    if not isinstance(value, Series):
        return False
    codes = {code_of(node) for node in nodes_in(value)} - {""}
    return any(
        is_parent(key.text) and match_code(parent_text(part), codes) is not None
        for node in nodes_in(value)
        for key, part in node.items
    )


def code_of(node: Value | None) -> str:
    """The code of a node, or a text that is one; empty where there is none."""
    if isinstance(node, Mapping):
        node = next((part for key, part in node.items if meaning(key.text) == "code"), None)
    return normalize_code(node.text) if isinstance(node, Leaf) else ""


def parent_text(value: Value) -> str:
    """The code of a parent, or of the first of several."""
    return code_of(value.items[0] if isinstance(value, Series) and value.items else value)


def is_without_code(value: Value) -> bool:
    """Whether a parent, or the first of several, is a mapping in which no key is that of a code."""
    one = value.items[0] if isinstance(value, Series) and value.items else value
    return (
        isinstance(one, Mapping)
        and bool(one.items)
        and not any(meaning(key.text) == "code" for key, _ in one.items)
    )


def seems_children(key: str, value: Value, *, others: bool) -> bool:
    """Whether what is under a key that is not known looks like more nodes.

    Things with a name alone do only where no `others` are under a key that is known.
    """
    if plain_key(key) in _BESIDE:
        return False
    if value.items and _LIKE_CHILDREN.match(plain_key(key)):
        return True
    return is_node(value) or any(
        is_node(node) or (not others and has_leaf(node, "name")) for node in nodes_in(value)
    )


def has_children(root: Value) -> bool:
    """Whether a known key of children is used anywhere."""
    open_ = [root]
    while open_:
        value = open_.pop()
        if isinstance(value, Mapping):
            if any(meaning(key.text) == "children" and part.items for key, part in value.items):
                return True
            open_ += [part for _, part in value.items]
        elif isinstance(value, Series):
            open_ += value.items
    return False


def stand_below(value: Value) -> bool:
    """Whether the children of the first node that has any are nodes, not codes of those beside it.

    Then a list is no table, see `records`, which need not be imported.
    """
    nodes = nodes_in(value)
    parts = (part for node in nodes for key, part in node.items if meaning(key.text) == "children")
    below = next((part.items for part in parts if isinstance(part, Series)), [])
    codes = {code_of(node) for node in nodes} - {""}
    return (
        bool(below)
        and all(isinstance(item, Mapping) for item in below)
        and codes.isdisjoint(code_of(item) for item in below if isinstance(item, Mapping))
    )


def keyed(value: Mapping) -> Series | None:
    """The nodes of a mapping whose keys are their codes, or their names; None where it is none.

    `{"1": {"name": "A"}}` is `[{"code": "1", "name": "A"}]`.
    """
    inner = nodes_in(value)
    if not inner or len(inner) < len(value.items):
        return None
    if all(has_leaf(node, "name") for node in inner):
        what = "code"
    elif any(_is_described(node) for node in inner) and all(
        _is_described(node) or not node.items for node in inner
    ):
        what = "name"
    else:
        return None
    nodes: list[Value] = []
    for key, node in zip((key for key, _ in value.items), inner, strict=True):
        own = any(meaning(part.text) == what for part, _ in node.items)
        first = [] if own else [(Leaf(what, key.line), key)]
        nodes.append(Mapping([*first, *node.items], key.line))
    return Series(nodes, value.line)


def _is_described(node: Mapping) -> bool:
    """Whether all keys are such as nodes have, in small letters, one of codes or children."""
    known = [meaning(key.text) for key, _ in node.items if key.text == key.text.lower()]
    return len(known) == len(node.items) > 0 and None not in known and is_record(node)


def _is_of_nodes(key: str) -> bool:
    return meaning(key) is not None or is_parent(key) or heading_key(key).endswith(("_id", "_code"))


def are_nodes(value: Series) -> bool:
    """Whether mappings of a list have keys in common, as nodes have and plain nesting has not.

    One with several keys of which one, in small letters, is for its name or its children, is a node
    as well.
    """
    if any(
        len(node.items) > 1
        and key.text == key.text.lower()
        and meaning(key.text) == ("name" if isinstance(part, Leaf) else "children")
        for node in nodes_in(value)
        for key, part in node.items
    ):
        return True
    inner = [{key.text for key, _ in node.items} for node in nodes_in(value)]
    if not inner or len(common := set.intersection(*inner)) < 2:
        return False
    return len(inner) > 1 or any(meaning(key) == "code" for key in common)


def own_code(file: TaxonomyFile, root: Value) -> str:
    """The key of codes where nodes have none that is known, but one such as `google_id`.

    Empty where there is none. It ends in id or code, and each node has it with another value.

    Raises
    ------
    TaxonomyError
        There are several, or only some nodes have it.
    """
    nodes = []
    open_ = [root]
    while open_:
        value = open_.pop()
        if isinstance(value, Mapping):
            is_one = has_leaf(value, "name")
            if is_one:
                nodes.append(value)
            open_ += [
                part for key, part in value.items if not is_one or meaning(key.text) == "children"
            ]
        elif isinstance(value, Series):
            open_ += value.items
    texts: dict[str, list[str]] = {}
    for node in nodes:
        for key, part in node.items:
            if meaning(key.text) == "code":
                return ""
            if isinstance(part, Leaf) and part.text and _OWN.fullmatch(heading_key(key.text)):
                texts.setdefault(key.text, []).append(part.text)
    found = [
        key
        for key, values in texts.items()
        if len(set(values)) == len(values) > len(nodes) // 2 and not is_parent(key)
    ]
    if len(found) > 1:
        both = " and ".join(map(repr, found[:2]))
        raise file.error(
            f"nodes have no 'code', but {both}, which could both be it; call one 'code'",
            file.line_of(f'"{found[1]}"', found[1]),
        )
    if not found:
        return ""
    for node in nodes:
        if not any(key.text == found[0] for key, _ in node.items):
            raise file.error(f"a node without {found[0]!r}, which others have", node.line)
    return found[0]
