"""Nested YAML and JSON: our own form, lists of nodes with children, and plain nesting.

Ours is `{name, title, language, nodes: [{code, name, description, synonyms, translations,
children}]}`. Plain nesting is `{A: {B: [C, D]}}`. A node without a code gets its path for one.
"""

from __future__ import annotations

import logging
import re
from array import array

import numpy as np

from cascade.errors import TaxonomyError, did_you_mean
from cascade.taxonomy.draft import Draft
from cascade.taxonomy.formats.file import TaxonomyFile
from cascade.taxonomy.formats.json_yaml import Leaf, Mapping, Series, Value, parse_json, parse_yaml
from cascade.taxonomy.formats.parents import words_of
from cascade.taxonomy.names import PATH_SEPARATOR, clean

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
    return not file.is_xml and not lines[0][0].isspace() and all(map(_YAML.match, lines))


def read(file: TaxonomyFile) -> Draft:
    """Nodes in file order.

    Raises
    ------
    TaxonomyError
        The text is broken, or a node is not made as described; the line is named.
    """
    parse = parse_json if file.is_json else parse_yaml
    root = parse(file.text, file.path)
    walk = _Walk(file)
    try:
        walk.top(root)
    except RecursionError:
        raise TaxonomyError("nested too deeply for a taxonomy", file=file.path) from None
    return walk.draft()


class _Walk:
    """Visits values in file order and collects nodes."""

    def __init__(self, file: TaxonomyFile) -> None:
        self._file = file.path
        self._names: list[str] = []
        self._codes: list[str] = []
        self._parent = array("i")
        self._lines = array("q")
        self._sides: list[tuple[int, str, list[str], dict[str, str]]] = []
        self._about: dict[str, str] = {}
        self._unknown: set[str] = set()

    def top(self, root: Value) -> None:
        """The whole document."""
        if isinstance(root, Leaf):
            raise self._error(f"only the text {root.text[:80]!r}; expected nested nodes", root)
        nodes = root.get("nodes") if isinstance(root, Mapping) else None
        if isinstance(root, Mapping) and isinstance(nodes, Series | Mapping):
            for key in ("name", "title", "language"):
                value = root.get(key)
                self._about[key] = clean(value.text) if isinstance(value, Leaf) else ""
            self._children(nodes, -1, listed=isinstance(nodes, Series))
        elif isinstance(root, Mapping) and _is_node(root):
            self._node(root, -1)
        else:
            self._children(root, -1, listed=False)

    def draft(self) -> Draft:
        """What was collected."""
        paths: list[str] = []
        for name, above in zip(self._names, self._parent, strict=True):
            paths.append(paths[above] + PATH_SEPARATOR + name if above >= 0 else name)
        draft = Draft(
            [code or path for code, path in zip(self._codes, paths, strict=True)],
            self._names,
            np.array(self._parent, dtype=np.int32),
            self._lines,
            file=self._file,
            name=self._about.get("name", ""),
            title=self._about.get("title", ""),
            language=self._about.get("language", ""),
        )
        for side in self._sides:
            draft.describe(*side)
        return draft

    def _children(self, value: Value, parent: int, *, listed: bool) -> None:
        """Nodes of a value; `listed` tells that mappings in it are nodes, never plain nesting."""
        if isinstance(value, Leaf):
            if value.text:
                self._add(value, "", parent)
        elif isinstance(value, Series):
            for item in value.items:
                if isinstance(item, Mapping) and (listed or _is_node(item)):
                    self._node(item, parent)
                elif isinstance(item, Leaf):
                    self._add(item, "", parent)
                else:
                    self._children(item, parent, listed=False)
        else:
            for name, below in value.items:
                self._children(below, self._add(name, "", parent), listed=False)

    def _node(self, value: Mapping, parent: int) -> None:
        fields = self._fields(value)
        name = self._leaf(fields, "name")
        if name is None or not clean(name.text):
            raise self._error("a node without a name; give it a 'name'", value)
        code = self._leaf(fields, "code")
        row = self._add(Leaf(name.text, value.line), code.text if code else "", parent)
        description = self._leaf(fields, "description")
        synonyms, translations = fields.get("synonyms"), fields.get("translations")
        words = words_of(synonyms.text) if isinstance(synonyms, Leaf) else self._texts(synonyms)
        names = self._names_by_language(translations)
        text = description.text if description else ""
        if text or words or names:
            self._sides.append((row, text, words, names))
        if (children := fields.get("children")) is not None:
            self._children(children, row, listed=isinstance(children, Series))

    def _fields(self, value: Mapping) -> dict[str, Value]:
        fields: dict[str, Value] = {}
        for key, part in value.items:
            word = key.text.casefold()
            what = next((what for what, words in _KEYS.items() if word in words), None)
            if what is None:
                self._ignored(key)
            elif what not in fields:
                fields[what] = part
            elif what == "name" and word == "title":
                continue
            else:
                raise self._error(f"a node has its {what} twice; the second is {key.text!r}", key)
        return fields

    def _ignored(self, key: Leaf) -> None:
        if key.text not in self._unknown:
            self._unknown.add(key.text)
            logger.warning(
                "%s, line %d: nodes have %r, which is not used%s",
                self._file,
                key.line,
                key.text,
                did_you_mean(key.text, _KNOWN),
            )

    def _leaf(self, fields: dict[str, Value], what: str) -> Leaf | None:
        value = fields.get(what)
        if value is not None and not isinstance(value, Leaf):
            raise self._error(f"the {what} of a node must be text", value)
        return value

    def _texts(self, value: Value | None) -> list[str]:
        if value is None:
            return []
        if not isinstance(value, Series) or not all(isinstance(v, Leaf) for v in value.items):
            raise self._error("synonyms must be a list of texts", value)
        return [item.text for item in value.items if isinstance(item, Leaf)]

    def _names_by_language(self, value: Value | None) -> dict[str, str]:
        if value is None or (isinstance(value, Leaf) and not value.text):
            return {}
        names = {
            key.text: name.text
            for key, name in (value.items if isinstance(value, Mapping) else ())
            if isinstance(name, Leaf)
        }
        if not isinstance(value, Mapping) or len(names) < len(value.items):
            raise self._error("translations must be a mapping such as {de: Hut}", value)
        return names

    def _add(self, name: Leaf, code: str, parent: int) -> int:
        self._names.append(clean(name.text))
        self._codes.append(clean(code))
        self._parent.append(parent)
        self._lines.append(name.line)
        return len(self._names) - 1

    def _error(self, message: str, value: Value) -> TaxonomyError:
        return TaxonomyError(message, file=self._file, line=value.line)


def _is_node(value: Mapping) -> bool:
    """Whether a mapping describes one node: a text is called its name, beside a key like it."""
    keys = {key.text.casefold(): part for key, part in value.items}
    named = any(isinstance(keys.get(word), Leaf) for word in _KEYS["name"])
    return named and (len(keys) == 1 or len(keys.keys() & set(_KNOWN)) > 1)
