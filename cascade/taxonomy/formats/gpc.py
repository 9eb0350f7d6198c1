"""GS1 GPC as XML or JSON: segments, families, classes and bricks.

Attributes and their values, which stand below bricks, are left out: they are the same for many
bricks. In JSON nodes that are not active are left out, too.
"""

from __future__ import annotations

import logging
import re

from cascade.taxonomy.draft import Draft
from cascade.taxonomy.formats.file import TaxonomyFile
from cascade.taxonomy.formats.structured.json_yaml import Leaf, Mapping, Series, Value, parse_json
from cascade.taxonomy.names import clean

logger = logging.getLogger(__name__)

_RANKS = ("segment", "family", "class", "brick")
_TAG = re.compile(r"<(?:[\w.-]+:)?(?:segment|family|brick)\b", re.IGNORECASE)


def matches(file: TaxonomyFile) -> bool:
    """Whether this is XML with segments, families or bricks, or JSON with `Schema` and `Childs`."""
    if file.is_json:
        return '"Schema"' in file.start and '"Childs"' in file.start
    return file.is_xml and bool(_TAG.search(file.start))


def read(file: TaxonomyFile) -> Draft:
    """Nodes in file order, with definitions as descriptions.

    Raises
    ------
    TaxonomyError
        The file is broken or declares entities, an element lacks its code or text, or is in one
        of a lower rank.
    """
    if file.is_json:
        return _read_json(file)
    draft = Draft(file=file.path, distinct_siblings=True)
    above: list[tuple[int, int]] = [(-1, -1)]  # rank and row of the elements that are open

    def start(element: str, attributes: dict[str, str], line: int) -> None:
        if (rank := _rank(element)) is None:
            return
        values = {key.casefold(): value for key, value in attributes.items()}
        for key in ("code", "text"):
            if not clean(values.get(key, "")):
                has = ", ".join(values) or "no attribute"
                raise file.error(f"<{element}> without a {key!r}; it has: {has}", line)
        outer, parent = above[-1]
        if outer >= rank:
            raise file.error(
                f"<{element}> {values['code']!r} inside <{_RANKS[outer]}>; expected the order "
                f"{' > '.join(_RANKS)}",
                line,
            )
        row = draft.add(values["text"], values["code"], parent, line)
        draft.describe(row, values.get("definition", ""))
        above.append((rank, row))

    def end(element: str) -> None:
        if _rank(element) is not None:
            above.pop()

    file.parse_xml(start, end)
    return draft


def _read_json(file: TaxonomyFile) -> Draft:
    release = parse_json(file.text, file.path)
    schema = release.get("Schema") if isinstance(release, Mapping) else None
    if not isinstance(release, Mapping) or not isinstance(schema, Series):
        raise file.error("expected a list called 'Schema', with the segments", release.line)
    language = _text(release, "LanguageCode").lower()
    draft = Draft(file=file.path, distinct_siblings=True, language=language)
    left_out = 0
    open_: list[tuple[Value, int, int]] = [(node, 1, -1) for node in reversed(schema.items)]
    while open_:
        node, level, parent = open_.pop()
        if not isinstance(node, Mapping):
            raise file.error("expected a node with Code, Title and Childs", node.line)
        if _text(node, "Active") == "false":
            left_out += 1
            continue
        code, title, stated = (_text(node, key) for key in ("Code", "Title", "Level"))
        if not code or not title:
            has = ", ".join(key.text for key, _ in node.items) or "no key"
            missing = "Title" if code else "Code"
            raise file.error(f"a node without {missing!r}; it has: {has}", node.line)
        if stated and stated != str(level):
            raise file.error(
                f"node {code!r} says that its level is {stated}, but stands on level {level}",
                node.line,
            )
        row = draft.add(title, code, parent, node.line)
        draft.describe(row, _text(node, "Definition"))
        below = node.get("Childs")
        if (isinstance(below, Leaf) and below.text) or isinstance(below, Mapping):
            raise file.error(f"the 'Childs' of node {code!r} are no list", below.line)
        if level < len(_RANKS) and isinstance(below, Series):
            open_ += [(child, level + 1, row) for child in reversed(below.items)]
    if left_out:
        logger.warning(
            "%s: %d nodes are not active, and left out with all below them", file.path, left_out
        )
    return draft


def _text(node: Mapping, key: str) -> str:
    value = node.get(key)
    return clean(value.text) if isinstance(value, Leaf) else ""


def _rank(element: str) -> int | None:
    word = element.rpartition(":")[2].casefold()
    return _RANKS.index(word) if word in _RANKS else None
