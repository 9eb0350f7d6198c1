"""The `Taxonomy`: an immutable tree of coded nodes, held in arrays in depth-first order.

Because of that order a subtree is a range of indices, so a question about a whole subtree is a
slice, and a question about all subtrees is one segmented pass.
"""

from __future__ import annotations

import hashlib
import json
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from operator import itemgetter
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from cascade.errors import TaxonomyError, close_matches
from cascade.taxonomy.draft import Draft, MachineTexts, PathTree, Record
from cascade.taxonomy.forest import Forest, arrange
from cascade.taxonomy.formats import read
from cascade.taxonomy.lookup import NodeFinder
from cascade.taxonomy.names import PATH_SEPARATOR, match_code, normalize_code, split_path

if TYPE_CHECKING:
    from cascade.taxonomy.search import Searcher
from cascade.taxonomy.notebook import taxonomy_html

_T = TypeVar("_T")

PATHS = 1 << 14  # paths that are remembered, not more than some MiB


@dataclass(frozen=True, slots=True)
class Node:
    """A node with all that is known about it.

    Parameters
    ----------
    index
        Position in depth-first order, from 0.
    path
        Names from the top, `A > B > C`.
    level
        1 is the top.
    parent_code
        None at the top.
    translations
        Names by language tag.
    """

    index: int
    code: str
    name: str
    path: str
    level: int
    parent_code: str | None
    is_leaf: bool
    description: str = ""
    synonyms: tuple[str, ...] = ()
    translations: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.path}  [{self.code}]"


