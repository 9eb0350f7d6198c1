"""JSON and YAML with the line of every value, all scalars as the text they were written with.

So `007` and `no` stay what they are in both, and messages can name lines.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

from cascade.errors import TaxonomyError

_TOKEN = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|[{}\[\]]|[^\s{}\[\],:"]+')
_NULLS = ("", "~", "null", "Null", "NULL")
_DEEPEST = 400
_MOST_ALIASED = 1 << 20  # characters that aliases may add to a file


@dataclass(slots=True)
class Leaf:
    """A scalar; `text` is empty for null, `lines` those that it goes over without quotes."""

    text: str
    line: int
    lines: int = 1

    @property
    def items(self) -> list[Value]:
        """None: a scalar holds nothing."""
        return []


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


def parse_json(text: str, file: Path) -> Value:
    """The value of a JSON text.

    Raises
    ------
    TaxonomyError
        It is no JSON, or nested too deeply.
    """
    try:
        json.loads(text, parse_int=str, parse_float=str)  # Python refuses ints of 4,301 digits
    except json.JSONDecodeError as error:
        many = error.msg == "Extra data"
        why = "one value ends and another begins; is this JSON Lines?" if many else error.msg
        raise TaxonomyError(
            f"broken JSON: {why} (column {error.colno})", file=file, line=error.lineno
        ) from None
    except RecursionError:
        raise _too_deep(file, _deep_line(text)) from None
    builder = _Builder(file)
    line, seen = 1, 0
    for match in _TOKEN.finditer(text):
        token, start = match[0], match.start()
        line, seen = line + text.count("\n", seen, start), start
        if token in "]}":
            builder.close()
        elif token == "{":
            builder.open(Mapping([], line))
        elif token == "[":
            builder.open(Series([], line))
        elif token[0] == '"':
            builder.add(Leaf(json.loads(token) if "\\" in token else token[1:-1], line))
        else:
            builder.add(Leaf("" if token == "null" else token, line))
    return builder.root.items[0]


def parse_yaml(text: str, file: Path) -> Value:
    """The value of a YAML text of one document.

    It is built from the parser's events: libyaml's own composer overflows the stack of the process
    on deep nesting, and aliases would let a small file grow without bound.

    Raises
    ------
    TaxonomyError
        It is no YAML, repeats a list or mapping by an alias, or is nested too deeply.
    """
    import yaml

    builder = _Builder(file)
    texts: dict[str, str] = {}
    aliased = 0
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        for event in yaml.parse(text, Loader=loader):
            line = event.start_mark.line + 1 if event.start_mark else 0
            if isinstance(event, yaml.ScalarEvent):
                null = event.style in (None, "") and event.value in _NULLS
                text = "" if null else event.value
                if event.anchor:
                    texts[event.anchor] = text
                end = event.end_mark if event.style in (None, "") else None
                builder.add(Leaf(text, line, end.line + 2 - line if end else 1))
            elif isinstance(event, yaml.SequenceStartEvent):
                builder.open(Series([], line))
            elif isinstance(event, yaml.MappingStartEvent):
                builder.open(Mapping([], line))
            elif isinstance(event, yaml.CollectionEndEvent):
                builder.close()
            elif isinstance(event, yaml.AliasEvent):
                if event.anchor is None or event.anchor not in texts:
                    raise TaxonomyError(
                        f"alias *{event.anchor} repeats a part of the tree; write it out, since "
                        "each node of a taxonomy is written once",
                        file=file,
                        line=line,
                    )
                if (aliased := aliased + len(texts[event.anchor])) > _MOST_ALIASED:
                    raise TaxonomyError(
                        f"aliases such as *{event.anchor} repeat more than a million characters; "
                        "write them out where they are needed",
                        file=file,
                        line=line,
                    )
                builder.add(Leaf(texts[event.anchor], line))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise TaxonomyError(
            f"broken YAML: {error.problem or error.context}",
            file=file,
            line=mark.line + 1 if mark else None,
        ) from None
    except yaml.YAMLError as error:
        raise TaxonomyError(f"broken YAML: {error}", file=file) from None
    if len(builder.root.items) != 1:
        found = len(builder.root.items)
        raise TaxonomyError(f"{found} YAML documents; expected one", file=file)
    return builder.root.items[0]


class _Builder:
    """Puts values together from a stream of openings, scalars and closings."""

    def __init__(self, file: Path) -> None:
        self.root = Series([], 1)
        self._file = file
        self._open: list[tuple[Series | Mapping, list[Leaf]]] = [(self.root, [])]

    def add(self, value: Value) -> None:
        """A value into what is open: an item, a key, or the value of the key before."""
        holder, key = self._open[-1]
        if isinstance(holder, Series):
            holder.items.append(value)
        elif key:
            holder.items.append((key.pop(), value))
        elif isinstance(value, Leaf):
            key.append(value)
        else:
            raise TaxonomyError("a key that is no text", file=self._file, line=value.line)

    def open(self, value: Series | Mapping) -> None:
        """A list or mapping, to which all belongs until it is closed."""
        self.add(value)
        self._open.append((value, []))
        if len(self._open) > _DEEPEST:
            raise _too_deep(self._file, value.line)

    def close(self) -> None:
        """The end of the list or mapping that was opened last.

        What MongoDB writes for a value, such as `{"$oid": "5f1"}`, is the text in it; of
        `{"$ref": .., "$id": ..}` it is the id.
        """
        closed, _ = self._open.pop()
        if not isinstance(closed, Mapping) or not closed.items or len(self._open) < 2:
            return
        if all(key.text[:1] == "$" for key, _ in closed.items):
            text = closed.get("$id") if len(closed.items) > 1 else closed.items[0][1]
            holder = self._open[-1][0]
            if isinstance(text, Leaf) and isinstance(holder, Series):
                holder.items[-1] = text
            elif isinstance(text, Leaf) and isinstance(holder, Mapping):
                holder.items[-1] = (holder.items[-1][0], text)


def _too_deep(file: Path, line: int | None) -> TaxonomyError:
    return TaxonomyError(
        f"nested too deeply for a taxonomy: more than {_DEEPEST} lists and mappings in each other",
        file=file,
        line=line,
    )


def _deep_line(text: str) -> int | None:
    """The line on which JSON is nested too deeply, whatever else is wrong with it."""
    depth = 0
    for match in _TOKEN.finditer(text):
        depth += (match[0] in "[{") - (match[0] in "]}")
        if depth > _DEEPEST:
            return text.count("\n", 0, match.start()) + 1
    return None
