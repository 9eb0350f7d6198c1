"""Nodes from paths, where those above may be implied and codes may come later or never."""

from __future__ import annotations

import re
from array import array
from collections.abc import Sequence

import numpy as np

from cascade.errors import TaxonomyError
from cascade.taxonomy.node import PATH_SEPARATOR
from cascade.taxonomy.records import Draft, clean

_SPACED = re.compile(r"(?:^|\s+)>(?=\s|$)")
_ARROW = re.compile(r"\s*>\s*")


def split(path: str) -> list[str]:
    """Names of `A > B > C`; only where no `>` stands between blanks do bare ones count."""
    if _SPACED.search(path):
        return _SPACED.split(path)
    return _ARROW.split(path)


class PathTree:
    """Collects paths in file order.

    A node without a code gets its path, `A > B > C`, for a code: it stays the same as long as the
    names do.
    """

    def __init__(self, file: str | None = None) -> None:
        self._file = file
        self._row: dict[tuple[int, str], int] = {}
        self._names: list[str] = []
        self._codes: list[str] = []
        self._parent = array("i")
        self._lines = array("q")
        self._given: dict[int, int] = {}

    def add(
        self, names: Sequence[str], code: str = "", *, line: int = 0, once: bool = False
    ) -> int:
        """Add a path, top first, and return the row of its last node.

        Parameters
        ----------
        once
            Refuse a path that was given before; else it counts once.

        Raises
        ------
        TaxonomyError
            A name of the path is blank, or the path was given before, perhaps with another code.
        """
        row = -1
        for name in names:
            key = (row, clean(name))
            if not key[1]:
                path = PATH_SEPARATOR.join(map(clean, names))
                raise self._error(f"path {path!r} has a blank name", line)
            found = self._row.get(key)
            row = self._new(key, line) if found is None else found
        if row < 0:
            raise self._error("a path without any name", line)
        if row in self._given and (once or code != self._codes[row]):
            raise self._repeated(names, code, row, line)
        if row not in self._given:
            self._given[row] = line
            self._lines[row] = line
            self._codes[row] = clean(code)
        return row

    def _new(self, key: tuple[int, str], line: int) -> int:
        row = self._row[key] = len(self._names)
        self._parent.append(key[0])
        self._names.append(key[1])
        self._codes.append("")
        self._lines.append(line)
        return row

    def _repeated(self, names: Sequence[str], code: str, row: int, line: int) -> TaxonomyError:
        path = PATH_SEPARATOR.join(map(clean, names))
        before = f"line {self._given[row]}" if self._given[row] else "before"
        if code == self._codes[row]:
            found = f"path {path!r} was given on {before} already"
        else:
            found = f"path {path!r} has code {code!r} here but {self._codes[row]!r} on {before}"
        return self._error(
            f"{found}; each node stands once (are these labelled rows, not a taxonomy?)", line
        )

    def _error(self, message: str, line: int) -> TaxonomyError:
        return TaxonomyError(message, file=self._file, line=line or None)

    def draft(self) -> Draft:
        """What was collected, with paths for codes where none were given."""
        paths: list[str] = []
        for name, above in zip(self._names, self._parent, strict=True):
            paths.append(paths[above] + PATH_SEPARATOR + name if above >= 0 else name)
        codes = [code or path for code, path in zip(self._codes, paths, strict=True)]
        return Draft(
            codes,
            self._names,
            np.array(self._parent, dtype=np.int32),
            self._lines,
            file=self._file,
        )
