"""Which labelled rows of a file can be learnt from and measured on, and why the others cannot.

The rows are read once; of each only two numbers are remembered, so that ten million of them fit
into memory: a hash of its text, and which of the different labels it has.
"""

from __future__ import annotations

import unicodedata
from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cascade.evaluation.preparation.splits import draw
from cascade.io import Row, Table
from cascade.pipeline.labels.cells import is_list
from cascade.pipeline.labels.finding import LabelFinder
from cascade.taxonomy import Taxonomy
from cascade.taxonomy.lookup import code_form
from cascade.taxonomy.names import clean
from cascade.values import is_visible, json_of

REASONS = {
    "unreadable": "the row cannot be read",
    "textless": "it has no text",
    "anonymised": "its text was struck out",
    "unlabelled": "it has no label",
    "unknown": "its label is not in the taxonomy",
    "duplicate": "an earlier row has the same text and the same label",
    "conflicting": "another row has the same text and a different label",
    "outdone": "another row has the same text and a code that says more",
}
"""Why a row is dropped, in the order in which the reasons are looked for."""

CHUNK = 1024  # rows between two signs of progress
KEPT = -1
UNREADABLE, TEXTLESS, ANONYMISED, UNLABELLED, UNKNOWN, DUPLICATE, CONFLICTING, OUTDONE = range(
    len(REASONS)
)


@dataclass(frozen=True)
class ScannedRows:
    """What is remembered of the rows of a file.

    Parameters
    ----------
    fault
        int8 [n_rows], why a row cannot be used, as far as the row alone tells: an index in
        `REASONS`, or `KEPT`.
    key
        uint64 [n_rows], seeded hash of the normalised text; equal if and only if the texts are.
    label
        int32 [n_rows], index in `labels`, -1 for a row with a fault.
    line
        int64 [n_rows], where the row begins.
    labels
        The different labels, as they were first met.
    """

    fault: NDArray[np.int8]
    key: NDArray[np.uint64]
    label: NDArray[np.int32]
    line: NDArray[np.int64]
    labels: Sequence[str]

    def __len__(self) -> int:
        return len(self.fault)


@dataclass(frozen=True)
class CleanedRows:
    """Which rows are kept, and the class of each.

    Parameters
    ----------
    reason
        int8 [n_rows], why a row is dropped: an index in `REASONS`, or `KEPT`.
    node
        int32 [n_rows], the node of its label, -1 where there is none.
    rival
        int64 [n_rows], the row that a duplicate repeats or that a conflicting row contradicts, -1
        for other rows.
    """

    reason: NDArray[np.int8]
    node: NDArray[np.int32]
    rival: NDArray[np.int64]

    @property
    def kept(self) -> NDArray[np.int64]:
        """int64 [n_kept], the rows that are kept, in order."""
        return np.flatnonzero(self.reason == KEPT)


def normalised(texts: Iterable[str]) -> str:
    """The texts of a row in one form, by which rows are compared.

    NFKC, case folded, each run of blanks a space; fields without text are left out.
    """
    folded = (" ".join(unicodedata.normalize("NFKC", text).casefold().split()) for text in texts)
    return "\n".join(filter(None, folded))


def scan_rows(
    table: Table,
    text: Sequence[str],
    label: str,
    seed: int,
    progress: Callable[[Row], None] | None = None,
    *,
    is_masked: Callable[[str], bool] = lambda _: False,
) -> ScannedRows:
    """Read the rows of a table.

    Parameters
    ----------
    text, label
        Columns, all of them there.
    seed
        Of the hashes of the texts.
    is_masked
        Whether a whole text tells nothing since it was struck out.
    """
    faults, keys, which, lines = array("b"), array("Q"), array("i"), array("q")
    labels: dict[str, int] = {}
    for rows in table.chunks(CHUNK):
        for row in rows:
            fault, key, found = KEPT, 0, -1
            if table.problem(row, text) is not None:
                fault = UNREADABLE
            elif not any(map(is_visible, texts := list(table.texts(row, text).values()))):
                fault = TEXTLESS
            elif is_masked(" ".join(texts)):
                fault = ANONYMISED
            elif not clean(name := table.text(row, label).strip()):
                fault = UNLABELLED
            else:
                key = draw(normalised(texts), seed)
                found = labels.setdefault(name, len(labels))
            faults.append(fault)
            keys.append(key)
            which.append(found)
            lines.append(row.line)
        if progress is not None:
            progress(rows[-1])
    return ScannedRows(
        np.array(faults, dtype=np.int8),
        np.array(keys, dtype=np.uint64),
        np.array(which, dtype=np.int32),
        np.array(lines, dtype=np.int64),
        tuple(labels),
    )


