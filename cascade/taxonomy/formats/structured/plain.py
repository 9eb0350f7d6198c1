"""What is no plain nesting of names, though it is mappings and lists: fields, columns, pairs."""

from __future__ import annotations

import re

from cascade.errors import TaxonomyError
from cascade.taxonomy.draft import Draft, PathTree
from cascade.taxonomy.formats.file import TaxonomyFile
from cascade.taxonomy.formats.separators import ARROW, doubt, find_separator, split_at
from cascade.taxonomy.formats.structured.json_yaml import Leaf, Mapping, Series, Value
from cascade.taxonomy.formats.structured.keys import meaning
from cascade.taxonomy.formats.tables.headings import COLUMNS, heading_key

_NO_NAME = re.compile(r"[-+]?[\d.,]+(?:[eE][-+]?\d+)?|true|false|True|False|NaN")
_FIELD = re.compile(r"[_$][A-Za-z]\w*|@(?:id|type|context|graph|base|vocab)")
_OF_MODELS = ("id2label", "label2id")
_SENTENCE = 60  # characters of which few names have more
_WRITE = "write nodes as {code: .., name: .., description: .., children: [..]}"


def refuse_no_names(file: TaxonomyFile, root: Mapping) -> None:
    """Refuse mappings that are not made of names.

    A table written column by column, the configuration of a model, and pairs of a name and
    something else, be it a code, a description or the node above.

    Raises
    ------
    TaxonomyError
        This is one of them.
    """
    if model := next((key for key, _ in root.items if key.text in _OF_MODELS), None):
        raise file.error(
            f"{model.text!r} is a key of a model's configuration, which is no taxonomy; write the "
            "labels alone, as a list or as lines of 'A > B > C'",
            model.line,
        )
    if _are_columns(root):
        raise file.error(
            "a table written column by column; write it row by row, as pandas does with "
            "to_json(orient='records'), or as CSV",
            root.line,
        )
    refuse_pairs(file, root)


def refuse_pairs(file: TaxonomyFile, root: Value) -> None:
    """Refuse pairs of a name and a text where nothing says what the text is.

    Raises
    ------
    TaxonomyError
        All that is lowest are such pairs.
    """
    if pairs := _pairs(root):
        key, text = pairs[0]
        raise file.error(
            f"{key.text!r} and others have a text each, such as {text.text[:80]!r}, but nothing "
            f"says whether these are nodes below, codes or descriptions; {_WRITE}, or '{key.text}: "
            "[..]' for names below others",
            key.line,
        )


def check_value(file: TaxonomyFile, key: Leaf, value: Value) -> None:
    """Refuse a key of plain nesting that is a field, or whose value is no name.

    Raises
    ------
    TaxonomyError
        It is, or the value is a number, a truth value or a sentence.
    """
    if _FIELD.fullmatch(key.text):
        raise file.error(
            f"{key.text!r} stands where names of nodes do, but seems to be a field; {_WRITE}",
            key.line,
        )
    if not isinstance(value, Leaf) or not value.text:
        return
    if _NO_NAME.fullmatch(value.text) or _is_sentence(value.text):
        raise file.error(
            f"{key.text!r} has the value {value.text[:80]!r}, which is no name of a node below; "
            f"leave it out, or {_WRITE}",
            value.line,
        )


def paths_in(file: TaxonomyFile, value: Value) -> Draft | None:
    """The nodes of a list of paths; None where it is none.

    Raises
    ------
    TaxonomyError
        A path is given twice, or it is not clear what separates names.
    """
    if not isinstance(value, Series) or not value.items:
        return None
    leaves = [item for item in value.items if isinstance(item, Leaf)]
    texts = [leaf.text for leaf in leaves]
    if len(leaves) < len(value.items) or any(leaf.lines > 1 for leaf in leaves):
        return None
    separator = find_separator(texts)
    if separator == ARROW and not any(" > " in text for text in texts):
        if unclear := doubt(texts, "texts"):
            raise file.error(unclear, value.line)
        return None
    tree = PathTree(file.path)
    for leaf in leaves:
        tree.add(split_at(leaf.text, separator), line=leaf.line, once=True)
    return tree.finish()


def refuse_paths(file: TaxonomyFile, draft: Draft) -> None:
    """Refuse nested nodes whose names are paths.

    Raises
    ------
    TaxonomyError
        Half of the names are.
    """
    rows = [row for row, name in enumerate(draft.names) if " > " in name]
    if len(rows) > 1 and 2 * len(rows) >= len(draft.names):
        raise draft.error(
            f"names of nodes are paths, such as {draft.names[rows[0]][:80]!r}; write a list of "
            "paths alone, or names without those above them",
            rows[0],
        )


def no_code(file: TaxonomyFile, key: Leaf) -> TaxonomyError:
    """The error of a parent that is a mapping without a code."""
    return file.error(
        f"{key.text!r} is a mapping without a code; write the code of the node above, or nothing "
        "at the top",
        key.line,
    )


def _are_columns(root: Mapping) -> bool:
    """Whether the values are mappings of the same keys, or lists as long, below known headings."""
    known = frozenset().union(*COLUMNS.values())
    if sum(heading_key(key.text) in known for key, _ in root.items) < 2:
        return False
    shapes: set[object] = set()
    for _, part in root.items:
        if isinstance(part, Mapping):
            shapes.add(tuple(key.text for key, _ in part.items))
        elif isinstance(part, Series) and all(isinstance(item, Leaf) for item in part.items):
            shapes.add(len(part.items))
        else:
            return False
    return len(shapes) == 1


def _pairs(root: Value) -> list[tuple[Leaf, Leaf]]:
    """Keys with a text, where all that is lowest are such; empty where names stand in lists."""
    found: list[tuple[Leaf, Leaf]] = []
    waiting: list[Value] = [root]
    while waiting:
        value = waiting.pop(0)
        if isinstance(value, Series):
            if any(isinstance(item, Leaf) for item in value.items):
                return []
            waiting += value.items
        elif isinstance(value, Mapping):
            for key, part in value.items:
                if not isinstance(part, Leaf):
                    waiting.append(part)
                elif not part.text or (meaning(key.text) and key.text == key.text.lower()):
                    return []  # what nodes have is told where they are read
                else:
                    found.append((key, part))
    return found if len(found) > 1 else []


def _is_sentence(text: str) -> bool:
    return len(text) > _SENTENCE or (text.endswith((".", "!", "?")) and " " in text)
