"""Nested YAML and JSON: our own form, lists of nodes with children, and plain nesting.

Ours is `{name, title, language, nodes: [{code, name, description, synonyms, translations,
children}], deprecated: {code: what to say of it}}`. Plain nesting is `{A: {B: [C, D]}}`. A node
without a code gets its path for one. Flat lists of nodes that name their parents are read as
tables, see `records`; what stands around nodes, as in `{"data": [...]}`, is left away, see
`wrapping`.
"""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING

from cascade.errors import did_you_mean
from cascade.taxonomy.draft import LANGUAGE, TOP_MARKERS, Draft, MachineTexts
from cascade.taxonomy.formats.file import TaxonomyFile
from cascade.taxonomy.formats.foreign import recognise
from cascade.taxonomy.formats.separators import unclear_separator
from cascade.taxonomy.formats.structured.json_yaml import (
    Leaf,
    Mapping,
    Series,
    Value,
    parse_json,
    parse_yaml,
)
from cascade.taxonomy.formats.structured.keys import (
    KEYS,
    KNOWN,
    are_nodes,
    has_children,
    is_linked,
    is_node,
    keyed,
    meaning,
    nodes_in,
    own_code,
    plain_key,
    seems_children,
    stand_below,
)
from cascade.taxonomy.formats.structured.plain import (
    check_value,
    paths_in,
    refuse_no_names,
    refuse_pairs,
    refuse_paths,
)
from cascade.taxonomy.formats.structured.wrapping import unwrap
from cascade.taxonomy.formats.tables.headings import COLUMNS, heading_key, words
from cascade.taxonomy.names import clean, match_code, normalize_code, split_synonyms

if TYPE_CHECKING:
    from cascade.taxonomy.formats.structured.records import RecordTable

logger = logging.getLogger(__name__)

PARENTS = COLUMNS["parent"] | {"parent_name", "parent_title", "parent_label"}
_FACTS = words(
    "name title language lang locale version id description date license licence author source url "
    "created updated generated"
)
_ABOUT = words("code id description definition synonyms uri url")
_LINKS = words("edges links arcs relations relationships connections")
_NONE = frozenset({"", "0", "false", "none", "null"})
_COLONS = re.compile(r"[^\s\"'].* : .* : ")  # of YAML one line has one key
_YAML = re.compile(r"---|%YAML|- |-$|\s|[\]}]|(\"[^\"]*\"|'[^']*'|[^\s:#>][^:]*):(\s|$)")


def matches(file: TaxonomyFile) -> bool:
    """Whether this is JSON, or each line that is not indented is a YAML key or list entry."""
    if file.is_json:
        return True
    lines = [text for _, text in file.head]
    if file.is_xml or lines[0][0].isspace() or not all(map(_YAML.match, lines)):
        return False
    if any(map(_COLONS.match, lines)) and unclear_separator(lines) == ":":
        return False
    return not recognise(file)


def read(file: TaxonomyFile) -> Draft:
    """Nodes in file order.

    Raises
    ------
    TaxonomyError
        The text is broken, or a node is not made as described; the line is named.
    """
    root = _lines_of_json(file) or (parse_json if file.is_json else parse_yaml)(
        file.text, file.path
    )
    if isinstance(root, Leaf):
        found = f"only the text {root.text[:80]!r}; expected nested nodes"
        raise file.error(found, root.line)
    about: dict[str, str] = {}
    nodes = root.get("nodes") if isinstance(root, Mapping) else None
    listed = isinstance(root, Mapping) and isinstance(nodes, Series | Mapping)
    if isinstance(root, Mapping) and listed:
        parts = {key: root.get(key) for key in ("name", "title", "language")}
        about = {key: clean(part.text) for key, part in parts.items() if isinstance(part, Leaf)}
    value = nodes if nodes is not None and listed else unwrap(file, root)
    if isinstance(root, Mapping) and not is_linked(value) and not has_children(value):
        for key, part in root.items:
            if key.text.lower() in _LINKS and nodes_in(part):
                raise file.error(
                    f"{key.text!r} seem to say which node is above which, but are not read; write "
                    "the code of the node above into each node, as its 'parent'",
                    key.line,
                )
    if table := _table_of(file, value):
        from cascade.taxonomy.formats.tables.csv import read_table

        draft = read_table(table)
    elif (paths := paths_in(file, value)) is not None:
        draft = paths
    else:
        draft = _Reader(file, value, listed=listed).draft
        refuse_paths(file, draft)
        draft.tell_uncoded(range(len(draft.codes)))
        draft.code_by_path()
    for field, text in about.items():
        setattr(draft, field, text)
    if isinstance(root, Mapping) and listed:
        draft.deprecated = _deprecated(root, draft) or draft.deprecated
    return draft


def _deprecated(root: Mapping, draft: Draft) -> dict[str, str]:
    """Codes that are no nodes any more, with what is said of them."""
    part, known = root.get("deprecated"), set(draft.codes)
    pairs = part.items if isinstance(part, Mapping) else []
    found = {
        normalize_code(key.text): clean(text.text) for key, text in pairs if isinstance(text, Leaf)
    }
    return {code: text for code, text in found.items() if code and text and code not in known}