class Taxonomy(Forest):
    """A tree of coded nodes in depth-first order. Make one with `load` or a `from_` method.

    Depth may be uneven, and names may repeat in different places: only codes are unique in the
    whole tree, and names among siblings. A node is named by its index, an int from 0.

    Parameters
    ----------
    draft
        Rows in any order.

    Attributes
    ----------
    codes, names
        Tuples of n strings.
    parent
        int32 [n], index of the parent, -1 at the top; read-only, as are all arrays here.
    end
        int32 [n], one past the last descendant: the subtree of i is `range(i, end[i])`.
    level
        int16 [n], 1 at the top.
    name, title, language
        Short name, heading, and language tag of the names (empty where not stated).
    deprecated
        Codes that are no nodes any more, each with a sentence that says what to use.

    Raises
    ------
    TaxonomyError
        The rows are no tree of named, uniquely coded nodes.
    """

    def __init__(self, draft: Draft) -> None:
        order, parent, end, level = arrange(draft)
        super().__init__(parent, end, level)
        rows = order.tolist()
        self.codes: tuple[str, ...] = tuple([draft.codes[row] for row in rows])
        self.names: tuple[str, ...] = tuple([draft.names[row] for row in rows])
        self.name = draft.name
        self.title = draft.title or draft.name
        self.language = draft.language
        self.deprecated: Mapping[str, str] = MappingProxyType(draft.deprecated)
        index = np.empty_like(order)
        index[order] = np.arange(len(order), dtype=np.int32)
        self._descriptions = _rekeyed(draft.descriptions, index)
        self._synonyms = _rekeyed(draft.synonyms, index)
        self._translations = _rekeyed(draft.translations, index)
        self._machine = _rekeyed(draft.machine, index)

    @classmethod
    def load(
        cls,
        path: str | Path,
        *,
        format: str | None = None,
        encoding: str | None = None,
        scheme: str | None = None,
        sheet: str | None = None,
    ) -> Taxonomy:
        """Read a file; its content, not its name, decides the format.

        Parameters
        ----------
        format
            A key of `cascade.taxonomy.formats.FORMATS`, to skip detection. A catalogue of EFSA
            becomes a `FacetedTaxonomy` of its base terms.
        encoding
            For example `latin-1`, where UTF-8, UTF-16 and Windows-1252 are not it.
        scheme
            Concept scheme of a SKOS vocabulary: its title, code or address; all if None.
        sheet
            Of a workbook; if None, the one that alone looks like a taxonomy.

        Raises
        ------
        TaxonomyError
            The file cannot be read, is of no known format, or holds no tree.
        """
        found = read(path, format=format, encoding=encoding, scheme=scheme, sheet=sheet)
        return found if isinstance(found, Taxonomy) else cls(found)

    @classmethod
    def from_paths(
        cls,
        paths: Iterable[str | Sequence[str]],
        *,
        name: str = "",
        title: str = "",
        language: str = "",
    ) -> Taxonomy:
        """From `"A > B > C"` strings or tuples of names; the code of a node is its path.

        Nodes above are implied, and repeated paths count once.
        """
        tree = PathTree()
        for path in paths:
            tree.add(split_path(path) if isinstance(path, str) else path)
        draft = tree.finish()
        draft.name, draft.title, draft.language = name, title, language
        return cls(draft)

    @classmethod
    def from_records(
        cls,
        records: Iterable[Record | Sequence[Any]],
        *,
        name: str = "",
        title: str = "",
        language: str = "",
        file: str | Path | None = None,
    ) -> Taxonomy:
        """From `Record`s, or tuples `(code, name, parent_code, ...)` like them, in any order.

        Raises
        ------
        TaxonomyError
            As for `load`; `file` and the lines of the records are named.
        """
        draft = Draft(name=name, title=title, language=language, file=file)
        parents = []
        for record in records:
            record = record if isinstance(record, Record) else Record(*record)
            row = draft.add(record.name, record.code, line=record.line or 0)
            draft.describe(row, record.description, record.synonyms, record.translations)
            parents.append(normalize_code(record.parent_code or ""))
        draft.link(parents)
        return cls(draft)

    def to_csv(self, path: str | Path) -> None:
        """Write `code,name,parent` and what else there is; `load` gives the same tree back."""
        from cascade.taxonomy.formats.tables import csv

        csv.write(self, Path(path))

    def to_yaml(self, path: str | Path) -> None:
        """Write nested YAML with everything, the title too; `load` gives the same back."""
        from cascade.taxonomy.formats.structured.writing import write

        write(self, Path(path))

    def __iter__(self) -> Iterator[Node]:
        return map(self.node, range(len(self)))

    def __contains__(self, code: object) -> bool:
        return code in self._index

    def node(self, ref: int | str) -> Node:
        """The node at an index, of a code, or at an `A > B > C` path.

        Raises
        ------
        TaxonomyError
            There is none; close matches are named.
        """
        if isinstance(ref, str):
            found = self.find(ref)
            i = self.index(ref) if found is None else found
        else:
            i = self._checked(ref)
        above = int(self.parent[i])
        return Node(
            index=i,
            code=self.codes[i],
            name=self.names[i],
            path=self.path(i),
            level=int(self.level[i]),
            parent_code=self.codes[above] if above >= 0 else None,
            is_leaf=self.is_leaf(i),
            description=self.description(i),
            synonyms=self.synonyms(i),
            translations=self.translations(i),
        )

    def index(self, code: str) -> int:
        """Index of the node with a code, see `match_code`.

        Raises
        ------
        TaxonomyError
            There is none: it is deprecated, or close codes are named, else nodes of a close name.
        """
        if (known := match_code(code, self._index)) is not None:
            return self._index[known]
        if (old := match_code(code, self.deprecated)) is not None:
            raise TaxonomyError(self.deprecated[old])
        found = [self.index(c) for c in close_matches(code, self.codes)]
        if not found:
            found = [self.names.index(name) for name in close_matches(code, self.names)]
        near = ", ".join(f"{self.codes[i]!r} ({self.names[i]})" for i in found)
        raise TaxonomyError(
            f"no node {code!r} in taxonomy {self.name!r} of {len(self):,} nodes; "
            + (f"did you mean {near}?" if near else "a node is named by its code or its path")
        )

    def find(self, text: str) -> int | None:
        """Index of the node with a code or at a path; None if none.

        A text that is neither as it stands (`match_code`) is compared by form, where case, quotes,
        separators and lost zeros do not count; see `cascade.taxonomy.lookup`.
        """
        return None if text in self.deprecated else self._finder.find(text)

    def path(self, i: int) -> str:
        """`A > B > C`."""
        return self._path(i)

    def description(self, i: int) -> str:
        """Description of i, empty where there is none."""
        return self._descriptions.get(self._checked(i), "")

    def synonyms(self, i: int) -> tuple[str, ...]:
        """Other names of i."""
        return self._synonyms.get(self._checked(i), ())

    def translations(self, i: int) -> Mapping[str, str]:
        """Names of i by language tag."""
        return MappingProxyType(self._translations.get(self._checked(i), {}))

    def machine(self, i: int) -> MachineTexts:
        """What a language model wrote about i, see `cascade taxonomy enrich`."""
        return self._machine.get(self._checked(i), MachineTexts())

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of what retrieval sees: codes, names, parents, and texts of nodes."""
        digest = hashlib.sha256(self.parent.astype("<i4").tobytes())
        sides = [sorted(side.items()) for side in (self._descriptions, self._synonyms)]
        written = [sorted(self._machine.items())] if self._machine else []
        for part in (self.codes, self.names, *sides, *written):
            digest.update(json.dumps(part).encode())
        return digest.hexdigest()

    def search(self, query: str, limit: int = 10) -> list[Node]:
        """Nodes whose code, name or synonym is like a query, whatever its case and accents.

        Exact matches come first, then those that start with the query, have all its words, or
        contain it; among equals names before synonyms before codes, and higher levels first.
        """
        return [self.node(i) for i in self._searcher.search(query, limit)]

    def trim(self, depth: int) -> Taxonomy:
        """The same taxonomy without the levels below `depth`.

        Raises
        ------
        TaxonomyError
            `depth` is less than 1.
        """
        if depth < 1:
            raise TaxonomyError(f"cannot trim to depth {depth}; the least is 1, the top level")
        kept = np.flatnonzero(self.level <= depth)
        index = np.full(len(self) + 1, -1, dtype=np.int32)
        index[kept] = np.arange(len(kept), dtype=np.int32)
        draft = self._draft()
        draft.codes = [self.codes[i] for i in kept.tolist()]
        draft.names = [self.names[i] for i in kept.tolist()]
        draft.parent = array("i", index[self.parent[kept]].tolist())
        draft.descriptions = _rekeyed(draft.descriptions, index)
        draft.synonyms = _rekeyed(draft.synonyms, index)
        draft.translations = _rekeyed(draft.translations, index)
        draft.machine = _rekeyed(draft.machine, index)
        return Taxonomy(draft)

    def _draft(self) -> Draft:
        return Draft(
            list(self.codes),
            list(self.names),
            array("i", self.parent.tolist()),
            descriptions=self._descriptions,
            synonyms=self._synonyms,
            translations=self._translations,
            machine=self._machine,
            name=self.name,
            title=self.title,
            language=self.language,
            deprecated=dict(self.deprecated),
        )

    def with_machine_texts(self, texts: Mapping[int, MachineTexts]) -> Taxonomy:
        """The same taxonomy with what a language model wrote, by node."""
        draft = self._draft()
        draft.machine = dict(texts)
        return Taxonomy(draft)

    def __reduce__(self) -> tuple[type[Taxonomy], tuple[Draft]]:
        return Taxonomy, (self._draft(),)

    def __repr__(self) -> str:
        return (
            f"Taxonomy({self.name!r}: {len(self):,} nodes, {self.depth} levels, "
            f"{len(self.leaves):,} leaves)"
        )

    def _repr_html_(self) -> str:
        return taxonomy_html(self)

    @cached_property
    def named_path(self) -> Callable[[int], Sequence[tuple[str, str]]]:
        """Code and name of each node on the path to one, top first; remembered as `path` is."""
        codes, names = self.codes, self.names
        return lru_cache(PATHS)(lambda i: [(codes[n], names[n]) for n in self._path_to(i)])

    @cached_property
    def _path(self) -> Callable[[int], str]:
        """`path` that remembers those that are asked for again and again, as predictions do."""

        @lru_cache(maxsize=PATHS)
        def joined(i: int) -> str:
            return PATH_SEPARATOR.join([self.names[j] for j in self._path_to(i)])

        return joined

    @cached_property
    def _finder(self) -> NodeFinder:
        return NodeFinder(self, self._index)

    @cached_property
    def _index(self) -> dict[str, int]:
        return dict(zip(self.codes, range(len(self)), strict=True))

    @cached_property
    def _searcher(self) -> Searcher:
        from cascade.taxonomy.search import Searcher

        return Searcher(self.names, self._synonyms, self.codes, self.level)


def _rekeyed(values: Mapping[int, _T], index: NDArray[np.int32]) -> dict[int, _T]:
    """Sparse values with the keys that `index` gives, in order; without those that it gives -1."""
    moved = [(int(index[row]), value) for row, value in values.items()]
    return dict(sorted(((i, value) for i, value in moved if i >= 0), key=itemgetter(0)))
