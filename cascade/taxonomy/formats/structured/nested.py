"""Nested YAML and JSON: our own form, lists of nodes with children, and plain nesting.

Ours is `{name, title, language, nodes: [{code, name, description, synonyms, translations,
children}]}`. Plain nesting is `{A: {B: [C, D]}}`. A node without a code gets its path for one.
"""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cascade.errors import did_you_mean
from cascade.io.files import write_text
from cascade.taxonomy.draft import Draft
from cascade.taxonomy.formats.file import TaxonomyFile
from cascade.taxonomy.formats.foreign import recognise
from cascade.taxonomy.formats.structured.json_yaml import (
    Leaf,
    Mapping,
    Series,
    Value,
    parse_json,
    parse_yaml,
)
from cascade.taxonomy.names import clean, split_synonyms

if TYPE_CHECKING:
    from cascade.taxonomy.tree import Taxonomy

logger = logging.getLogger(__name__)

_KEYS = {
    "code": ("code", "id", "key", "notation"),
    "name": ("name", "label", "title"),
    "description": ("description", "definition"),
    "synonyms": ("synonyms", "aliases", "alt_labels"),
    "translations": ("translations",),
    "children": ("children", "nodes", "categories", "subcategories"),
}
_KNOWN = [word for words in _KEYS.values() for word in words]
_YAML = re.compile(r"---|%YAML|- |-$|\s|[\]}]|(\"[^\"]*\"|'[^']*'|[^\s:#>][^:]*):(\s|$)")


def matches(file: TaxonomyFile) -> bool:
    """Whether this is JSON, or each line that is not indented is a YAML key or list entry."""
    if file.is_json:
        return True
    lines = [text for _, text in file.head]
    if file.is_xml or lines[0][0].isspace() or not all(map(_YAML.match, lines)):
        return False
    return not recognise(file)


def read(file: TaxonomyFile) -> Draft:
    """Nodes in file order.

    Raises
    ------
    TaxonomyError
        The text is broken, or a node is not made as described; the line is named.
    """
    parse = parse_json if file.is_json else parse_yaml
    reader = _Reader(file)
    try:
        reader.read(parse(file.text, file.path))
    except RecursionError:
        raise file.error("nested too deeply for a taxonomy") from None
    reader.draft.code_by_path()
    return reader.draft


def write(taxonomy: Taxonomy, path: Path) -> None:
    """Write nested YAML: name, title, language, and nodes with children.

    Raises
    ------
    OutputError
        The file cannot be written.
    """
    import yaml

    content: dict[str, Any] = {
        key: value
        for key in ("name", "title", "language")
        if (value := getattr(taxonomy, key)) and not (key == "title" and value == taxonomy.name)
    }
    content["nodes"] = _nested(taxonomy)
    dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
    text = yaml.dump(content, Dumper=dumper, allow_unicode=True, sort_keys=False, width=100)
    write_text(path, text)


class _Reader:
    """Visits values in file order and collects nodes."""

    def __init__(self, file: TaxonomyFile) -> None:
        self.draft = Draft(file=file.path)
        self._file = file
        self._ignored: set[str] = set()

    def read(self, root: Value) -> None:
        """Add the nodes of a whole document."""
        if isinstance(root, Leaf):
            found = f"only the text {root.text[:80]!r}; expected nested nodes"
            raise self._file.error(found, root.line)
        nodes = root.get("nodes") if isinstance(root, Mapping) else None
        if isinstance(root, Mapping) and isinstance(nodes, Series | Mapping):
            for key in ("name", "title", "language"):
                value = root.get(key)
                setattr(self.draft, key, clean(value.text) if isinstance(value, Leaf) else "")
            self._children(nodes, -1, listed=isinstance(nodes, Series))
        elif isinstance(root, Mapping) and _is_node(root):
            self._node(root, -1)
        else:
            self._children(root, -1, listed=False)

    def _children(self, value: Value, parent: int, *, listed: bool) -> None:
        """Nodes of a value; where `listed`, mappings in it are nodes, never plain nesting."""
        if isinstance(value, Leaf):
            if value.text:
                self.draft.add(value.text, "", parent, value.line)
        elif isinstance(value, Series):
            for item in value.items:
                if isinstance(item, Mapping) and (listed or _is_node(item)):
                    self._node(item, parent)
                elif isinstance(item, Leaf):
                    self.draft.add(item.text, "", parent, item.line)
                else:
                    self._children(item, parent, listed=False)
        else:
            for name, below in value.items:
                row = self.draft.add(name.text, "", parent, name.line)
                self._children(below, row, listed=False)

    def _node(self, value: Mapping, parent: int) -> None:
        fields = self._fields(value)
        name, code, description = (
            self._text(fields, key) for key in ("name", "code", "description")
        )
        if not clean(name):
            raise self._file.error("a node without a name; give it a 'name'", value.line)
        row = self.draft.add(name, code, parent, value.line)
        self.draft.describe(row, description, self._synonyms(fields), self._translations(fields))
        if (children := fields.get("children")) is not None:
            self._children(children, row, listed=isinstance(children, Series))

    def _fields(self, value: Mapping) -> dict[str, Value]:
        fields: dict[str, Value] = {}
        for key, part in value.items:
            word = key.text.casefold()
            what = next((what for what, words in _KEYS.items() if word in words), None)
            if what is None:
                self._ignore(key)
            elif what not in fields:
                fields[what] = part
            elif what == "name" and word == "title":
                continue
            else:
                found = f"a node has its {what} twice; the second is {key.text!r}"
                raise self._file.error(found, key.line)
        return fields

    def _ignore(self, key: Leaf) -> None:
        if key.text not in self._ignored:
            self._ignored.add(key.text)
            logger.warning(
                "%s, line %d: nodes have %r, which is not used%s",
                self._file.path,
                key.line,
                key.text,
                did_you_mean(key.text, _KNOWN),
            )

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

    def _translations(self, fields: dict[str, Value]) -> dict[str, str]:
        value = fields.get("translations")
        if value is None or (isinstance(value, Leaf) and not value.text):
            return {}
        pairs = value.items if isinstance(value, Mapping) else []
        names = {key.text: name.text for key, name in pairs if isinstance(name, Leaf)}
        if not isinstance(value, Mapping) or len(names) < len(value.items):
            raise self._file.error("translations must be a mapping such as {de: Hut}", value.line)
        return names


def _is_node(value: Mapping) -> bool:
    """Whether a mapping describes one node: a text is called its name, beside a key like it."""
    keys = {key.text.casefold(): part for key, part in value.items}
    named = any(isinstance(keys.get(word), Leaf) for word in _KEYS["name"])
    return named and (len(keys) == 1 or len(keys.keys() & set(_KNOWN)) > 1)


def _nested(taxonomy: Taxonomy) -> list[dict[str, Any]]:
    """Nodes as nested mappings; a parent comes before its children, so one pass will do."""
    made: list[dict[str, Any]] = []
    top: list[dict[str, Any]] = []
    for i, above in enumerate(taxonomy.parent.tolist()):
        node: dict[str, Any] = {"code": taxonomy.codes[i], "name": taxonomy.names[i]}
        if text := taxonomy.description(i):
            node["description"] = text
        if words := taxonomy.synonyms(i):
            node["synonyms"] = list(words)
        if names := taxonomy.translations(i):
            node["translations"] = dict(names)
        made.append(node)
        (top if above < 0 else made[above].setdefault("children", [])).append(node)
    return top
