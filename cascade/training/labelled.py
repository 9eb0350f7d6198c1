"""Labelled rows of a file as items and nodes, and what is wrong with the others."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from cascade.config import Columns
from cascade.errors import InputError
from cascade.features.pictures import decoding_pool
from cascade.io import require_columns
from cascade.io.pictures import (
    MAX_BYTES,
    PicturePlaces,
    difference_hash,
    open_picture,
)
from cascade.io.tables.opening import TableFile
from cascade.io.web.address import is_address
from cascade.items import Item
from cascade.pipeline.labels.finding import (
    LabelFinder,
    OtherAnswers,
    name_hint,
    several_at,
    unknown_labels_error,
)
from cascade.pipeline.runs.columns import guessed_columns
from cascade.progress import Amount
from cascade.taxonomy import Taxonomy
from cascade.taxonomy.names import clean

FEW = 2  # rows with which an inner node may be an answer; one may be a slip
CHUNK = 1024  # rows between two signs of progress

UNKNOWN = "label not in the taxonomy"
DEPRECATED = "label names a deprecated node"


class Progress(Protocol):
    """Called with what is done, how much of how much (None: not known), and a few words."""

    def __call__(self, what: str, done: int, of: int | None, words: Amount = "", /) -> None:
        """Show it."""


@dataclass(frozen=True)
class Labelled:
    """Rows that can be learnt from.

    Parameters
    ----------
    items
        Of the rows, in their order.
    nodes
        int32 [n_items], what each is labelled with.
    skipped
        Rows that were left out, by reason, each with how many and the line of the first.
    picture_keys
        What copies of an item's picture share, see `io.pictures.look`; empty where it has none, or
        for all where pictures were not read.
    unread
        How many pictures cannot be used, and why not the first.
    first_unknown
        The first label that is not in the taxonomy, with its line and what it names.
    several
        About unknown labels that are several known ones in a cell; empty if none are.
    """

    items: Sequence[Item]
    nodes: NDArray[np.int32]
    skipped: dict[str, tuple[int, int]]
    picture_keys: Sequence[str] = ()
    unread: tuple[int, str] = (0, "")
    several: str = ""
    first_unknown: str = ""

    def __len__(self) -> int:
        return len(self.items)

    def part(self, wanted: NDArray[np.bool_]) -> Labelled:
        """The rows where `wanted` [n_items] is true."""
        kept = np.flatnonzero(wanted)
        items = [self.items[row] for row in kept.tolist()]
        keys = [self.picture_keys[row] for row in kept.tolist()] if self.picture_keys else ()
        return dataclasses.replace(self, items=items, nodes=self.nodes[kept], picture_keys=keys)

    @property
    def has_picture(self) -> NDArray[np.bool_]:
        """Which rows have a picture; bool [n_items]."""
        return np.array([item.image is not None for item in self.items], dtype=bool)

    def with_pictures(self) -> Labelled:
        """The rows that have a picture."""
        return self.part(self.has_picture)

    @property
    def comparable_texts(self) -> list[str]:
        """What near duplicates are found by: the text, or without one a hash of the picture.

        Pictures that are no copies of each other have nothing in common here.
        """
        if not self.picture_keys:
            return [item.text for item in self.items]
        return [
            item.text or hashlib.sha256(key.encode()).hexdigest()
            for item, key in zip(self.items, self.picture_keys, strict=True)
        ]

    def ends(self, taxonomy: Taxonomy) -> list[int]:
        """Nodes that rows are labelled with, above leaves of which none is labelled."""
        labelled = np.unique(self.nodes)
        after = np.searchsorted(labelled, taxonomy.end[labelled])  # the first beyond each
        lowest = labelled[after == np.arange(1, len(labelled) + 1)]
        return [int(node) for node in lowest if not taxonomy.is_leaf(int(node))]

    def stays(self, taxonomy: Taxonomy) -> list[str]:
        """Codes of inner nodes with at least `FEW` rows of their own and others below them."""
        labelled, counts = np.unique(self.nodes, return_counts=True)
        after = np.searchsorted(labelled, taxonomy.end[labelled])  # the first beyond each
        wanted = (after > np.arange(1, len(labelled) + 1)) & (counts >= FEW)
        return [taxonomy.codes[node] for node in labelled[wanted].tolist()]

    def warnings(self, taxonomy: Taxonomy) -> list[str]:
        """What a user should know about these rows, one sentence each."""
        told = {UNKNOWN: self.first_unknown} if UNKNOWN in self.skipped else {}
        found = [
            f"{count:,} rows are left out: {reason} (first: {told.get(reason) or f'line {line}'})"
            for reason, (count, line) in self.skipped.items()
        ]
        if self.several:
            found.append(f"some of these labels are {self.several}")
        if self.unread[0]:
            found.append(
                f"{self.unread[0]:,} pictures cannot be used; their rows are learnt by their text, "
                f"where they have any (first: {self.unread[1]})"
            )
        labelled, counts = np.unique(self.nodes, return_counts=True)
        if single := int((counts == 1).sum()):
            first = taxonomy.path(int(labelled[counts == 1][0]))
            found.append(
                f"{single:,} of {len(labelled):,} labels have one row only, of which nothing can "
                f"be held out (first: {first!r})"
            )
        if len(labelled) == 1 and len(self.nodes) > 1:
            found.append(
                f"all {len(self.nodes):,} rows have the same label, "
                f"{taxonomy.path(int(labelled[0]))!r}: what was fitted will always answer it, and "
                "nothing can be measured; give rows of other labels too"
            )
        if missing := int((~np.isin(taxonomy.leaves, labelled)).sum()):
            found.append(
                f"{missing:,} of {len(taxonomy.leaves):,} leaves of the taxonomy have no row; what "
                "was fitted will never answer them"
            )
        return found


def read_labelled(
    source: TableFile,
    columns: Columns,
    taxonomy: Taxonomy,
    progress: Callable[[int], None] | None = None,
    places: PicturePlaces = PicturePlaces(),  # noqa: B008
) -> Labelled:
    """The rows of a file whose labels are nodes of a taxonomy.

    Further labels of a cell that are not in the taxonomy are logged.

    Parameters
    ----------
    columns
        Text and label, settled; see `settled_columns`.
    progress
        Called with the rows that are read.
    places
        Where pictures may come from.

    Raises
    ------
    InputError
        A column is not there, or no row has text and a label of the taxonomy.
    """
    assert columns.label is not None
    finder = LabelFinder(taxonomy, columns.label_separator)
    further = OtherAnswers(finder)
    items: list[Item] = []
    nodes: list[int] = []
    skipped: dict[str, tuple[int, int]] = {}
    unknown, first, example, several, rows, unread = 0, "", "", "", 0, (0, "")
    unknown_first = False  # whether `first` is not in the taxonomy, or else deprecated
    with source.open() as table:
        named = (columns.label, columns.image)
        require_columns(table, [*columns.text, *filter(None, named)])
        for chunk in table.chunks(CHUNK):
            for row in chunk:
                rows += 1
                label = table.text(row, columns.label)
                item = Item(table.texts(row, columns.text))
                if columns.image:
                    try:
                        found = places.find(table.value(row, columns.image), table.folder)
                        item = dataclasses.replace(item, image=found)
                    except InputError as error:  # its text may still teach something
                        unread = unread[0] + 1, unread[1] or str(error)
                node = finder.find(label)
                reason = _reason(table.problem(row, columns.text), item, label, node)
                if reason == UNKNOWN and finder.is_deprecated(label):
                    reason = DEPRECATED
                if reason is None:
                    further.look(row.line, label)
                    items.append(item)
                    nodes.append(node)
                    continue
                count, line = skipped.get(reason, (0, row.line))
                skipped[reason] = (count + 1, line)
                if reason in (UNKNOWN, DEPRECATED):
                    unknown += 1
                    if not first or (reason == UNKNOWN and not unknown_first):
                        first, example = f"line {row.line}, {finder.shown(label)}", label
                        unknown_first = reason == UNKNOWN
                    if not several:
                        mark = finder.unread(label)
                        several = several_at(row.line, label, mark) if mark else ""
            if progress is not None:
                progress(rows)
    if not items:
        if unknown:
            raise unknown_labels_error(source, columns.label, taxonomy, unknown, first, example)
        why = ", ".join(f"{count:,} {reason}" for reason, (count, _) in skipped.items())
        raise InputError(
            f"there is nothing to learn from in {rows:,} rows ({why or 'the file is empty'}"
            f"{f'; {unread[1]}' if unread[0] else ''}); "
            "name other columns with --text and --label",
            file=source.file,
        )
    further.warn(source.file, columns.label)
    return Labelled(
        items,
        np.array(nodes, dtype=np.int32),
        skipped,
        unread=unread,
        several=several,
        first_unknown=first + (name_hint(finder, example) if unknown_first else ""),
    )


def readable(rows: Labelled, progress: Progress = lambda *_: None) -> Labelled:
    """The rows without pictures that cannot be read; of those that have no text nothing is left.

    What lies at an address is fetched, once, and stands in the item from now on.

    Raises
    ------
    InputError
        No picture is left.
    """
    items, kept, keys = [], [], []
    bad, first = rows.unread
    for start in range(0, len(rows), CHUNK):
        some = rows.items[start : start + CHUNK]
        tried = [decoding_pool().submit(_seen, item) for item in some]
        try:
            results = [each.result() for each in tried]
        except BaseException:
            for each in tried:
                each.cancel()
            raise
        for at, (item, key, problem) in enumerate(results, start=start):
            if problem:
                bad, first = bad + 1, first or problem
            if not problem or item.text:
                items.append(item)
                kept.append(at)
                keys.append(key)
        progress("checking pictures", start + len(some), len(rows))
    if len(rows) and not any(keys):
        raise InputError(
            f"no picture can be read (the first: {first or 'there is none'}); name another column "
            "with --image, or the folder that they lie in with --image-root"
        )
    return Labelled(items, rows.nodes[kept], rows.skipped, keys, (bad, first), rows.several)


def _seen(item: Item) -> tuple[Item, str, str]:
    """An item, what copies of its picture share, and why it cannot be read; one of them empty."""
    if item.image is None:
        return item, "", ""
    try:
        image = item.image
        if isinstance(image, str) and is_address(image):
            from cascade.io.web.fetching import fetch  # few runs need it

            image = fetch(image, MAX_BYTES)
        return dataclasses.replace(item, image=image), difference_hash(open_picture(image)), ""
    except InputError as error:
        return dataclasses.replace(item, image=None), "", str(error)


def _reason(problem: str | None, item: Item, label: str, node: int) -> str | None:
    """Why a row cannot be learnt from; None where it can."""
    if problem is not None:
        return "cannot be read"
    if not item.text and item.image is None:
        return "without text or picture"
    if not clean(label):
        return "without a label"
    return UNKNOWN if node < 0 else None


def settled_columns(source: TableFile, columns: Columns) -> Columns:
    """The columns with those of the text guessed where none is named; never the label.

    Raises
    ------
    InputError
        A column is not there, or the label is among the text.
    """
    label = columns.label
    with source.open() as table:
        require_columns(table, [label or "", *filter(None, [columns.image])])
        guessed = not columns.text
        columns = guessed_columns(table, columns)
        text = [c for c in columns.text if c != label] if guessed else columns.text
        if label in text:
            raise InputError(
                f"column {label!r} is named as text and as label; the text must not hold the "
                "answer",
                file=table.name,
            )
        if not text and columns.image is None:
            raise InputError(
                f"has no column beside the label {label!r}; name the text with --text",
                file=table.name,
            )
        require_columns(table, text)
    return columns.model_copy(update={"text": text})


def path_choices(
    taxonomy: Taxonomy, nodes: NDArray[np.int32]
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Row and right child of every step of the rows' paths at which there is a choice."""
    pairs = [
        (row, step)
        for row, node in enumerate(nodes.tolist())
        for step in taxonomy.path_nodes(node).tolist()
        if len(taxonomy.children(int(taxonomy.parent[step]))) > 1
    ]
    both = np.array(pairs, dtype=np.int32).reshape(-1, 2)
    return both[:, 0], both[:, 1]
