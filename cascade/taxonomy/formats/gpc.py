"""GS1 GPC as XML: segments, families, classes and bricks; attributes below bricks are left out.

The file is streamed through an expat parser that refuses document type declarations.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Mapping
from pathlib import Path
from xml.sax.handler import ContentHandler
from xml.sax.xmlreader import AttributesImpl, Locator

import numpy as np

from cascade.errors import TaxonomyError
from cascade.taxonomy.draft import Draft
from cascade.taxonomy.formats.file import TaxonomyFile
from cascade.taxonomy.formats.xml import parse
from cascade.taxonomy.names import clean

_RANKS = ("segment", "family", "class", "brick")
_TAG = re.compile(r"<(?:[\w.-]+:)?(?:segment|family|brick)\b", re.IGNORECASE)


def matches(file: TaxonomyFile) -> bool:
    """Whether this is XML with segments, families or bricks at its beginning."""
    if not file.is_xml:
        return False
    return bool(_TAG.search(file.start))


def read(file: TaxonomyFile) -> Draft:
    """Nodes in file order, with definitions as descriptions.

    Raises
    ------
    TaxonomyError
        The XML is broken or declares entities, an element lacks its code or text, or stands where
        it cannot.
    """
    handler = _Handler(file.path)
    parse(file, handler)
    return handler.draft()


class _Handler(ContentHandler):
    def __init__(self, file: Path) -> None:
        super().__init__()
        self._file = file
        self._locator = Locator()
        self._open: list[tuple[int, int]] = []
        self._draft = Draft([], [], np.empty(0, dtype=np.int32), file=file, distinct_siblings=True)
        self._parent, self._lines = array("i"), array("q")

    def setDocumentLocator(self, locator: Locator) -> None:
        self._locator = locator

    def startElement(self, name: str, attrs: AttributesImpl) -> None:
        rank = _rank(name)
        if rank is None:
            return
        line = self._locator.getLineNumber() or 0
        values = {key.casefold(): value for key, value in attrs.items()}
        code, text = (self._value(values, key, name, line) for key in ("code", "text"))
        above = self._open[-1] if self._open else (-1, -1)
        if above[0] >= rank:
            raise TaxonomyError(
                f"<{name}> {code!r} inside <{_RANKS[above[0]]}>; expected the order "
                f"{' > '.join(_RANKS)}",
                file=self._file,
                line=line,
            )
        row = len(self._draft.codes)
        self._draft.codes.append(code)
        self._draft.names.append(text)
        self._parent.append(above[1])
        self._lines.append(line)
        self._draft.lines = self._lines
        self._draft.describe(row, values.get("definition", ""))
        self._open.append((rank, row))

    def endElement(self, name: str) -> None:
        if _rank(name) is not None:
            self._open.pop()

    def draft(self) -> Draft:
        """What was collected."""
        self._draft.parent = np.array(self._parent, dtype=np.int32)
        return self._draft

    def _value(self, values: Mapping[str, str], key: str, name: str, line: int) -> str:
        value = clean(values.get(key, ""))
        if not value:
            raise TaxonomyError(
                f"<{name}> without a {key!r}; it has: {', '.join(values) or 'no attribute'}",
                file=self._file,
                line=line,
            )
        return value


def _rank(name: str) -> int | None:
    word = name.rpartition(":")[2].casefold()
    return _RANKS.index(word) if word in _RANKS else None
