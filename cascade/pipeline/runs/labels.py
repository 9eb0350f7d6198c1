"""Known answers: what the labels of a file are in a taxonomy, and a taxonomy made of them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from cascade.errors import InputError, TaxonomyError
from cascade.io import require_columns
from cascade.io.tables.opening import TableFile
from cascade.taxonomy import Taxonomy
from cascade.taxonomy.names import clean, match_code, split_path

SAMPLE = 1_000  # rows that are looked at for a column that would fit better


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


class LabelFinder:
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

    def is_deprecated(self, text: str) -> bool:
        """Whether a label is the code of a node that is no longer in use."""
        return match_code(text, self._taxonomy.deprecated) is not None

    def shown(self, text: str) -> str:
        """A label for messages; one that names a deprecated node with what to use instead."""
        old = match_code(text, self._taxonomy.deprecated)
        note = "" if old is None else f": {self._taxonomy.deprecated[old]}"
        return f"{text[:80]!r}{note}"

    def find_all(self, text: str) -> tuple[int, ...]:
        """Nodes of a cell that holds one code or path, or a JSON list of them; unknown ones not."""
        parts = [text]
        if text.lstrip().startswith("["):
            try:
                parsed = json.loads(text)
            except (ValueError, RecursionError):
                parsed = None
            if isinstance(parsed, list):
                parts = [str(part) for part in parsed]
        return tuple(node for node in map(self.find, parts) if node >= 0)


def count_labels(source: TableFile, column: str, taxonomy: Taxonomy) -> LabelCounts:
    """How many labels of a file are in a taxonomy.

    Raises
    ------
    InputError
        The column is not there, the file has no rows, or none of its labels is in the taxonomy;
        the message says how many, which first, and what to do.
    """
    finder = LabelFinder(taxonomy)
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
                first = first or f"line {row.line}, {finder.shown(text)}"
    counts = LabelCounts(rows, empty, unknown, first)
    if not rows:
        raise InputError("there are no rows to measure", file=source.file)
    if not counts.known:
        if unknown:
            raise unknown_labels_error(source, column, taxonomy, unknown, first)
        raise InputError(
            f"all {rows:,} rows are without a label; name the column of known answers with --label",
            file=source.file,
            column=column,
        )
    return counts


def unknown_labels_error(
    source: TableFile, column: str, taxonomy: Taxonomy, labels: int, first: str
) -> InputError:
    """The error of a column of which no label is in the taxonomy; `first` is where one stands."""
    example = int(taxonomy.leaves[0])
    better = fitting_column(source, taxonomy)
    cure = (
        f"column {better!r} has labels of it: name that with --label"
        if better not in (None, column)
        else "name another column with --label, or the taxonomy that they are from with -t"
    )
    return InputError(
        f"none of its {labels:,} labels is in taxonomy {taxonomy.name!r} (first: {first}); a label "
        f"is a code or a path, such as {taxonomy.codes[example]!r} or "
        f"{taxonomy.path(example)!r}; {cure}",
        file=source.file,
        column=column,
    )


def fitting_column(source: TableFile, taxonomy: Taxonomy) -> str | None:
    """The column whose values are nodes of a taxonomy most often, None if none has any."""
    finder = LabelFinder(taxonomy)
    with source.open() as table:
        hits = dict.fromkeys(table.columns, 0)
        for row in islice(table, SAMPLE):
            for column in hits:
                hits[column] += finder.find(table.text(row, column)) >= 0
    best = max(hits, key=lambda column: hits[column], default=None)
    return best if best is not None and hits[best] else None


def taxonomy_of_labels(sources: Sequence[TableFile], column: str) -> Taxonomy:
    """The taxonomy that the label paths of files (`A > B > C`) make, with the first one's name.

    Raises
    ------
    InputError
        The column is not there, or no row has a label.
    TaxonomyError
        No label is a path.
    """
    labels: dict[str, None] = {}
    for source in sources:
        with source.open() as table:
            require_columns(table, [column])
            for row in table:
                text = table.text(row, column)
                if text.strip() and not table.is_nested(row, column):
                    labels.setdefault(text)
    if not labels:
        raise InputError(
            "no row has a label, so that no taxonomy can be made of them; name one with -t",
            file=sources[0].file,
            column=column,
        )
    return taxonomy_of_paths(list(labels), Path(sources[0].file).stem)


def taxonomy_of_paths(labels: Sequence[str], name: str) -> Taxonomy:
    """The taxonomy that labels make as paths (`A > B > C`); those that are no path are left out.

    Raises
    ------
    TaxonomyError
        There is no path among them.
    """
    paths = [label for label in labels if all(map(clean, split_path(label)))]
    if not paths:
        raise TaxonomyError(
            f"none of {len(labels):,} different labels is a path of names such as 'A > B' (first: "
            f"{labels[0][:80]!r}), so that no taxonomy can be made of them; name one with -t"
        )
    return Taxonomy.from_paths(paths, name=name)
