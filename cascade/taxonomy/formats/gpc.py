"""GS1 GPC as XML: segments, families, classes and bricks; attributes below bricks are left out."""

from __future__ import annotations

import re

from cascade.taxonomy.draft import Draft
from cascade.taxonomy.formats.file import TaxonomyFile
from cascade.taxonomy.names import clean

_RANKS = ("segment", "family", "class", "brick")
_TAG = re.compile(r"<(?:[\w.-]+:)?(?:segment|family|brick)\b", re.IGNORECASE)


def matches(file: TaxonomyFile) -> bool:
    """Whether this is XML with segments, families or bricks at its beginning."""
    return file.is_xml and bool(_TAG.search(file.start))


def read(file: TaxonomyFile) -> Draft:
    """Nodes in file order, with definitions as descriptions.

    Raises
    ------
    TaxonomyError
        The XML is broken or declares entities, an element lacks its code or text, or is in one
        of a lower rank.
    """
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


def _rank(element: str) -> int | None:
    word = element.rpartition(":")[2].casefold()
    return _RANKS.index(word) if word in _RANKS else None
