"""JSON and YAML with the line of every value, all scalars as the text they were written with.

So `007` and `no` stay what they are in both, and messages can name lines.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from cascade.errors import TaxonomyError
from cascade.taxonomy.formats.source import Source

_TOKEN = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|[{}\[\]]|[^\s{}\[\],:"]+')


@dataclass(slots=True)
class Leaf:
    """A scalar; `text` is empty for null."""

    text: str
    line: int


@dataclass(slots=True)
class Series:
    """A list."""

    items: list[Value]
    line: int


@dataclass(slots=True)
class Mapping:
    """A mapping, in file order; a key may repeat."""

    items: list[tuple[Leaf, Value]]
    line: int

    def get(self, key: str) -> Value | None:
        """Value of a key; None where there is none."""
        return next((value for name, value in self.items if name.text == key), None)


Value = Leaf | Series | Mapping


def parse_json(source: Source) -> Value:
    """The value of a JSON text.

    Raises
    ------
    TaxonomyError
        It is no JSON, or nested too deeply.
    """
    try:
        json.loads(source.text)
    except json.JSONDecodeError as error:
        many = error.msg == "Extra data"
        why = "one value ends and another begins; is this JSON Lines?" if many else error.msg
        raise TaxonomyError(
            f"broken JSON: {why} (column {error.colno})", file=source.file, line=error.lineno
        ) from None
    except RecursionError:
        raise TaxonomyError("JSON nested too deeply for a taxonomy", file=source.file) from None
    return _tokens_to_value(source.text)


def _tokens_to_value(text: str) -> Value:
    """Values of a text that is known to be sound, so that brackets and scalars tell all."""
    outer = Series([], 1)
    stack: list[Series | Mapping] = [outer]
    names: list[Leaf | None] = [None]
    line, seen = 1, 0
    for match in _TOKEN.finditer(text):
        token, start = match[0], match.start()
        line, seen = line + text.count("\n", seen, start), start
        if token in "]}":
            stack.pop()
            names.pop()
            continue
        value: Value
        if token == "{":
            value = Mapping([], line)
        elif token == "[":
            value = Series([], line)
        elif token[0] == '"':
            value = Leaf(json.loads(token) if "\\" in token else token[1:-1], line)
        else:
            value = Leaf("" if token == "null" else token, line)
        top, name = stack[-1], names[-1]
        if isinstance(top, Series):
            top.items.append(value)
        elif name is None and isinstance(value, Leaf):
            names[-1] = value
            continue
        elif name is not None:
            top.items.append((name, value))
            names[-1] = None
        if not isinstance(value, Leaf):
            stack.append(value)
            names.append(None)
    return outer.items[0]


def parse_yaml(source: Source) -> Value:
    """The value of a YAML text of one document.

    Raises
    ------
    TaxonomyError
        It is no YAML, uses aliases for lists or mappings, or is nested too deeply.
    """
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        root = yaml.compose(source.text, Loader=loader)
        if root is None:
            raise TaxonomyError("no node in it; only comments", file=source.file)
        return _composed(root, source, set())
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise TaxonomyError(
            f"broken YAML: {error.problem or error.context}",
            file=source.file,
            line=mark.line + 1 if mark else None,
        ) from None
    except yaml.YAMLError as error:
        raise TaxonomyError(f"broken YAML: {error}", file=source.file) from None
    except RecursionError:
        raise TaxonomyError("YAML nested too deeply for a taxonomy", file=source.file) from None


def _composed(node: Any, source: Source, seen: set[int]) -> Value:
    import yaml

    line = node.start_mark.line + 1
    if isinstance(node, yaml.ScalarNode):
        return Leaf("" if node.tag == "tag:yaml.org,2002:null" else node.value, line)
    if id(node) in seen:
        raise TaxonomyError(
            "a YAML alias repeats this part of the tree; write it out, since each node of a "
            "taxonomy stands once",
            file=source.file,
            line=line,
        )
    seen.add(id(node))
    if isinstance(node, yaml.SequenceNode):
        return Series([_composed(item, source, seen) for item in node.value], line)
    pairs: list[tuple[Leaf, Value]] = []
    for name, value in node.value:
        key = _composed(name, source, seen)
        if not isinstance(key, Leaf):
            raise TaxonomyError("a key that is no text", file=source.file, line=key.line)
        pairs.append((key, _composed(value, source, seen)))
    return Mapping(pairs, line)