def _lines_of_json(file: TaxonomyFile) -> Value | None:
    """The list of nodes that JSON lines are, each on its own line; None where this is another."""
    lines = file.text.rstrip().split("\n")
    if len(lines) < 2 or not all(line.startswith("{") and line.endswith("}") for line in lines):
        return None
    value = parse_json("[" + ",\n".join(lines) + "]", file.path)
    return value if _table_of(file, value) else None


def _table_of(file: TaxonomyFile, value: Value) -> RecordTable | None:
    """See `records.table_of`; most lists of nodes are seen to be no table without it."""
    if stand_below(value):
        return None
    from cascade.taxonomy.formats.structured.records import table_of

    return table_of(file, value)


class _Reader:
    """Visits values in file order and collects nodes."""

    def __init__(self, file: TaxonomyFile, root: Value, *, listed: bool) -> None:
        self.draft = Draft(file=file.path)
        self._file = file
        self._ignored: set[str] = set()
        self._own_code = own_code(file, root)
        self._has_children = has_children(root)
        if isinstance(root, Mapping) and not listed:
            if is_node(root):
                self._node(root, -1)
                return
            self._refuse_facts(root)
        elif isinstance(root, Mapping):
            if keyed(root) is None:
                refuse_pairs(file, root)
        elif not (listed or any(map(is_node, root.items))) and not (
            isinstance(root, Series) and are_nodes(root)
        ):
            refuse_pairs(file, root)
        self._children(root, -1, listed=listed and isinstance(root, Series))

    def _refuse_facts(self, root: Mapping) -> None:
        """Refuse what is said of the whole beside names of nodes, as if it was one of them."""
        if all(isinstance(part, Leaf) for _, part in root.items):
            self._refuse_codes(root)
        refuse_no_names(self._file, root)
        if all(isinstance(part, Leaf) for _, part in root.items):
            return
        for key, part in root.items:
            if isinstance(part, Leaf) and part.text and key.text.lower() in _FACTS:
                raise self._file.error(
                    f"{key.text!r} stands beside names of nodes, but seems to be about all of "
                    "them; put the nodes below a key called 'nodes', or leave it out",
                    key.line,
                )

    def _refuse_codes(self, root: Mapping) -> None:
        """Refuse `{"01": "Animals", "0101": "Horses"}`, in which nothing tells parents."""
        if root.items and all(any(map(str.isdigit, key.text)) for key, _ in root.items):
            key = root.items[0][0]
            raise self._file.error(
                f"{key.text!r} seems to be a code, but nothing says which node is above which; "
                "write a list of nodes such as "
                f"{{code: {key.text!r}, name: .., parent: ..}}",
                key.line,
            )

    def _children(self, value: Value, parent: int, *, listed: bool) -> None:
        """Nodes of a value; where `listed`, mappings in it are nodes, never plain nesting."""
        if isinstance(value, Mapping):
            value = keyed(value) or value
        if isinstance(value, Leaf):
            if value.text:
                self._name(value, parent)
        elif isinstance(value, Series):
            listed = listed or are_nodes(value)
            for item in value.items:
                if isinstance(item, Mapping) and (listed or is_node(item)):
                    self._node(item, parent)
                elif isinstance(item, Leaf):
                    self._name(item, parent)
                elif isinstance(item, Mapping):
                    self._children(item, parent, listed=False)
                else:
                    raise self._file.error(
                        "a list directly inside a list; say which node it belongs to, or write "
                        "each node as a mapping {code: .., name: ..}",
                        item.line,
                    )
        else:
            for name, below in value.items:
                if parent >= 0 and isinstance(below, Leaf) and below.text and name.text in _ABOUT:
                    raise self._file.error(
                        f"{name.text!r} seems to be about the node above it, and no node; write "
                        "nodes as {name: .., description: .., children: [..]}",
                        name.line,
                    )
                check_value(self._file, name, below)
                row = self._name(name, parent)
                self._children(below, row, listed=False)

    def _name(self, leaf: Leaf, parent: int) -> int:
        """A node that is a name alone."""
        if leaf.lines > 1:
            raise self._file.error(
                f"{leaf.text[:80]!r} goes over {leaf.lines} lines; the name of a node with others "
                "below it ends in a colon, as in '- Hats:'",
                leaf.line,
            )
        return self.draft.add(leaf.text, "", parent, leaf.line)

    def _node(self, value: Mapping, parent: int) -> None:
        fields = self._fields(value, parent)
        names = self._names(fields)
        code, description = (self._text(fields, key) for key in ("code", "description"))
        name = names.get("", "") or names.get("en", "") or next(iter(names.values()), "")
        if not clean(name):
            has = ", ".join(repr(key.text) for key, _ in value.items)
            raise self._file.error(
                f"a node without a name; call the text that names it 'name' (it has: {has})",
                value.line,
            )
        row = self.draft.add(name, code, parent, value.line)
        others = {tag: text for tag, text in names.items() if tag and text != name}
        translations = {**others, **self._translations(fields)}
        self.draft.describe(row, description, self._synonyms(fields), translations)
        if (written := fields.get("machine")) is not None:
            self.draft.machine[row] = self._machine(written)
        children = fields.get("children")
        if isinstance(children, Leaf):
            if children.text.casefold() not in _NONE:
                raise self._file.error(
                    f"the children of a node must be a list of nodes; found {children.text[:80]!r}",
                    children.line,
                )
        elif children is not None:
            if isinstance(children, Mapping) and keyed(children) is None:
                refuse_pairs(self._file, children)
            self._children(children, row, listed=isinstance(children, Series))

    def _fields(self, value: Mapping, parent: int) -> dict[str, Value]:
        """Values by meaning; of several keys of one meaning the first in `KEYS` counts."""
        fields: dict[str, Value] = {}
        found_as: dict[str, str] = {}
        for key, part in value.items:
            word = plain_key(key.text)
            what = "code" if key.text == self._own_code else meaning(key.text)
            if what == "name" and seems_children(key.text, part, others=True):
                what = None  # `{"category": {"name": ..}}`
            if what is None:
                self._unused(key, part, parent)
            elif what not in fields:
                fields[what], found_as[what] = part, word
            elif word == found_as[what] or (
                what == "children" and part.items and fields[what].items
            ):
                found = f"a node has its {what} twice; the second is {key.text!r}"
                raise self._file.error(found, key.line)
            elif _rank(what, word) < _rank(what, found_as[what]) or (
                what == "children" and part.items
            ):
                fields[what], found_as[what] = part, word
        return fields

    def _unused(self, key: Leaf, part: Value, parent: int) -> None:
        """Refuse a key that looks like more of the tree; tell that another is not used."""
        if heading_key(key.text) in PARENTS and isinstance(part, Leaf):
            self._check_parent(key, part, parent)
        elif seems_children(key.text, part, others=self._has_children):
            raise self._file.error(
                f"nodes have {key.text!r}, which looks like the nodes below them; call it "
                "'children' to have it read, or leave it out",
                key.line,
            )
        elif key.text not in self._ignored:
            self._ignored.add(key.text)
            logger.warning(
                "%s, line %d: nodes have %r, which is not used%s",
                self._file.path,
                key.line,
                key.text,
                did_you_mean(key.text, KNOWN),
            )

    def _check_parent(self, key: Leaf, part: Leaf, parent: int) -> None:
        """Refuse a node that names another parent than that which it stands below."""
        text = normalize_code(part.text)
        if parent < 0:
            if not text or text.casefold() in TOP_MARKERS:
                return
            found = "at the top"
        else:
            above = {self.draft.codes[parent], self.draft.names[parent]}
            if not text or match_code(text, above) is not None:
                return
            found = f"below {self.draft.codes[parent] or self.draft.names[parent]!r}"
        raise self._file.error(
            f"{key.text!r} says that the parent is {text!r}, but the node stands {found}; mend "
            "one, or leave it out",
            key.line,
        )

    def _names(self, fields: dict[str, Value]) -> dict[str, str]:
        """The name by language, without a language as `""`."""
        value = fields.get("name")
        if isinstance(value, Mapping):
            names = {key.text: part.text for key, part in value.items if isinstance(part, Leaf)}
            if names and all(re.fullmatch(LANGUAGE, tag) for tag in names):
                return names
        return {"": self._text(fields, "name")}

    def _text(self, fields: dict[str, Value], what: str) -> str:
        value = fields.get(what)
        if value is not None and not isinstance(value, Leaf):
            raise self._file.error(f"the {what} of a node must be text", value.line)
        return value.text if value else ""

    def _synonyms(self, fields: dict[str, Value]) -> list[str]:
        value = fields.get("synonyms")
        if value is None:
            return []
        if isinstance(value, Leaf):
            return split_synonyms(value.text)
        words = [item.text for item in value.items if isinstance(item, Leaf)]
        if not isinstance(value, Series) or len(words) < len(value.items):
            raise self._file.error("synonyms must be a list of texts", value.line)
        return words

    def _machine(self, written: Value) -> MachineTexts:
        """What a language model wrote: description, synonyms, titles."""
        if not isinstance(written, Mapping):
            raise self._file.error(
                "machine must be a mapping such as {titles: [Panama hat]}", written.line
            )
        parts = {key.text: part for key, part in written.items}
        synonyms = self._synonyms(parts)
        titles = self._synonyms({"synonyms": parts["titles"]} if "titles" in parts else {})
        return MachineTexts.cleaned(self._text(parts, "description"), synonyms, titles)

    def _translations(self, fields: dict[str, Value]) -> dict[str, str]:
        value = fields.get("translations")
        if value is None or (isinstance(value, Leaf) and not value.text):
            return {}
        pairs = value.items if isinstance(value, Mapping) else []
        names = {key.text: name.text for key, name in pairs if isinstance(name, Leaf)}
        if not isinstance(value, Mapping) or len(names) < len(value.items):
            raise self._file.error("translations must be a mapping such as {de: Hut}", value.line)
        return names


def _rank(what: str, word: str) -> int:
    return KEYS[what].index(word) if word in KEYS[what] else 0
