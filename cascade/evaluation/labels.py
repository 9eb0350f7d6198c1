"""Known answers: what the labels of a file are in a taxonomy, and a taxonomy made of them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from cascade.errors import InputError
from cascade.evaluation.source import Source
from cascade.io import require_columns
from cascade.taxonomy import Taxonomy


@dataclass(frozen=True)
class LabelCounts:
    """How many rows of a file can be measured.

    Parameters
    ----------
    rows
        All rows.
    empty
        Rows without a label; they are not measured.
    unknown
        Rows whose label is not in the taxonomy; they are not measured.
    first_unknown
        Line and text of the first of them, empty if there is none.
    """

    rows: int = 0
    empty: int = 0
    unknown: int = 0
    first_unknown: str = ""

    @property
    def known(self) -> int:
        """Rows that are measured."""
        return self.rows - self.empty - self.unknown


class Finder:
    """Finds labels in a taxonomy, each different one once."""

    def __init__(self, taxonomy: Taxonomy) -> None:
        self._taxonomy = taxonomy
        self._found: dict[str, int] = {}

    def find(self, text: str) -> int:
        """Index of the node that a code or a path names, -1 if there is none."""
        if text not in self._found:
            node = self._taxonomy.find(text) if text.strip() else None
            self._found[text] = -1 if node is None else node
        return self._found[text]

    def find_all(self, text: str) -> tuple[int, ...]:
        """Nodes of a cell that holds one code or path, or a JSON list of them; unknown ones not."""
        parts = [text]
        if text.lstrip().startswith("["):
            try:
                parsed = json.loads(text)
            except ValueError:
                parsed = None
            if isinstance(parsed, list):
                parts = [str(part) for part in parsed]
        return tuple(node for node in map(self.find, parts) if node >= 0)


def count_labels(source: Source, column: str, taxonomy: Taxonomy) -> LabelCounts:
    """How many labels of a file are in a taxonomy.

    Raises
    ------
    InputError
        The column is not there, the file has no rows, or none of its labels is in the taxonomy;
        the message says how many, which first, and what to do.
    """
    finder = Finder(taxonomy)
    rows = empty = unknown = 0
    first = ""
    with source.open() as table:
        require_columns(table, [column])
        for row in table:
            text = table.text(row, column)
            rows += 1
            if not text.strip():
                empty += 1
            elif finder.find(text) < 0:
                unknown += 1
                first = first or f"line {row.line}, {text[:80]!r}"
    counts = LabelCounts(rows, empty, unknown, first)
    if not rows:
        raise InputError("there are no rows to measure", file=source.file)
    if not counts.known:
        raise _nothing_known(counts, source.file, column, taxonomy)
    return counts


def _nothing_known(counts: LabelCounts, file: str, column: str, taxonomy: Taxonomy) -> InputError:
    if not counts.unknown:
        return InputError(
            f"all {counts.rows:,} rows are without a label; name the column of known answers with "
            "--label",
            file=file,
            column=column,
        )
    example = taxonomy.leaves[0]
    return InputError(
        f"none of its {counts.rows - counts.empty:,} labels is in taxonomy {taxonomy.name!r} "
        f"(first: {counts.first_unknown}); a label is a code or a path, such as "
        f"{taxonomy.codes[example]!r} or {taxonomy.path(int(example))!r}: name another column with "
        "--label, or the taxonomy that they are from with -t",
        file=file,
        column=column,
    )


def taxonomy_of_labels(source: Source, column: str) -> Taxonomy:
    """The taxonomy that the label paths of a file (`A > B > C`) make.

    Raises
    ------
    InputError
        The column is not there, or no row has a label.
    TaxonomyError
        A label is no path.
    """
    from cascade.taxonomy.formats.path_tree import PathTree, split

    tree = PathTree(source.file)
    seen: set[str] = set()
    with source.open() as table:
        require_columns(table, [column])
        for row in table:
            text = table.text(row, column)
            if text.strip() and text not in seen:
                seen.add(text)
                tree.add(split(text), line=row.line)
    if not seen:
        raise InputError(
            "no row has a label, so that no taxonomy can be made of them; name one with -t",
            file=source.file,
            column=column,
        )
    draft = tree.draft()
    draft.name = Path(source.file).stem
    return Taxonomy(draft)