def clean_rows(rows: ScannedRows, nodes: NDArray[np.int32]) -> CleanedRows:
    """Decide which rows are kept.

    Of rows with the same text and the same node the first is kept. Rows with the same text and
    different nodes are all dropped: nobody knows which is right, and the majority of two or three
    is no answer.

    Parameters
    ----------
    nodes
        int32 [n_labels], the node of each different label, -1 where it is none.
    """
    node = np.append(nodes, np.int32(-1))[rows.label].astype(np.int32)
    reason = rows.fault.copy()
    reason[(reason == KEPT) & (node < 0)] = UNKNOWN
    rival = np.full(len(rows), -1, dtype=np.int64)
    usable = np.flatnonzero(reason == KEPT)
    if not len(usable):
        return CleanedRows(reason, node, rival)

    # Rows of one text stand together, in the order of the file.
    order = usable[np.argsort(rows.key[usable], kind="stable")]
    key = rows.key[order]
    opens = np.append(True, key[1:] != key[:-1])
    starts = np.flatnonzero(opens)
    text = np.cumsum(opens) - 1
    first = order[starts][text]
    differs = node[order] != node[first]
    other = np.minimum.reduceat(np.where(differs, order, len(rows)), starts)[text]
    contested = other < len(rows)

    again = ~opens | contested
    reason[order[again]] = np.where(contested, CONFLICTING, DUPLICATE)[again]
    rival[order[again]] = np.where(contested & ~differs, other, first)[again]
    return CleanedRows(reason, node, rival)


@dataclass(frozen=True)
class TruncatedLabels:
    """The different labels of a file as nodes.

    Parameters
    ----------
    taxonomy
        What the nodes are of: without the levels that were cut off.
    node
        int32 [n_labels], index of the node of each label, -1 where it is none.
    instead
        What is written for a label that was cut; see `CellCutter`. Other labels stay as they are.
    """

    taxonomy: Taxonomy
    node: NDArray[np.int32]
    instead: Mapping[str, str]


def truncate_labels(
    labels: Sequence[str],
    taxonomy: Taxonomy,
    depth: int | None = None,
    separator: str | None = None,
) -> TruncatedLabels:
    """Find labels in a taxonomy; those below `depth` become the node above them at that level."""
    trimmed = taxonomy if depth is None else taxonomy.trim(depth)
    cutter = CellCutter(taxonomy, depth, separator)
    nodes = np.full(len(labels), -1, dtype=np.int32)
    instead: dict[str, str] = {}
    for at, label in enumerate(labels):
        if (whole := cutter.finder.find(label)) < 0:
            continue
        nodes[at] = trimmed.index(taxonomy.codes[cutter.kept(whole)])
        if (cut := cutter(label)) != label:
            instead[label] = cut
    return TruncatedLabels(trimmed, nodes, instead)


class CellCutter:
    """Cuts the labels of a cell to a depth, in the form in which the cell has them.

    A label below the depth becomes the node above it at that level: its code if it was a code, else
    its path. Several labels of a cell stay several, but for those that are then the same; a list
    stays a list. A cell of which nothing is cut stays as it is.

    Parameters
    ----------
    depth
        None cuts nothing.
    separator
        Between several labels of a cell; see `LabelFinder`.
    """

    def __init__(self, taxonomy: Taxonomy, depth: int | None, separator: str | None = None) -> None:
        self.finder = LabelFinder(taxonomy, separator)
        self._taxonomy = taxonomy
        self._depth = depth
        self._separator = separator

    def kept(self, node: int) -> int:
        """The node at the depth, or above, that stands for a node."""
        return int(self._taxonomy.path_nodes(node)[: self._depth][-1])

    def __call__(self, text: str) -> str:
        """The cell with its labels cut."""
        pairs = self.finder.labelled(text)
        cut = [self._cut(label, node) for label, node in pairs]
        if self._depth is None or cut == [label for label, _ in pairs]:
            return text
        written: dict[str | int, str] = {}  # each node once, as it is first written
        for (label, node), shorter in zip(pairs, cut, strict=True):
            written.setdefault(label if node < 0 else self.kept(node), shorter)
        labels = list(written.values())
        if is_list(text):
            return json_of(labels)
        before, after = f" {self._separator}" in text, f"{self._separator} " in text
        return f"{' ' * before}{self._separator}{' ' * after}".join(labels)

    def _cut(self, label: str, node: int) -> str:
        if node < 0 or (kept := self.kept(node)) == node:
            return label
        codes = self._taxonomy.codes
        by_code = code_form(codes[node]) == code_form(label.partition("#")[0])
        return codes[kept] if by_code else self._taxonomy.path(kept)
